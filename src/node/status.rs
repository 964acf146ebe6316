//! What a node knows at a moment: the answer to "where is everybody".

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::wire::address::Address;
use crate::wire::id::{ClusterId, NodeId, PublicKey};
use crate::wire::name::Name;

/// Everything a node can tell about itself and its peers. Durations are ages.
#[derive(Clone, Debug)]
pub struct Status {
    /// This node's identity.
    pub id: NodeId,
    /// This node's name.
    pub name: Name,
    /// Whether another member, admitted earlier, has the same name: the others show this node as `name-` and its short ID.
    pub name_taken: bool,
    /// This node's public key.
    pub public_key: PublicKey,
    /// This node's addresses, as its peers reflect them: at most one per family and scope.
    pub addresses: Vec<OwnAddress>,
    /// What the NAT in front of this node does with ports.
    pub nat: Nat,
    /// Whether no peer answers.
    pub orphan: bool,
    /// The cluster, once there is one.
    pub cluster: Option<ClusterId>,
    /// Every other member, in the order of names, then IDs.
    pub peers: Vec<PeerStatus>,
    /// What was counted since the start, by name.
    pub counters: Vec<(&'static str, u64)>,
}

/// One of a node's own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    /// The address.
    pub address: Address,
    /// Its scope.
    pub scope: Scope,
    /// How sure the node is.
    pub confidence: Confidence,
    /// How many observer groups agree.
    pub observers: usize,
    /// How many observer groups have a fresh opinion.
    pub groups: usize,
    /// How long ago an observer last confirmed it; `None` if none did since the start.
    pub age: Option<Duration>,
}

/// How sure a node is of its own address. Spec: `spec/addresses.md` section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// At least two observer groups agree.
    Agreed,
    /// There is one observer group only.
    SingleObserver,
    /// Observers disagree; the address is the last one that had a clear majority.
    Disputed,
    /// Nobody has confirmed the address lately.
    Stale,
}

impl Confidence {
    /// The word for it in `status` and its JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::SingleObserver => "single-observer",
            Self::Disputed => "disputed",
            Self::Stale => "stale",
        }
    }
}

/// From where an address can be reached. Spec: `spec/addresses.md` section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The Internet.
    Global,
    /// A carrier's NAT, 100.64.0.0/10.
    Cgnat,
    /// A private network: RFC 1918, fc00::/7.
    Private,
    /// One link: 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// One machine: 127.0.0.0/8, ::1.
    Loopback,
}

impl Scope {
    /// The scope of an IP address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) if v4.is_loopback() => Self::Loopback,
            IpAddr::V4(v4) if v4.is_link_local() => Self::LinkLocal,
            IpAddr::V4(v4) if v4.is_private() => Self::Private,
            IpAddr::V4(v4) if v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64 => Self::Cgnat,
            IpAddr::V4(_) => Self::Global,
            IpAddr::V6(v6) if v6.is_loopback() => Self::Loopback,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(v6) if v6.is_unique_local() => Self::Private,
            IpAddr::V6(_) => Self::Global,
        }
    }

    /// The word for it in `status` and its JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Cgnat => "cgnat",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the NAT in front of a node does with its port, as its observers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Fewer than two observer groups: nobody can tell.
    Unknown,
    /// All observers see one port: no NAT, or one that maps all destinations alike.
    EndpointIndependent,
    /// Observers see different ports: the NAT maps per destination, and peers can reach the node only after it
    /// called them.
    EndpointDependent,
}

impl Nat {
    /// The word for it in `status` and its JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::EndpointIndependent => "endpoint-independent",
            Self::EndpointDependent => "endpoint-dependent",
        }
    }
}

/// A peer.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its identity.
    pub id: NodeId,
    /// Its name.
    pub name: Name,
    /// Whether another member, admitted earlier, has the same name: this one is then shown as `name-` and the short ID.
    pub name_taken: bool,
    /// Its public key.
    pub public_key: PublicKey,
    /// Whether it answers.
    pub state: PeerState,
    /// Whether this node has a link with it. In a cluster of hundreds a node has links with some members only; of the
    /// others it knows what it was told, until they are wanted: see [`Node::want`](crate::node::Node::want).
    pub linked: bool,
    /// Its published address; while it does not answer, the last one. Without a link: where it was heard last, by this
    /// node or by whoever told it.
    pub address: Option<Address>,
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Since it was last heard; without a link, by anybody.
    pub last_seen: Option<Duration>,
    /// Since it has been in its state.
    pub since: Duration,
    /// Its published address before the present one, in this run.
    pub previous_address: Option<Address>,
    /// How long it could not be reached at its last move.
    pub healed: Option<Duration>,
    /// How many addresses are being tried while it does not answer.
    pub candidates: usize,
    /// Until the next attempt, while it does not answer.
    pub next_try: Option<Duration>,
}

impl Status {
    /// The name by which all know this node: with the ID's first characters if an earlier member has the same one.
    /// Spec: MEMB-6.
    #[must_use]
    pub fn display_name(&self) -> String {
        display_name(self.name, self.id, self.name_taken)
    }
}

impl PeerStatus {
    /// The name to show: with the ID's first characters if an earlier member has the same one. Spec: MEMB-6.
    #[must_use]
    pub fn display_name(&self) -> String {
        display_name(self.name, self.id, self.name_taken)
    }
}

fn display_name(name: Name, id: NodeId, taken: bool) -> String {
    if taken { format!("{name}-{}", id.short()) } else { name.to_string() }
}

/// Whether a peer answers. Spec: `spec/state-machine.md` section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// It answers.
    Up,
    /// It missed heartbeats and is being looked for.
    Suspect,
    /// It has not been heard for three intervals.
    Lost,
    /// It said it would stop.
    Left,
    /// Two machines claim to be it, of which this node talks to the first; or it talks to another machine that has this
    /// node's identity.
    Conflict,
    /// It has not been heard since this node started.
    Unknown,
}

impl PeerState {
    /// The word for it in `status` and its JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Left => "left",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
        }
    }
}
