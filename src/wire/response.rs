//! Response: the second message of a handshake.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::address::{Address, RawAddress};
use crate::wire::error::DecodeError;
use crate::wire::header::MAGIC_VERSION;
use crate::wire::id::{ClusterId, Index};
use crate::wire::initiation::Mode;
use crate::wire::kind::Kind;
use crate::wire::raw::{self, Bytes, Raw};

/// The second message of a handshake. Spec: `spec/formats.md` section 3.2.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | byte 0 and type |
/// | 2 | 2 | zero |
/// | 4 | 4 | `sender` |
/// | 8 | 4 | `receiver` |
/// | 12 | 123 | `noise` |
/// | 135 | 16 | `mac1` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// By which the responder wants to be addressed; [`Index::NONE`] in a refusal, and only there.
    pub sender: Index,
    /// The initiation's sender index; never 0.
    pub receiver: Index,
    /// Noise message 2.
    pub noise: [u8; 123],
    /// Shows that the sender knows the initiator's public key.
    pub mac1: [u8; 16],
}

/// What Noise message 2 carries: 75 bytes. Spec: `spec/formats.md` section 3.2.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | `verdict` |
/// | 1 | 18 | `observed` |
/// | 19 | 8 | `clock_ms` |
/// | 27 | 16 | `cluster_id` |
/// | 43 | 32 | `cluster_key` |
#[derive(Clone, PartialEq, Eq)]
pub struct ResponsePayload {
    /// Whether the initiator is let in.
    pub verdict: Verdict,
    /// Where the initiation came from.
    pub observed: Address,
    /// The responder's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub clock_ms: u64,
    /// The cluster, for a joiner that is let in; else zero bytes.
    pub cluster_id: ClusterId,
    /// The cluster's key, for a joiner that is let in; else zero bytes.
    pub cluster_key: [u8; 32],
}

/// A responder's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let in: 0 on the wire.
    Accepted,
    /// The invite has expired: 1 on the wire.
    Expired,
    /// Another node has joined with the invite: 2 on the wire.
    Used,
    /// The cluster has as many members as it may have: 3 on the wire.
    Full,
}

impl Response {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 151;

    /// What mac1 covers: the bytes before it.
    pub const BEFORE_MAC1: usize = 135;

    /// The bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        raw::to_array(&RawResponse {
            magic: MAGIC_VERSION,
            kind: Kind::RESPONSE.0,
            zero: 0,
            sender: self.sender.0,
            receiver: self.receiver.0,
            noise: Bytes(self.noise),
            mac1: Bytes(self.mac1),
        })
    }

    /// Reads the bytes of the wire, of which byte 0 and the type have been judged.
    pub(super) fn from_bytes(datagram: &[u8]) -> Result<Self, DecodeError> {
        let raw: RawResponse = raw::read(datagram)?;
        if raw.zero != 0 {
            return Err(DecodeError::NotZero);
        }
        let receiver = Index(raw.receiver).some()?;
        Ok(Self { sender: Index(raw.sender), receiver, noise: raw.noise.0, mac1: raw.mac1.0 })
    }
}

impl ResponsePayload {
    /// Size in bytes.
    pub const LEN: usize = 75;

    /// The 75 bytes inside Noise message 2.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        raw::to_array(&RawPayload {
            verdict: self.verdict.to_wire(),
            observed: self.observed.into(),
            clock_ms: self.clock_ms,
            cluster_id: Bytes(self.cluster_id.0),
            cluster_key: Bytes(self.cluster_key),
        })
    }

    /// Reads the 75 bytes inside the Noise message 2 that answers an initiation of this mode.
    ///
    /// # Errors
    ///
    /// An unknown verdict, no address, or a cluster where none is to be told.
    pub fn from_bytes(mode: Mode, bytes: &[u8; Self::LEN]) -> Result<Self, DecodeError> {
        let raw: RawPayload = raw::read(bytes)?;
        let payload = Self {
            verdict: Verdict::from_wire(raw.verdict)?,
            observed: raw.observed.required()?,
            clock_ms: raw.clock_ms,
            cluster_id: ClusterId(raw.cluster_id.0),
            cluster_key: raw.cluster_key.0,
        };
        let told = mode == Mode::Join && payload.verdict == Verdict::Accepted;
        let zero = payload.cluster_id.0 == [0; 16] && payload.cluster_key == [0; 32];
        if told || zero { Ok(payload) } else { Err(DecodeError::NotZero) }
    }
}

impl fmt::Debug for ResponsePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsePayload")
            .field("verdict", &self.verdict)
            .field("observed", &self.observed)
            .field("clock_ms", &self.clock_ms)
            .field("cluster_id", &self.cluster_id)
            .finish_non_exhaustive()
    }
}

impl Zeroize for ResponsePayload {
    fn zeroize(&mut self) {
        self.cluster_key.zeroize();
    }
}

impl Drop for ResponsePayload {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for ResponsePayload {}

impl Verdict {
    fn to_wire(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Expired => 1,
            Self::Used => 2,
            Self::Full => 3,
        }
    }

    fn from_wire(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Self::Accepted),
            1 => Ok(Self::Expired),
            2 => Ok(Self::Used),
            3 => Ok(Self::Full),
            _ => Err(DecodeError::Verdict),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct RawResponse {
    magic: u8,
    kind: u8,
    zero: u16,
    sender: u32,
    receiver: u32,
    noise: Bytes<123>,
    mac1: Bytes<16>,
}

impl Raw for RawResponse {
    const LEN: usize = Response::LEN;
}

#[derive(Serialize, Deserialize)]
struct RawPayload {
    verdict: u8,
    observed: RawAddress,
    clock_ms: u64,
    cluster_id: Bytes<{ ClusterId::LEN }>,
    cluster_key: Bytes<32>,
}

impl Raw for RawPayload {
    const LEN: usize = ResponsePayload::LEN;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::list::Slot;

    fn payload(verdict: Verdict, cluster: u8) -> ResponsePayload {
        ResponsePayload {
            verdict,
            observed: Address::FILL,
            clock_ms: 258,
            cluster_id: ClusterId([cluster; 16]),
            cluster_key: [cluster; 32],
        }
    }

    #[test]
    fn stands_as_the_spec_says() {
        let response = Response { sender: Index(1), receiver: Index(2), noise: [3; 123], mac1: [4; 16] };
        let bytes = response.to_bytes();
        assert_eq!(bytes[..12], [0xD1, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(bytes[12..135], [3; 123]);
        assert_eq!(bytes[135..], [4; 16]);
        assert_eq!(Response::from_bytes(&bytes), Ok(response));
        let nobody = Response { receiver: Index::NONE, ..response };
        assert_eq!(Response::from_bytes(&nobody.to_bytes()), Err(DecodeError::Index));
        let refusal = Response { sender: Index::NONE, ..response };
        assert_eq!(Response::from_bytes(&refusal.to_bytes()), Ok(refusal));
    }

    #[test]
    fn the_cluster_is_told_to_an_accepted_joiner_only() {
        let bytes = payload(Verdict::Accepted, 5).to_bytes();
        assert_eq!(bytes[19..27], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(bytes[27..], [5; 48]);
        assert!(ResponsePayload::from_bytes(Mode::Join, &bytes).is_ok());
        assert_eq!(ResponsePayload::from_bytes(Mode::Member, &bytes), Err(DecodeError::NotZero));
        let refused = payload(Verdict::Used, 5).to_bytes();
        assert_eq!(ResponsePayload::from_bytes(Mode::Join, &refused), Err(DecodeError::NotZero));
    }

    #[test]
    fn there_are_four_verdicts() {
        for byte in 0..=255 {
            let mut bytes = payload(Verdict::Accepted, 0).to_bytes();
            bytes[0] = byte;
            let read = ResponsePayload::from_bytes(Mode::Member, &bytes);
            if byte < 4 {
                assert_eq!(read.unwrap().to_bytes(), bytes);
            } else {
                assert_eq!(read, Err(DecodeError::Verdict));
            }
        }
    }

    #[test]
    fn does_not_print_the_key() {
        assert!(!format!("{:?}", payload(Verdict::Accepted, 0xAB)).contains("171"));
    }
}
