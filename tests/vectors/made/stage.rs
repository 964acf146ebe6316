//! The stage of a conversation: machines with nodes on them, the datagrams under way, and the record of what happens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dddns::auth::invite::Token;
use dddns::node::Node;
use dddns::node::outbox::Output;
use dddns::wire::address::Address;
use dddns::wire::id::NodeId;
use dddns::wire::kind::Kind;
use dddns::wire::record::MemberRecord;
use serde_json::{Value, json};

use super::onlooker::Onlooker;
use crate::fixed::{CLUSTER_ID, CLUSTER_KEY};
use crate::net::{LATENCY_MS, Setup, deadline_ms};
use crate::noise::{public_key, sha256};
use crate::text::{address, hex, unhex};

/// By whom datagrams are that no machine sent.
pub(super) const STRANGER: &str = "stranger";

/// A small cluster, the datagrams under way, and the record of what happened.
pub(super) struct Net {
    begin: Instant,
    now_ms: u64,
    machines: Vec<Machine>,
    /// By time of arrival and order of sending: where from, where to, and which event it is.
    flying: BTreeMap<(u64, usize), (SocketAddr, Address, Vec<u8>)>,
    events: Vec<Value>,
    /// The next datagram of this type between these two is copied, and the copy comes from this address and is faster.
    pub(super) copied: Option<(Kind, Address, Address, Address)>,
    /// The next datagram of each of these types, from the one address to the other, is lost.
    pub(super) lost: Vec<(Kind, Address, Address)>,
    /// Somebody at the first address sends on, at once, what comes there from one of the two others: to the other one.
    pub(super) forwarder: Option<(Address, [Address; 2])>,
}

struct Machine {
    setup: Setup,
    address: Address,
    node: Option<Node>,
}

impl Net {
    pub(super) fn new(setups: Vec<Setup>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        let begin = Instant::now();
        let machine = |setup: Setup| Machine { address: setup.address, setup, node: None };
        let machines = setups.into_iter().map(machine).collect();
        Self {
            begin,
            now_ms: 0,
            machines,
            flying: BTreeMap::new(),
            events: Vec::new(),
            copied: None,
            lost: Vec::new(),
            forwarder: None,
        }
    }

    fn instant(&self) -> Instant {
        self.begin + Duration::from_millis(self.now_ms)
    }

    fn place(&self, label: &str) -> usize {
        self.machines.iter().position(|machine| machine.setup.label == label).expect("a machine")
    }

    fn event(&mut self, event: &str, mut entry: Value) {
        entry["at_ms"] = self.now_ms.to_string().into();
        entry["event"] = event.into();
        self.events.push(entry);
    }

    /// Lets time go on.
    pub(super) fn run(&mut self, end_ms: u64) {
        while let Some(next) = self.next().filter(|next| *next <= end_ms) {
            self.now_ms = self.now_ms.max(next);
            self.step();
        }
        self.now_ms = end_ms;
    }

    fn next(&self) -> Option<u64> {
        let starts =
            self.machines.iter().filter(|machine| machine.node.is_none()).map(|machine| machine.setup.starts_ms);
        let starts = starts.filter(|starts| *starts >= self.now_ms);
        let deadlines = self.machines.iter().filter_map(|machine| deadline_ms(machine.node.as_ref()?, self.begin));
        starts.chain(deadlines).chain(self.flying.keys().map(|(at, _)| *at)).min()
    }

    /// Everything of this moment: starts, arrivals, timers.
    fn step(&mut self) {
        for place in 0..self.machines.len() {
            let machine = &mut self.machines[place];
            if machine.node.is_none() && machine.setup.starts_ms == self.now_ms {
                machine.node = Some(machine.setup.start(self.begin));
                let label = machine.setup.label.clone();
                self.event("start", json!({"machine": label}));
                self.drain(place);
            }
        }
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now_ms) {
            let ((_, event), (from, to, datagram)) = entry.remove_entry();
            self.deliver(event, from, to, datagram);
        }
        let now = self.instant();
        for place in 0..self.machines.len() {
            let Some(node) = &mut self.machines[place].node else { continue };
            if deadline_ms(node, self.begin).is_some_and(|deadline| deadline <= self.now_ms) {
                node.handle_timeout(now);
                self.drain(place);
            }
        }
    }

    fn deliver(&mut self, event: usize, from: SocketAddr, to: Address, mut datagram: Vec<u8>) {
        let now = self.instant();
        if let Some((address, [one, other])) = self.forwarder.filter(|(address, _)| *address == to) {
            let to = if from == one.socket_addr() { other } else { one };
            self.send(STRANGER, address.socket_addr(), to, &datagram, 1);
            return;
        }
        let there = |machine: &Machine| machine.address == to && machine.node.is_some();
        let Some(place) = self.machines.iter().position(there) else { return };
        let machine = &mut self.machines[place];
        let Some(node) = &mut machine.node else { return };
        let verdict = match node.handle_datagram(now, from, &mut datagram) {
            Ok(()) => "accepted",
            Err(reason) => reason.as_str(),
        };
        let arrives = json!({"at_ms": self.now_ms.to_string(), "at": machine.setup.label, "verdict": verdict});
        self.events[event]["arrives"] = arrives;
        self.drain(place);
    }

    /// Sends what a node wants sent.
    fn drain(&mut self, place: usize) {
        let mut sent = Vec::new();
        if let Some(node) = &mut self.machines[place].node {
            while let Some(output) = node.poll_output() {
                if let Output::Transmit { to, datagram } = output {
                    sent.push((Address::try_from(to).expect("an address"), datagram.to_vec()));
                }
            }
        }
        let (label, from) = (self.machines[place].setup.label.clone(), self.machines[place].address);
        for (to, datagram) in sent {
            let kind = Kind(datagram[1]);
            let copy = self.copied.take_if(|copied| (copied.0, copied.1, copied.2) == (kind, from, to));
            if let Some((_, _, _, elsewhere)) = copy {
                self.send(STRANGER, elsewhere.socket_addr(), to, &datagram, LATENCY_MS - 5);
            }
            self.send(&label, from.socket_addr(), to, &datagram, LATENCY_MS);
            if let Some(lost) = self.lost.iter().position(|lost| *lost == (kind, from, to)) {
                self.lost.remove(lost);
                self.flying.remove(&(self.now_ms + LATENCY_MS, self.events.len() - 1));
            }
        }
    }

    pub(super) fn send(&mut self, by: &str, from: SocketAddr, to: Address, datagram: &[u8], latency_ms: u64) {
        self.flying.insert((self.now_ms + latency_ms, self.events.len()), (from, to, datagram.to_vec()));
        let entry = json!({
            "by": by,
            "type": Kind(datagram[1]).to_string(),
            "from": from.to_string(),
            "to": to.to_string(),
            "datagram": hex(datagram),
            "arrives": null,
        });
        self.event("datagram", entry);
    }

    pub(super) fn relocate(&mut self, label: &str, to: &str) {
        let place = self.place(label);
        self.machines[place].address = address(to);
        self.event("move", json!({"machine": label, "address": to}));
    }

    pub(super) fn stop(&mut self, label: &str) {
        let (place, now) = (self.place(label), self.instant());
        self.event("stop", json!({"machine": label}));
        if let Some(node) = &mut self.machines[place].node {
            node.shutdown(now);
        }
        self.drain(place);
        // What comes later finds nobody.
        self.machines[place].node = None;
    }

    pub(super) fn forget(&mut self, label: &str, other: &str) {
        let (place, now) = (self.place(label), self.instant());
        let other = self.machines[self.place(other)].setup.id();
        self.event("forget", json!({"machine": label, "node_id": hex(other.0)}));
        self.machines[place].node.as_mut().expect("it runs").forget(now, other).expect("a member");
        self.drain(place);
    }

    pub(super) fn leave(&mut self, label: &str) {
        let (place, now) = (self.place(label), self.instant());
        self.event("leave", json!({"machine": label}));
        self.machines[place].node.as_mut().expect("it runs").leave(now).expect("a member");
        self.drain(place);
    }

    /// The last datagram of this type that was sent to this address.
    pub(super) fn last(&self, kind: Kind, to: Address) -> Vec<u8> {
        let (kind, to) = (kind.to_string(), to.to_string());
        let sent = self.events.iter().rfind(|event| event["type"] == kind.as_str() && event["to"] == to.as_str());
        unhex(sent.and_then(|event| event["datagram"].as_str()).expect("one was sent"))
    }

    pub(super) fn invite(&mut self, label: &str) -> Token {
        let (place, now, own) = (self.place(label), self.instant(), self.machines[self.place(label)].address);
        let node = self.machines[place].node.as_mut().expect("it runs");
        let token = node.create_invite(now, Duration::from_secs(86_400), &[own]).expect("a token");
        self.event("invite", json!({"machine": label, "text": token.to_string()}));
        token
    }

    pub(super) fn join(&mut self, label: &str, token: &Token) {
        let (place, now) = (self.place(label), self.instant());
        self.event("join", json!({"machine": label, "text": token.to_string()}));
        self.machines[place].node.as_mut().expect("it runs").join(now, token).expect("it may join");
        self.drain(place);
    }

    /// What a machine's node knows now.
    pub(super) fn state(&mut self, label: &str) {
        let now = self.instant();
        let node = self.machines[self.place(label)].node.as_ref().expect("it runs");
        let status = node.status(now);
        let own = status.addresses.iter();
        let own = own.map(|own| json!({"address": own.address.to_string(), "confidence": own.confidence.as_str()}));
        let peers = status.peers.iter().map(|peer| {
            json!({
                "node_id": hex(peer.id.0),
                "name": peer.name.as_str(),
                "state": peer.state.as_str(),
                "address": peer.address.map(|address| address.to_string()),
            })
        });
        let members: Vec<[u8; 121]> = node.saved().members.iter().map(MemberRecord::to_bytes).collect();
        let digest = sha256(&[b"dddns/1 members", &members.concat()]);
        let entry = json!({
            "machine": label,
            "own": own.collect::<Vec<_>>(),
            "peers": peers.collect::<Vec<_>>(),
            "members": members.iter().map(hex).collect::<Vec<_>>(),
            "digest": hex(&digest[..8]),
            "orphan": status.orphan,
        });
        self.event("state", entry);
    }

    pub(super) fn vector(mut self, name: &str, about: &str) -> Value {
        let setups: Vec<&Setup> = self.machines.iter().map(|machine| &machine.setup).collect();
        let mut onlooker = Onlooker::new(setups.clone());
        for event in &mut self.events {
            onlooker.look(event);
        }
        json!({
            "name": name,
            "about": about,
            "cluster_id": hex(CLUSTER_ID),
            "cluster_key": hex(CLUSTER_KEY),
            "heartbeat_ms": "10000",
            "machines": setups.into_iter().map(machine).collect::<Vec<_>>(),
            "handshakes": onlooker.handshakes(),
            "events": self.events,
        })
    }
}

fn machine(setup: &Setup) -> Value {
    let knows = |(id, address): &(NodeId, Address)| json!({"node_id": hex(id.0), "address": address.to_string()});
    json!({
        "label": setup.label,
        "name": setup.name,
        "secret": hex(setup.secret),
        "public_key": hex(public_key(&setup.secret)),
        "node_id": hex(setup.id().0),
        "clock_ms": setup.clock_ms.to_string(),
        "starts_ms": setup.starts_ms.to_string(),
        "address": setup.address.to_string(),
        "member": setup.cluster.is_some(),
        "members": setup.members.iter().map(|record| hex(record.to_bytes())).collect::<Vec<_>>(),
        "knows": setup.knows.iter().map(knows).collect::<Vec<_>>(),
    })
}
