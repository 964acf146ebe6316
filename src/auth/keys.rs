//! The keys of a session, derived from a finished handshake.

use std::fmt;

use ring::{hkdf, hmac};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::auth::seal::SealKey;
use crate::auth::totp::Secret;

/// What both ends of a session know and nobody else: printed nowhere, wiped when dropped.
/// Spec: `spec/cryptography.md` section 3.1.
///
/// Only HKDF's pseudorandom key is kept: a link lives on little memory, and what is derived from it is needed once per
/// step, or for the rare sealed body. ring, and hmac for TOTP, keep copies of what is computed in memory that they do
/// not wipe.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKeys {
    prk: [u8; 32],
    #[zeroize(skip)]
    initiator: bool,
}

/// Which way a datagram goes, seen from one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Away from this end.
    Sent,
    /// To this end.
    Received,
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
        // HKDF-Extract, which ring's HKDF would not give the bytes of.
        let salt = hmac::Key::new(hmac::HMAC_SHA256, &split.hash);
        let mut prk = [0; 32];
        prk.copy_from_slice(hmac::sign(&salt, &split.keys).as_ref());
        Self { prk, initiator }
    }

    /// The keys that follow from what HKDF-Extract gave.
    pub(super) fn from_prk(prk: &[u8; 32], initiator: bool) -> Self {
        Self { prk: *prk, initiator }
    }

    /// Whether this is the end that initiated the handshake.
    pub(super) fn is_initiator(&self) -> bool {
        self.initiator
    }

    /// The TOTP secret of a direction.
    pub(crate) fn totp(&self, direction: Direction) -> Secret {
        let initiators = (direction == Direction::Sent) == self.initiator;
        Secret(self.expand(if initiators { b"dddns/1 totp initiator" } else { b"dddns/1 totp responder" }))
    }

    /// The key for sealed bodies of a direction.
    pub(crate) fn seal(&self, direction: Direction) -> SealKey {
        let initiators = (direction == Direction::Sent) == self.initiator;
        SealKey(self.expand(if initiators { b"dddns/1 seal initiator" } else { b"dddns/1 seal responder" }))
    }

    fn expand<const N: usize>(&self, info: &[u8]) -> [u8; N] {
        let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &self.prk);
        let mut key = [0; N];
        let filled = prk.expand(&[info], Length(N)).and_then(|okm| okm.fill(&mut key));
        let Ok(()) = filled else { unreachable!("HKDF-SHA-256 gives up to 8160 bytes") };
        key
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").field("initiator", &self.initiator).finish_non_exhaustive()
    }
}

/// How many bytes HKDF is to give.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
