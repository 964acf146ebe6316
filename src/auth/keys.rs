//! The keys of a session, derived from a finished handshake.

use std::fmt;

use ring::hkdf;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::auth::seal::SealKey;
use crate::auth::totp::Secret;

/// What both ends of a session know and nobody else: printed nowhere, wiped when dropped.
/// Spec: `spec/cryptography.md` section 3.1.
///
/// ring, and hmac for TOTP, keep copies of what is computed from them in memory that they do not wipe.
pub struct SessionKeys {
    pub(super) send: Direction,
    pub(super) receive: Direction,
    pub(super) initiator: bool,
}

/// The keys of one direction.
pub(super) struct Direction {
    pub(super) totp: Secret,
    pub(super) seal: SealKey,
}

/// What Noise gives at the end: the handshake hash and the two keys of its `Split()`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Split {
    pub(super) hash: [u8; 32],
    pub(super) keys: [u8; 64],
}

impl SessionKeys {
    /// The keys of the end that initiated the handshake, or of the other.
    pub(super) fn derive(split: &Split, initiator: bool) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &split.hash).extract(&split.keys);
        let forth = Direction {
            totp: Secret(expand(&prk, b"dddns/1 totp initiator")),
            seal: SealKey(expand(&prk, b"dddns/1 seal initiator")),
        };
        let back = Direction {
            totp: Secret(expand(&prk, b"dddns/1 totp responder")),
            seal: SealKey(expand(&prk, b"dddns/1 seal responder")),
        };
        let (send, receive) = if initiator { (forth, back) } else { (back, forth) };
        Self { send, receive, initiator }
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").field("initiator", &self.initiator).finish_non_exhaustive()
    }
}

fn expand<const N: usize>(prk: &hkdf::Prk, info: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    let filled = prk.expand(&[info], Length(N)).and_then(|okm| okm.fill(&mut key));
    let Ok(()) = filled else { unreachable!("HKDF-SHA-256 gives up to 8160 bytes") };
    key
}

/// How many bytes HKDF is to give.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
