//! Payloads of the two Noise messages: right ones, and each with one fault.

use dddns::wire::id::{ClusterId, Incarnation, Index};
use dddns::wire::initiation::InitiationPayload;
use dddns::wire::response::{ResponsePayload, Verdict};
use serde_json::{Value, json};

use crate::fixed::ascending;
use crate::text::{address, hex};

const OBSERVED: &str = "203.0.113.7:4711";

pub(super) fn vectors() -> Vec<Value> {
    let mut vectors = Vec::new();
    for (name, mode, wanted) in [("payload 1 between members", 0, None), ("payload 1 of a joiner", 1, Some("pi-4"))] {
        let payload = initiation(wanted);
        let fields = json!({"incarnation": hex(ascending::<8>(0xC0)), "name": wanted});
        vectors.push(valid(name, "Initiation", mode, &payload, fields));
    }
    for (name, mode, verdict, number) in [
        ("payload 2 between members", 0, Verdict::Accepted, 0),
        ("payload 2 for a joiner", 1, Verdict::Accepted, 0),
        ("payload 2, invite expired", 1, Verdict::Expired, 1),
        ("payload 2, invite used", 1, Verdict::Used, 2),
        ("payload 2, cluster full", 1, Verdict::Full, 3),
        ("payload 2, barred", 1, Verdict::Barred, 4),
    ] {
        let (index, told) = (if number == 0 { 0x1A1B_1C1D } else { 0 }, mode == 1 && number == 0);
        let payload = response(index, verdict, told);
        let fields = json!({
            "index": hex(u32::to_be_bytes(index)),
            "verdict": number,
            "observed": OBSERVED,
            "clock_ms": "1793000012345",
            "incarnation": hex(ascending::<8>(0xD0)),
            "cluster_id": hex(if told { ascending::<16>(0x30) } else { [0; 16] }),
            "cluster_key": hex(if told { ascending::<32>(0x40) } else { [0; 32] }),
        });
        vectors.push(valid(name, "Response", mode, &payload, fields));
    }
    vectors.extend(initiation_faults());
    vectors.extend(response_faults());
    vectors
}

fn initiation(name: Option<&str>) -> Vec<u8> {
    let name = name.map(|name| name.parse().expect("a label"));
    InitiationPayload { incarnation: Incarnation(ascending(0xC0)), name }.to_bytes().to_vec()
}

fn response(index: u32, verdict: Verdict, told: bool) -> Vec<u8> {
    let payload = ResponsePayload {
        sender: Index(index),
        verdict,
        observed: address(OBSERVED),
        clock_ms: 1_793_000_012_345,
        incarnation: Incarnation(ascending(0xD0)),
        cluster_id: ClusterId(if told { ascending(0x30) } else { [0; 16] }),
        cluster_key: if told { ascending(0x40) } else { [0; 32] },
    };
    payload.to_bytes().to_vec()
}

/// A right refusal.
pub(super) fn refusal() -> Vec<u8> {
    response(0, Verdict::Used, false)
}

fn valid(name: &str, kind: &str, mode: u8, payload: &[u8], fields: Value) -> Value {
    json!({"name": name, "type": kind, "mode": mode, "payload": hex(payload), "fields": fields, "verdict": kind})
}

fn faulty(fault_of: &str, mode: u8, name: &str, payload: &[u8], verdict: &str) -> Value {
    json!({
        "name": format!("{fault_of}: {name}"),
        "type": if fault_of.starts_with("payload 1") { "Initiation" } else { "Response" },
        "mode": mode,
        "payload": hex(payload),
        "fault_of": fault_of,
        "verdict": verdict,
    })
}

fn initiation_faults() -> Vec<Value> {
    let (member, joiner) = (initiation(None), initiation(Some("pi-4")));
    let mut surplus = joiner.clone();
    surplus[71] = b'x';
    let mut capital = joiner.clone();
    capital[9] = b'P';
    let mut last = member.clone();
    last[71] = 1;
    vec![
        faulty("payload 1 between members", 0, "a name", &joiner, "not-zero"),
        faulty("payload 1 between members", 0, "a last byte that is not zero", &last, "not-zero"),
        faulty("payload 1 of a joiner", 1, "no name", &member, "bad-name"),
        faulty("payload 1 of a joiner", 1, "a name with a capital", &capital, "bad-name"),
        faulty("payload 1 of a joiner", 1, "a byte behind the name", &surplus, "bad-name"),
    ]
}

fn response_faults() -> Vec<Value> {
    let (member, joiner) =
        (response(0x1A1B_1C1D, Verdict::Accepted, false), response(0x1A1B_1C1D, Verdict::Accepted, true));
    let used = refusal();
    let with = |payload: &[u8], at: usize, new: &[u8]| {
        let mut payload = payload.to_vec();
        payload[at..at + new.len()].copy_from_slice(new);
        payload
    };
    let (of_member, of_joiner, of_used) =
        ("payload 2 between members", "payload 2 for a joiner", "payload 2, invite used");
    vec![
        faulty(of_used, 1, "verdict 5", &with(&used, 4, &[5]), "unknown-verdict"),
        faulty(of_used, 1, "verdict 255", &with(&used, 4, &[255]), "unknown-verdict"),
        faulty(of_member, 0, "no address", &with(&member, 5, &[0; 18]), "no-address"),
        faulty(of_member, 0, "an address with port 0", &with(&member, 21, &[0; 2]), "bad-address"),
        faulty(of_member, 0, "the address 0.0.0.0", &with(&member, 17, &[0; 4]), "bad-address"),
        faulty(of_member, 0, "accepted without an index", &with(&member, 0, &[0; 4]), "bad-index"),
        faulty(of_used, 1, "refused with an index", &with(&used, 0, &[1]), "bad-index"),
        faulty(of_member, 0, "a cluster ID", &with(&member, 39, &[1]), "not-zero"),
        faulty(of_member, 0, "a cluster key", &with(&member, 86, &[1]), "not-zero"),
        faulty(of_used, 1, "a cluster ID", &with(&used, 39, &[1]), "not-zero"),
        faulty(of_used, 1, "a cluster key", &with(&used, 86, &[1]), "not-zero"),
        faulty(of_joiner, 0, "in answer to a member", &joiner, "not-zero"),
    ]
}
