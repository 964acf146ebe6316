//! The tokio event loop around a node: its sockets, its clock, its entropy, its store.
//!
//! A [`Driver`] owns a [`Node`] and does what it asks for; a [`Handle`] asks questions of it from any task. The driver
//! knows no protocol, and it never asks the system for the node's own addresses: those come from the peers.
//!
//! ```
//! use dddns::auth::identity::Identity;
//! use dddns::config::{Cluster, ClusterKey, Config};
//! use dddns::driver::{Driver, Settings, clock};
//! use dddns::node::saved::Saved;
//! use dddns::wire::id::ClusterId;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! // The first node of a new cluster. A real program keeps the secrets, and what its `Store` is given.
//! let mut config = Config::new("garage".parse()?);
//! config.cluster = Some(Cluster { id: ClusterId(clock::random()?), key: ClusterKey(clock::random()?) });
//! let identity = Identity::from_secret(clock::random()?);
//!
//! # let port = 20_000 + u16::try_from(std::process::id() % 20_000)?;
//! # /*
//! let port = 7733;
//! # */
//! let settings = Settings::new(vec![([127, 0, 0, 1], port).into()]);
//! let (driver, node) = Driver::new(config, identity, Saved::default(), settings)?;
//! let mut events = driver.events();
//! let running = tokio::spawn(driver.run());
//!
//! // Nobody else is there yet: no peer has told this node where it is.
//! assert!(node.own_addresses().await?.is_empty());
//! assert!(node.peers().await?.is_empty());
//! assert_eq!(node.resolve("attic").await?, None);
//!
//! node.shutdown().await?;
//! running.await??;
//! while let Some(event) = events.next().await {
//!     println!("{event:?}");
//! }
//! # Ok(())
//! # })
//! # }
//! ```

pub mod clock;
pub mod error;
pub mod event_stream;
mod finding;
pub mod handle;
mod journal;
mod keeper;
mod resolver;
mod routes;
mod slot;
mod socket;
mod sockets;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::auth::identity::Identity;
use crate::config::{Cluster, Config};
use crate::node::Node;
use crate::node::error::CommandError;
use crate::node::event::Event;
use crate::node::outbox::Output;
use crate::node::saved::Saved;
use crate::node::status::Status;
use crate::wire::id::NodeId;
use error::{NotStored, RunError, StartError};
use event_stream::{EVENTS_MAX, Events};
use finding::Finding;
use handle::{Command, Handle, RequestError};
use journal::Journal;
use keeper::Keeper;
use resolver::{Answer, Resolver};
use socket::Buffers;
use sockets::Sockets;

/// How many datagrams are read before the loop looks at its deadlines and at other tasks again.
const BATCH: usize = 64;

/// Larger than any datagram of the protocol, so that one that is too long is seen to be.
const BUFFER: usize = 2048;

/// How long the loop sleeps when nothing at all is planned.
const IDLE: Duration = Duration::from_secs(3600);

/// What a driver must be told besides the protocol's [`Config`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The local addresses to listen on, 1 to 16, each with a port. `[::]` listens on IPv4 too, unless an IPv4 address
    /// with the same port stands beside it; where there is no IPv6 it means `0.0.0.0`.
    pub listen: Vec<SocketAddr>,
    /// The size of the kernel's receive buffer, in bytes; `None` leaves it to the system.
    pub receive_buffer: Option<usize>,
    /// The size of the kernel's send buffer, in bytes; `None` leaves it to the system.
    pub send_buffer: Option<usize>,
    /// Where peers may be found, by host name: looked up at the start, and about once a minute while the peer is not up.
    pub hosts: Vec<Host>,
}

impl Settings {
    /// Listens on these addresses, everything else as the system has it.
    #[must_use]
    pub fn new(listen: Vec<SocketAddr>) -> Self {
        Self { listen, ..Self::default() }
    }
}

/// A host at which a peer may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The peer.
    pub peer: NodeId,
    /// A host name, or an IP address, and a port: `attic.example.net:7733`.
    pub host: String,
}

/// Where a driver puts what must survive a restart. Called on the loop, so it should take milliseconds.
pub trait Store: Send {
    /// The node was admitted to a cluster. Called before anybody is told: once this returns, the invite is burned.
    ///
    /// # Errors
    /// It could not be stored; the driver tries again after ten seconds.
    fn joined(&mut self, cluster: &Cluster, saved: &Saved) -> io::Result<()>;

    /// The node left its cluster: whatever was stored of the cluster is to be deleted, its key first.
    ///
    /// # Errors
    /// It could not be deleted; the driver tries again after ten seconds.
    fn left(&mut self) -> io::Result<()>;

    /// What the node knows changed: called at once for members and invites, at most once a minute for addresses, and at
    /// the end.
    ///
    /// # Errors
    /// It could not be stored; the driver tries again after ten seconds.
    fn save(&mut self, saved: &Saved) -> io::Result<()>;
}

/// Drives a node over UDP sockets.
#[derive(Debug)]
pub struct Driver {
    node: Node,
    sockets: Sockets,
    keeper: Keeper,
    journal: Journal,
    resolver: Resolver,
    finding: Finding,
    commands: mpsc::Receiver<Command>,
    events: broadcast::Sender<Event>,
    buffer: Box<[u8; BUFFER]>,
}

impl Driver {
    /// Opens the sockets, and makes the node and a handle to it. Needs no runtime yet.
    ///
    /// That there is no network yet is not an error, nor is an address to listen on that the machine does not have yet:
    /// it is tried again until it has.
    ///
    /// # Errors
    /// An address cannot be listened on for another reason, a host is no host, or there is no entropy.
    pub fn new(
        config: Config,
        identity: Identity,
        saved: Saved,
        settings: Settings,
    ) -> Result<(Self, Handle), StartError> {
        let now = clock::now();
        let buffers = Buffers { receive: settings.receive_buffer, send: settings.send_buffer };
        let resolver = Resolver::new(settings.hosts, now)?;
        let sockets = Sockets::open(&settings.listen, buffers, now)?;
        let keeper = Keeper::new(config.cluster.is_some());
        let node = Node::new(config, identity, saved, clock::random()?, now, clock::unix());
        let (handle, commands) = Handle::new();
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let buffer = Box::new([0; BUFFER]);
        let journal = Journal::new(now);
        let finding = Finding::default();
        Ok((Self { node, sockets, keeper, journal, resolver, finding, commands, events, buffer }, handle))
    }

    /// Stores there what must survive a restart. Without a store nothing is stored.
    #[must_use]
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.keeper.store(Box::new(store));
        self
    }

    /// All events from the first one. Once the driver runs, [`Handle::events`] gives those from then on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.events.subscribe())
    }

    /// Runs the node until [`Handle::shutdown`]; it goes on when every handle has been dropped. Needs a tokio runtime
    /// with I/O and time enabled; one thread is enough. Dropping the future stops the node without a word to its peers.
    ///
    /// A look-up of a host name may still be under way at the end, and a runtime waits for it when it is dropped: a
    /// program that wants to end at once calls `Runtime::shutdown_background`.
    ///
    /// # Errors
    /// The runtime cannot watch the sockets, or what was learned last could not be stored at the end. What happens on the
    /// network is never an error.
    pub async fn run(mut self) -> Result<(), RunError> {
        self.sockets.watch()?;
        for listen in self.sockets.listening() {
            tracing::info!(%listen, "listening");
        }
        let mut sleep = pin!(tokio::time::sleep_until(clock::now().into()));
        loop {
            // 1. Deadlines, so that no flood of datagrams or commands puts them off; and after them, as after every
            //    call of the core, its outputs.
            let now = clock::now();
            self.deadlines(now);

            // 2. One sleep until the next deadline.
            let wake = self.next_deadline(now);
            if sleep.deadline() != wake.into() {
                sleep.as_mut().reset(wake.into());
            }

            // 3. Whatever comes first. Where several are ready one is chosen at random, so that none starves, and each
            //    does a bounded piece of work.
            tokio::select! {
                Some(command) = self.commands.recv() => {
                    if let Some(done) = self.command(command) {
                        let finished = self.finish();
                        // Whoever asked for the end may not wait for it.
                        let _ = done.send(());
                        return Ok(finished?);
                    }
                }
                socket = self.sockets.readable() => {
                    if self.receive(socket) == BATCH {
                        tokio::task::yield_now().await;
                    }
                }
                answer = self.resolver.answer() => self.resolved(&answer),
                () = &mut sleep => {}
            }
        }
    }

    /// Does what is due.
    fn deadlines(&mut self, now: Instant) {
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
        self.act(now);
        self.sockets.reopen(now);
        self.resolver.look_up(now, || self.node.status(now));
        self.keeper.keep(now, || self.node.saved());
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        let node = [self.node.poll_timeout(), self.finding.due()];
        let others = [self.sockets.due(), self.resolver.due(), self.keeper.due(now)];
        node.into_iter().chain(others).flatten().min().unwrap_or(now + IDLE)
    }

    /// Acts on the node's outputs, in their order. Changes of members are stored before anybody hears of them; one that
    /// cannot be is told all the same, and is the last one that the node makes until it is stored.
    fn act(&mut self, now: Instant) {
        self.keeper.note(now, self.node.revision());
        self.keeper.keep(now, || self.node.saved());
        self.node.set_durable(self.keeper.works());
        loop {
            let event = match self.node.poll_output() {
                Some(Output::Transmit { to, datagram }) => {
                    self.sockets.send(to, datagram, now);
                    continue;
                }
                Some(Output::Event(event)) => event,
                None => break,
            };
            self.tell(now, event);
        }
        self.finding.answer(now, |member| self.node.is_up(member));
    }

    fn tell(&mut self, now: Instant, event: Event) {
        if let Event::Joined { cluster } = &event {
            self.keeper.joined(now, cluster, self.node.revision(), &self.node.saved());
        }
        if let Event::Left { .. } = &event {
            self.keeper.left(now, self.node.revision());
        }
        if let Event::PeerSuspect { peer } | Event::PeerLost { peer } = &event {
            self.resolver.hurry(now, peer.id);
        }
        self.journal.tell(now, &event);
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Reads a bounded number of datagrams from a socket; how many there were.
    fn receive(&mut self, socket: usize) -> usize {
        for count in 0..BATCH {
            let now = clock::now();
            let Some((from, length)) = self.sockets.receive(socket, self.buffer.as_mut_slice(), now) else {
                return count;
            };
            let Some(datagram) = self.buffer.get_mut(..length) else { return count };
            match self.node.handle_datagram(now, from, datagram) {
                Ok(()) => self.sockets.accepted(),
                Err(discard) => tracing::trace!(%from, length, %discard, "discarded"),
            }
            self.act(now);
            self.sockets.handled();
        }
        BATCH
    }

    /// Carries a command out; where to report the end, if that is what it asks for. Whoever asked may be gone.
    fn command(&mut self, command: Command) -> Option<oneshot::Sender<()>> {
        let now = clock::now();
        match command {
            Command::Status(answer) => {
                let _ = answer.send(self.status(now));
            }
            Command::Events(answer) => {
                let _ = answer.send(self.events());
            }
            Command::CreateInvite(ttl, addresses, answer) => {
                let token = self.node.create_invite(now, ttl, &addresses);
                let _ = answer.send(self.stored(now, token));
            }
            Command::Join(token, answer) => {
                let result = self.node.join(now, &token);
                self.act(now);
                let _ = answer.send(result);
            }
            Command::Forget(peer, answer) => {
                let result = self.node.forget(now, peer);
                let _ = answer.send(self.stored(now, result));
            }
            Command::Find(peer, answer) => {
                let (found, told) = oneshot::channel();
                let result = self.node.want(now, peer).map(|()| told);
                if result.is_ok() {
                    self.finding.wait(now, peer, found);
                }
                self.act(now);
                let _ = answer.send(result);
            }
            Command::Leave(answer) => {
                // Before the end can be told.
                let events = self.events();
                let result = self.node.leave(now).map(|()| events);
                self.act(now);
                let _ = answer.send(result);
            }
            Command::Stored(answer) => {
                let _ = answer.send(self.keeper.members_stored());
            }
            Command::Rebind(listen, answer) => {
                let _ = answer.send(self.sockets.rebind(&listen));
            }
            Command::Shutdown(done) => return Some(done),
        }
        None
    }

    /// Acts on a command that changed members or invites; its result, once that is stored.
    fn stored<T>(&mut self, now: Instant, result: Result<T, CommandError>) -> Result<T, RequestError> {
        self.keeper.hurry(now);
        self.act(now);
        let done = result?;
        self.keeper.members_stored()?;
        Ok(done)
    }

    fn status(&self, now: Instant) -> Status {
        let mut status = self.node.status(now);
        status.counters.extend(self.sockets.counters());
        status
    }

    fn resolved(&mut self, answer: &Answer) {
        let now = clock::now();
        let addresses = self.resolver.answered(now, answer);
        if addresses.is_empty() {
            return;
        }
        if let Err(error) = self.node.add_candidates(now, answer.peer, &addresses) {
            tracing::debug!(peer = %answer.peer, %error, "a configured host is of no use now");
        }
        self.act(now);
    }

    /// Tells the peers, and stores what was put off.
    fn finish(&mut self) -> Result<(), NotStored> {
        let now = clock::now();
        self.node.shutdown(now);
        self.act(now);
        let stored = self.keeper.finish(now, self.node.revision(), || self.node.saved());
        tracing::info!("stopped");
        stored
    }
}
