//! A session seen by somebody who has its keys and takes no part in it: single datagrams, in any order, at any time.

use std::fmt;

use zeroize::Zeroizing;

use crate::auth::keys::{Direction, SessionKeys};
use crate::auth::session::AuthError;
use crate::auth::tag::TagKey;
use crate::auth::totp::{STEP_MS, low8, value};
use crate::wire::header::{Header, TAG_LEN};
use crate::wire::id::Index;

/// The header has 8 bits of the step, so it comes round every 256 steps, or 128 minutes. A session lives an hour, and
/// longer only where its peer does not answer the next handshake; this is more than a day.
const ROUNDS: u64 = 12;

/// Checks and opens the datagrams of one session, for tools. Spec: `spec/cryptography.md` section 4.
///
/// It has no clock and no replay window: it says who made a datagram and when, not whether a node would have taken it.
pub struct Onlooker {
    /// As the initiator has them.
    keys: SessionKeys,
    initiator: Index,
    responder: Index,
    /// The earliest step that a receiver would take at the session's start.
    earliest: u64,
}

/// A datagram that belongs to the session.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'d> {
    /// Whether the initiator of the handshake sent it.
    pub from_initiator: bool,
    /// The sender's step T.
    pub step: u64,
    /// The plain body.
    pub body: &'d [u8],
}

impl Onlooker {
    /// Looks at the session in whose handshake HKDF-Extract gave `prk`. `initiator` and `responder` are the indices by which
    /// either end is addressed; `clock_ms` is the responder's clock, from its response, in milliseconds since 1970.
    #[must_use]
    pub fn new(prk: &[u8; 32], initiator: Index, responder: Index, clock_ms: u64) -> Self {
        let earliest = (clock_ms / STEP_MS).saturating_sub(1);
        Self { keys: SessionKeys::from_prk(prk, true), initiator, responder, earliest }
    }

    /// Whether a datagram for this index can belong to the session.
    #[must_use]
    pub fn knows(&self, receiver: Index) -> bool {
        receiver == self.initiator || receiver == self.responder
    }

    /// Judges a tagged datagram whose header is `header`: its tag, and for a sealed body its seal, which is taken off in
    /// place.
    ///
    /// # Errors
    ///
    /// [`AuthError::Tag`] if neither end made the tag, with the step in the header, within a day after the handshake;
    /// [`AuthError::Seal`] if the tag is right and the body does not open.
    pub fn open<'d>(&self, header: &Header, datagram: &'d mut [u8]) -> Result<Opened<'d>, AuthError> {
        let (covered, tag) = datagram.split_last_chunk_mut::<TAG_LEN>().ok_or(AuthError::Tag)?;
        let (direction, step) = self.maker(header, covered, tag).ok_or(AuthError::Tag)?;
        let (bytes, body) = covered.split_first_chunk_mut::<{ Header::LEN }>().ok_or(AuthError::Tag)?;
        let from_initiator = direction == Direction::Sent;
        if !header.kind.is_sealed() {
            return Ok(Opened { from_initiator, step, body });
        }
        let body = self.keys.seal(direction).open(bytes, header.counter, body).ok_or(AuthError::Seal)?;
        Ok(Opened { from_initiator, step, body })
    }

    /// Whose tag it is, and of which step.
    fn maker(&self, header: &Header, covered: &[u8], tag: &[u8]) -> Option<(Direction, u64)> {
        let first = self.earliest + u64::from(header.step.wrapping_sub(low8(self.earliest)));
        // The two ends may have chosen one and the same index.
        let ends = [(self.responder, Direction::Sent), (self.initiator, Direction::Received)];
        for (_, direction) in ends.into_iter().filter(|(receiver, _)| *receiver == header.receiver) {
            let secret = self.keys.totp(direction);
            let made = |step: &u64| TagKey::new(&Zeroizing::new(value(&secret, *step))).verify(covered, tag);
            if let Some(step) = (0..ROUNDS).map(|round| first + 256 * round).find(made) {
                return Some((direction, step));
            }
        }
        None
    }
}

impl fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onlooker")
            .field("initiator", &self.initiator)
            .field("responder", &self.responder)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::auth::session::Session;
    use crate::wire::datagram::Datagram;
    use crate::wire::id::NodeId;
    use crate::wire::leave::Leave;
    use crate::wire::members_request::MembersRequest;

    const PRK: [u8; 32] = [7; 32];
    const CLOCK_MS: u64 = 1_793_000_012_345;

    fn onlooker() -> Onlooker {
        Onlooker::new(&PRK, Index(1), Index(2), CLOCK_MS)
    }

    fn session(initiator: bool, start: Instant) -> Session {
        let (local, remote) = if initiator { (Index(1), Index(2)) } else { (Index(2), Index(1)) };
        Session::new(SessionKeys::from_prk(&PRK, initiator), local, remote, CLOCK_MS, start)
    }

    fn header(datagram: &[u8]) -> Header {
        let Ok(Datagram::Tagged(header)) = Datagram::parse(datagram) else { panic!("it is tagged") };
        header
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    fn sees_who_said_what_and_when() {
        let start = Instant::now();
        for initiator in [true, false] {
            let mut session = session(initiator, start);
            for minutes in [0, 1, 59, 128, 300, 1440] {
                let now = start + Duration::from_secs(60 * minutes);
                let mut datagram = Vec::new();
                session.encode(now, &MembersRequest { after: NodeId([9; 16]) }, &mut datagram).unwrap();
                let header = header(&datagram);
                assert!(onlooker().knows(header.receiver));
                let opened = onlooker().open(&header, &mut datagram).unwrap();
                let step = CLOCK_MS / STEP_MS + 2 * minutes;
                assert_eq!(opened, Opened { from_initiator: initiator, step, body: &[9; 16] }, "{minutes} minutes");
            }
        }
        assert!(!onlooker().knows(Index(3)));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    fn is_not_deceived() {
        let start = Instant::now();
        let mut datagram = Vec::new();
        session(true, start).encode(start, &Leave, &mut datagram).unwrap();
        let header = header(&datagram);
        assert!(onlooker().open(&header, &mut datagram.clone()).is_ok());
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 1;
            assert_eq!(onlooker().open(&header, &mut changed), Err(AuthError::Tag), "byte {at}");
        }
        let other = Onlooker::new(&[8; 32], Index(1), Index(2), CLOCK_MS);
        assert_eq!(other.open(&header, &mut datagram), Err(AuthError::Tag));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    fn a_tag_does_not_vouch_for_a_seal() {
        let start = Instant::now();
        let mut datagram = Vec::new();
        session(true, start).encode(start, &MembersRequest { after: NodeId::NONE }, &mut datagram).unwrap();
        let header = header(&datagram);
        let keys = SessionKeys::from_prk(&PRK, true);
        let tagged = datagram.len() - TAG_LEN;
        datagram[tagged - 1] ^= 1;
        let key = TagKey::new(&value(&keys.totp(Direction::Sent), CLOCK_MS / STEP_MS));
        let tag = key.sign(&datagram[..tagged]);
        datagram[tagged..].copy_from_slice(&tag);
        assert_eq!(onlooker().open(&header, &mut datagram), Err(AuthError::Seal));
    }
}
