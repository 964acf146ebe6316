//! Each fault of a peer is found, and held against the right requirement; without it the same peer passes.

use crate::fault::Fault;
use crate::imperfect;
use crate::run::conformance;

/// Runs one part against the peer with a fault, and against the same peer without it.
#[track_caller]
fn is_found(fault: Fault, part: &str, check: &str, requirement: &str) {
    let faulty = imperfect::start(Some(fault));
    let findings = conformance(&faulty.token, &["--only", part]);
    let failures = findings.failures();
    assert_eq!((findings.code, findings.check(check)), (1, "fail"), "{fault:?}: {failures:#?}");
    assert_eq!(findings.requirement(requirement), "fail", "{fault:?}: {failures:#?}");

    let right = imperfect::start(None);
    let findings = conformance(&right.token, &["--only", part]);
    assert_eq!(findings.check(check), "pass", "without {fault:?}: {:#?}", findings.failures());
}

/// A test for each fault: the part that looks for it, the check that finds it and the requirement that is broken.
macro_rules! faults {
    ($($test:ident: $fault:ident, $part:literal, $check:literal, $requirement:literal;)+) => {
        $(
            #[test]
            fn $test() {
                is_found(Fault::$fault, $part, $check, $requirement);
            }
        )+
    };
}

faults! {
    wrong_byte_order: LittleEndian, "tags", "target-byte-order", "WIRE-1";
    no_replay_window: NoWindow, "replay", "replay", "AUTH-8";
    answers_to_bad_tags: AnyTag, "tags", "wrong-tag", "AUTH-5";
    accepts_any_step: AnyStep, "tags", "wrong-step", "AUTH-4";
    echoes_challenges_to_the_wrong_address: EchoElsewhere, "paths", "echoes-to-the-source", "ADDR-14";
    unmasked_address: Unmasked, "tags", "target-mask", "WIRE-11";
    wall_clock_totp: WallClock, "time", "target-step", "AUTH-7";
    accepts_trailing_bytes: TrailingBytes, "form", "trailing-bytes", "WIRE-6";
    accepts_unknown_flags: AnyFlags, "form", "flags", "WIRE-5";
    accepts_other_versions: AnyVersion, "form", "other-version", "WIRE-3";
    reflects_its_own_address: OwnAddress, "tags", "reflection", "WIRE-14";
    acknowledges_another_counter: WrongCounter, "tags", "acknowledgement", "WIRE-13";
    acknowledges_acknowledgements: AcksAcks, "tags", "no-answer-to-an-answer", "STATE-7";
    does_not_challenge_the_old_path: NoOldChallenge, "paths", "challenges-the-old", "ADDR-12";
    one_challenge_for_both_paths: SameChallenge, "paths", "challenges-differ", "AUTH-17";
    takes_any_path_response: AnyAnswer, "paths", "wrong-answer", "ADDR-8";
    moves_without_a_challenge: MovesAtOnce, "paths", "challenges-the-new", "ADDR-12";
    sends_more_to_an_unproved_address: Amplifies, "paths", "byte-budget", "ADDR-7";
    answers_a_bad_mac1: AnyMac1, "handshakes", "wrong-mac1", "AUTH-11";
    takes_a_response_with_a_bad_mac1: AnyResponse, "tags", "wrong-responses", "STATE-2";
    new_response_for_a_repeated_initiation: NewResponse, "tags", "same-response", "MEMB-8";
    answers_strangers: AnyMember, "handshakes", "stranger", "AUTH-2";
    one_invite_for_all: InviteForAll, "tags", "race-for-an-invite", "MEMB-7";
}
