//! Several faults at once: the first one in the order of checks has its name.

use serde_json::{Value, json};

use super::bodies::{self, Sample};
use super::handshakes::{self, CLOCK_MS};
use super::payloads;
use crate::text::hex;

/// A change of bytes: a place, and what stands there then.
type Change<'a> = (usize, &'a [u8]);

fn changed(bytes: &[u8], changes: &[Change<'_>]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, new) in changes {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

pub(super) fn vectors() -> Vec<Value> {
    [datagrams(), bodies(), payload_2()].concat()
}

/// The faults by their names, in the order of checks: the verdict is the first.
fn several(name: &str, faults: &[&str], mut vector: Value) -> Value {
    vector["name"] = name.into();
    vector["faults"] = faults.into();
    vector["verdict"] = faults[0].into();
    vector
}

fn sample(name: &str) -> Sample {
    bodies::samples().into_iter().find(|sample| sample.name == name).expect("a sample")
}

fn datagrams() -> Vec<Value> {
    let [members, _, _] = handshakes::all();
    let case = |name, faults: &[&str], datagram: &[u8]| several(name, faults, json!({"datagram": hex(datagram)}));
    let whole = |name| {
        let sample = sample(name);
        let header = sample.header.to_bytes();
        members.keys.initiator.datagram(&header, &sample.body, sample.header.kind.is_sealed(), CLOCK_MS / 30_000)
    };
    let (heartbeat, ack) = (whole("Heartbeat"), whole("HeartbeatAck"));
    let first = &members.initiation;
    let none: [u8; 18] = {
        // The mask is an XOR: what changes under it changes with it.
        let masked = &ack[32..50];
        let address = crate::text::address("[2001:db8::7]:4711").to_bytes();
        std::array::from_fn(|at| masked[at] ^ address[at])
    };
    let long = [heartbeat.as_slice(), &[0; 1233 - 66]].concat();
    vec![
        case("too long, and of another version", &["too-long", "bad-magic"], &changed(&long, &[(0, &[0xD2])])),
        case("one byte, and of another version", &["bad-length", "bad-magic"], &[0xD2]),
        case(
            "another version, and an unknown type",
            &["bad-magic", "unknown-type"],
            &changed(&heartbeat, &[(0, &[0xD2, 0x16])]),
        ),
        case("another version, and cut short", &["bad-magic", "bad-length"], &[0xD2, 0x10, 0]),
        case("an unknown type, and cut short", &["unknown-type", "bad-length"], &[0xD1, 0x16, 0]),
        case("a reserved type, and a flag", &["unknown-type", "not-zero"], &changed(&heartbeat, &[(1, &[0x30, 0, 1])])),
        case("cut short, and a flag", &["bad-length", "not-zero"], &changed(&heartbeat, &[(3, &[1])])[..65]),
        case("cut short, and mode 2", &["bad-length", "unknown-mode"], &changed(first, &[(2, &[2])])[..215]),
        case("mode 2, and byte 3 is not zero", &["unknown-mode", "not-zero"], &changed(first, &[(2, &[2, 1])])),
        case("mode 2, and index 0", &["unknown-mode", "bad-index"], &changed(first, &[(2, &[2]), (4, &[0; 4])])),
        case(
            "an invite ID in mode 0, and index 0",
            &["not-zero", "bad-index"],
            &changed(first, &[(4, &[0, 0, 0, 0, 1])]),
        ),
        case("a flag, and index 0", &["not-zero", "bad-index"], &changed(&heartbeat, &[(3, &[1, 0, 0, 0, 0])])),
        case(
            "nothing acknowledged, and no address",
            &["nothing-acknowledged", "no-address"],
            &changed(&ack, &[(16, &[0; 8]), (32, &none)]),
        ),
    ]
}

fn bodies() -> Vec<Value> {
    let case = |name, of, faults: &[&str], change: &dyn Fn(&mut Vec<u8>)| {
        let sample = sample(of);
        let mut body = sample.body.clone();
        change(&mut body);
        let vector = json!({
            "type": sample.header.kind.to_string(),
            "header": hex(sample.header.to_bytes()),
            "body": hex(body),
        });
        several(name, faults, vector)
    };
    // Records stand at 2 and 123: state at 52 of each, name at 57.
    vec![
        case("more in a way that does not exist, and a count of 10", "Members", &["bad-more", "bad-count"], &|body| {
            body[..2].copy_from_slice(&[2, 10]);
        }),
        case("more after a count of 0, and two records", "Members", &["bad-more", "bad-length"], &|body| body[1] = 0),
        case("a count of 9, and three bytes more", "Locate for eight", &["bad-count", "bad-length"], &|body| {
            body[0] = 9;
            body.extend([0; 3]);
        }),
        case("a count of 3, and one node twice", "Locate for two", &["bad-length", "not-ascending"], &|body| {
            body[0] = 3;
            body.copy_within(1..17, 17);
        }),
        case("a record with state 3, and no name", "Members", &["unknown-state", "bad-name"], &|body| {
            body[2 + 52] = 3;
            body[2 + 57] = 0;
        }),
        case(
            "a first record without name, and a second with state 3",
            "Members",
            &["bad-name", "unknown-state"],
            &|body| {
                body[2 + 57] = 0;
                body[123 + 52] = 3;
            },
        ),
        case("one record twice, the second with state 3", "Members", &["unknown-state", "not-ascending"], &|body| {
            body.copy_within(2..123, 123);
            body[123 + 52] = 3;
        }),
        case("one record twice, the second without name", "Members", &["bad-name", "not-ascending"], &|body| {
            body.copy_within(2..123, 123);
            body[123 + 57] = 0;
        }),
        case("known in way 3, and no address", "Located", &["unknown-source", "no-address"], &|body| {
            body[17] = 3;
            body[22..40].fill(0);
        }),
        case(
            "a first entry without address, a second known in way 3",
            "Located",
            &["no-address", "unknown-source"],
            &|body| {
                body[22..40].fill(0);
                body[17 + 39] = 3;
            },
        ),
    ]
}

fn payload_2() -> Vec<Value> {
    let used = payloads::refusal();
    let case = |name, faults: &[&str], changes: &[Change<'_>]| {
        let payload = changed(&used, changes);
        several(name, faults, json!({"type": "Response", "mode": 1, "payload": hex(payload)}))
    };
    vec![
        case("verdict 5, and no address", &["unknown-verdict", "no-address"], &[(4, &[5]), (5, &[0; 18])]),
        case("no address, and a refusal with an index", &["no-address", "bad-index"], &[(0, &[1]), (5, &[0; 18])]),
        case("a refusal with an index, and a cluster ID", &["bad-index", "not-zero"], &[(0, &[1]), (39, &[1])]),
    ]
}
