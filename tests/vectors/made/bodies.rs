//! Plain bodies of every type: right ones, and each with one fault.

use dddns::wire::body::{Body, MAX_BODY};
use dddns::wire::conflict::Conflict;
use dddns::wire::header::Header;
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{Digest, Index, NodeId, PublicKey};
use dddns::wire::leave::Leave;
use dddns::wire::list::{List, Slot};
use dddns::wire::locate::Locate;
use dddns::wire::located::{Located, LocatedEntry, Source};
use dddns::wire::members::Members;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::path::{PathChallenge, PathResponse};
use dddns::wire::record::{MemberRecord, MemberState};
use dddns::wire::rendezvous::Rendezvous;
use serde_json::{Value, json};

use crate::fixed::ascending;
use crate::noise::{public_key, sha256};
use crate::text::{address, hex};

const V4: &str = "203.0.113.7:4711";
const V6: &str = "[2001:db8::7]:4711";

/// A right body under its header, and what it says.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
    fields: Value,
}

pub(super) fn vectors() -> Vec<Value> {
    let samples = samples();
    let mut vectors: Vec<Value> = samples.iter().map(valid).collect();
    for sample in &samples {
        for fault in lengths(sample).into_iter().chain(faults(sample)) {
            vectors.push(json!({
                "name": format!("{}: {}", sample.name, fault.name),
                "type": sample.header.kind.to_string(),
                "header": hex(sample.header.to_bytes()),
                "body": hex(fault.body),
                "fault_of": sample.name,
                "verdict": fault.verdict,
            }));
        }
    }
    vectors
}

fn valid(sample: &Sample) -> Value {
    let kind = sample.header.kind.to_string();
    json!({
        "name": sample.name,
        "type": kind,
        "header": hex(sample.header.to_bytes()),
        "body": hex(&sample.body),
        "fields": sample.fields,
        "verdict": kind,
    })
}

/// One of each type at least, and the edges of lists.
pub(super) fn samples() -> Vec<Sample> {
    let digest = Digest(ascending(0x90));
    let reflection = address(V4);
    let mut samples = vec![
        sample(
            "Heartbeat",
            &Heartbeat { seen: 7, digest, reflection: Some(reflection) },
            json!({"seen": "7", "digest": "9091929394959697", "reflection": V4}),
        ),
        sample(
            "Heartbeat without reflection",
            &Heartbeat { seen: 0, digest, reflection: None },
            json!({"seen": "0", "digest": "9091929394959697", "reflection": null}),
        ),
        sample(
            "HeartbeatAck",
            &HeartbeatAck { acked: 1 << 63, digest, reflection: address(V6) },
            json!({"acked": "9223372036854775808", "digest": "9091929394959697", "reflection": V6}),
        ),
        sample("PathChallenge", &PathChallenge(ascending(0xE0)), json!({"bytes": "e0e1e2e3e4e5e6e7"})),
        sample("PathResponse", &PathResponse(ascending(0xE0)), json!({"bytes": "e0e1e2e3e4e5e6e7"})),
        sample("Leave", &Leave, json!({})),
        sample("Conflict", &Conflict, json!({})),
        sample(
            "MembersRequest",
            &MembersRequest { after: NodeId(ascending(0xB0)) },
            json!({"after": hex(ascending::<16>(0xB0))}),
        ),
        sample(
            "MembersRequest from the beginning",
            &MembersRequest { after: NodeId::NONE },
            json!({"after": "0".repeat(32)}),
        ),
    ];
    samples.extend([1, 2, 8].map(locate));
    samples.extend([0, 2, 16].map(located));
    samples.extend([1, 4].map(rendezvous));
    samples.extend([(0, false), (1, false), (2, true), (9, true)].map(members));
    samples
}

fn sample<B: Body>(name: &'static str, body: &B, fields: Value) -> Sample {
    let header = Header { kind: B::KIND, step: 0x8B, receiver: Index(0x1A1B_1C1D), counter: 7 };
    let mut plain = [0; MAX_BODY];
    let length = body.encode(&header, &mut plain);
    Sample { name, header, body: plain[..length].to_vec(), fields }
}

fn list<T: Slot, const N: usize>(values: &[T]) -> List<T, N> {
    List::try_from(values).expect("few enough")
}

fn locate(n: u8) -> Sample {
    let ids: Vec<[u8; 16]> = (0..n).map(|n| ascending(0x10 + n)).collect();
    let name = ["Locate", "Locate for two", "Locate for eight"][usize::from(n / 2).min(2)];
    let wanted: Vec<NodeId> = ids.iter().copied().map(NodeId).collect();
    sample(name, &Locate { ids: list(&wanted) }, json!({"ids": ids.iter().map(hex).collect::<Vec<_>>()}))
}

fn located(n: u8) -> Sample {
    let name = match n {
        0 => "Located nobody",
        2 => "Located",
        _ => "Located with sixteen entries",
    };
    let (mut entries, mut fields) = (Vec::new(), Vec::new());
    for n in 0..n {
        // Entries have no order.
        let (id, port) = (ascending(0x40 - n), 7733 + u16::from(n));
        let (source, number, text) = if n % 2 == 0 {
            (Source::Up, 1, format!("198.51.100.{}:{port}", n + 1))
        } else {
            (Source::LastSeen, 2, format!("[2001:db8::{:x}]:{port}", n + 1))
        };
        let age_s = u32::from(n) * 0x0102_0304;
        entries.push(LocatedEntry { id: NodeId(id), source, age_s, address: address(&text) });
        fields.push(json!({"id": hex(id), "source": number, "age_s": age_s, "address": text}));
    }
    sample(name, &Located { entries: list(&entries) }, json!({"entries": fields}))
}

fn rendezvous(n: u8) -> Sample {
    let name = if n == 1 { "Rendezvous" } else { "Rendezvous with four addresses" };
    let texts: Vec<String> =
        [V4, V6, "192.168.1.2:1", "[fd00::2]:65535"].iter().take(n.into()).map(|&a| a.into()).collect();
    let addresses: Vec<_> = texts.iter().map(|text| address(text)).collect();
    let body = Rendezvous { seeker: NodeId(ascending(0x30)), addresses: list(&addresses) };
    sample(name, &body, json!({"seeker": hex(ascending::<16>(0x30)), "addresses": texts}))
}

fn members((n, more): (u8, bool)) -> Sample {
    let name = match n {
        0 => "Members, an empty list",
        1 => "Members, one record",
        2 => "Members",
        _ => "Members, a full page",
    };
    let mut people: Vec<(u8, [u8; 32])> = (1..=n).map(|n| (n, public_key(&ascending(n)))).collect();
    people.sort_by_key(|(_, key)| sha256(&[b"dddns/1 node", key]));
    let (mut records, mut fields) = (Vec::new(), Vec::new());
    for (n, key) in people {
        let label = if n == 9 { "x".repeat(63) } else { format!("pi-{n}") };
        let (state, number) = if n == 2 { (MemberState::Removed, 2) } else { (MemberState::Member, 1) };
        let admitted_by: [u8; 16] = if n == 1 { [0; 16] } else { ascending(n) };
        let (admission, revision) = (u32::from(n) - 1, u32::from(n) * 0x0100_0001);
        records.push(MemberRecord {
            public_key: PublicKey(key),
            admitted_by: NodeId(admitted_by),
            admission,
            state,
            revision,
            name: label.parse().expect("a label"),
        });
        fields.push(json!({
            "public_key": hex(key),
            "admitted_by": hex(admitted_by),
            "admission": admission,
            "state": number,
            "revision": revision,
            "name": label,
        }));
    }
    sample(name, &Members { more, records: list(&records) }, json!({"more": u8::from(more), "records": fields}))
}

/// A body with one fault.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) verdict: &'static str,
}

impl Sample {
    fn fault(&self, name: &'static str, verdict: &'static str, change: impl FnOnce(&mut Vec<u8>)) -> Fault {
        let mut body = self.body.clone();
        change(&mut body);
        Fault { name, body, verdict }
    }
}

/// Bytes missing and bytes too many.
fn lengths(sample: &Sample) -> Vec<Fault> {
    let mut faults = vec![sample.fault("one byte more", "bad-length", |body| body.push(0))];
    if !sample.body.is_empty() {
        faults.push(sample.fault("one byte missing", "bad-length", |body| body.truncate(body.len() - 1)));
    }
    faults
}

/// What else can be wrong with a sample.
pub(super) fn faults(sample: &Sample) -> Vec<Fault> {
    match sample.name {
        "Heartbeat" => addresses(sample, 16, false),
        "HeartbeatAck" => {
            let zero = sample.fault("it acknowledges nothing", "nothing-acknowledged", |body| body[..8].fill(0));
            std::iter::once(zero).chain(addresses(sample, 16, true)).collect()
        }
        "Locate" => vec![sample.fault("a count of 0 before one entry", "bad-count", |body| body[0] = 0)],
        "Locate for two" => vec![
            sample.fault("a count of 1 before two entries", "bad-length", |body| body[0] = 1),
            sample.fault("a count of 3 before two entries", "bad-length", |body| body[0] = 3),
            sample.fault("one node twice", "not-ascending", |body| body.copy_within(1..17, 17)),
            sample.fault("in descending order", "not-ascending", |body| body[1] = 0xFF),
        ],
        "Locate for eight" => vec![sample.fault("a count of 9", "bad-count", |body| body[0] = 9)],
        "Located" => located_faults(sample),
        "Located with sixteen entries" => vec![sample.fault("a count of 17", "bad-count", |body| body[0] = 17)],
        "Rendezvous" => {
            std::iter::once(sample.fault("a count of 0 before one entry", "bad-count", |body| body[16] = 0))
                .chain(std::iter::once(
                    sample.fault("a count of 2 before one entry", "bad-length", |body| body[16] = 2),
                ))
                .chain(addresses(sample, 17, true))
                .collect()
        }
        "Rendezvous with four addresses" => vec![
            sample.fault("a count of 5", "bad-count", |body| body[16] = 5),
            sample.fault("the last address without port", "bad-address", |body| body[17 + 4 * 18 - 2..].fill(0)),
        ],
        "Members" => records(sample),
        "Members, an empty list" => vec![sample.fault("more after an empty list", "bad-more", |body| body[0] = 1)],
        "Members, a full page" => vec![sample.fault("a count of 10", "bad-count", |body| body[1] = 10)],
        _ => Vec::new(),
    }
}

fn located_faults(sample: &Sample) -> Vec<Fault> {
    let mut faults = vec![
        sample.fault("a count of 1 before two entries", "bad-length", |body| body[0] = 1),
        sample.fault("a count of 3 before two entries", "bad-length", |body| body[0] = 3),
        sample.fault("known in way 0", "unknown-source", |body| body[17] = 0),
        sample.fault("known in way 3", "unknown-source", |body| body[17] = 3),
        sample.fault("the second entry known in way 3", "unknown-source", |body| body[17 + 39] = 3),
    ];
    faults.extend(addresses(sample, 22, true));
    faults
}

/// What an address cannot be, at this place of the body.
fn addresses(sample: &Sample, at: usize, required: bool) -> Vec<Fault> {
    let place = at..at + 18;
    // The mask is an XOR: what changes under it changes with it.
    let unmasked: [u8; 18] = match sample.name {
        "Heartbeat" => address(V4).to_bytes(),
        "HeartbeatAck" => address(V6).to_bytes(),
        _ => sample.body[place.clone()].try_into().expect("18 bytes"),
    };
    let to = |name, verdict, new: [u8; 18]| {
        sample.fault(name, verdict, |body| {
            let changes = unmasked.iter().zip(new).map(|(old, new)| old ^ new);
            body[place.clone()].iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
        })
    };
    let mut portless = unmasked;
    portless[16..].fill(0);
    let mut unspecified = [0; 18];
    unspecified[16..].copy_from_slice(&[0x12, 0x67]);
    let mut mapped = unspecified;
    mapped[10..12].fill(0xFF);
    let mut mapped_none = mapped;
    mapped_none[16..].fill(0);
    let mut faults = vec![
        to("an address with port 0", "bad-address", portless),
        to("the address ::", "bad-address", unspecified),
        to("the address 0.0.0.0", "bad-address", mapped),
        to("the address 0.0.0.0 with port 0", "bad-address", mapped_none),
    ];
    if required {
        faults.push(to("no address", "no-address", [0; 18]));
    }
    faults
}

fn records(sample: &Sample) -> Vec<Fault> {
    // Fields of the first record.
    let (state, name) = (2 + 52, 2 + 57);
    let named = |fault, text: &[u8]| {
        sample.fault(fault, "bad-name", |body| {
            body[name..name + 64].fill(0);
            body[name] = u8::try_from(text.len()).expect("a short name");
            body[name + 1..name + 1 + text.len()].copy_from_slice(text);
        })
    };
    vec![
        sample.fault("more in a way that does not exist", "bad-more", |body| body[0] = 2),
        sample.fault("a count of 1 before two records", "bad-length", |body| body[1] = 1),
        sample.fault("a count of 3 before two records", "bad-length", |body| body[1] = 3),
        sample.fault("state 0", "unknown-state", |body| body[state] = 0),
        sample.fault("state 3", "unknown-state", |body| body[state] = 3),
        named("a name of no bytes", b""),
        named("a name with a capital", b"Pi"),
        named("a name with an underscore", b"p_i"),
        named("a name with a dot", b"p.i"),
        named("a name beyond ASCII", "pié".as_bytes()),
        named("a name with a zero byte in it", b"p\0i"),
        named("a name that begins with a hyphen", b"-pi"),
        named("a name that ends with a hyphen", b"pi-"),
        named("a name that is a hyphen", b"-"),
        sample.fault("a name of 64 bytes", "bad-name", |body| {
            body[name] = 64;
            body[name + 1..name + 64].fill(b'x');
        }),
        sample.fault("a byte behind the name", "bad-name", |body| body[name + 63] = b'x'),
        sample.fault("one record twice", "not-ascending", |body| body.copy_within(2..123, 123)),
        sample.fault("in descending order", "not-ascending", |body| {
            let first: Vec<u8> = body.drain(2..123).collect();
            body.extend(first);
        }),
    ]
}
