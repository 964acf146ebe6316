//! What the log says about an event: INFO for what a person wants to know, DEBUG for the rest.

use crate::node::event::{Event, Who};

/// Writes an event to the log.
pub(super) fn tell(event: &Event) {
    match event {
        Event::OwnAddress { scope, old, new, confidence, observers } => {
            let (confidence, was) = (confidence.as_str(), old.map(tracing::field::display));
            tracing::info!(address = %new, was, %scope, confidence, observers, "own address");
        }
        Event::PeerMoved { peer: Who { id, name }, old, new, healed_ms } => {
            tracing::info!(%name, %id, address = %new, was = %old, healed_ms, "peer moved");
        }
        Event::PeerUp { peer: Who { id, name }, address } => tracing::info!(%name, %id, %address, "peer up"),
        Event::PeerSuspect { peer: Who { id, name } } => tracing::debug!(%name, %id, "peer misses heartbeats"),
        Event::PeerLost { peer: Who { id, name } } => tracing::info!(%name, %id, "peer lost"),
        Event::PeerLeft { peer: Who { id, name } } => tracing::info!(%name, %id, "peer left"),
        Event::PeerConflict { peer: Who { id, name } } => {
            tracing::warn!(%name, %id, "two machines claim to be this peer: make a new identity on one of them");
        }
        Event::MemberAdded { peer: Who { id, name } } => tracing::info!(%name, %id, "member added"),
        Event::MemberRemoved { peer: Who { id, name } } => tracing::info!(%name, %id, "member removed"),
        Event::Orphan => tracing::info!("orphan: no peer answers; trying on"),
        Event::Recovered => tracing::info!("recovered: a peer answers again"),
        Event::Joined { cluster } => tracing::info!(cluster = %cluster.id.short(), "joined"),
        Event::JoinRefused { reason } => tracing::info!(%reason, "not admitted"),
    }
}
