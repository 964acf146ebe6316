//! The answer to `dddns status` as JSON: schema `dddns.status/1`, to which later versions only add.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::node::status::{OwnAddress, PeerState, PeerStatus, Scope, Status};
use crate::wire::address::Address;

/// The name of the format and its version.
pub(crate) const SCHEMA: &str = "dddns.status/1";

/// Everything about a node; what is unknown is `null`. Ages are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// This node.
    pub(crate) node: NodeReport,
    /// Its cluster.
    pub(crate) cluster: ClusterReport,
    /// Every other member.
    pub(crate) peers: Vec<PeerReport>,
    /// What was counted since the start, by name.
    pub(crate) counters: Map<String, Value>,
}

/// The node itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeReport {
    /// Its node ID.
    pub(crate) id: String,
    /// Its name, as the others show it.
    pub(crate) name: String,
    /// Its public key, for the configuration of others.
    pub(crate) public_key: String,
    /// Where it was told to listen.
    pub(crate) listen: Vec<String>,
    /// Its addresses, as its peers see them.
    pub(crate) addresses: Vec<OwnAddressReport>,
    /// What the NAT in front of it does: `unknown`, `endpoint-independent`, `endpoint-dependent`.
    pub(crate) nat: String,
}

/// One of the node's own addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnAddressReport {
    /// `ip:port`, an IPv6 address in brackets.
    pub(crate) addr: String,
    /// `ipv4` or `ipv6`.
    pub(crate) family: String,
    /// `global`, `cgnat`, `private`, `link-local` or `loopback`.
    pub(crate) scope: String,
    /// `agreed`, `single-observer`, `disputed` or `stale`.
    pub(crate) confidence: String,
    /// How many observer groups agree.
    pub(crate) observers: usize,
    /// Since an observer confirmed it.
    pub(crate) age_ms: Option<u64>,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterReport {
    /// Its ID.
    pub(crate) id: Option<String>,
    /// How many members it has, this node included.
    pub(crate) members: usize,
    /// How many of them are up, this node included.
    pub(crate) up: usize,
}

/// A peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PeerReport {
    /// Its node ID.
    pub(crate) id: String,
    /// Its name, with a part of its ID if an earlier member has the same.
    pub(crate) name: String,
    /// `up`, `suspect`, `lost`, `left`, `conflict` or `unknown`.
    pub(crate) state: String,
    /// Its address: `ip:port`. While it does not answer, the last one.
    pub(crate) addr: Option<String>,
    /// The scope of the address.
    pub(crate) scope: Option<String>,
    /// How it is reached: `direct`; `none` if there is no link with it, and the address is where it was heard last, by
    /// this node or by whoever told it.
    pub(crate) via: Option<String>,
    /// Round-trip time, in milliseconds with a fraction.
    pub(crate) rtt_ms: Option<f64>,
    /// Since it was heard.
    pub(crate) last_seen_ms: Option<u64>,
    /// Since it has been in its state.
    pub(crate) since_ms: u64,
    /// Its address before the present one.
    pub(crate) previous_addr: Option<String>,
    /// How long it could not be reached at its last move.
    pub(crate) healed_ms: Option<u64>,
    /// How many addresses are being tried while it does not answer; 0 between two rounds of attempts too.
    pub(crate) candidates: usize,
}

/// What the table of `dddns status` says beyond the JSON, in the order of the report's lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableHints {
    /// Whether no peer answers.
    pub(crate) orphan: bool,
    /// For each own address, how many observer groups have a fresh opinion.
    pub(crate) groups: Vec<usize>,
    /// For each peer, the milliseconds until it is called next, while it does not answer.
    pub(crate) next_try_ms: Vec<Option<u64>>,
}

impl StatusReport {
    /// The report on a node that was told to listen there.
    pub(crate) fn new(status: &Status, listen: &[SocketAddr]) -> Self {
        let up = status.peers.iter().filter(|peer| peer.state == PeerState::Up).count();
        Self {
            schema: SCHEMA.to_owned(),
            node: NodeReport {
                id: status.id.to_string(),
                name: status.display_name(),
                public_key: status.public_key.to_string(),
                listen: listen.iter().map(SocketAddr::to_string).collect(),
                addresses: status.addresses.iter().map(own_address).collect(),
                nat: status.nat.as_str().to_owned(),
            },
            cluster: ClusterReport {
                id: status.cluster.map(|id| id.to_string()),
                members: status.peers.len() + 1,
                up: up + 1,
            },
            peers: status.peers.iter().map(peer).collect(),
            counters: status.counters.iter().map(|&(name, count)| (name.to_owned(), count.into())).collect(),
        }
    }
}

impl TableHints {
    /// What the table says beyond the report.
    pub(crate) fn new(status: &Status) -> Self {
        Self {
            orphan: status.orphan,
            groups: status.addresses.iter().map(|own| own.groups).collect(),
            next_try_ms: status.peers.iter().map(|peer| peer.next_try.map(milliseconds)).collect(),
        }
    }
}

/// `ipv4` or `ipv6`.
pub(crate) fn family(address: &Address) -> &'static str {
    if address.ip().is_ipv4() { "ipv4" } else { "ipv6" }
}

fn own_address(own: &OwnAddress) -> OwnAddressReport {
    OwnAddressReport {
        addr: own.address.to_string(),
        family: family(&own.address).to_owned(),
        scope: own.scope.as_str().to_owned(),
        confidence: own.confidence.as_str().to_owned(),
        observers: own.observers,
        age_ms: own.age.map(milliseconds),
    }
}

fn peer(peer: &PeerStatus) -> PeerReport {
    let answers = matches!(peer.state, PeerState::Up | PeerState::Suspect | PeerState::Conflict);
    let via = if peer.linked { answers.then_some("direct") } else { peer.address.and(Some("none")) };
    PeerReport {
        id: peer.id.to_string(),
        name: peer.display_name(),
        state: peer.state.as_str().to_owned(),
        addr: peer.address.map(|address| address.to_string()),
        scope: peer.address.map(|address| Scope::of(address.ip()).as_str().to_owned()),
        via: via.map(str::to_owned),
        rtt_ms: peer.rtt.map(fractional_milliseconds),
        last_seen_ms: peer.last_seen.map(milliseconds),
        since_ms: milliseconds(peer.since),
        previous_addr: peer.previous_address.map(|address| address.to_string()),
        healed_ms: peer.healed.map(milliseconds),
        candidates: peer.candidates,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn fractional_milliseconds(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1_000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::node::status::{Confidence, Nat};
    use crate::wire::id::{ClusterId, NodeId, PublicKey};

    fn address(text: &str) -> Address {
        Address::try_from(text.parse::<SocketAddr>().unwrap()).unwrap()
    }

    fn peer_status(name: &str, state: PeerState, at: &str) -> PeerStatus {
        PeerStatus {
            id: NodeId([1; 16]),
            name: name.parse().unwrap(),
            name_taken: false,
            linked: true,
            public_key: PublicKey([1; 32]),
            state,
            address: Some(address(at)),
            rtt: Some(Duration::from_micros(14_250)),
            last_seen: Some(Duration::from_secs(3)),
            since: Duration::from_secs(2 * 86_400),
            previous_address: None,
            healed: None,
            candidates: 0,
            next_try: None,
        }
    }

    /// The cluster that the design shows.
    pub(crate) fn status() -> Status {
        let berlin = PeerStatus {
            id: NodeId([2; 16]),
            rtt: Some(Duration::from_millis(31)),
            last_seen: Some(Duration::from_secs(1)),
            since: Duration::from_secs(6),
            previous_address: Some(address("192.0.2.14:7733")),
            healed: Some(Duration::from_millis(1_840)),
            ..peer_status("berlin", PeerState::Up, "192.0.2.99:50211")
        };
        let cabin = PeerStatus {
            id: NodeId([3; 16]),
            rtt: Some(Duration::from_micros(700)),
            since: Duration::from_secs(9 * 3_600),
            ..peer_status("cabin", PeerState::Up, "10.0.0.9:7733")
        };
        let vps = PeerStatus {
            id: NodeId([4; 16]),
            rtt: None,
            last_seen: Some(Duration::from_secs(3 * 3_600)),
            candidates: 4,
            next_try: Some(Duration::from_secs(40)),
            ..peer_status("vps", PeerState::Lost, "203.0.113.200:7733")
        };
        let own = address("203.0.113.7:7733");
        Status {
            id: NodeId([9; 16]),
            name: "garage".parse().unwrap(),
            name_taken: false,
            public_key: PublicKey([9; 32]),
            addresses: vec![OwnAddress {
                address: own,
                scope: Scope::Global,
                confidence: Confidence::Agreed,
                observers: 3,
                groups: 3,
                age: Some(Duration::from_secs(4)),
            }],
            nat: Nat::EndpointIndependent,
            orphan: false,
            cluster: Some(ClusterId([5; 16])),
            peers: vec![peer_status("attic", PeerState::Up, "198.51.100.23:7733"), berlin, cabin, vps],
            counters: vec![("received", 7)],
        }
    }

    /// A node that has started and heard nobody.
    pub(crate) fn fresh() -> Status {
        let unheard = PeerStatus {
            address: None,
            rtt: None,
            last_seen: None,
            ..peer_status("attic", PeerState::Unknown, "192.0.2.1:1")
        };
        Status { addresses: Vec::new(), orphan: true, nat: Nat::Unknown, peers: vec![unheard], ..status() }
    }

    #[test]
    fn the_keys_are_those_of_the_schema() {
        let report = StatusReport::new(&status(), &["[::]:7733".parse().unwrap()]);
        let json = serde_json::to_value(&report).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        insta::assert_snapshot!(format!("{keys:?}"), @r#"["cluster", "counters", "node", "peers", "schema"]"#);
        insta::assert_snapshot!(serde_json::to_string(&report.node).unwrap(), @r#"{"id":"beeqscijbeeqscijbeeqscijbe","name":"garage","public_key":"beeqscijbeeqscijbeeqscijbeeqscijbeeqscijbeeqscijbeeq","listen":["[::]:7733"],"addresses":[{"addr":"203.0.113.7:7733","family":"ipv4","scope":"global","confidence":"agreed","observers":3,"age_ms":4000}],"nat":"endpoint-independent"}"#);
        insta::assert_snapshot!(serde_json::to_string(&report.cluster).unwrap(), @r#"{"id":"aucqkbifaucqkbifaucqkbifau","members":5,"up":4}"#);
        insta::assert_snapshot!(serde_json::to_string(&report.peers[1]).unwrap(), @r#"{"id":"aibaeaqcaibaeaqcaibaeaqcai","name":"berlin","state":"up","addr":"192.0.2.99:50211","scope":"global","via":"direct","rtt_ms":31.0,"last_seen_ms":1000,"since_ms":6000,"previous_addr":"192.0.2.14:7733","healed_ms":1840,"candidates":0}"#);
    }

    #[test]
    fn what_is_unknown_is_null() {
        let report = StatusReport::new(&fresh(), &[]);
        let json = serde_json::to_value(&report.peers[0]).unwrap();
        for key in ["addr", "scope", "via", "rtt_ms", "last_seen_ms", "previous_addr", "healed_ms"] {
            assert_eq!(json[key], Value::Null, "{key}");
        }
        assert_eq!((report.cluster.members, report.cluster.up), (2, 1));
    }

    #[test]
    fn an_address_without_a_link_is_marked() {
        let mut status = status();
        for peer in &mut status.peers {
            (peer.linked, peer.state) = (false, PeerState::Unknown);
        }
        status.peers[1].address = None;
        let via: Vec<_> = StatusReport::new(&status, &[]).peers.into_iter().map(|peer| peer.via).collect();
        assert_eq!(via[..2], [Some("none".to_owned()), None]);
    }

    #[test]
    fn a_report_survives_the_control_socket() {
        let report = StatusReport::new(&status(), &["[::]:7733".parse().unwrap()]);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<StatusReport>(&text).unwrap(), report);
    }
}
