//! The 16 bytes before every tagged body.

use crate::wire::error::DecodeError;
use crate::wire::id::Index;
use crate::wire::kind::Kind;

/// Byte 0 of every datagram: the protocol in the high nibble, its version, 1, in the low one. Spec: WIRE-3.
pub const MAGIC_VERSION: u8 = 0xD1;

/// Size of the tag after every tagged body, in bytes.
pub const TAG_LEN: usize = 16;

/// The header of a tagged datagram. Spec: `spec/formats.md` section 4.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | [`MAGIC_VERSION`] |
/// | 1 | 1 | `kind` |
/// | 2 | 1 | `step` |
/// | 3 | 1 | zero |
/// | 4 | 4 | `receiver` |
/// | 8 | 8 | `counter` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type.
    pub kind: Kind,
    /// The low 8 bits of the sender's time step.
    pub step: u8,
    /// The receiver's index for the session; never 0 in a header that was decoded.
    pub receiver: Index,
    /// The datagram's number in its session and direction.
    pub counter: u64,
}

impl Header {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 16;

    /// The 16 bytes of the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.receiver.0.to_be_bytes();
        let [e, f, g, h, i, j, k, l] = self.counter.to_be_bytes();
        [MAGIC_VERSION, self.kind.0, self.step, 0, a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Reads the 16 bytes of the wire.
    ///
    /// # Errors
    ///
    /// Another byte 0, flags that are not zero, or a zero index. The type is not judged here.
    #[inline]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, DecodeError> {
        let &[magic, kind, step, flags, a, b, c, d, ref counter @ ..] = bytes;
        if magic != MAGIC_VERSION {
            return Err(DecodeError::Magic);
        }
        if flags != 0 {
            return Err(DecodeError::NotZero);
        }
        let receiver = Index(u32::from_be_bytes([a, b, c, d])).some()?;
        Ok(Self { kind: Kind(kind), step, receiver, counter: u64::from_be_bytes(*counter) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = [0xD1, 0x10, 3, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 9];

    #[test]
    fn stands_as_the_spec_says() {
        let header = Header { kind: Kind::HEARTBEAT, step: 3, receiver: Index(0x0102_0304), counter: 9 };
        assert_eq!(header.to_bytes(), BYTES);
        assert_eq!(Header::from_bytes(&BYTES), Ok(header));
    }

    #[test]
    fn refuses_flags_and_the_zero_index() {
        let mut flagged = BYTES;
        flagged[3] = 1;
        assert_eq!(Header::from_bytes(&flagged), Err(DecodeError::NotZero));
        let mut nobody = BYTES;
        nobody[4..8].fill(0);
        assert_eq!(Header::from_bytes(&nobody), Err(DecodeError::Index));
    }
}
