//! What one end of a session gets: right and wrong steps, tags, counters and seals.

use dddns::wire::body::{Body, MAX_BODY};
use dddns::wire::header::Header;
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{Digest, Index, NodeId};
use dddns::wire::kind::Kind;
use dddns::wire::leave::Leave;
use dddns::wire::locate::Locate;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::path::PathChallenge;
use serde_json::{Value, json};

use super::handshakes::{self, CLOCK_MS, MEMBERS};
use crate::fixed::{Role, ascending};
use crate::noise::{Direction, Keys};
use crate::text::{address, hex};

/// How long link time has to go until the step after the handshake's begins, in milliseconds.
const TO_NEXT_STEP: u64 = 30_000 - CLOCK_MS % 30_000;

/// The datagrams of one end, and what the other is to think of them.
struct Sequence {
    keys: Direction,
    from_initiator: bool,
    receiver: Index,
    datagrams: Vec<Value>,
}

impl Sequence {
    fn new(keys: &Keys, from_initiator: bool) -> Self {
        let (own, receiver) =
            if from_initiator { (&keys.initiator, Role::RESPONDER) } else { (&keys.responder, Role::INITIATOR) };
        Self { keys: own.clone(), from_initiator, receiver: receiver.index(), datagrams: Vec::new() }
    }

    /// A datagram as the sender makes it when link time has gone on for so long.
    fn encode<B: Body>(&self, sent_ms: u64, counter: u64, body: &B) -> (Header, Vec<u8>, Vec<u8>) {
        let t = (CLOCK_MS + sent_ms) / 30_000;
        let step = u8::try_from(t % 256).expect("below 256");
        let header = Header { kind: B::KIND, step, receiver: self.receiver, counter };
        let mut plain = [0; MAX_BODY];
        let length = body.encode(&header, &mut plain);
        let datagram = self.keys.datagram(&header.to_bytes(), &plain[..length], B::SEALED, t);
        (header, plain[..length].to_vec(), datagram)
    }

    /// It arrives at once and is accepted.
    fn accepted<B: Body>(self, at_ms: u64, counter: u64, body: &B) -> Self {
        self.accepted_from(at_ms, at_ms, counter, body)
    }

    /// It arrives when the receiver has waited for `at_ms` and, to the sender's mind, `sent_ms` have gone.
    fn accepted_from<B: Body>(mut self, at_ms: u64, sent_ms: u64, counter: u64, body: &B) -> Self {
        let (header, plain, datagram) = self.encode(sent_ms, counter, body);
        self.datagrams.push(json!({
            "at_ms": at_ms.to_string(),
            "datagram": hex(datagram),
            "body": hex(plain),
            "verdict": header.kind.to_string(),
        }));
        self
    }

    fn discarded(mut self, at_ms: u64, datagram: &[u8], verdict: &str) -> Self {
        self.datagrams.push(json!({"at_ms": at_ms.to_string(), "datagram": hex(datagram), "verdict": verdict}));
        self
    }

    fn discarded_from<B: Body>(self, at_ms: u64, sent_ms: u64, counter: u64, body: &B, verdict: &str) -> Self {
        let (_, _, datagram) = self.encode(sent_ms, counter, body);
        self.discarded(at_ms, &datagram, verdict)
    }

    fn named(self, name: &str) -> Value {
        json!({
            "name": name,
            "handshake": MEMBERS,
            "from": if self.from_initiator { "initiator" } else { "responder" },
            "datagrams": self.datagrams,
        })
    }
}

fn heartbeat(seen: u64) -> Heartbeat {
    Heartbeat { seen, digest: Digest(ascending(0x90)), reflection: Some(address("203.0.113.7:4711")) }
}

fn request() -> MembersRequest {
    MembersRequest { after: NodeId(ascending(0xB0)) }
}

pub(super) fn vectors() -> Vec<Value> {
    let [members, _, _] = handshakes::all();
    let keys = &members.keys;
    let locate = Locate::of(&[NodeId(ascending(0x10)), NodeId(ascending(0x11))]).expect("two");
    vec![
        Sequence::new(keys, true)
            .accepted(0, 0, &heartbeat(0))
            .accepted(10, 1, &request())
            .accepted(20, 2, &PathChallenge(ascending(0xE0)))
            .accepted(30, 3, &Leave)
            .named("the initiator speaks, in clear and sealed"),
        Sequence::new(keys, false)
            .accepted(0, 0, &heartbeat(1))
            .accepted(10, 1, &locate)
            .accepted(95_000, 2, &heartbeat(2))
            .accepted(3_600_000, 3, &request())
            .named("the responder speaks, for an hour"),
        replays(keys),
        tags(keys),
        seals(keys),
        bodies(keys),
        near_steps(keys),
        far_steps(keys),
        drift(keys),
        Sequence::new(keys, true)
            .accepted_from(0, TO_NEXT_STEP, 0, &heartbeat(0))
            .accepted_from(0, TO_NEXT_STEP + 30_000, 1, &heartbeat(0))
            .discarded_from(0, TO_NEXT_STEP + 60_000, 2, &heartbeat(0), "bad-step")
            .named("link time follows two steps ahead, if they come one by one, and no third one"),
    ]
}

fn replays(keys: &Keys) -> Value {
    Sequence::new(keys, true)
        .accepted(0, 5, &heartbeat(0))
        .discarded_from(0, 0, 5, &heartbeat(0), "replay")
        .accepted(1, 4, &heartbeat(0))
        .accepted(2, 2000, &heartbeat(0))
        .discarded_from(3, 3, 976, &heartbeat(0), "replay")
        .accepted(4, 977, &heartbeat(0))
        .discarded_from(5, 5, 1 << 63, &heartbeat(0), "replay")
        .discarded_from(5, 5, u64::MAX, &heartbeat(0), "replay")
        .accepted(6, (1 << 63) - 1, &heartbeat(0))
        .named("counters")
}

fn tags(keys: &Keys) -> Value {
    let sequence = Sequence::new(keys, true);
    let (header, _, right) = sequence.encode(0, 0, &heartbeat(0));
    let flipped = |at: usize| {
        let mut datagram = right.clone();
        datagram[at] ^= 1;
        datagram
    };
    let (bytes, body) = (header.to_bytes(), &right[16..50]);
    let other_step = keys.initiator.tag(&right[..50], CLOCK_MS / 30_000 + 1);
    let other_direction = keys.responder.datagram(&bytes, body, false, CLOCK_MS / 30_000);
    // The byte of this step stands for the one that is 256 later, too.
    let later = keys.initiator.datagram(&bytes, body, false, CLOCK_MS / 30_000 + 256);
    sequence
        .discarded(0, &flipped(50), "bad-tag")
        .discarded(0, &flipped(65), "bad-tag")
        .discarded(0, &flipped(49), "bad-tag")
        .discarded(0, &flipped(15), "bad-tag")
        .discarded(0, &[&right[..50], &other_step].concat(), "bad-tag")
        .discarded(0, &other_direction, "bad-tag")
        .discarded(0, &later, "bad-tag")
        .discarded(0, &[&right[..50], &[0; 16]].concat(), "bad-tag")
        .accepted(0, 0, &heartbeat(0))
        .named("wrong tags, after which the right one is still new")
}

fn seals(keys: &Keys) -> Value {
    let sequence = Sequence::new(keys, true);
    let t = CLOCK_MS / 30_000;
    let seal = |counter: u64, change: &dyn Fn(&mut Vec<u8>)| {
        let (_, _, right) = sequence.encode(0, counter, &request());
        let mut covered = right[..right.len() - 16].to_vec();
        change(&mut covered);
        let tag = keys.initiator.tag(&covered, t);
        [covered.as_slice(), &tag].concat()
    };
    let (header, plain, _) = sequence.encode(0, 4, &request());
    let other_key = keys.responder.datagram(&header.to_bytes(), &plain, true, t);
    let other_key = [&other_key[..48], &keys.initiator.tag(&other_key[..48], t)].concat();
    let changed_text = seal(0, &|covered| covered[16] ^= 1);
    let changed_seal = seal(1, &|covered| *covered.last_mut().expect("a byte") ^= 1);
    let other_counter = seal(2, &|covered| covered[15] = 3);
    let again = seal(0, &|_| ());
    sequence
        .discarded(0, &changed_text, "bad-seal")
        .discarded(0, &changed_seal, "bad-seal")
        .discarded(0, &other_counter, "bad-seal")
        .discarded(0, &other_key, "bad-seal")
        // The tag was right, so the counter is used.
        .discarded(0, &again, "replay")
        .accepted(0, 9, &request())
        .named("sealed bodies that do not open, under right tags")
}

fn bodies(keys: &Keys) -> Value {
    let sequence = Sequence::new(keys, true);
    let t = CLOCK_MS / 30_000;
    let step = u8::try_from(t % 256).expect("below 256");
    let with = |kind: Kind, counter: u64, body: &[u8]| {
        let header = Header { kind, step, receiver: sequence.receiver, counter };
        keys.initiator.datagram(&header.to_bytes(), body, kind.is_sealed(), t)
    };
    let twice = [[2].as_slice(), &[7; 32]].concat();
    let descending = with(Kind::LOCATE, 0, &twice);
    let nothing = HeartbeatAck { acked: 0, digest: Digest(ascending(0x90)), reflection: address("203.0.113.7:4711") };
    let more = with(Kind::MEMBERS, 2, &[1, 0]);
    sequence
        .discarded(0, &descending, "not-ascending")
        .discarded_from(0, 0, 1, &nothing, "nothing-acknowledged")
        .discarded(0, &more, "bad-more")
        .accepted(0, 3, &Leave)
        .named("bodies that do not decode, under right tags and seals")
}

fn near_steps(keys: &Keys) -> Value {
    Sequence::new(keys, true)
        .accepted_from(TO_NEXT_STEP + 29_000, TO_NEXT_STEP - 1, 0, &heartbeat(0))
        .accepted_from(TO_NEXT_STEP + 29_000, TO_NEXT_STEP + 30_000, 1, &heartbeat(0))
        .named("the step before one's own and the step after it")
}

fn far_steps(keys: &Keys) -> Value {
    Sequence::new(keys, true)
        .discarded_from(0, TO_NEXT_STEP + 30_000, 0, &heartbeat(0), "bad-step")
        .discarded_from(0, TO_NEXT_STEP + 127 * 30_000, 1, &heartbeat(0), "bad-step")
        .discarded_from(TO_NEXT_STEP + 30_000, 0, 2, &heartbeat(0), "bad-step")
        .discarded_from(TO_NEXT_STEP + 128 * 30_000, 0, 3, &heartbeat(0), "bad-step")
        .named("steps that are two or more away")
}

fn drift(keys: &Keys) -> Value {
    // The sender is ahead by 20 s, and then by 30 s more, of which 10 s are followed.
    let ahead = TO_NEXT_STEP - 20_000;
    Sequence::new(keys, true)
        .accepted_from(ahead, TO_NEXT_STEP, 0, &heartbeat(0))
        .accepted_from(ahead, TO_NEXT_STEP + 30_000, 1, &heartbeat(0))
        .discarded_from(ahead, TO_NEXT_STEP + 60_000, 2, &heartbeat(0), "bad-step")
        .accepted_from(ahead + 20_000, TO_NEXT_STEP + 60_000, 3, &heartbeat(0))
        .named("link time follows by 30 s in all")
}
