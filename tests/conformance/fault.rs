//! The faults, and what each makes the peer send.

use dddns::wire::address::Address;
use dddns::wire::body::{Body, Lengths};
use dddns::wire::error::DecodeError;
use dddns::wire::header::Header;
use dddns::wire::kind::Kind;

/// One thing that a peer does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Writes the counter that it acknowledges little-endian.
    LittleEndian,
    /// Has no replay window.
    NoWindow,
    /// Answers whatever the tag.
    AnyTag,
    /// Answers whatever the step.
    AnyStep,
    /// Sends PathResponses to where it knows the peer, not to where the challenge came from.
    EchoElsewhere,
    /// Reflects addresses in clear.
    Unmasked,
    /// Counts link time by its own wall clock.
    WallClock,
    /// Passes over bytes after the last field.
    TrailingBytes,
    /// Passes over flags.
    AnyFlags,
    /// Passes over the version.
    AnyVersion,
    /// Reflects its own address.
    OwnAddress,
    /// Acknowledges another counter.
    WrongCounter,
    /// Acknowledges acknowledgements.
    AcksAcks,
    /// Does not challenge the old address.
    NoOldChallenge,
    /// Sends both sides of a trial the same bytes.
    SameChallenge,
    /// Takes any PathResponse for the right one.
    AnyAnswer,
    /// Moves to wherever a datagram comes from.
    MovesAtOnce,
    /// Sends an unproved address more than came from it.
    Amplifies,
    /// Answers whatever the mac1.
    AnyMac1,
    /// Takes Responses whatever their mac1.
    AnyResponse,
    /// Makes a new Response for the same initiation.
    NewResponse,
    /// Answers who is no member.
    AnyMember,
    /// Lets everybody in by one invite.
    InviteForAll,
}

/// A HeartbeatAck whose address is not masked.
pub(crate) struct UnmaskedAck {
    pub(crate) acked: u64,
    pub(crate) reflection: Address,
}

impl Body for UnmaskedAck {
    const KIND: Kind = Kind::HEARTBEAT_ACK;
    const LENGTHS: Lengths = Lengths::fixed(34);

    fn decode(_header: &Header, _body: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::Kind)
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        let body = [self.acked.to_be_bytes().as_slice(), &[0; 8], &self.reflection.to_bytes()].concat();
        out[..body.len()].copy_from_slice(&body);
        body.len()
    }
}
