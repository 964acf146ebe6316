//! CookieReply: "prove your address first", said under load.

use serde::{Deserialize, Serialize};

use crate::wire::error::DecodeError;
use crate::wire::header::MAGIC_VERSION;
use crate::wire::id::Index;
use crate::wire::kind::Kind;
use crate::wire::raw::{self, Bytes, Raw};

/// The stateless answer to an initiation under load. Spec: `spec/formats.md` section 3.3.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | byte 0 and type |
/// | 2 | 2 | zero |
/// | 4 | 4 | `receiver` |
/// | 8 | 16 | `nonce` |
/// | 24 | 32 | `sealed` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieReply {
    /// The initiation's sender index; never 0.
    pub receiver: Index,
    /// Random: a new cookie key for every reply.
    pub nonce: [u8; 16],
    /// The sealed cookie.
    pub sealed: [u8; 32],
}

impl CookieReply {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 56;

    /// The bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        raw::to_array(&RawCookieReply {
            magic: MAGIC_VERSION,
            kind: Kind::COOKIE_REPLY.0,
            zero: 0,
            receiver: self.receiver.0,
            nonce: Bytes(self.nonce),
            sealed: Bytes(self.sealed),
        })
    }

    /// Reads the bytes of the wire, of which byte 0 and the type have been judged.
    pub(super) fn from_bytes(datagram: &[u8]) -> Result<Self, DecodeError> {
        let raw: RawCookieReply = raw::read(datagram)?;
        if raw.zero != 0 {
            return Err(DecodeError::NotZero);
        }
        let receiver = Index(raw.receiver).some()?;
        Ok(Self { receiver, nonce: raw.nonce.0, sealed: raw.sealed.0 })
    }
}

#[derive(Serialize, Deserialize)]
struct RawCookieReply {
    magic: u8,
    kind: u8,
    zero: u16,
    receiver: u32,
    nonce: Bytes<16>,
    sealed: Bytes<32>,
}

impl Raw for RawCookieReply {
    const LEN: usize = CookieReply::LEN;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_as_the_spec_says() {
        let reply = CookieReply { receiver: Index(1), nonce: [2; 16], sealed: [3; 32] };
        let bytes = reply.to_bytes();
        assert_eq!(bytes[..8], [0xD1, 3, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[8..24], [2; 16]);
        assert_eq!(bytes[24..], [3; 32]);
        assert_eq!(CookieReply::from_bytes(&bytes), Ok(reply));
    }

    #[test]
    fn refuses_what_must_be_zero_or_must_not() {
        let reply = CookieReply { receiver: Index(1), nonce: [2; 16], sealed: [3; 32] };
        let mut filled = reply.to_bytes();
        filled[3] = 1;
        assert_eq!(CookieReply::from_bytes(&filled), Err(DecodeError::NotZero));
        let nobody = CookieReply { receiver: Index::NONE, ..reply };
        assert_eq!(CookieReply::from_bytes(&nobody.to_bytes()), Err(DecodeError::Index));
    }
}
