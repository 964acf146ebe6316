//! Whole conversations: what the nodes of a small cluster say from its beginning, and what they know in the end.

use std::net::SocketAddr;

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
use crate::noise::{decrypt, hmac_sha256, mac1, public_key, sha256};
use crate::text::address;

/// The wall clock of all machines at the beginning, in milliseconds since 1970.
const CLOCK_MS: u64 = 1_793_000_012_345;

pub(super) fn vectors() -> Vec<Value> {
    vec![
        joining(),
        meeting(),
        crossing(342, "two calls cross, and the lower node's was first"),
        crossing(322, "two calls cross, and the lower node's was second"),
        moving(),
        copying(),
        forwarding(),
        losing(),
        doubling(),
        flooding(),
        intruding(),
        racing(),
        removing(),
        leaving(),
    ]
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

/// Where nobody is that has a key.
const OUTSIDE: &str = "203.0.113.66:666";

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

/// Two members call each other within the time that a datagram takes: the second one waits longer before it calls, so
/// that the first one has to start so much later.
fn crossing(first_starts_ms: u64, name: &str) -> Value {
    let mut setups = members(2);
    setups[0].starts_ms = first_starts_ms;
    let mut net = Net::new(setups);
    net.run(5000);
    net.state("a");
    net.state("b");
    net.vector(
        name,
        "Two members start so that either calls before the other's call has come. Both keep the session that the node with the lower ID \
         began, whichever comes first, and go on receiving with the other one.",
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
    net.copied = Some((Kind::HEARTBEAT, address(PLACES[1]), address(PLACES[0]), address(OUTSIDE)));
    net.run(16_000);
    net.state("a");
    net.state("b");
    net.vector(
        "a copy comes first",
        "Somebody on the way copies a heartbeat and sends it on from elsewhere, faster: the member does not seem to move.",
    )
}

fn forwarding() -> Value {
    let mut net = Net::new(members(2));
    let (a, b, between) = (address(PLACES[0]), address(PLACES[1]), address(OUTSIDE));
    net.run(4000);
    net.copied = Some((Kind::HEARTBEAT, b, a, between));
    net.lost = vec![(Kind::PATH_CHALLENGE, a, b), (Kind::PATH_CHALLENGE, b, a)];
    net.forwarder = Some((between, [a, b]));
    net.run(5680);
    net.state("a");
    net.state("b");
    net.run(16_000);
    net.state("a");
    net.state("b");
    net.vector(
        "a forwarder, and the old path answers",
        "Whoever copied a heartbeat forwards what comes to it, and the first challenges on the old path are lost: so both \
         members take the forwarder's address for the other's new one, until the old path answers, too.",
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
        net.send(STRANGER, from(OUTSIDE), address(PLACES[0]), &rubbish(1, n), LATENCY_MS);
    }
    net.run(4000);
    net.state("a");
    net.state("b");
    net.vector(
        "under load",
        "While somebody floods a member with initiations, another member calls it and has to show a cookie.",
    )
}

/// Where a stranger's datagram comes from, which need not be an address.
fn from(text: &str) -> SocketAddr {
    text.parse().expect("an IP address and a port")
}

fn intruding() -> Value {
    let mut founder = stranger("a", 1, PLACES[0]);
    founder.cluster = Some(Cluster { id: ClusterId(CLUSTER_ID), key: ClusterKey(CLUSTER_KEY) });
    let mut net = Net::new(vec![founder, stranger("b", 2, PLACES[1])]);
    let elsewhere = "198.51.100.66:666";
    net.run(100);
    net.send(STRANGER, from("203.0.113.66:0"), address(PLACES[0]), &rubbish(1, 0), LATENCY_MS);
    net.send(STRANGER, from(OUTSIDE), address(PLACES[1]), &rubbish(2, 0), LATENCY_MS);
    net.run(1000);
    for n in 0..33 {
        net.send(STRANGER, from(OUTSIDE), address(PLACES[0]), &rubbish(1, n), LATENCY_MS);
    }
    net.run(1045);
    // From here on all is over before the budget gains one.
    let cookie = cookie(&net.last(Kind::COOKIE_REPLY, address(OUTSIDE)), &rubbish(1, 32));
    for n in 33..50 {
        net.send(STRANGER, from(OUTSIDE), address(PLACES[0]), &proven(n, &cookie), LATENCY_MS);
    }
    net.send(STRANGER, from(elsewhere), address(PLACES[0]), &rubbish(1, 50), LATENCY_MS);
    net.run(1090);
    let cookie = self::cookie(&net.last(Kind::COOKIE_REPLY, address(elsewhere)), &rubbish(1, 50));
    net.send(STRANGER, from(elsewhere), address(PLACES[0]), &proven(51, &cookie), LATENCY_MS);
    net.run(2000);
    net.state("a");
    net.state("b");
    net.vector(
        "what strangers get",
        "An initiation that nobody could answer, one to a node without a cluster, and more from one place, with its cookie, \
         than one place is granted; another place is granted its own.",
    )
}

fn racing() -> Value {
    let mut founder = stranger("a", 1, PLACES[0]);
    founder.cluster = Some(Cluster { id: ClusterId(CLUSTER_ID), key: ClusterKey(CLUSTER_KEY) });
    let mut net = Net::new(vec![founder, stranger("b", 2, PLACES[1]), stranger("c", 3, PLACES[2])]);
    net.run(100);
    let token = net.invite("a");
    net.join("b", &token);
    net.join("c", &token);
    net.run(300);
    for label in ["a", "b", "c"] {
        net.state(label);
    }
    net.vector(
        "two joiners with one invite",
        "Two nodes join by one invite at the same moment, and both are answered. The first to confirm is admitted; what the \
         other one says is discarded, and changes nothing.",
    )
}

fn removing() -> Value {
    let mut setups = members(3);
    setups[2].starts_ms = 2000;
    let mut net = Net::new(setups);
    net.run(1000);
    net.forget("a", "c");
    net.run(1999);
    for label in ["a", "b"] {
        net.state(label);
    }
    net.run(3500);
    net.send(STRANGER, from(OUTSIDE), address(PLACES[2]), &rubbish(3, 0), LATENCY_MS);
    net.run(5000);
    // What a removed node keeps of the list is its own affair.
    for label in ["a", "b"] {
        net.state(label);
    }
    net.vector(
        "a member is removed",
        "A member removes another one, which is not there, and tells the third. The removed one starts, calls both, is told \
         what became of it, and answers nobody from then on.",
    )
}

fn leaving() -> Value {
    let mut net = Net::new(members(3));
    net.run(5000);
    net.leave("b");
    net.run(9000);
    for label in ["a", "b", "c"] {
        net.state(label);
    }
    net.vector(
        "a member leaves",
        "A member removes itself, tells the others, and forgets the cluster once both have confirmed.",
    )
}

/// An initiation that does not decrypt, with a right mac1 for a machine: whoever knows a public key can make it.
fn rubbish(machine: u8, number: u8) -> Vec<u8> {
    let mut datagram = vec![MAGIC_VERSION, Kind::INITIATION.0, 0, 0, 0, 0, 0, number + 1];
    datagram.resize(Initiation::BEFORE_MAC1, 0);
    datagram[16..].fill(number);
    datagram.extend(mac1(&public_key(&ascending(0x10 * machine)), &datagram));
    datagram.resize(Initiation::LEN, 0);
    datagram
}

/// The same for the first machine, with the proof that this cookie came.
fn proven(number: u8, cookie: &[u8]) -> Vec<u8> {
    let mut datagram = rubbish(1, number);
    datagram.truncate(Initiation::BEFORE_MAC2);
    let mac2 = hmac_sha256(cookie, &datagram);
    datagram.extend(&mac2[..16]);
    datagram
}

/// What the first machine's reply to this initiation holds.
fn cookie(reply: &[u8], initiation: &[u8]) -> Vec<u8> {
    let label = sha256(&[b"dddns/1 cookie", &public_key(&ascending(0x10))]);
    let mac1 = &initiation[Initiation::BEFORE_MAC1..Initiation::BEFORE_MAC2];
    decrypt(&hmac_sha256(&label, &[&reply[8..24], mac1].concat()), [0; 12], &[], &reply[24..]).expect("it opens")
}
