//! What a program holds while the driver runs: questions and commands to it, from any task.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::auth::invite::Token;
use crate::driver::error::NotStored;
use crate::driver::event_stream::Events;
use crate::node::error::CommandError;
use crate::node::event::Event;
use crate::node::status::{OwnAddress, PeerState, PeerStatus, Status};
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// How many commands wait for the loop; whoever sends more waits.
pub(super) const COMMANDS_MAX: usize = 64;

/// A driver's handle: cheap to clone, usable from any task. Its methods wait for the loop, so they answer only while
/// [`Driver::run`](crate::driver::Driver::run) runs.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

/// What a handle asks of the loop, and where the answer goes.
#[derive(Debug)]
pub(super) enum Command {
    Status(oneshot::Sender<Status>),
    Events(oneshot::Sender<Events>),
    CreateInvite(Duration, Vec<Address>, oneshot::Sender<Result<Token, RequestError>>),
    Join(Token, oneshot::Sender<Result<(), CommandError>>),
    Forget(NodeId, oneshot::Sender<Result<(), RequestError>>),
    Find(NodeId, oneshot::Sender<Result<Found, CommandError>>),
    Leave(oneshot::Sender<Result<Events, CommandError>>),
    Stored(oneshot::Sender<Result<(), NotStored>>),
    Rebind(Vec<SocketAddr>, oneshot::Sender<io::Result<()>>),
    Shutdown(oneshot::Sender<()>),
}

/// Is told when a member is up, or has been waited for long enough.
pub(super) type Found = oneshot::Receiver<()>;

impl Handle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        (Self { commands }, receiver)
    }

    /// Everything the node knows now, with what its sockets counted.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn status(&self) -> Result<Status, Stopped> {
        self.ask(Command::Status).await
    }

    /// This node's own addresses, as its peers see them: at most one for each family and scope.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn own_addresses(&self) -> Result<Vec<OwnAddress>, Stopped> {
        Ok(self.status().await?.addresses)
    }

    /// Every other member of the cluster.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn peers(&self) -> Result<Vec<PeerStatus>, Stopped> {
        Ok(self.status().await?.peers)
    }

    /// Where a member is, by the name that `status` shows or by its ID: a peer's published address, or this node's own
    /// address. A peer that is not up is looked for, for a second at most, as [`Handle::find`] does; if it does not answer
    /// this is its last address. `None` if there is no such member, or nobody knows.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn resolve(&self, name_or_id: &str) -> Result<Option<Address>, Stopped> {
        let status = self.status().await?;
        let Some(peer) = peer(&status, name_or_id) else { return Ok(own(&status, name_or_id)) };
        if peer.state == PeerState::Up {
            return Ok(peer.address);
        }
        match self.find(peer.id).await {
            // One that is no member any more has an address no more, as the next status says.
            Ok(()) | Err(RequestError::Refused(_) | RequestError::NotStored(_)) => {}
            Err(RequestError::Stopped(stopped)) => return Err(stopped),
        }
        let status = self.status().await?;
        Ok(status.peers.iter().find(|found| found.id == peer.id).and_then(|found| found.address))
    }

    /// Looks for a member, and returns when it is up, at once if it is, or after a second at the latest.
    ///
    /// In a cluster of hundreds a node has links with some members only ([`PeerStatus::linked`]), and this is how it finds
    /// the others: see [`Node::want`](crate::node::Node::want). Whether the member was found is in its
    /// [state](PeerStatus::state).
    ///
    /// # Errors
    /// It is no other member, or the driver has stopped.
    pub async fn find(&self, peer: NodeId) -> Result<(), RequestError> {
        let found = self.ask(|answer| Command::Find(peer, answer)).await??;
        Ok(found.await.map_err(|_| Stopped)?)
    }

    /// Makes an invite that is valid for `ttl`. `addresses`: where a joiner may find this node, besides those that its
    /// peers reflect. The invite is stored before it is returned.
    ///
    /// # Errors
    /// The node makes no invite, it could not be stored, or the driver has stopped.
    pub async fn create_invite(&self, ttl: Duration, addresses: &[Address]) -> Result<Token, RequestError> {
        let addresses = addresses.to_vec();
        self.ask(|answer| Command::CreateInvite(ttl, addresses, answer)).await?
    }

    /// Starts to join a cluster by invite. How it ends is told by
    /// [`Event::Joined`] or
    /// [`Event::JoinRefused`], so ask for [`Handle::events`] before.
    ///
    /// # Errors
    /// The node cannot join, or the driver has stopped.
    pub async fn join(&self, token: Token) -> Result<(), RequestError> {
        Ok(self.ask(|answer| Command::Join(token, answer)).await??)
    }

    /// Removes a member from the cluster, everywhere and for ever; see [`Node::forget`](crate::node::Node::forget).
    ///
    /// # Errors
    /// The node refused, or the driver has stopped. [`RequestError::NotStored`]: the member is removed, and a restart of
    /// this node may bring it back.
    pub async fn forget(&self, peer: NodeId) -> Result<(), RequestError> {
        self.ask(|answer| Command::Forget(peer, answer)).await?
    }

    /// Leaves the cluster, and returns once that is done and stored: some seconds at most. The node then belongs to no
    /// cluster; see [`Node::leave`](crate::node::Node::leave).
    ///
    /// # Errors
    /// The node refused, or the driver has stopped. [`RequestError::NotStored`]: the node has left, and what is stored of
    /// the cluster is still there; the driver goes on trying to delete it.
    pub async fn leave(&self) -> Result<Farewell, RequestError> {
        let mut events = self.ask(Command::Leave).await??;
        while let Some(event) = events.next().await {
            if let Event::Left { confirmed, others } = event {
                self.ask(Command::Stored).await??;
                return Ok(Farewell { confirmed, others });
            }
        }
        Err(Stopped.into())
    }

    /// The events from now on.
    ///
    /// # Errors
    /// The driver has stopped.
    pub async fn events(&self) -> Result<Events, Stopped> {
        self.ask(Command::Events).await
    }

    /// Moves to other local addresses to listen on, while everything that the node knows stays. If one cannot be had,
    /// the node stays where it is.
    ///
    /// # Errors
    /// What the system said about the address, [`io::ErrorKind::NotConnected`] if the driver has stopped.
    pub async fn rebind(&self, listen: Vec<SocketAddr>) -> io::Result<()> {
        let stopped = |stopped| io::Error::new(io::ErrorKind::NotConnected, stopped);
        self.ask(|answer| Command::Rebind(listen, answer)).await.map_err(stopped)?
    }

    /// Stops the driver in an orderly way: the peers are told, what was put off is stored. Returns when that is done.
    ///
    /// # Errors
    /// The driver had stopped before.
    pub async fn shutdown(&self) -> Result<(), Stopped> {
        self.ask(Command::Shutdown).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

/// How a node left its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// How many members have confirmed that they removed it. They tell the others; if it is 0 and there are others,
    /// somebody else has to remove it there.
    pub confirmed: usize,
    /// How many other members there were.
    pub others: usize,
}

/// The driver has stopped: there is nobody to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// Why a request to a node was not carried out, or not for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The driver has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The node refused. Its state is as it was before.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The node did it, and could not store it.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

/// The peer that is named as `status` shows it, or by its ID. Peers come before the node itself: one that is shown by the
/// very name of this node was admitted earlier, so the name is its own.
fn peer<'s>(status: &'s Status, name_or_id: &str) -> Option<&'s PeerStatus> {
    let id = name_or_id.parse().ok();
    status.peers.iter().find(|peer| Some(peer.id) == id || peer.display_name().eq_ignore_ascii_case(name_or_id))
}

/// The node's own address, if it is the one that is named.
fn own(status: &Status, name_or_id: &str) -> Option<Address> {
    let named = Some(status.id) == name_or_id.parse().ok() || status.display_name().eq_ignore_ascii_case(name_or_id);
    let widest = status.addresses.iter().min_by_key(|own| own.scope).filter(|_| named)?;
    Some(widest.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::status::{Confidence, Nat, Scope};
    use crate::wire::id::PublicKey;

    fn address(text: &str) -> Address {
        Address::try_from(text.parse::<SocketAddr>().unwrap()).unwrap()
    }

    fn own_address(text: &str) -> OwnAddress {
        let address = address(text);
        let scope = Scope::of(address.ip());
        OwnAddress { address, scope, confidence: Confidence::Agreed, observers: 2, groups: 2, age: None }
    }

    fn member(name: &str, id: u8, at: &str, name_taken: bool) -> PeerStatus {
        PeerStatus {
            id: NodeId([id; 16]),
            name: name.parse().unwrap(),
            name_taken,
            public_key: PublicKey([id; 32]),
            state: PeerState::Up,
            linked: true,
            address: Some(address(at)),
            rtt: None,
            last_seen: None,
            since: Duration::ZERO,
            previous_address: None,
            healed: None,
            candidates: 0,
            next_try: None,
        }
    }

    fn status() -> Status {
        Status {
            id: NodeId([9; 16]),
            name: "garage".parse().unwrap(),
            name_taken: false,
            public_key: PublicKey([9; 32]),
            addresses: vec![own_address("10.0.0.7:7733"), own_address("203.0.113.7:7733")],
            nat: Nat::Unknown,
            orphan: false,
            cluster: None,
            peers: vec![member("attic", 1, "192.0.2.1:1", true), member("attic", 2, "192.0.2.2:2", false)],
            counters: Vec::new(),
        }
    }

    fn place(status: &Status, name_or_id: &str) -> Option<Address> {
        peer(status, name_or_id).map_or_else(|| own(status, name_or_id), |peer| peer.address)
    }

    #[test]
    fn a_name_finds_the_member_that_owns_it() {
        let status = status();
        assert_eq!(place(&status, "Attic"), Some(address("192.0.2.2:2")));
        let shown = status.peers[0].display_name();
        assert_eq!(place(&status, &shown), Some(address("192.0.2.1:1")));
        assert_eq!(place(&status, &NodeId([1; 16]).to_string()), Some(address("192.0.2.1:1")));
        assert_eq!(place(&status, "cellar"), None);
    }

    #[test]
    fn a_name_that_an_earlier_member_has_is_not_this_nodes() {
        let mut status = status();
        status.peers.push(member("garage", 3, "192.0.2.3:3", false));
        assert_eq!(place(&status, "garage"), Some(address("192.0.2.3:3")));
        assert_eq!(place(&status, &NodeId([9; 16]).to_string()), Some(address("203.0.113.7:7733")));
    }

    #[test]
    fn a_node_finds_itself_where_the_most_can_reach_it() {
        assert_eq!(place(&status(), "garage"), Some(address("203.0.113.7:7733")));
    }

    #[test]
    fn a_handle_outlives_its_driver() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (handle, commands) = Handle::new();
        drop(commands);
        assert_eq!(runtime.block_on(handle.shutdown()), Err(Stopped));
        let moved = runtime.block_on(handle.rebind(Vec::new())).unwrap_err();
        assert_eq!(moved.kind(), io::ErrorKind::NotConnected);
    }
}
