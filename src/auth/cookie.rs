//! Cookies: under load, an initiator proves that it receives at the address it sends from. The responder keeps nothing
//! about it.

use std::fmt;
use std::time::{Duration, Instant};

use ring::{aead, hmac};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::auth::drbg::Drbg;
use crate::auth::mac::{labelled, mac2, truncated};
use crate::auth::seal;
use crate::auth::tag::equal;
use crate::wire::address::Address;
use crate::wire::cookie_reply::CookieReply;
use crate::wire::id::PublicKey;
use crate::wire::initiation::Initiation;

/// How long a responder gives cookies under one secret, and how long an initiator uses one (AUTH-10).
pub const LIFETIME: Duration = Duration::from_secs(120);

/// The responder's side. Spec: `spec/cryptography.md` section 5.
pub struct Cookies {
    own: PublicKey,
    present: Option<Secret>,
    previous: Option<Secret>,
}

impl Cookies {
    /// For the responder with this public key.
    #[must_use]
    pub fn new(own: PublicKey) -> Self {
        Self { own, present: None, previous: None }
    }

    /// The datagram that gives the sender of `initiation`, seen at `from`, its cookie.
    #[must_use]
    pub fn reply(
        &mut self,
        now: Instant,
        from: Address,
        initiation: &Initiation,
        drbg: &mut Drbg,
    ) -> [u8; CookieReply::LEN] {
        let cookie = self.secret(now, drbg).cookie(from);
        let nonce = drbg.array();
        let mut sealed = [0; 32];
        let (body, tag) = sealed.split_at_mut(16);
        body.copy_from_slice(&cookie);
        let key = seal::key(&cookie_key(&self.own, &nonce, &initiation.mac1));
        if let Ok(poly1305) = key.seal_in_place_separate_tag(zero_nonce(), aead::Aad::empty(), body) {
            tag.copy_from_slice(poly1305.as_ref());
        }
        CookieReply { receiver: initiation.sender, nonce, sealed }.to_bytes()
    }

    /// Whether the initiation, seen at `from`, carries a mac2 made with a cookie for that address that is still good.
    #[must_use]
    pub fn mac2_valid(&self, now: Instant, from: Address, initiation: &Initiation) -> bool {
        let datagram = initiation.to_bytes();
        [&self.present, &self.previous]
            .into_iter()
            .flatten()
            .filter(|secret| secret.age(now) < 2 * LIFETIME)
            .any(|secret| equal(&mac2(&secret.cookie(from), &datagram), &initiation.mac2))
    }

    fn secret(&mut self, now: Instant, drbg: &mut Drbg) -> &Secret {
        let fresh = self.present.take_if(|secret| secret.age(now) < LIFETIME);
        let secret = fresh.unwrap_or_else(|| {
            self.previous = self.present.take();
            Secret { key: drbg.array(), made: now }
        });
        self.present.insert(secret)
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").field("own", &self.own).finish_non_exhaustive()
    }
}

/// The initiator's side: the cookie in a reply to `initiation`; `None` if nobody who knows `responder` and saw the
/// initiation made it.
pub(super) fn open(reply: &CookieReply, responder: &PublicKey, mac1: &[u8; 16]) -> Option<[u8; 16]> {
    let key = seal::key(&cookie_key(responder, &reply.nonce, mac1));
    let mut sealed = reply.sealed;
    let cookie = key.open_in_place(zero_nonce(), aead::Aad::empty(), &mut sealed).ok()?;
    cookie.first_chunk().copied()
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Secret {
    key: [u8; 32],
    #[zeroize(skip)]
    made: Instant,
}

impl Secret {
    fn cookie(&self, address: Address) -> [u8; 16] {
        truncated(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), &address.to_bytes())
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.made)
    }
}

fn cookie_key(responder: &PublicKey, nonce: &[u8; 16], mac1: &[u8; 16]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, labelled(b"dddns/1 cookie", responder).as_ref());
    let mut context = hmac::Context::with_key(&key);
    context.update(nonce);
    context.update(mac1);
    context.sign().as_ref().first_chunk().copied().unwrap_or_default()
}

/// Every cookie key seals one cookie, so the nonce never has to differ.
fn zero_nonce() -> aead::Nonce {
    aead::Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::datagram::Datagram;
    use crate::wire::id::{Index, InviteId};
    use crate::wire::initiation::Mode;

    const OWN: PublicKey = PublicKey([1; 32]);

    #[expect(clippy::disallowed_methods, reason = "a test's beginning of time: only differences to it are used")]
    fn start() -> Instant {
        Instant::now()
    }

    fn address(last: u8) -> Address {
        Address::new([192, 0, 2, last].into(), 4711).unwrap()
    }

    fn initiation() -> Initiation {
        let (noise, invite) = ([4; 168], InviteId([0; 8]));
        Initiation { mode: Mode::Member, sender: Index(3), invite, noise, mac1: [5; 16], mac2: [0; 16] }
    }

    fn reply(cookies: &mut Cookies, now: Instant, drbg: &mut Drbg) -> CookieReply {
        match Datagram::parse(&cookies.reply(now, address(1), &initiation(), drbg)) {
            Ok(Datagram::CookieReply(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn with_cookie(cookie: [u8; 16]) -> Initiation {
        Initiation { mac2: mac2(&cookie, &initiation().to_bytes()), ..initiation() }
    }

    #[test]
    fn proves_one_address_for_two_lifetimes() {
        let begin = start();
        let (mut cookies, mut drbg) = (Cookies::new(OWN), Drbg::new([9; 32]));
        let reply = reply(&mut cookies, begin, &mut drbg);
        assert_eq!(reply.receiver, Index(3));
        let proven = with_cookie(open(&reply, &OWN, &[5; 16]).unwrap());
        assert!(cookies.mac2_valid(begin, address(1), &proven));
        assert!(!cookies.mac2_valid(begin, address(2), &proven), "another address");
        assert!(!cookies.mac2_valid(begin, address(1), &initiation()), "no cookie");
        assert!(!cookies.mac2_valid(begin, address(1), &Initiation { sender: Index(4), ..proven }), "another message");

        let end = begin + 2 * LIFETIME;
        assert!(cookies.mac2_valid(end - Duration::from_millis(1), address(1), &proven));
        assert!(!cookies.mac2_valid(end, address(1), &proven));
    }

    #[test]
    fn the_present_and_the_previous_secret_serve() {
        let begin = start();
        let (mut cookies, mut drbg) = (Cookies::new(OWN), Drbg::new([9; 32]));
        let mut proven = Vec::new();
        for i in 0..4 {
            let reply = reply(&mut cookies, begin + i * LIFETIME, &mut drbg);
            proven.push(with_cookie(open(&reply, &OWN, &[5; 16]).unwrap()));
        }
        let now = begin + 3 * LIFETIME;
        let valid: Vec<_> = proven.iter().map(|one| cookies.mac2_valid(now, address(1), one)).collect();
        assert_eq!(valid, [false, false, true, true]);
        assert_eq!(proven[2], with_cookie(cookies.previous.unwrap().cookie(address(1))));
    }

    #[test]
    fn opens_for_whoever_sent_the_initiation_only() {
        let (mut cookies, mut drbg) = (Cookies::new(OWN), Drbg::new([9; 32]));
        let reply = reply(&mut cookies, start(), &mut drbg);
        assert!(open(&reply, &OWN, &[5; 16]).is_some());
        assert_eq!(open(&reply, &OWN, &[6; 16]), None, "another initiation");
        assert_eq!(open(&reply, &PublicKey([2; 32]), &[5; 16]), None, "another responder");
        for i in 0..32 {
            let mut forged = reply;
            forged.sealed[i] ^= 1;
            assert_eq!(open(&forged, &OWN, &[5; 16]), None);
        }
    }
}
