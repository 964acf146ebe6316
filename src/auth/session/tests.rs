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
