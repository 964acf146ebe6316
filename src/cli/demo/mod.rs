//! `dddns demo`: three real nodes on this machine, which find each other again after one moved, then two at once.

mod places;
mod screen;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::auth::identity::Identity;
use crate::config::{Cluster, ClusterKey, Config};
use crate::driver::clock::{self, NoEntropy};
use crate::driver::error::{RunError, StartError};
use crate::driver::handle::{Handle, RequestError, Stopped};
use crate::driver::{Driver, Settings};
use crate::node::event::Event;
use crate::node::saved::Saved;
use crate::node::status::{PeerState, Status};
use crate::wire::address::{Address, NotAnAddress};
use crate::wire::id::{ClusterId, NodeId};
use crate::wire::name::InvalidName;
use places::Places;
use screen::{Row, Screen};

/// The three nodes. The last one moves first, then the last two at once.
const NAMES: [&str; 3] = ["garage", "attic", "cabin"];

/// In what time all must know again where a single mover is.
const BOUND_ONE: Duration = Duration::from_secs(4);

/// In what time all must know again where two movers are.
const BOUND_TWO: Duration = Duration::from_secs(10);

/// In what time everything must be over.
const BOUND_ALL: Duration = Duration::from_secs(60);

/// How long a person looks at the table before the next thing happens.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the table is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);

/// How many reports of the nodes wait to be shown; a node's events wait with it.
const REPORTS_MAX: usize = 64;

/// How often a node is started, or moved, again because a port is in use.
const ATTEMPTS: usize = 20;

/// Runs the demo: a live table if standard output is a terminal, else a line for each thing that happens. Tells whether
/// everything healed in its bound. Takes less than a minute, needs no privileges and leaves nothing behind.
///
/// # Errors
/// A node could not be started or moved, or the output could not be written.
pub fn run(out: &mut dyn Write, color: bool) -> Result<bool, DemoError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(DemoError::Runtime)?;
    let screen = Screen::new(out, io::stdout().is_terminal(), color);
    runtime.block_on(async {
        let mut demo = Demo::start(screen)?;
        let healed = demo.play().await?;
        demo.stop().await?;
        Ok(healed)
    })
}

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// There is no runtime without the operating system's help.
    #[error("cannot watch sockets on this system: {0}; raise the limit of open files")]
    Runtime(io::Error),
    /// A node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A node stopped by itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A node did not do what the demo asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A node did not move.
    #[error("cannot move a node: {0}")]
    Move(io::Error),
    /// A node's task ended early.
    #[error("a node of the demo has ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// There is nothing to make keys from.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The demo gave a node a name that is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The demo gave a node an address that is none.
    #[error(transparent)]
    Address(#[from] NotAnAddress),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl From<Stopped> for DemoError {
    fn from(stopped: Stopped) -> Self {
        Self::Request(RequestError::Stopped(stopped))
    }
}

/// One of the three nodes.
struct Actor {
    name: &'static str,
    id: NodeId,
    handle: Handle,
    running: JoinHandle<Result<(), RunError>>,
    /// Where it really is: what everybody has to find out.
    at: SocketAddr,
}

struct Demo<'a> {
    actors: Vec<Actor>,
    places: Places,
    /// What the nodes report: which node, and what.
    reports: mpsc::Receiver<(&'static str, Event)>,
    screen: Screen<'a>,
    start: Instant,
}

impl<'a> Demo<'a> {
    /// Starts the nodes, of which only the first has a cluster.
    fn start(screen: Screen<'a>) -> Result<Self, DemoError> {
        let mut places = Places::new();
        let (report, reports) = mpsc::channel(REPORTS_MAX);
        let mut cluster = Some(Cluster { id: ClusterId(clock::random()?), key: ClusterKey(clock::random()?) });
        let mut actors = Vec::with_capacity(NAMES.len());
        for name in NAMES {
            let mut config = Config::new(name.parse()?);
            config.cluster = cluster.take();
            actors.push(Actor::start(name, &config, &mut places, &report)?);
        }
        Ok(Self { actors, places, reports, screen, start: clock::now() })
    }

    /// The three acts. False as soon as one of them did not end in the time for all.
    async fn play(&mut self) -> Result<bool, DemoError> {
        self.line("three nodes started; attic and cabin join garage's cluster, each with an invite")?;
        self.join().await?;
        let Some(met) = self.whole(clock::now()).await? else { return self.gave_up() };
        self.line(&format!("each knows itself and the others after {}", seconds(met)))?;

        self.pause().await?;
        let Some(one) = self.moved(&["cabin"]).await? else { return self.gave_up() };
        self.pause().await?;
        let Some(two) = self.moved(&["attic", "cabin"]).await? else { return self.gave_up() };

        let one_healed = self.verdict("one node moved    ", one, BOUND_ONE)?;
        let two_healed = self.verdict("two moved at once ", two, BOUND_TWO)?;
        self.screen.close("Next, a cluster of your own: dddns init")?;
        Ok(one_healed && two_healed)
    }

    /// Has the others join through the first node.
    async fn join(&mut self) -> Result<(), DemoError> {
        let Some((first, others)) = self.actors.split_first() else { return Ok(()) };
        let at = Address::try_from(first.at)?;
        for other in others {
            let token = first.handle.create_invite(BOUND_ALL, &[at]).await?;
            other.handle.join(token).await?;
        }
        Ok(())
    }

    /// Moves nodes in the same instant. How long it took until everybody knew; `None` if the time was up before.
    async fn moved(&mut self, movers: &[&str]) -> Result<Option<Duration>, DemoError> {
        let begin = clock::now();
        let mut told = Vec::with_capacity(movers.len());
        for actor in self.actors.iter_mut().filter(|actor| movers.contains(&actor.name)) {
            let old = actor.at;
            actor.relocate(&mut self.places).await?;
            told.push(format!("{} moved from {old} to {}", actor.name, actor.at));
        }
        for line in told {
            self.line(&line)?;
        }
        let healed = self.whole(begin).await?;
        if let Some(healed) = healed {
            self.line(&format!("all three know again after {}", seconds(healed)))?;
        }
        Ok(healed)
    }

    /// Waits until every node knows itself and the others where they really are. The time since `begin`; `None` if the
    /// time for all was up before.
    async fn whole(&mut self, begin: Instant) -> Result<Option<Duration>, DemoError> {
        loop {
            let rows = self.look().await?;
            let now = clock::now();
            if rows.iter().all(Row::is_right) {
                self.screen.draw(&rows)?;
                // What led to it may still be on its way.
                tokio::task::yield_now().await;
                while let Ok((who, event)) = self.reports.try_recv() {
                    self.report(who, event)?;
                }
                return Ok(Some(now.saturating_duration_since(begin)));
            }
            if now.saturating_duration_since(self.start) > BOUND_ALL {
                return Ok(None);
            }
            self.screen.draw(&rows)?;
            self.report_for(REDRAW).await?;
        }
    }

    async fn pause(&mut self) -> Result<(), DemoError> {
        let end = clock::now() + PAUSE;
        while clock::now() < end {
            let rows = self.look().await?;
            self.screen.draw(&rows)?;
            self.report_for(REDRAW).await?;
        }
        Ok(())
    }

    /// What everybody says now.
    async fn look(&self) -> Result<Vec<Row>, DemoError> {
        let mut statuses = Vec::with_capacity(self.actors.len());
        for actor in &self.actors {
            statuses.push(actor.handle.status().await?);
        }
        Ok(self.actors.iter().map(|actor| actor.row(&statuses)).collect())
    }

    /// Waits for the next thing that a node reports, no longer than this, and says what it was.
    async fn report_for(&mut self, patience: Duration) -> Result<(), DemoError> {
        match tokio::time::timeout(patience, self.reports.recv()).await {
            Ok(Some((who, event))) => self.report(who, event),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn report(&mut self, who: &str, event: Event) -> Result<(), DemoError> {
        match event {
            Event::OwnAddress { new, .. } => self.line(&format!("{who} learned that it is at {new}")),
            Event::PeerMoved { peer, new, .. } => self.line(&format!("{who} found {} at {new}", peer.name)),
            Event::PeerLost { peer } => self.line(&format!("{who} lost {}", peer.name)),
            Event::PeerUp { .. }
            | Event::PeerSuspect { .. }
            | Event::PeerLeft { .. }
            | Event::PeerConflict { .. }
            | Event::NodeConflict { .. }
            | Event::MemberAdded { .. }
            | Event::MemberRemoved { .. }
            | Event::Removed { .. }
            | Event::Left { .. }
            | Event::Orphan
            | Event::Recovered
            | Event::Joined { .. }
            | Event::JoinRefused { .. } => Ok(()),
        }
    }

    fn line(&mut self, text: &str) -> Result<(), DemoError> {
        let age = clock::now().saturating_duration_since(self.start);
        Ok(self.screen.line(&format!("{:>7}  {text}", seconds(age)))?)
    }

    fn verdict(&mut self, what: &str, healed: Duration, bound: Duration) -> Result<bool, DemoError> {
        let good = healed <= bound;
        let text = format!("{what} healed in {}, at most {} expected", seconds(healed), seconds(bound));
        self.screen.verdict(&text, good)?;
        Ok(good)
    }

    fn gave_up(&mut self) -> Result<bool, DemoError> {
        let text = format!("not everybody knew within {}: is a firewall active on the loopback?", seconds(BOUND_ALL));
        self.screen.verdict(&text, false)?;
        self.screen.close("To look closer: dddns -v demo")?;
        Ok(false)
    }

    async fn stop(self) -> Result<(), DemoError> {
        for actor in self.actors {
            actor.handle.shutdown().await?;
            actor.running.await??;
        }
        Ok(())
    }
}

impl Actor {
    fn start(
        name: &'static str,
        config: &Config,
        places: &mut Places,
        report: &mpsc::Sender<(&'static str, Event)>,
    ) -> Result<Self, DemoError> {
        let identity = Identity::from_secret(clock::random()?);
        let mut attempt = 0;
        let (driver, handle, at) = loop {
            attempt += 1;
            let at = places.fresh();
            match Driver::new(config.clone(), identity.clone(), Saved::default(), Settings::new(vec![at])) {
                Ok((driver, handle)) => break (driver, handle, at),
                Err(StartError::Bind { source, .. }) if in_use(&source) && attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut events = driver.events();
        let report = report.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if report.send((name, event)).await.is_err() {
                    break;
                }
            }
        });
        Ok(Self { name, id: identity.node_id(), handle, running: tokio::spawn(driver.run()), at })
    }

    /// Moves to a fresh place; nobody is told.
    async fn relocate(&mut self, places: &mut Places) -> Result<(), DemoError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let at = places.fresh();
            match self.handle.rebind(vec![at]).await {
                Ok(()) => {
                    self.at = at;
                    return Ok(());
                }
                Err(error) if in_use(&error) && attempt < ATTEMPTS => {}
                Err(error) => return Err(DemoError::Move(error)),
            }
        }
    }

    /// Where this node is, and where everybody thinks that it is.
    fn row(&self, statuses: &[Status]) -> Row {
        let own = statuses.iter().find(|status| status.id == self.id);
        let itself = own.and_then(|status| status.addresses.first()).map(|own| own.address.socket_addr());
        let others = statuses.iter().filter(|status| status.id != self.id).map(|status| {
            let peer = status.peers.iter().find(|peer| peer.id == self.id && peer.state == PeerState::Up)?;
            peer.address.map(|address| address.socket_addr())
        });
        Row { name: self.name, at: self.at, itself, others: others.collect() }
    }
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// A duration as people read it.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_find_each_other_again_each_time() {
        let mut out = Vec::new();
        run(&mut out, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        // Whether that was in time is for a machine to tell that does nothing else meanwhile.
        for act in ["one node moved     healed in", "two moved at once  healed in", "dddns init"] {
            assert!(text.contains(act), "{text}");
        }
    }
}
