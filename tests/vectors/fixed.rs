//! The fixed secrets that the handshakes of the vectors are made with.

use dddns::auth::drbg::Drbg;
use dddns::wire::id::Index;

pub(crate) const CLUSTER_ID: [u8; 16] = ascending(0x30);
pub(crate) const CLUSTER_KEY: [u8; 32] = ascending(0x40);
pub(crate) const INVITE_ID: [u8; 8] = ascending(0x50);
pub(crate) const INVITE_SECRET: [u8; 32] = ascending(0x60);

/// What one end of a handshake has of its own.
#[derive(Clone, Copy)]
pub(crate) struct Role {
    pub(crate) secret: [u8; 32],
    /// The seed of the generator that gives the ephemeral secret key.
    pub(crate) seed: [u8; 32],
    pub(crate) incarnation: [u8; 8],
    index: u32,
}

impl Role {
    pub(crate) const INITIATOR: Self =
        Self { secret: ascending(0x10), seed: ascending(0x70), incarnation: ascending(0xC0), index: 0x0A0B_0C0D };
    pub(crate) const RESPONDER: Self =
        Self { secret: ascending(0x20), seed: ascending(0x80), incarnation: ascending(0xD0), index: 0x1A1B_1C1D };

    /// The ephemeral secret key that the generator gives first.
    pub(crate) fn ephemeral(&self) -> [u8; 32] {
        Drbg::new(self.seed).array()
    }

    pub(crate) fn index(&self) -> Index {
        Index(self.index)
    }
}

/// The seed of the generator that gives a responder's rotating secret, and then the random bytes of a cookie reply.
pub(crate) fn cookie_seed() -> [u8; 32] {
    ascending(0xB0)
}

/// `first`, `first + 1`, and so on: bytes that differ, so that none can stand in another's place unnoticed.
pub(crate) const fn ascending<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    let mut next = first;
    while at < N {
        bytes[at] = next;
        next = next.wrapping_add(1);
        at += 1;
    }
    bytes
}
