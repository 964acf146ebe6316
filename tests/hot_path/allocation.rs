//! Judging what arrives allocates nothing, whether it is accepted or not, and neither does an answer.

use std::time::{Duration, Instant};

use dddns::wire::body::MAX_BODY;
use dddns::wire::datagram::{Datagram, MAX_DATAGRAM};
use dddns::wire::header::Header;
use dddns::wire::heartbeat::Heartbeat;
use dddns::wire::id::{Digest, Index, NodeId};
use dddns::wire::initiation::{InitiationPayload, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::message::Message;
use dddns::wire::response::ResponsePayload;

use super::sessions::sessions;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), 1);
}

#[test]
fn no_datagram_makes_the_parser_allocate() {
    let mut bytes = [0; MAX_DATAGRAM + 1];
    bytes[0] = 0xD1;
    let (mut accepted, mut refused) = (0, 0);
    let count = allocations(|| {
        for kind in 0..=255 {
            for index in [0, 1] {
                bytes[1] = kind;
                bytes[7] = index;
                for length in 0..bytes.len() {
                    match Datagram::parse(&bytes[..length]) {
                        Ok(_) => accepted += 1,
                        Err(_) => refused += 1,
                    }
                }
            }
        }
    });
    assert_eq!(count, 0);
    assert!(accepted >= 13 && refused > 0);
}

#[test]
fn no_body_makes_a_decoder_allocate() {
    // Every type, every length, filled with every byte: claimed counts and numbers of all sizes.
    let (mut accepted, mut refused) = (0, 0);
    let count = allocations(|| {
        for &kind in Message::KINDS {
            let header = Header { kind, step: 0, receiver: Index(1), counter: 0 };
            for fill in 0..=255 {
                let body = [fill; MAX_BODY + 40];
                let step = if kind == Kind::MEMBERS { 11 } else { 1 };
                for length in (0..body.len()).step_by(step) {
                    match Message::decode(&header, &body[..length]) {
                        Ok(_) => accepted += 1,
                        Err(_) => refused += 1,
                    }
                }
            }
        }
    });
    assert_eq!(count, 0);
    assert!(accepted > 1000 && refused > 0, "{accepted} accepted, {refused} refused");
}

#[test]
fn no_payload_of_a_handshake_makes_a_decoder_allocate() {
    let (mut accepted, mut refused) = ([0; 2], [0; 2]);
    let mut count = |which: usize, right: bool| {
        if right { accepted[which] += 1 } else { refused[which] += 1 }
    };
    let allocated = allocations(|| {
        for mode in [Mode::Member, Mode::Join] {
            for payload in [NAMELESS, NAMED].into_iter().flat_map(changed) {
                let read = InitiationPayload::from_bytes(mode, &payload);
                count(0, read.is_ok_and(|read| read.to_bytes() == payload));
            }
            for payload in [ACCEPTING, REFUSING].into_iter().flat_map(changed) {
                let read = ResponsePayload::from_bytes(mode, &payload);
                count(1, read.is_ok_and(|read| read.to_bytes() == payload));
            }
        }
    });
    assert_eq!(allocated, 0);
    assert!(accepted.iter().chain(&refused).all(|&count| count > 1000), "{accepted:?} accepted, {refused:?} refused");
}

/// A payload with each of its bytes changed to every value.
fn changed<const N: usize>(payload: [u8; N]) -> impl Iterator<Item = [u8; N]> {
    let with = move |at: usize, value: u8| {
        let mut changed = payload;
        changed[at] = value;
        changed
    };
    (0..N).flat_map(move |at| (0..=255).map(move |value| with(at, value)))
}

#[test]
fn no_valid_message_allocates_on_its_way_out_and_in() {
    let mut out = [0; MAX_BODY];
    let count = allocations(|| {
        for &kind in Message::KINDS {
            let header = Header { kind, step: 0, receiver: Index(1), counter: 0 };
            for body in valid(kind) {
                let message = Message::decode(&header, body).expect("a valid body");
                let length = message.encode(&header, &mut out);
                assert_eq!(out.get(..length), Some(*body));
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_session_allocates_nothing() {
    let start = Instant::now();
    let (mut a, mut b) = sessions(start);
    let heartbeat = Heartbeat { seen: 1, digest: Digest([1; 8]), reflection: None };
    let request = MembersRequest { after: NodeId([2; 16]) };
    let mut buffer = Vec::with_capacity(MAX_DATAGRAM);
    let count = allocations(|| {
        // Steps change on the way, so keys are made anew, too; every second datagram is forged, every third old.
        for i in 0..300 {
            let now = start + Duration::from_secs(i);
            buffer.clear();
            if i % 5 == 0 { a.encode(now, &heartbeat, &mut buffer) } else { a.encode(now, &request, &mut buffer) }
                .expect("a counter");
            if let (0, Some(last)) = (i % 2, buffer.last_mut()) {
                *last ^= 1;
            }
            let Ok(Datagram::Tagged(header)) = Datagram::parse(&buffer) else { panic!("not a tagged datagram") };
            let late = now + Duration::from_secs(if i % 3 == 0 { 100 } else { 0 });
            let opened = b.open(late, &header, &mut buffer);
            assert_eq!(opened.is_ok(), i % 2 == 1 && i % 3 != 0);
        }
    });
    assert_eq!(count, 0);
}

/// Bodies of each type that are accepted; heartbeats are masked, and no mask makes these an invalid address.
fn valid(kind: Kind) -> &'static [&'static [u8]] {
    const ENTRY: [u8; 40] = {
        let mut body = [1; 40];
        body[39] = 1;
        body
    };
    match kind {
        Kind::HEARTBEAT | Kind::HEARTBEAT_ACK => &[&[3; 34]],
        Kind::PATH_CHALLENGE | Kind::PATH_RESPONSE => &[&[3; 8]],
        Kind::LEAVE | Kind::CONFLICT => &[&[]],
        Kind::LOCATE => &[&[1; 17]],
        Kind::LOCATED => &[&[0], &ENTRY],
        Kind::RENDEZVOUS => &[&[1; 35]],
        Kind::MEMBERS_REQUEST => &[&[3; 16]],
        Kind::MEMBERS => &[&[0, 0], &RECORD],
        _ => panic!("a type without a valid body"),
    }
}

/// One record: key and admitter, admission, member, revision, the name "a".
const RECORD: [u8; 123] = {
    let mut body = [0; 123];
    body[0] = 1;
    body[1] = 1;
    body[2] = 7;
    body[54] = 1;
    body[59] = 1;
    body[60] = b'a';
    body
};

/// Payload 1 between members: an incarnation, and no name.
const NAMELESS: [u8; InitiationPayload::LEN] = {
    let mut payload = [0; InitiationPayload::LEN];
    payload[0] = 7;
    payload
};

/// Payload 1 of a joiner: an incarnation and the name "a".
const NAMED: [u8; InitiationPayload::LEN] = {
    let mut payload = NAMELESS;
    payload[8] = 1;
    payload[9] = b'a';
    payload
};

/// Payload 2 between members: an index, where the initiation came from, a clock and an incarnation.
const ACCEPTING: [u8; ResponsePayload::LEN] = {
    let mut payload = [0; ResponsePayload::LEN];
    let mut at = 0;
    while at < 39 {
        payload[at] = 3;
        at += 1;
    }
    payload[4] = 0;
    payload
};

/// Payload 2 for a joiner whose invite was used.
const REFUSING: [u8; ResponsePayload::LEN] = {
    let mut payload = ACCEPTING;
    payload[0] = 0;
    payload[1] = 0;
    payload[2] = 0;
    payload[3] = 0;
    payload[4] = 2;
    payload
};
