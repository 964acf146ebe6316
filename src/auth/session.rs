//! A session: two nodes after a handshake, each datagram counted, timed and tagged.

use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::auth::keys::{Direction, SessionKeys};
use crate::auth::replay::Window;
use crate::auth::tag::TagKey;
use crate::auth::totp::{STEP_MS, value};
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

fn low8(step: u64) -> u8 {
    step.to_le_bytes()[0]
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::Split;
    use crate::auth::tag::TagKey;
    use crate::wire::datagram::Datagram;
    use crate::wire::error::DecodeError;
    use crate::wire::heartbeat::Heartbeat;
    use crate::wire::id::{Digest, NodeId};
    use crate::wire::leave::Leave;
    use crate::wire::members_request::MembersRequest;

    const CLOCK_MS: u64 = 1_700_000_000_000;
    const HEARTBEAT: Heartbeat = Heartbeat { seen: 7, digest: Digest([1; 8]), reflection: None };

    #[expect(clippy::disallowed_methods, reason = "a test's beginning of time: only differences to it are used")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Both ends of a session whose clocks differ by `skew_ms`.
    fn pair(start: Instant, clock_ms: u64, skew_ms: i64) -> (Session, Session) {
        let keys = |initiator| SessionKeys::derive(&Split { hash: [1; 32], keys: [2; 64] }, initiator);
        let theirs = clock_ms.saturating_add_signed(skew_ms);
        (
            Session::new(keys(true), Index(1), Index(2), clock_ms, start),
            Session::new(keys(false), Index(2), Index(1), theirs, start),
        )
    }

    fn datagram<B: Body>(session: &mut Session, now: Instant, body: &B) -> Vec<u8> {
        let mut out = Vec::new();
        session.encode(now, body, &mut out).unwrap();
        out
    }

    fn open<B: Body>(session: &mut Session, now: Instant, datagram: &[u8]) -> Result<(B, bool), AuthError> {
        let Ok(Datagram::Tagged(header)) = Datagram::parse(datagram) else { panic!("not a tagged datagram") };
        let mut datagram = datagram.to_vec();
        let opened = session.open(now, &header, &mut datagram)?;
        Ok((B::decode(&header, opened.body).unwrap(), opened.newest))
    }

    #[test]
    fn fits_the_memory_that_a_link_may_take() {
        assert!(size_of::<Session>() <= 608, "{} bytes", size_of::<Session>());
    }

    #[test]
    fn what_one_end_says_the_other_hears_once() {
        let now = start();
        let (mut a, mut b) = pair(now, CLOCK_MS, 0);
        let beats: Vec<_> = (0..3).map(|_| datagram(&mut a, now, &HEARTBEAT)).collect();
        assert_eq!(beats[0].len(), 66);
        assert_eq!(open(&mut b, now, &beats[2]), Ok((HEARTBEAT, true)));
        assert_eq!(open(&mut b, now, &beats[0]), Ok((HEARTBEAT, false)));
        assert_eq!(open::<Heartbeat>(&mut b, now, &beats[0]), Err(AuthError::Replay));
        assert_eq!(b.highest_received(), Some(2));
        let request = MembersRequest { after: NodeId([9; 16]) };
        let sealed = datagram(&mut b, now, &request);
        assert_eq!(sealed.len(), 64);
        assert!(!sealed.windows(16).any(|w| w == [9; 16]), "a sealed body stands there in clear");
        assert_eq!(open(&mut a, now, &sealed), Ok((request, true)));
        let leave = datagram(&mut a, now, &Leave);
        assert_eq!(open(&mut b, now, &leave), Ok((Leave, true)));
    }

    #[test]
    fn appends_whole_datagrams() {
        let now = start();
        let (mut a, _) = pair(now, CLOCK_MS, 0);
        let mut out = vec![0xEE; 3];
        assert_eq!(a.encode(now, &HEARTBEAT, &mut out), Ok(0));
        assert_eq!(a.encode(now, &Leave, &mut out), Ok(1));
        assert_eq!(out.len(), 3 + 66 + 32);
        assert_eq!(out[..3], [0xEE; 3]);
        assert!(Datagram::parse(&out[3..69]).is_ok() && Datagram::parse(&out[69..]).is_ok());
    }

    #[test]
    fn one_wrong_bit_changes_nothing() {
        let now = start();
        let (mut a, mut b) = pair(now, CLOCK_MS, 0);
        let good = datagram(&mut a, now, &MembersRequest { after: NodeId([9; 16]) });
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match Datagram::parse(&flipped) {
                Ok(Datagram::Tagged(header)) => {
                    assert!(b.open(now, &header, &mut flipped).is_err(), "bit {bit}");
                }
                Ok(other) => panic!("bit {bit}: {other:?}"),
                Err(error) => assert_ne!(error, DecodeError::TooLong),
            }
            assert_eq!(b.highest_received(), None);
        }
        assert!(open::<MembersRequest>(&mut b, now, &good).is_ok());
    }

    #[test]
    fn a_datagram_fails_at_its_sender_and_in_another_session() {
        let now = start();
        let (mut a, _) = pair(now, CLOCK_MS, 0);
        let beat = datagram(&mut a, now, &HEARTBEAT);
        assert_eq!(open::<Heartbeat>(&mut a, now, &beat), Err(AuthError::Tag));
        let other = SessionKeys::derive(&Split { hash: [3; 32], keys: [2; 64] }, false);
        let mut other = Session::new(other, Index(2), Index(1), CLOCK_MS, now);
        assert_eq!(open::<Heartbeat>(&mut other, now, &beat), Err(AuthError::Tag));
    }

    #[test]
    fn one_step_off_is_near_enough_and_two_are_not() {
        let now = start();
        // The low byte of the step wraps inside the range, too.
        for step in [0, 1, 2, 255, 256, CLOCK_MS / STEP_MS] {
            let middle = step * STEP_MS + STEP_MS / 2;
            for (skew, expected) in
                [(-1, Ok(())), (0, Ok(())), (1, Ok(())), (2, Err(AuthError::Step)), (100, Err(AuthError::Step))]
            {
                let (mut a, mut b) = pair(now, middle, skew * 30_000);
                let beat = datagram(&mut a, now, &HEARTBEAT);
                assert_eq!(open::<Heartbeat>(&mut b, now, &beat).map(drop), expected, "step {step}, skew {skew}");
            }
        }
        let (mut a, mut b) = pair(now, 45_000, -45_000);
        assert!(open::<Heartbeat>(&mut a, now, &datagram(&mut b, now, &HEARTBEAT)).is_ok(), "step 0 heard in step 1");
    }

    #[test]
    fn a_step_before_the_first_does_not_exist() {
        assert_eq!(rebuild(0, 255), None);
        assert_eq!(rebuild(0, 0), Some(0));
        assert_eq!(rebuild(256, 255), Some(255));
        assert_eq!(rebuild(255, 0), Some(256));
        assert_eq!(rebuild(u64::MAX, 0), None);
        assert_eq!(rebuild(1000, low8(1000).wrapping_add(128)), None);
    }

    #[test]
    fn a_slower_clock_follows_by_thirty_seconds_in_all() {
        let begin = start();
        let (mut fast, mut slow) = pair(begin, 60_000, -1_000);
        let mut follows = |after: u64, fast: &mut Session| {
            let now = begin + Duration::from_millis(after);
            let beat = datagram(fast, now, &HEARTBEAT);
            (open::<Heartbeat>(&mut slow, now, &beat).is_ok(), slow.drift_ms)
        };
        assert_eq!(follows(0, &mut fast), (true, 1_000));
        assert_eq!(follows(29_999, &mut fast), (true, 1_000), "the same step: nothing to follow");
        fast.clock_ms += 20_000;
        assert_eq!(follows(29_999, &mut fast), (true, 1_001), "no further than to the beginning of the step");
        assert_eq!(follows(40_001, &mut fast), (true, 20_999));
        fast.clock_ms += 30_000;
        assert_eq!(follows(40_001, &mut fast), (true, DRIFT_MAX_MS), "and by no more than 30 s in all");
        assert_eq!(follows(40_001, &mut fast), (true, DRIFT_MAX_MS), "one step ahead is heard all the same");
        fast.clock_ms += 30_000;
        assert_eq!(follows(40_001, &mut fast), (false, DRIFT_MAX_MS));
    }

    #[test]
    fn a_replay_or_forgery_does_not_move_time() {
        let now = start();
        let (mut fast, mut slow) = pair(now, 60_000, -10_000);
        let mut forged = datagram(&mut fast, now, &HEARTBEAT);
        forged[65] ^= 1;
        assert_eq!(open::<Heartbeat>(&mut slow, now, &forged), Err(AuthError::Tag));
        slow.window.accept(1024);
        let old = datagram(&mut fast, now, &HEARTBEAT);
        slow.window.accept(1);
        assert_eq!(open::<Heartbeat>(&mut slow, now, &old), Err(AuthError::Replay));
        assert_eq!(slow.drift_ms, 0);
        assert_eq!(slow.receiving.step, 1);
        let new = datagram(&mut fast, now, &HEARTBEAT);
        assert!(open::<Heartbeat>(&mut slow, now, &new).is_ok());
        assert_eq!(slow.drift_ms, 10_000);
        assert_eq!(slow.receiving.step, 2, "the key of an accepted step is kept");
    }

    #[test]
    fn any_clock_will_do() {
        for clock in [0, 1, 2_147_483_648_000, 4_294_967_296_000, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let begin = start();
            let (mut a, mut b) = pair(begin, clock, 0);
            for seconds in [0, 29, 30, 31, 3600, 1 << 32] {
                let now = begin + Duration::from_secs(seconds);
                let beat = datagram(&mut a, now, &HEARTBEAT);
                assert!(open::<Heartbeat>(&mut b, now, &beat).is_ok(), "clock {clock}, after {seconds} s");
            }
        }
    }

    #[test]
    fn a_sealed_body_that_does_not_open_is_discarded() {
        let now = start();
        let (mut a, mut b) = pair(now, CLOCK_MS, 0);
        let mut sealed = datagram(&mut a, now, &MembersRequest { after: NodeId([9; 16]) });
        sealed[20] ^= 1;
        let key = TagKey::new(&value(&a.keys.totp(Direction::Sent), CLOCK_MS / STEP_MS));
        let tag = key.sign(&sealed[..48]);
        sealed[48..].copy_from_slice(&tag);
        assert_eq!(open::<MembersRequest>(&mut b, now, &sealed), Err(AuthError::Seal));
    }

    #[test]
    fn counters_end() {
        let now = start();
        let (mut a, mut b) = pair(now, CLOCK_MS, 0);
        a.next = COUNTER_END - 1;
        let last = datagram(&mut a, now, &HEARTBEAT);
        assert_eq!(open(&mut b, now, &last), Ok((HEARTBEAT, true)));
        let mut out = vec![1];
        assert_eq!(a.encode(now, &HEARTBEAT, &mut out), Err(Exhausted));
        assert_eq!(out, [1]);
    }

    #[test]
    fn a_counter_that_nobody_may_use_is_refused() {
        let now = start();
        let (mut a, mut b) = pair(now, CLOCK_MS, 0);
        for counter in [COUNTER_END, u64::MAX] {
            let mut beyond = datagram(&mut a, now, &HEARTBEAT);
            beyond[8..16].copy_from_slice(&counter.to_be_bytes());
            let tag = a.sending.key.sign(&beyond[..50]);
            beyond[50..].copy_from_slice(&tag);
            assert_eq!(open::<Heartbeat>(&mut b, now, &beyond), Err(AuthError::Replay));
            assert_eq!(b.highest_received(), None);
        }
    }
}
