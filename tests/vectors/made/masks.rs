//! Address masks.

use dddns::wire::body::Body;
use dddns::wire::header::Header;
use dddns::wire::heartbeat::Heartbeat;
use dddns::wire::id::{Digest, Index};
use dddns::wire::kind::Kind;
use serde_json::{Value, json};

use crate::text::{address, hex};

pub(super) fn vectors() -> Vec<Value> {
    let header = |kind, step, receiver, counter| Header { kind, step, receiver: Index(receiver), counter };
    let usual = header(Kind::HEARTBEAT, 0x8B, 0x1A1B_1C1D, 7);
    let cases = [
        ("IPv4", usual, Some("203.0.113.7:4711")),
        ("IPv6", usual, Some("[2001:db8::7]:4711")),
        ("none", usual, None),
        ("an acknowledgement", header(Kind::HEARTBEAT_ACK, 0x8B, 0x0A0B_0C0D, 7), Some("203.0.113.7:4711")),
        ("the next counter", header(Kind::HEARTBEAT, 0x8B, 0x1A1B_1C1D, 8), Some("203.0.113.7:4711")),
        ("the next step", header(Kind::HEARTBEAT, 0x8C, 0x1A1B_1C1D, 7), Some("203.0.113.7:4711")),
        ("the smallest numbers", header(Kind::HEARTBEAT, 0, 1, 0), Some("0.0.0.1:1")),
        ("the greatest numbers", header(Kind::HEARTBEAT, 255, u32::MAX, u64::MAX), Some("255.255.255.255:65535")),
    ];
    cases.into_iter().map(|(name, header, address)| vector(name, &header, address)).collect()
}

fn vector(name: &str, header: &Header, text: Option<&str>) -> Value {
    let reflection = text.map(address);
    // "None" is zero bytes, so masked it is the mask itself.
    json!({
        "name": name,
        "header": hex(header.to_bytes()),
        "mask": hex(masked(header, None)),
        "address": text,
        "plain": hex(reflection.map_or([0; 18], dddns::wire::address::Address::to_bytes)),
        "masked": hex(masked(header, reflection)),
    })
}

/// The last 18 bytes of a heartbeat with this reflection.
fn masked(header: &Header, reflection: Option<dddns::wire::address::Address>) -> [u8; 18] {
    let mut body = [0; 34];
    Heartbeat { seen: 0, digest: Digest([0; 8]), reflection }.encode(header, &mut body);
    *body.last_chunk().expect("18 of 34 bytes")
}
