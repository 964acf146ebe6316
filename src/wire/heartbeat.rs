//! Heartbeat and its answer: "I am here, and I see you there".

use serde::{Deserialize, Serialize};

use crate::wire::address::{Address, RawAddress};
use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::id::Digest;
use crate::wire::kind::Kind;
use crate::wire::mask;
use crate::wire::raw::{self, Raw};

/// Keeps a link alive and asks for a [`HeartbeatAck`]. Spec: `spec/formats.md` section 5.1.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | `seen` |
/// | 8 | 8 | `digest` |
/// | 16 | 18 | `reflection`, masked |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The highest counter accepted from the receiver in this session, plus one; 0 if none was.
    pub seen: u64,
    /// Of the sender's member list.
    pub digest: Digest,
    /// The receiver's address as the sender knows it.
    pub reflection: Option<Address>,
}

/// Answers a [`Heartbeat`]. Spec: `spec/formats.md` section 5.1.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | `acked` |
/// | 8 | 8 | `digest` |
/// | 16 | 18 | `reflection`, masked |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatAck {
    /// The counter of the heartbeat that this answers, plus one; never 0.
    pub acked: u64,
    /// Of the sender's member list.
    pub digest: Digest,
    /// Where this is sent: where the heartbeat came from, if that address has proved itself.
    pub reflection: Address,
}

impl Body for Heartbeat {
    const KIND: Kind = Kind::HEARTBEAT;
    const LENGTHS: Lengths = Lengths::fixed(RawHeartbeat::LEN);

    #[inline]
    fn decode(header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let raw: RawHeartbeat = raw::read(body)?;
        Ok(Self {
            seen: raw.number,
            digest: Digest(raw.digest.to_be_bytes()),
            reflection: mask::apply(header, raw.reflection).optional()?,
        })
    }

    #[inline]
    fn encode(&self, header: &Header, out: &mut [u8]) -> usize {
        let raw = RawHeartbeat {
            number: self.seen,
            digest: u64::from_be_bytes(self.digest.0),
            reflection: mask::apply(header, self.reflection.into()),
        };
        raw::write(&raw, out)
    }
}

impl Body for HeartbeatAck {
    const KIND: Kind = Kind::HEARTBEAT_ACK;
    const LENGTHS: Lengths = Lengths::fixed(RawHeartbeat::LEN);

    #[inline]
    fn decode(header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let raw: RawHeartbeat = raw::read(body)?;
        if raw.number == 0 {
            return Err(DecodeError::Acknowledged);
        }
        Ok(Self {
            acked: raw.number,
            digest: Digest(raw.digest.to_be_bytes()),
            reflection: mask::apply(header, raw.reflection).required()?,
        })
    }

    #[inline]
    fn encode(&self, header: &Header, out: &mut [u8]) -> usize {
        let raw = RawHeartbeat {
            number: self.acked,
            digest: u64::from_be_bytes(self.digest.0),
            reflection: mask::apply(header, self.reflection.into()),
        };
        raw::write(&raw, out)
    }
}

#[derive(Serialize, Deserialize)]
struct RawHeartbeat {
    number: u64,
    digest: u64,
    reflection: RawAddress,
}

impl Raw for RawHeartbeat {
    const LEN: usize = 16 + RawAddress::LEN;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::Index;

    const HEADER: Header = Header { kind: Kind::HEARTBEAT, step: 1, receiver: Index(5), counter: 2 };

    #[test]
    fn its_address_does_not_stand_there_in_clear() {
        let address = Address::try_from("203.0.113.7:4711".parse::<std::net::SocketAddr>().unwrap()).unwrap();
        let heartbeat = Heartbeat { seen: 3, digest: Digest([4; 8]), reflection: Some(address) };
        let mut body = [0; 34];
        assert_eq!(heartbeat.encode(&HEADER, &mut body), 34);
        assert_eq!(body[..16], [0, 0, 0, 0, 0, 0, 0, 3, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert!(!body.windows(4).any(|w| w == [203, 0, 113, 7]));
        assert_eq!(Heartbeat::decode(&HEADER, &body), Ok(heartbeat));
    }

    #[test]
    fn an_ack_names_a_heartbeat_and_an_address() {
        let none = Heartbeat { seen: 0, digest: Digest([0; 8]), reflection: None };
        let mut body = [0; 34];
        none.encode(&HEADER, &mut body);
        assert_eq!(Heartbeat::decode(&HEADER, &body), Ok(none));
        assert_eq!(HeartbeatAck::decode(&HEADER, &body), Err(DecodeError::Acknowledged));
        body[7] = 1;
        assert_eq!(HeartbeatAck::decode(&HEADER, &body), Err(DecodeError::NoAddress));
    }
}
