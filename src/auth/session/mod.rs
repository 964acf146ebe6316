//! A session: two nodes after a handshake, each datagram counted, timed and tagged.

use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::auth::keys::{Direction, SessionKeys};
use crate::auth::replay::Window;
use crate::auth::tag::TagKey;
use crate::auth::totp::{STEP_MS, low8, value};
use crate::wire::body::Body;
use crate::wire::datagram::SEAL_LEN;
use crate::wire::header::{Header, TAG_LEN};
use crate::wire::id::Index;

/// One end of a session. Spec: `spec/cryptography.md` section 4.
pub struct Session {
    keys: SessionKeys,
    sending: Step,
    /// The counter of the next datagram.
    next: u64,
    receiving: Step,
    window: Window,
    local: Index,
    remote: Index,
    established: Instant,
    /// Link time at `established`, in milliseconds since 1970.
    clock_ms: u64,
    /// How far link time was set forward since (AUTH-6), in milliseconds; at most [`DRIFT_MAX_MS`].
    drift_ms: u64,
}

/// How far link time is set forward in the life of a session at most (AUTH-6), in milliseconds.
pub const DRIFT_MAX_MS: u64 = 30_000;

/// Counters end here (AUTH-9): none that was accepted has no successor.
const COUNTER_END: u64 = 1 << 63;

/// A datagram that belongs to a session and is new.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'d> {
    /// The plain body.
    pub body: &'d [u8],
    /// Whether its counter is the highest so far: only such a datagram may move an address.
    pub newest: bool,
}

/// Why a datagram is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Its time step is more than one off (AUTH-4). No HMAC was computed.
    #[error("its time step is too far off")]
    Step,
    /// Its tag is wrong (AUTH-5).
    #[error("its tag is wrong")]
    Tag,
    /// Its counter was accepted before or is too old (AUTH-8), or is one that nobody may use (AUTH-9).
    #[error("it is a replay, too old, or beyond the last counter")]
    Replay,
    /// Its tag is right and its sealed body does not open.
    #[error("its body does not open")]
    Seal,
}

/// Every counter of this direction has been used (AUTH-9): only a new handshake helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every counter of the session has been used: make a new handshake")]
pub struct Exhausted;

impl Session {
    /// The session that a handshake gave. `local` is the index by which this end is addressed, `remote` the other
    /// end's; `clock_ms` is the responder's clock, from its response, in milliseconds since 1970, and `now` is when
    /// the responder wrote or the initiator read it.
    #[must_use]
    pub fn new(keys: SessionKeys, local: Index, remote: Index, clock_ms: u64, now: Instant) -> Self {
        let step = clock_ms / STEP_MS;
        Self {
            sending: Step::of(&keys, Direction::Sent, step),
            next: 0,
            receiving: Step::of(&keys, Direction::Received, step),
            keys,
            window: Window::new(),
            local,
            remote,
            established: now,
            clock_ms,
            drift_ms: 0,
        }
    }

    /// The index by which the other end addresses this one.
    #[must_use]
    pub fn local_index(&self) -> Index {
        self.local
    }

    /// The index by which this end addresses the other.
    #[must_use]
    pub fn remote_index(&self) -> Index {
        self.remote
    }

    /// When the handshake ended here.
    #[must_use]
    pub fn established(&self) -> Instant {
        self.established
    }

    /// Whether this end initiated the handshake.
    #[must_use]
    pub fn is_initiator(&self) -> bool {
        self.keys.is_initiator()
    }

    /// The highest counter accepted from the other end.
    #[must_use]
    pub fn highest_received(&self) -> Option<u64> {
        self.window.highest()
    }

    /// Appends a whole datagram to `out` and returns its counter. Allocates nothing but what `out` needs to grow.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] after 2^63 datagrams; `out` is as it was.
    pub fn encode<B: Body>(&mut self, now: Instant, body: &B, out: &mut Vec<u8>) -> Result<u64, Exhausted> {
        let counter = self.next;
        if counter >= COUNTER_END {
            return Err(Exhausted);
        }
        self.next += 1;
        let step = self.step(now);
        if self.sending.step != step {
            self.sending = Step::of(&self.keys, Direction::Sent, step);
        }
        let header = Header { kind: B::KIND, step: low8(step), receiver: self.remote, counter };
        let bytes = header.to_bytes();
        let start = out.len();
        let body_start = start + Header::LEN;
        out.resize(body_start + B::LENGTHS.max_len() + SEAL_LEN + TAG_LEN, 0);
        let (head, rest) = out.get_mut(start..).unwrap_or_default().split_at_mut(Header::LEN);
        head.copy_from_slice(&bytes);
        let written = body.encode(&header, rest);
        let mut end = body_start + written;
        if B::SEALED {
            let (body, rest) = rest.split_at_mut(written);
            let seal = self.keys.seal(Direction::Sent).seal(&bytes, counter, body);
            rest.split_at_mut(SEAL_LEN).0.copy_from_slice(&seal);
            end += SEAL_LEN;
        }
        let tag = self.sending.key.sign(out.get(start..end).unwrap_or_default());
        out.truncate(end);
        out.extend_from_slice(&tag);
        Ok(counter)
    }

    /// Judges a datagram that [`Datagram::parse`](crate::wire::datagram::Datagram::parse) took for a tagged one and
    /// whose header, `header`, names this session: step, then tag, then replay window, then, for a sealed body, its
    /// seal, which is taken off in place.
    ///
    /// # Errors
    ///
    /// The first of them that fails. Nothing in the session changes unless tag and window pass.
    pub fn open<'d>(&mut self, now: Instant, header: &Header, datagram: &'d mut [u8]) -> Result<Opened<'d>, AuthError> {
        let own = self.step(now);
        let step = rebuild(own, header.step).ok_or(AuthError::Step)?;
        let (covered, tag) = datagram.split_last_chunk_mut::<TAG_LEN>().ok_or(AuthError::Tag)?;
        let fresh = (self.receiving.step != step).then(|| Step::of(&self.keys, Direction::Received, step));
        if !fresh.as_ref().unwrap_or(&self.receiving).key.verify(covered, tag) {
            return Err(AuthError::Tag);
        }
        if header.counter >= COUNTER_END || !self.window.check(header.counter) {
            return Err(AuthError::Replay);
        }
        let newest = self.window.highest() < Some(header.counter);
        self.window.accept(header.counter);
        if let Some(fresh) = fresh {
            self.receiving = fresh;
        }
        self.follow(now, own, step);

        let (bytes, body) = covered.split_first_chunk_mut::<{ Header::LEN }>().ok_or(AuthError::Seal)?;
        if !header.kind.is_sealed() {
            return Ok(Opened { body, newest });
        }
        let key = self.keys.seal(Direction::Received);
        let body = key.open(bytes, header.counter, body).ok_or(AuthError::Seal)?;
        Ok(Opened { body, newest })
    }

    /// Sets link time forward to the beginning of an accepted step that has not begun here (AUTH-6).
    fn follow(&mut self, now: Instant, own: u64, step: u64) {
        if step > own {
            let behind = step.saturating_mul(STEP_MS).saturating_sub(self.link_ms(now));
            self.drift_ms += behind.min(DRIFT_MAX_MS - self.drift_ms);
        }
    }

    fn step(&self, now: Instant) -> u64 {
        self.link_ms(now) / STEP_MS
    }

    /// Link time in milliseconds since 1970.
    fn link_ms(&self, now: Instant) -> u64 {
        let passed = millis(now.saturating_duration_since(self.established));
        self.clock_ms.saturating_add(passed).saturating_add(self.drift_ms)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("initiator", &self.is_initiator())
            .field("next", &self.next)
            .field("highest_received", &self.window.highest())
            .finish_non_exhaustive()
    }
}

impl AuthError {
    /// The stable name that counters go by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "bad-step",
            Self::Tag => "bad-tag",
            Self::Replay => "replay",
            Self::Seal => "bad-seal",
        }
    }
}

/// The key of one step, kept until the step is over: most datagrams then cost no HMAC-SHA-1.
struct Step {
    step: u64,
    key: TagKey,
}

impl Step {
    fn of(keys: &SessionKeys, direction: Direction, step: u64) -> Self {
        Self { step, key: TagKey::new(&Zeroizing::new(value(&keys.totp(direction), step))) }
    }
}

/// The step within one of `own` whose low 8 bits are `low` (AUTH-4).
fn rebuild(own: u64, low: u8) -> Option<u64> {
    match low.wrapping_sub(low8(own)) {
        0 => Some(own),
        1 => own.checked_add(1),
        u8::MAX => own.checked_sub(1),
        _ => None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
