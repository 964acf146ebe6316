//! An event as JSON: schema `dddns.event/1`, to which later versions only add.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::daemon::rfc3339;
use crate::node::event::{Event, Who};
use crate::wire::address::Address;

/// The name of the format and its version.
pub(crate) const SCHEMA: &str = "dddns.event/1";

/// One change. Of the keys after `event` there are those that say what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EventReport {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// When, by this machine's clock: RFC 3339, UTC, milliseconds.
    pub(crate) t: String,
    /// What happened, such as `peer.moved`.
    pub(crate) event: String,
    /// The name of the peer or member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    /// Its node ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The address before: `ip:port`, absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<String>,
    /// The address now: `ip:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<String>,
    /// Of a node's own address: its scope, as in `dddns.status/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// Of a node's own address: how sure the node is, as in `dddns.status/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<String>,
    /// Of a node's own address: how many observer groups agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observers: Option<usize>,
    /// How long the peer could not be reached, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healed_ms: Option<u64>,
}

impl EventReport {
    /// The report on an event that happened this long after 1970; `None` for events that are between a node and the
    /// program that drives it.
    pub(crate) fn new(event: &Event, since_1970: Duration) -> Option<Self> {
        let told = match event {
            Event::OwnAddress { scope, old, new, confidence, observers } => Self {
                scope: Some(scope.as_str().to_owned()),
                confidence: Some(confidence.as_str().to_owned()),
                observers: Some(*observers),
                ..Self::address("node.address", *old, *new)
            },
            Event::PeerMoved { peer, old, new, healed_ms } => {
                Self { healed_ms: Some(*healed_ms), ..Self::address("peer.moved", Some(*old), *new).of(peer) }
            }
            Event::PeerUp { peer, address } => Self::address("peer.up", None, *address).of(peer),
            Event::PeerSuspect { peer } => Self::plain("peer.suspect").of(peer),
            Event::PeerLost { peer } => Self::plain("peer.lost").of(peer),
            Event::PeerLeft { peer } => Self::plain("peer.left").of(peer),
            Event::PeerConflict { peer } => Self::plain("peer.conflict").of(peer),
            Event::NodeConflict { peer } => Self::plain("node.conflict").of(peer),
            Event::MemberAdded { peer } => Self::plain("member.added").of(peer),
            Event::MemberRemoved { peer } => Self::plain("member.removed").of(peer),
            Event::Removed { by } => {
                let told = Self::plain("node.removed");
                by.as_ref().map_or_else(|| told.clone(), |by| told.clone().of(by))
            }
            Event::Left { .. } => Self::plain("node.left"),
            Event::Orphan => Self::plain("orphan"),
            Event::Recovered => Self::plain("recovered"),
            Event::Joined { .. } | Event::JoinRefused { .. } => return None,
        };
        Some(Self { t: rfc3339::format(since_1970), ..told })
    }

    fn plain(event: &str) -> Self {
        Self { schema: SCHEMA.to_owned(), event: event.to_owned(), ..Self::default() }
    }

    fn address(event: &str, old: Option<Address>, new: Address) -> Self {
        Self { old: old.map(|old| old.to_string()), new: Some(new.to_string()), ..Self::plain(event) }
    }

    fn of(self, who: &Who) -> Self {
        Self { peer: Some(who.name.to_string()), id: Some(who.id.to_string()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cluster, ClusterKey};
    use crate::node::status::{Confidence, Scope};
    use crate::wire::id::{ClusterId, NodeId};

    fn json(event: &Event) -> String {
        let report = EventReport::new(event, Duration::from_millis(1_790_000_000_123)).unwrap();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<EventReport>(&text).unwrap(), report);
        text
    }

    #[test]
    fn events_say_what_changed() {
        let peer = Who { id: NodeId([7; 16]), name: "attic".parse().unwrap() };
        let at = |text: &str| Address::try_from(text.parse::<std::net::SocketAddr>().unwrap()).unwrap();
        let (old, new) = (at("192.0.2.14:7733"), at("[2001:db8::1]:50211"));
        insta::assert_snapshot!(json(&Event::PeerMoved { peer, old, new, healed_ms: 1_840 }), @r#"{"schema":"dddns.event/1","t":"2026-09-21T14:13:20.123Z","event":"peer.moved","peer":"attic","id":"a4dqobyha4dqobyha4dqobyha4","old":"192.0.2.14:7733","new":"[2001:db8::1]:50211","healed_ms":1840}"#);
        insta::assert_snapshot!(json(&Event::PeerUp { peer, address: new }), @r#"{"schema":"dddns.event/1","t":"2026-09-21T14:13:20.123Z","event":"peer.up","peer":"attic","id":"a4dqobyha4dqobyha4dqobyha4","new":"[2001:db8::1]:50211"}"#);
        let (scope, confidence) = (Scope::Global, Confidence::SingleObserver);
        let own = Event::OwnAddress { scope, old: None, new, confidence, observers: 1 };
        insta::assert_snapshot!(json(&own), @r#"{"schema":"dddns.event/1","t":"2026-09-21T14:13:20.123Z","event":"node.address","new":"[2001:db8::1]:50211","scope":"global","confidence":"single-observer","observers":1}"#);
        insta::assert_snapshot!(json(&Event::Orphan), @r#"{"schema":"dddns.event/1","t":"2026-09-21T14:13:20.123Z","event":"orphan"}"#);
    }

    #[test]
    fn the_cluster_key_is_nobodys_news() {
        let cluster = Cluster { id: ClusterId([1; 16]), key: ClusterKey([2; 32]) };
        assert_eq!(EventReport::new(&Event::Joined { cluster }, Duration::ZERO), None);
    }
}
