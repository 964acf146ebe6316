//! Datagrams with faults: whatever can be wrong with each type of datagram, and what is no dddns at all.

use std::collections::BTreeMap;
use std::ops::Range;

use dddns::sim::dice::Dice;
use dddns::sim::world::Flight;
use dddns::wire::address::Address;
use dddns::wire::body::Body;
use dddns::wire::datagram::{Datagram, MAX_DATAGRAM};
use dddns::wire::header::{Header, MAGIC_VERSION};
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::Index;
use dddns::wire::message::Message;

/// Where the reflection of a heartbeat stands.
const REFLECTION: usize = 32;

/// Faults in one datagram of each type. Not all of the results are malformed: some bytes may have any value.
pub(crate) fn of_every_kind(flights: &[Flight]) -> Vec<Vec<u8>> {
    // Byte 2 is the mode of an initiation: one of each.
    let samples: BTreeMap<(u8, u8), &Vec<u8>> =
        flights.iter().map(|flight| ((flight.datagram[1], flight.datagram[2] % 2), &flight.datagram)).collect();
    let mut faulty = Vec::new();
    for sample in samples.into_values() {
        lengths(sample, &mut faulty);
        bytes(sample, &mut faulty);
        several(sample, &mut faulty);
        reflections(sample, &mut faulty);
    }
    for kind in Message::KINDS.iter().filter(|kind| kind.is_sealed()) {
        let header = Header { kind: *kind, step: 0, receiver: Index(1), counter: 0 }.to_bytes();
        let beyond_the_header = (0..=MAX_DATAGRAM - Header::LEN).map(|length| vec![0; length]);
        faulty.extend(beyond_the_header.map(|rest| [header.as_slice(), &rest].concat()));
    }
    for length in [1, 2, MAX_DATAGRAM, MAX_DATAGRAM + 1, MAX_DATAGRAM + 200] {
        for kind in 0..=u8::MAX {
            let mut datagram = vec![0; length];
            datagram.iter_mut().zip([MAGIC_VERSION, kind]).for_each(|(byte, value)| *byte = value);
            faulty.push(datagram);
        }
    }
    faulty.extend(rubbish(7));
    // Wireshark asks nobody about a datagram without payload.
    faulty.retain(|datagram| !datagram.is_empty());
    faulty
}

/// What no node sends: rubbish, other protocols, other versions of this one, and datagrams of one fault.
pub(crate) fn foreign(flights: &[Flight]) -> Vec<Vec<u8>> {
    let mut datagrams = rubbish(9);
    datagrams.retain(|datagram| Datagram::parse(datagram).is_err());
    let other_version = |flight: &Flight| {
        let mut datagram = flight.datagram.clone();
        datagram[0] = 0xD2;
        datagram
    };
    let flagged = |flight: &Flight| {
        let mut datagram = flight.datagram.clone();
        datagram[3] = 1;
        datagram
    };
    datagrams.extend(flights.iter().take(100).map(other_version));
    datagrams.extend(flights.iter().take(100).map(flagged));
    datagrams
}

/// Cut off anywhere, and longer than it should be.
fn lengths(sample: &[u8], faulty: &mut Vec<Vec<u8>>) {
    faulty.extend((0..sample.len()).map(|length| sample[..length].to_vec()));
    faulty.extend((1..=130).map(|surplus| [sample, &vec![0; surplus]].concat()));
}

/// Another value of every byte of the header, and of the first bytes of the body.
fn bytes(sample: &[u8], faulty: &mut Vec<Vec<u8>>) {
    let others = (0..24.min(sample.len())).flat_map(|at| [0, 1, 2, 0x80, 0xFF].map(|value| (at, value)));
    for (at, value) in others {
        let mut changed = sample.to_vec();
        changed[at] = value;
        faulty.push(changed);
    }
    for zeroed in [4..8, 16..24] {
        let mut changed = sample.to_vec();
        changed[zeroed].fill(0);
        faulty.push(changed);
    }
}

/// Any of several faults together, and with a byte cut off: the first rule that is broken is the one to name.
fn several(sample: &[u8], faulty: &mut Vec<Vec<u8>>) {
    let faults: [(Range<usize>, u8); 5] = [(2..3, 9), (3..4, 1), (4..8, 0), (8..16, 1), (16..24, 0)];
    for chosen in 0..1_u32 << faults.len() {
        let mut changed = sample.to_vec();
        for (_, (range, value)) in faults.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1) {
            changed[range.clone()].fill(*value);
        }
        faulty.push(changed[..changed.len() - 1].to_vec());
        faulty.push(changed);
    }
}

/// Every reflection that is hardly or not an address.
fn reflections(sample: &[u8], faulty: &mut Vec<Vec<u8>>) {
    let Some(header) = sample.first_chunk().and_then(|header| Header::from_bytes(header).ok()) else { return };
    let body = sample.get(Header::LEN..REFLECTION + Address::LEN).unwrap_or_default();
    let present = match (Heartbeat::decode(&header, body), HeartbeatAck::decode(&header, body)) {
        (Ok(heartbeat), _) if header.kind == Heartbeat::KIND => heartbeat.reflection,
        (_, Ok(ack)) if header.kind == HeartbeatAck::KIND => Some(ack.reflection),
        _ => return,
    };
    let present = present.map_or([0; Address::LEN], Address::to_bytes);
    for ip in [[0; 16], mapped([0; 4]), mapped([192, 0, 2, 9]), mapped([0, 0, 0, 1]), [0xFF; 16], loopback()] {
        for port in [0, 1, u16::MAX] {
            let wanted = [ip.as_slice(), &port.to_be_bytes()].concat();
            let mut changed = sample.to_vec();
            // The mask is an XOR: what changes under it changes with it.
            let masked = changed[REFLECTION..].iter_mut().zip(wanted.iter().zip(present));
            masked.for_each(|(byte, (wanted, present))| *byte ^= wanted ^ present);
            faulty.push(changed);
        }
    }
}

fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d]
}

fn loopback() -> [u8; 16] {
    std::net::Ipv6Addr::LOCALHOST.octets()
}

/// Random bytes, every second time behind the right first byte.
fn rubbish(seed: u64) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(seed);
    let mut random = move |length: usize| -> Vec<u8> { dice.seed().into_iter().cycle().take(length).collect() };
    let lengths = (1..300).chain([500, 1000]);
    lengths.flat_map(|length| [random(length), [&[MAGIC_VERSION], random(length).as_slice()].concat()]).collect()
}
