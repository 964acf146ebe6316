//! The machines of a conversation: who they are, what they know at their start, and which secrets their generators give.

use std::time::{Duration, Instant};

use dddns::auth::drbg::Drbg;
use dddns::auth::identity::Identity;
use dddns::config::{Cluster, Config};
use dddns::node::Node;
use dddns::node::saved::{Saved, SavedAddress};
use dddns::wire::address::Address;
use dddns::wire::id::NodeId;
use dddns::wire::record::MemberRecord;

use crate::noise::sha256;

/// How long a datagram is under way, in milliseconds.
pub(crate) const LATENCY_MS: u64 = 20;

/// More random values than any machine of a conversation draws.
const DRAWS: usize = 2000;

/// A machine before it starts.
#[derive(Clone)]
pub(crate) struct Setup {
    /// By which the vectors tell machines apart.
    pub(crate) label: String,
    /// The name of the node on it.
    pub(crate) name: String,
    pub(crate) secret: [u8; 32],
    /// Its wall clock at the beginning of the conversation, in milliseconds since 1970.
    pub(crate) clock_ms: u64,
    /// When it starts, in milliseconds after the beginning.
    pub(crate) starts_ms: u64,
    pub(crate) address: Address,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) members: Vec<MemberRecord>,
    /// Where it last found members.
    pub(crate) knows: Vec<(NodeId, Address)>,
}

impl Setup {
    pub(crate) fn id(&self) -> NodeId {
        Identity::from_secret(self.secret).node_id()
    }

    /// The node on it, at its start. `begin` is the beginning of the conversation.
    pub(crate) fn start(&self, begin: Instant) -> Node {
        let mut config = Config::new(self.name.parse().expect("a label"));
        config.cluster = self.cluster.clone();
        let seen = |&(id, address): &(NodeId, Address)| SavedAddress { id, address, seen: 1 };
        let saved = Saved {
            members: self.members.clone(),
            addresses: self.knows.iter().map(seen).collect(),
            ..Saved::default()
        };
        let starts = Duration::from_millis(self.starts_ms);
        let unix = Duration::from_millis(self.clock_ms) + starts;
        Node::new(config, Identity::from_secret(self.secret), saved, self.seed(), begin + starts, unix)
    }

    /// The ephemeral secret key of this public key, if the machine drew it.
    pub(crate) fn ephemeral(&self, public_key: &[u8]) -> Option<[u8; 32]> {
        // Whatever length is asked for, the generator's next draw is the same.
        let mut drbg = Drbg::new(self.seed());
        let mut draws = std::iter::repeat_with(|| drbg.array::<32>()).take(DRAWS);
        draws.find(|secret| Identity::from_secret(*secret).public_key().0 == *public_key)
    }

    fn seed(&self) -> [u8; 32] {
        sha256(&[b"seed of machine ", self.label.as_bytes()])
    }
}

/// When a node wants to be woken, in whole milliseconds after the beginning.
pub(crate) fn deadline_ms(node: &Node, begin: Instant) -> Option<u64> {
    let after = node.poll_timeout()?.saturating_duration_since(begin);
    Some(u64::try_from(after.as_nanos().div_ceil(1_000_000)).expect("a short time"))
}
