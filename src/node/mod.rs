//! The protocol's state machine: datagrams, deadlines and commands in; datagrams and events out. No I/O.

pub mod error;
pub mod event;
pub mod saved;
pub mod status;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::auth::identity::Identity;
use crate::auth::invite::Token;
use crate::config::Config;
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use error::CommandError;
use event::Event;
use saved::Saved;
use status::Status;

/// A node.
#[derive(Debug)]
pub struct Node {}

/// What a node wants done, in causal order.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send these bytes, at most 1232, in one UDP datagram.
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// The payload.
        datagram: &'a [u8],
    },
    /// Tell the owner.
    Event(Event),
}

/// Why a datagram was discarded: nothing changed but a counter. The name is stable: `status` counts by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("discarded")]
pub struct Discard;

impl Node {
    /// A node. `unix` is the wall clock, read once, since 1970.
    #[must_use]
    pub fn new(
        _config: Config,
        _identity: Identity,
        _saved: Saved,
        _seed: [u8; 32],
        _now: Instant,
        _unix: Duration,
    ) -> Self {
        todo!()
    }
    /// Takes a datagram. Decrypts in place.
    pub fn handle_datagram(&mut self, _now: Instant, _from: SocketAddr, _datagram: &mut [u8]) -> Result<(), Discard> {
        todo!()
    }
    /// Does what is due; early calls do nothing.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }
    /// The next output.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        todo!()
    }
    /// When [`Node::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Makes an invite. `addresses`: where a joiner may find this node, besides those that its peers reflect.
    pub fn create_invite(
        &mut self,
        _now: Instant,
        _ttl: Duration,
        _addresses: &[Address],
    ) -> Result<Token, CommandError> {
        todo!()
    }
    /// Joins a cluster by invite: ends with `Event::Joined` or `Event::JoinRefused`; goes on trying until then.
    pub fn join(&mut self, _now: Instant, _token: &Token) -> Result<(), CommandError> {
        todo!()
    }
    /// Addresses that a configured host name resolved to: candidates only.
    pub fn add_candidates(&mut self, _now: Instant, _peer: NodeId, _addresses: &[Address]) -> Result<(), CommandError> {
        todo!()
    }
    /// Tells every peer that this node stops.
    pub fn shutdown(&mut self, _now: Instant) {
        todo!()
    }
    /// What the node knows now.
    #[must_use]
    pub fn status(&self, _now: Instant) -> Status {
        todo!()
    }
    /// What the owner should store. See [`Node::revision`].
    #[must_use]
    pub fn saved(&self) -> Saved {
        todo!()
    }
    /// Changes when [`Node::saved`] does: `members` must be stored at once (invites, membership), `addresses` when convenient.
    #[must_use]
    pub fn revision(&self) -> Revision {
        todo!()
    }
}

/// Which version of [`Saved`] a node is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Counts changes of members and invites: losing one would lose a decision.
    pub members: u64,
    /// Counts changes of addresses: losing one costs a search.
    pub addresses: u64,
}
