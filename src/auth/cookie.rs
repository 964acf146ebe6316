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
