//! Any bytes as the body of a tagged datagram, behind a tag and a seal that are right.

use std::time::Instant;

use dddns::auth::session::{Exhausted, Session};
use dddns::wire::body::{Body, Lengths, MAX_BODY};
use dddns::wire::error::DecodeError;
use dddns::wire::header::Header;
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;

/// Writes a datagram of this type with this body, whatever it says, and returns its counter. Types that have no body are
/// written as [`Kind::DATA`], which nobody knows.
///
/// # Errors
/// The session has no more counters.
pub fn encode(
    session: &mut Session,
    now: Instant,
    kind: Kind,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<u64, Exhausted> {
    let body = body.get(..MAX_BODY).unwrap_or(body);
    macro_rules! by_kind {
        ($($kind:ident)*) => {
            match kind {
                $(Kind::$kind => session.encode(now, &Raw::<{ Kind::$kind.0 }>(body), out),)*
                _ => session.encode(now, &Raw::<{ Kind::DATA.0 }>(body), out),
            }
        };
    }
    by_kind!(HEARTBEAT HEARTBEAT_ACK PATH_CHALLENGE PATH_RESPONSE LEAVE CONFLICT LOCATE LOCATED RENDEZVOUS
        MEMBERS_REQUEST MEMBERS)
}

/// Writes a datagram of a type that is sealed, with this body in clear and a right tag, and returns its counter.
///
/// # Errors
/// The session has no more counters.
pub fn encode_unsealed(session: &mut Session, now: Instant, body: &[u8], out: &mut Vec<u8>) -> Result<u64, Exhausted> {
    session.encode(now, &Unsealed(body.get(..MAX_BODY).unwrap_or(body)), out)
}

/// Writes a datagram with a message as its body.
///
/// # Errors
/// The session has no more counters.
pub fn encode_message(
    session: &mut Session,
    now: Instant,
    message: &Message,
    out: &mut Vec<u8>,
) -> Result<u64, Exhausted> {
    match message {
        Message::Heartbeat(body) => session.encode(now, body, out),
        Message::HeartbeatAck(body) => session.encode(now, body, out),
        Message::PathChallenge(body) => session.encode(now, body, out),
        Message::PathResponse(body) => session.encode(now, body, out),
        Message::Leave(body) => session.encode(now, body, out),
        Message::Conflict(body) => session.encode(now, body, out),
        Message::Locate(body) => session.encode(now, body, out),
        Message::Located(body) => session.encode(now, body, out),
        Message::Rendezvous(body) => session.encode(now, body, out),
        Message::MembersRequest(body) => session.encode(now, body, out),
        Message::Members(body) => session.encode(now, body, out),
    }
}

/// Bytes that claim to be a body of type `KIND`.
struct Raw<'b, const KIND: u8>(&'b [u8]);

impl<const KIND: u8> Body for Raw<'_, KIND> {
    const KIND: Kind = Kind(KIND);
    const LENGTHS: Lengths = Lengths::list(0, 1, 0, MAX_BODY);

    fn decode(_header: &Header, _body: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::Kind)
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        out.iter_mut().zip(self.0).for_each(|(to, from)| *to = *from);
        self.0.len()
    }
}

/// Bytes in clear that claim to be sealed.
struct Unsealed<'b>(&'b [u8]);

impl Body for Unsealed<'_> {
    const KIND: Kind = Kind::MEMBERS;
    const LENGTHS: Lengths = Lengths::list(0, 1, 0, MAX_BODY);
    const SEALED: bool = false;

    fn decode(_header: &Header, _body: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::Kind)
    }

    fn encode(&self, header: &Header, out: &mut [u8]) -> usize {
        Raw::<0>(self.0).encode(header, out)
    }
}
