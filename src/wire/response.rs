//! Response: the second message of a handshake.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::address::{Address, RawAddress};
use crate::wire::error::DecodeError;
use crate::wire::header::MAGIC_VERSION;
use crate::wire::id::{ClusterId, Incarnation, Index};
use crate::wire::initiation::Mode;
use crate::wire::kind::Kind;
use crate::wire::raw::{self, Bytes, Raw};

/// The second message of a handshake. Spec: `spec/formats.md` section 3.2.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | byte 0 and type |
/// | 2 | 2 | zero |
/// | 4 | 4 | `receiver` |
/// | 8 | 135 | `noise` |
/// | 143 | 16 | `mac1` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The initiation's sender index; never 0.
    pub receiver: Index,
    /// Noise message 2.
    pub noise: [u8; 135],
    /// Shows that the sender knows the initiator's public key.
    pub mac1: [u8; 16],
}

/// What Noise message 2 carries: 87 bytes, wiped when dropped. Spec: `spec/formats.md` section 3.2.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | `sender` |
/// | 4 | 1 | `verdict` |
/// | 5 | 18 | `observed` |
/// | 23 | 8 | `clock_ms` |
/// | 31 | 8 | `incarnation` |
/// | 39 | 16 | `cluster_id` |
/// | 55 | 32 | `cluster_key` |
#[derive(Clone, PartialEq, Eq)]
pub struct ResponsePayload {
    /// By which the responder wants to be addressed; [`Index::NONE`] in a refusal, and only there. It stands here, and
    /// not in clear like other indices, so that nobody else can change it (AUTH-12).
    pub sender: Index,
    /// Whether the initiator is let in.
    pub verdict: Verdict,
    /// Where the initiation came from.
    pub observed: Address,
    /// The responder's clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub clock_ms: u64,
    /// Which run of the responder this is.
    pub incarnation: Incarnation,
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
    /// No admission can follow the one with which the joiner was removed: 4 on the wire.
    Barred,
}

impl Response {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 159;

    /// What mac1 covers: the bytes before it.
    pub const BEFORE_MAC1: usize = 143;

    /// The bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        raw::to_array(&RawResponse {
            magic: MAGIC_VERSION,
            kind: Kind::RESPONSE.0,
            zero: 0,
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
        Ok(Self { receiver, noise: raw.noise.0, mac1: raw.mac1.0 })
    }
}

impl ResponsePayload {
    /// Size in bytes.
    pub const LEN: usize = 87;

    /// The 87 bytes inside Noise message 2.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        raw::to_array(&RawPayload {
            sender: self.sender.0,
            verdict: self.verdict.to_wire(),
            observed: self.observed.into(),
            clock_ms: self.clock_ms,
            incarnation: Bytes(self.incarnation.0),
            cluster_id: Bytes(self.cluster_id.0),
            cluster_key: Bytes(self.cluster_key),
        })
    }

    /// Reads the 87 bytes inside the Noise message 2 that answers an initiation of this mode.
    ///
    /// # Errors
    ///
    /// An unknown verdict, an index that does not fit the verdict, no address, or a cluster where none is to be told.
    pub fn from_bytes(mode: Mode, bytes: &[u8; Self::LEN]) -> Result<Self, DecodeError> {
        let raw: RawPayload = raw::read(bytes)?;
        let payload = Self {
            sender: Index(raw.sender),
            verdict: Verdict::from_wire(raw.verdict)?,
            observed: raw.observed.required()?,
            clock_ms: raw.clock_ms,
            incarnation: Incarnation(raw.incarnation.0),
            cluster_id: ClusterId(raw.cluster_id.0),
            cluster_key: raw.cluster_key.0,
        };
        if !payload.index_fits() {
            return Err(DecodeError::Index);
        }
        let told = mode == Mode::Join && payload.verdict == Verdict::Accepted;
        let zero = payload.cluster_id.0 == [0; 16] && payload.cluster_key == [0; 32];
        if told || zero { Ok(payload) } else { Err(DecodeError::NotZero) }
    }

    /// Whether there is an index exactly if the verdict is [`Verdict::Accepted`].
    pub(crate) fn index_fits(&self) -> bool {
        (self.sender != Index::NONE) == (self.verdict == Verdict::Accepted)
    }
}

impl fmt::Debug for ResponsePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsePayload")
            .field("sender", &self.sender)
            .field("verdict", &self.verdict)
            .field("observed", &self.observed)
            .field("clock_ms", &self.clock_ms)
            .field("incarnation", &self.incarnation)
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
            Self::Barred => 4,
        }
    }

    fn from_wire(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Self::Accepted),
            1 => Ok(Self::Expired),
            2 => Ok(Self::Used),
            3 => Ok(Self::Full),
            4 => Ok(Self::Barred),
            _ => Err(DecodeError::Verdict),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct RawResponse {
    magic: u8,
    kind: u8,
    zero: u16,
    receiver: u32,
    noise: Bytes<135>,
    mac1: Bytes<16>,
}

impl Raw for RawResponse {
    const LEN: usize = Response::LEN;
}

#[derive(Serialize, Deserialize)]
struct RawPayload {
    sender: u32,
    verdict: u8,
    observed: RawAddress,
    clock_ms: u64,
    incarnation: Bytes<{ Incarnation::LEN }>,
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
            sender: if verdict == Verdict::Accepted { Index(0x0102_0304) } else { Index::NONE },
            verdict,
            observed: Address::FILL,
            clock_ms: 258,
            incarnation: Incarnation([6; 8]),
            cluster_id: ClusterId([cluster; 16]),
            cluster_key: [cluster; 32],
        }
    }

    #[test]
    fn stands_as_the_spec_says() {
        let response = Response { receiver: Index(2), noise: [3; 135], mac1: [4; 16] };
        let bytes = response.to_bytes();
        assert_eq!(bytes[..8], [0xD1, 2, 0, 0, 0, 0, 0, 2]);
        assert_eq!(bytes[8..143], [3; 135]);
        assert_eq!(bytes[143..], [4; 16]);
        assert_eq!(Response::from_bytes(&bytes), Ok(response));
        let nobody = Response { receiver: Index::NONE, ..response };
        assert_eq!(Response::from_bytes(&nobody.to_bytes()), Err(DecodeError::Index));
    }

    #[test]
    fn the_cluster_is_told_to_an_accepted_joiner_only() {
        let bytes = payload(Verdict::Accepted, 5).to_bytes();
        assert_eq!(bytes[..5], [1, 2, 3, 4, 0]);
        assert_eq!(bytes[5..23], Address::FILL.to_bytes());
        assert_eq!(bytes[23..31], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(bytes[31..39], [6; 8]);
        assert_eq!(bytes[39..], [5; 48]);
        assert!(ResponsePayload::from_bytes(Mode::Join, &bytes).is_ok());
        assert_eq!(ResponsePayload::from_bytes(Mode::Member, &bytes), Err(DecodeError::NotZero));
        let refused = payload(Verdict::Used, 5).to_bytes();
        assert_eq!(ResponsePayload::from_bytes(Mode::Join, &refused), Err(DecodeError::NotZero));
    }

    #[test]
    fn there_are_five_verdicts() {
        for byte in 0..=255 {
            let verdict = if byte == 0 { Verdict::Accepted } else { Verdict::Used };
            let mut bytes = payload(verdict, 0).to_bytes();
            bytes[4] = byte;
            let read = ResponsePayload::from_bytes(Mode::Member, &bytes);
            if byte < 5 {
                assert_eq!(read.unwrap().to_bytes(), bytes);
            } else {
                assert_eq!(read, Err(DecodeError::Verdict));
            }
        }
    }

    #[test]
    fn there_is_an_index_unless_it_is_a_refusal() {
        for verdict in [Verdict::Accepted, Verdict::Expired, Verdict::Used, Verdict::Full, Verdict::Barred] {
            for mode in [Mode::Member, Mode::Join] {
                let right = payload(verdict, 0);
                assert!(ResponsePayload::from_bytes(mode, &right.to_bytes()).is_ok());
                let mut wrong = right.clone();
                wrong.sender = if verdict == Verdict::Accepted { Index::NONE } else { Index(1) };
                assert_eq!(ResponsePayload::from_bytes(mode, &wrong.to_bytes()), Err(DecodeError::Index));
            }
        }
    }

    #[test]
    fn does_not_print_the_key() {
        assert!(!format!("{:?}", payload(Verdict::Accepted, 0xAB)).contains("171"));
    }
}
