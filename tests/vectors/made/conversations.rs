//! Whole conversations: what the nodes of a small cluster say from its beginning, and what they know in the end.

use dddns::config::{Cluster, ClusterKey};
use dddns::wire::address::Address;
use dddns::wire::header::MAGIC_VERSION;
use dddns::wire::id::{ClusterId, NodeId, PublicKey};
use dddns::wire::initiation::Initiation;
use dddns::wire::kind::Kind;
use dddns::wire::record::{MemberRecord, MemberState};
use serde_json::Value;

use super::stage::{Net, STRANGER};
use crate::fixed::{CLUSTER_ID, CLUSTER_KEY, ascending};
use crate::net::{LATENCY_MS, Setup};
use crate::noise::{mac1, public_key};
use crate::text::address;

/// The wall clock of all machines at the beginning, in milliseconds since 1970.
const CLOCK_MS: u64 = 1_793_000_012_345;

pub(super) fn vectors() -> Vec<Value> {
    vec![joining(), meeting(), moving(), copying(), losing(), doubling(), flooding()]
}

/// A machine with nothing but a key and a name.
fn stranger(label: &str, number: u8, place: &str) -> Setup {
    Setup {
        label: label.to_owned(),
        name: label.to_owned(),
        secret: ascending(0x10 * number),
        clock_ms: CLOCK_MS,
        starts_ms: 0,
        address: address(place),
        cluster: None,
        members: Vec::new(),
        knows: Vec::new(),
    }
}

const PLACES: [&str; 3] = ["192.0.2.1:7733", "198.51.100.1:7733", "203.0.113.1:7733"];

/// So many machines, whose nodes are members of one cluster and know where the others were.
fn members(count: usize) -> Vec<Setup> {
    let cluster = Cluster { id: ClusterId(CLUSTER_ID), key: ClusterKey(CLUSTER_KEY) };
    let mut setups: Vec<Setup> = ["a", "b", "c"]
        .iter()
        .zip(1..)
        .zip(PLACES)
        .take(count)
        .map(|((label, n), place)| stranger(label, n, place))
        .collect();
    let first = setups[0].id();
    let mut records: Vec<MemberRecord> = setups
        .iter()
        .zip(0..)
        .map(|(setup, admission)| MemberRecord {
            public_key: PublicKey(public_key(&setup.secret)),
            admitted_by: first,
            admission,
            state: MemberState::Member,
            revision: u32::from(admission == 0),
            name: setup.name.parse().expect("a label"),
        })
        .collect();
    records.sort_by_key(MemberRecord::id);
    let places: Vec<(NodeId, Address)> = setups.iter().map(|setup| (setup.id(), setup.address)).collect();
    for setup in &mut setups {
        let id = setup.id();
        setup.cluster = Some(cluster.clone());
        setup.members.clone_from(&records);
        setup.knows = places.iter().copied().filter(|(other, _)| *other != id).collect();
    }
    setups
}

fn joining() -> Value {
    let mut founder = stranger("a", 1, PLACES[0]);
    founder.cluster = Some(Cluster { id: ClusterId(CLUSTER_ID), key: ClusterKey(CLUSTER_KEY) });
    let mut net = Net::new(vec![founder, stranger("b", 2, PLACES[1])]);
    net.run(100);
    let token = net.invite("a");
    net.join("b", &token);
    net.run(5000);
    net.state("a");
    net.state("b");
    net.vector(
        "joining by invite",
        "A node with a cluster of its own invites another one, which joins and reads the member list.",
    )
}

fn meeting() -> Value {
    let mut net = Net::new(members(2));
    net.run(15_000);
    net.state("a");
    net.state("b");
    net.stop("b");
    net.run(16_000);
    net.state("a");
    net.vector(
        "meeting and parting",
        "Two members start at once and both call; they talk for a while; one says goodbye.",
    )
}

fn moving() -> Value {
    let mut net = Net::new(members(2));
    net.run(5000);
    net.relocate("b", "198.51.100.2:7733");
    net.run(16_000);
    net.state("a");
    net.state("b");
    net.vector("one moves", "A member gets another address, and tells it by its next heartbeat.")
}

fn copying() -> Value {
    let mut net = Net::new(members(2));
    net.run(4000);
    net.copied = Some((Kind::HEARTBEAT, address(PLACES[1]), address(PLACES[0]), address("203.0.113.66:666")));
    net.run(16_000);
    net.state("a");
    net.state("b");
    net.vector(
        "a copy comes first",
        "Somebody on the way copies a heartbeat and sends it on from elsewhere, faster: the member does not seem to move.",
    )
}

fn losing() -> Value {
    let mut net = Net::new(members(3));
    net.run(5000);
    net.relocate("a", "192.0.2.2:7733");
    net.relocate("b", "198.51.100.2:7733");
    net.run(17_000);
    for label in ["a", "b", "c"] {
        net.state(label);
    }
    net.vector("two move at once", "Two members move at the same moment and find each other again by the third.")
}

fn doubling() -> Value {
    let mut setups = members(2);
    let mut twin = setups[1].clone();
    "b-twin".clone_into(&mut twin.label);
    twin.address = address("203.0.113.2:7733");
    twin.starts_ms = 3000;
    setups.push(twin);
    let mut net = Net::new(setups);
    net.run(8000);
    for label in ["a", "b", "b-twin"] {
        net.state(label);
    }
    net.vector("two machines with one identity", "A second machine with the key of a member calls, and is turned away.")
}

fn flooding() -> Value {
    let mut setups = members(2);
    setups[1].starts_ms = 900;
    setups[0].knows.clear();
    let mut net = Net::new(setups);
    net.run(899);
    for n in 0..44_u8 {
        // 33 at once are more than are answered openly; then more than the budget gains.
        net.run(899 + 50 * u64::from(n.saturating_sub(33)));
        net.send(STRANGER, address("203.0.113.66:666"), address(PLACES[0]), &rubbish(n), LATENCY_MS);
    }
    net.run(4000);
    net.state("a");
    net.state("b");
    net.vector(
        "under load",
        "While somebody floods a member with initiations, another member calls it and has to show a cookie.",
    )
}

/// An initiation with a right mac1 that does not decrypt: whoever knows a public key can make it.
fn rubbish(number: u8) -> Vec<u8> {
    let mut datagram = vec![MAGIC_VERSION, Kind::INITIATION.0, 0, 0, 0, 0, 0, number + 1];
    datagram.resize(Initiation::BEFORE_MAC1, 0);
    datagram[16..].fill(number);
    datagram.extend(mac1(&public_key(&ascending(0x10)), &datagram));
    datagram.resize(Initiation::LEN, 0);
    datagram
}
