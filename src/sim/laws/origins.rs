//! Who made each datagram: what a node accepts under a session is, byte for byte, what its peer sent.

use std::collections::BTreeMap;

use crate::sim::laws::{Arrival, Origin, Sent, Verdict, hold};
use crate::sim::world::HostId;
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// The datagrams that somebody has seen and may send again, by what is in them.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    made: BTreeMap<u64, Made>,
}

/// Whose node made a datagram, and where it sent it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) host: HostId,
    pub(crate) run: u32,
    pub(crate) by: NodeId,
    /// More than one for an initiation that goes to several addresses.
    pub(crate) to: Vec<Address>,
}

impl Origins {
    /// Takes note of a datagram that can come back.
    pub(crate) fn sent(&mut self, sent: &Sent<'_>) {
        if sent.watched {
            let Origin { host, run, id, to } = sent.origin;
            let fresh = || Made { host, run, by: id, to: Vec::new() };
            let made = self.made.entry(fingerprint(sent.datagram)).or_insert_with(fresh);
            if !made.to.contains(&to) {
                made.to.push(to);
            }
        }
    }

    /// Where a datagram comes from in truth.
    pub(crate) fn of(&self, datagram: &[u8], origin: Option<Origin>) -> Option<Made> {
        match origin {
            Some(Origin { host, run, id, to }) => Some(Made { host, run, by: id, to: vec![to] }),
            None => self.made.get(&fingerprint(datagram)).cloned(),
        }
    }
}

/// P5, P6, P9: who accepts a datagram as a peer's has it from that peer, unchanged.
pub(crate) fn authentic(arrival: &Arrival, peer: NodeId) -> Verdict {
    let made = arrival.made.as_ref().map(|made| made.by);
    hold("P6", made == Some(peer), || {
        format!(
            "took a {} for one of {peer}; it is {}",
            arrival.kind,
            made.map_or_else(|| "nobody's".to_owned(), |by| by.to_string())
        )
    })
}

/// FNV-1a, 64 bits: no two datagrams of a run have the same.
fn fingerprint(datagram: &[u8]) -> u64 {
    datagram
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
