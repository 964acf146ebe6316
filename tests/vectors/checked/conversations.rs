//! Conversations: each machine alone, told what the file says that it is told, says what the file says that it says and knows
//! what it is to know.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dddns::auth::invite::Token;
use dddns::config::{Cluster, ClusterKey};
use dddns::node::Node;
use dddns::node::outbox::Output;
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, NodeId};
use dddns::wire::record::MemberRecord;

use super::handshakes::start;
use crate::each;
use crate::net::{Setup, deadline_ms};
use crate::noise::{public_key, sha256};
use crate::text::{Vector, hex, unhex};

fn setup(conversation: Vector<'_>, machine: Vector<'_>) -> Setup {
    let (id, key) = (ClusterId(conversation.array("cluster_id")), ClusterKey(conversation.array("cluster_key")));
    let setup = Setup {
        label: machine.text("label").to_owned(),
        name: machine.text("name").to_owned(),
        secret: machine.array("secret"),
        clock_ms: machine.u64("clock_ms"),
        starts_ms: machine.u64("starts_ms"),
        address: machine.address("address"),
        cluster: (machine.get("member").0 == true).then_some(Cluster { id, key }),
        members: machine
            .list("members")
            .map(|record| MemberRecord::from_bytes(&unhex(record.as_text())).expect("a record"))
            .collect(),
        knows: machine.list("knows").map(|known| (NodeId(known.array("node_id")), known.address("address"))).collect(),
    };
    assert_eq!(setup.id().0, machine.array("node_id"));
    assert_eq!(public_key(&setup.secret), machine.array("public_key"));
    setup
}

/// What a machine is told, and what it is to say or to know.
enum Turn<'a> {
    Told(Vector<'a>),
    Comes(Vector<'a>),
}

#[test]
fn every_machine_does_what_the_file_says() {
    each("conversations", |conversation| {
        for machine in conversation.list("machines") {
            replay(conversation, &setup(conversation, machine));
        }
    });
}

/// Lets one machine live through the conversation, alone.
fn replay(conversation: Vector<'_>, setup: &Setup) {
    let label = setup.label.as_str();
    let about_it = |event: &Vector<'_>| event.maybe("machine").is_some_and(|machine| machine.as_text() == label);
    let mut turns: Vec<(u64, Turn<'_>)> = Vec::new();
    for event in conversation.list("events") {
        if about_it(&event) {
            turns.push((event.u64("at_ms"), Turn::Told(event)));
        }
        if let Some(arrival) = event.maybe("arrives").filter(|arrival| arrival.text("at") == label) {
            turns.push((arrival.u64("at_ms"), Turn::Comes(event)));
        }
    }
    // Of one moment the beginning comes first, then what was sent first, then what a person does, then the present state.
    turns.sort_by_key(|(at_ms, turn)| match turn {
        Turn::Told(event) if event.text("event") == "start" => (*at_ms, 0, 0),
        Turn::Comes(event) => (*at_ms, 1, event.u64("at_ms")),
        Turn::Told(_) => (*at_ms, 2, 0),
    });
    let said = conversation.list("events").filter(|event| event.maybe("by").is_some_and(|by| by.as_text() == label));
    let mut life = Life { begin: start(), node: None, said: said.collect(), next: 0 };
    for (at_ms, turn) in turns {
        // Timers of this very moment come after it, but before the state at its end.
        let after = matches!(&turn, Turn::Told(event) if !matches!(event.text("event"), "start" | "move"));
        life.wait(if after { at_ms + 1 } else { at_ms });
        match turn {
            Turn::Told(event) => life.told(setup, event),
            Turn::Comes(event) => life.comes(at_ms, event),
        }
    }
    let missing = life.said.get(life.next).map(|event| event.0.to_string());
    assert_eq!(missing, None, "{label} did not say this");
}

/// A machine that lives through a conversation.
struct Life<'a> {
    begin: Instant,
    node: Option<Node>,
    /// What it is to say, and how much of that it has said.
    said: Vec<Vector<'a>>,
    next: usize,
}

impl Life<'_> {
    fn instant(&self, at_ms: u64) -> Instant {
        self.begin + Duration::from_millis(at_ms)
    }

    /// Lets time go on until just before this moment.
    fn wait(&mut self, end_ms: u64) {
        while let Some(at_ms) =
            self.node.as_ref().and_then(|node| deadline_ms(node, self.begin)).filter(|at| *at < end_ms)
        {
            let now = self.instant(at_ms);
            self.node.as_mut().expect("it runs").handle_timeout(now);
            self.drain(at_ms);
        }
    }

    /// It says what it is to say, when and where to.
    fn drain(&mut self, at_ms: u64) {
        let Some(node) = &mut self.node else { return };
        while let Some(output) = node.poll_output() {
            let Output::Transmit { to, datagram } = output else { continue };
            let expected = self.said.get(self.next).unwrap_or_else(|| panic!("it goes on speaking at {at_ms} ms"));
            assert_eq!(expected.u64("at_ms"), at_ms, "it speaks at another time than {}", expected.0);
            assert_eq!((expected.address("to").socket_addr(), expected.text("datagram")), (to, hex(datagram).as_str()));
            self.next += 1;
        }
    }

    fn told(&mut self, setup: &Setup, event: Vector<'_>) {
        let at_ms = event.u64("at_ms");
        let now = self.instant(at_ms);
        match event.text("event") {
            "start" => self.node = Some(setup.start(self.begin)),
            "move" => {}
            "invite" => {
                let token = self.node.as_mut().expect("it runs").create_invite(
                    now,
                    Duration::from_secs(86_400),
                    &[setup.address],
                );
                assert_eq!(token.expect("a token").to_string(), event.text("text"));
            }
            "join" => {
                let token: Token = event.text("text").parse().expect("a token");
                self.node.as_mut().expect("it runs").join(now, &token).expect("it may join");
            }
            "forget" => {
                let other = NodeId(event.array("node_id"));
                self.node.as_mut().expect("it runs").forget(now, other).expect("a member");
            }
            "leave" => self.node.as_mut().expect("it runs").leave(now).expect("a member"),
            "stop" => {
                self.node.as_mut().expect("it runs").shutdown(now);
                self.drain(at_ms);
                self.node = None;
            }
            "state" => knows(self.node.as_ref().expect("it runs"), now, event),
            other => panic!("there is no event {other}"),
        }
        self.drain(at_ms);
    }

    fn comes(&mut self, at_ms: u64, event: Vector<'_>) {
        let now = self.instant(at_ms);
        let node = self.node.as_mut().expect("it runs");
        // A stranger's need not be an address.
        let from: SocketAddr = event.text("from").parse().expect("an IP address and a port");
        let result = node.handle_datagram(now, from, &mut event.bytes("datagram"));
        let verdict = result.map_or_else(|reason| reason.as_str(), |()| "accepted");
        assert_eq!(verdict, event.get("arrives").text("verdict"), "{}", event.0);
        self.drain(at_ms);
    }
}

/// The node knows what it is to know.
fn knows(node: &Node, now: Instant, event: Vector<'_>) {
    let status = node.status(now);
    let own: Vec<(Address, &str)> =
        event.list("own").map(|own| (own.address("address"), own.text("confidence"))).collect();
    let found: Vec<(Address, &str)> =
        status.addresses.iter().map(|own| (own.address, own.confidence.as_str())).collect();
    assert_eq!(found, own);
    let peers: Vec<_> = event
        .list("peers")
        .map(|peer| {
            let address = peer.maybe("address").map(|_| peer.address("address"));
            (NodeId(peer.array("node_id")), peer.text("name").to_owned(), peer.text("state"), address)
        })
        .collect();
    let found: Vec<_> =
        status.peers.iter().map(|peer| (peer.id, peer.name.to_string(), peer.state.as_str(), peer.address)).collect();
    assert_eq!(found, peers);
    let members: Vec<u8> = event.list("members").flat_map(|record| unhex(record.as_text())).collect();
    let found: Vec<u8> = node.saved().members.iter().flat_map(MemberRecord::to_bytes).collect();
    assert_eq!(hex(found), hex(&members));
    assert_eq!(sha256(&[b"dddns/1 members", &members])[..8], event.array::<8>("digest"));
    assert_eq!(event.get("orphan").0, status.orphan);
}

/// What one machine knows in the end: its own address, if it has one, and of each peer the name, the state and the address.
type End = (&'static str, &'static str, &'static [&'static str]);

/// How each conversation ends: what a machine knows of itself and of its peers.
#[test]
fn conversations_end_as_they_should() {
    const A: &str = "192.0.2.1:7733";
    const B: &str = "198.51.100.1:7733";
    const C: &str = "203.0.113.1:7733";
    let both: &[End] = &[("a", A, &["b up 198.51.100.1:7733"]), ("b", B, &["a up 192.0.2.1:7733"])];
    let (new_a, new_b) = ("192.0.2.2:7733", "198.51.100.2:7733");
    let expected: [(&str, &[End]); 14] = [
        ("joining by invite", both),
        ("meeting and parting", &[("a", A, &["b left 198.51.100.1:7733"])]),
        ("two calls cross, and the lower node's was first", both),
        ("two calls cross, and the lower node's was second", both),
        ("one moves", &[("a", A, &["b up 198.51.100.2:7733"]), ("b", new_b, &["a up 192.0.2.1:7733"])]),
        ("a copy comes first", both),
        ("a forwarder, and the old path answers", both),
        (
            "two move at once",
            &[
                ("a", new_a, &["b up 198.51.100.2:7733", "c up 203.0.113.1:7733"]),
                ("b", new_b, &["a up 192.0.2.2:7733", "c up 203.0.113.1:7733"]),
                ("c", C, &["a up 192.0.2.2:7733", "b up 198.51.100.2:7733"]),
            ],
        ),
        (
            "two machines with one identity",
            &[
                ("a", A, &["b conflict 198.51.100.1:7733"]),
                ("b", B, &["a up 192.0.2.1:7733"]),
                ("b-twin", "", &["a conflict 192.0.2.1:7733"]),
            ],
        ),
        ("under load", both),
        ("what strangers get", &[("a", "", &[]), ("b", "", &[])]),
        (
            "two joiners with one invite",
            &[
                ("a", A, &["b up 198.51.100.1:7733"]),
                ("b", B, &["a up 192.0.2.1:7733"]),
                ("c", "", &["node-q2qkg35t unknown 192.0.2.1:7733"]),
            ],
        ),
        ("a member is removed", both),
        ("a member leaves", &[("a", A, &["c up 203.0.113.1:7733"]), ("b", B, &[]), ("c", C, &["a up 192.0.2.1:7733"])]),
    ];
    each("conversations", |conversation| {
        let (_, ends) = expected.iter().find(|(name, _)| *name == conversation.name()).expect("an expected end");
        for (label, own, peers) in *ends {
            let of_it = |event: &Vector<'_>| event.text("event") == "state" && event.text("machine") == *label;
            let last = conversation.list("events").filter(of_it).last().expect("a state");
            let owns: Vec<&str> = last.list("own").map(|own| own.text("address")).collect();
            assert_eq!(owns.first().copied().unwrap_or_default(), *own, "{label}");
            let told =
                |peer: Vector<'_>| format!("{} {} {}", peer.text("name"), peer.text("state"), peer.text("address"));
            assert_eq!(last.list("peers").map(told).collect::<Vec<_>>(), *peers, "{label}");
        }
    });
}
