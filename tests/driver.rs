//! Drivers on loopback sockets: they meet, follow each other, take leave, and are not disturbed by strangers.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config, Heartbeat, Peer};
use dddns::driver::error::{RunError, StartError};
use dddns::driver::event_stream::Events;
use dddns::driver::handle::{Farewell, Handle, RequestError, Stopped};
use dddns::driver::{Driver, Host, Settings, Store, clock};
use dddns::node::error::CommandError;
use dddns::node::event::Event;
use dddns::node::saved::Saved;
use dddns::node::status::PeerState;
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, NodeId};
use tokio::net::UdpSocket;

/// Far longer than anything here takes, on a busy machine too.
const DEADLINE: Duration = Duration::from_secs(60);

/// A test's runtime: one thread, as in the program.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("the test is over in time") });
}

/// A loopback address that no other test, and no other run of the tests, uses. A node is never asked where it is bound.
fn place() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(1);
    let [_, high, low, given] = (std::process::id() << 8 | GIVEN.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
    let ip =
        if cfg!(target_os = "linux") { Ipv4Addr::new(127, 1 + high % 60, low, given) } else { Ipv4Addr::LOCALHOST };
    SocketAddr::from((ip, 21_000 + u16::from(given) + 256 * u16::from(low % 16)))
}

fn address(at: SocketAddr) -> Address {
    Address::try_from(at).unwrap()
}

fn cluster() -> Cluster {
    Cluster { id: ClusterId(clock::random().unwrap()), key: ClusterKey(clock::random().unwrap()) }
}

struct Running {
    at: SocketAddr,
    id: NodeId,
    handle: Handle,
    events: Events,
}

struct Plan {
    name: &'static str,
    at: SocketAddr,
    identity: Identity,
    cluster: Option<Cluster>,
    peers: Vec<Peer>,
    hosts: Vec<Host>,
}

impl Plan {
    fn new(name: &'static str) -> Self {
        let identity = Identity::from_secret(clock::random().unwrap());
        Self { name, at: place(), identity, cluster: None, peers: Vec::new(), hosts: Vec::new() }
    }

    /// How another node's configuration names this one.
    fn peer(&self, addresses: Vec<Address>) -> Peer {
        Peer { name: self.name.parse().unwrap(), public_key: self.identity.public_key(), addresses }
    }

    fn driver(&self) -> (Driver, Handle) {
        let mut config = Config::new(self.name.parse().unwrap());
        config.cluster = self.cluster.clone();
        config.peers = self.peers.clone();
        config.heartbeat = Heartbeat::new(Duration::from_secs(1)).unwrap();
        let settings = Settings { hosts: self.hosts.clone(), ..Settings::new(vec![self.at]) };
        Driver::new(config, self.identity.clone(), Saved::default(), settings).unwrap()
    }

    fn start(&self) -> Running {
        let (driver, handle) = self.driver();
        let events = driver.events();
        tokio::spawn(driver.run());
        Running { at: self.at, id: self.identity.node_id(), handle, events }
    }
}

/// Two nodes that know each other from their configuration.
fn pair() -> (Plan, Plan) {
    let (mut garage, mut attic) = (Plan::new("garage"), Plan::new("attic"));
    garage.cluster = Some(cluster());
    attic.cluster = garage.cluster.clone();
    garage.peers = vec![attic.peer(vec![address(attic.at)])];
    attic.peers = vec![garage.peer(vec![address(garage.at)])];
    (garage, attic)
}

impl Running {
    /// Waits for an event.
    async fn event(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.events.next().await.expect("the driver runs");
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits, from event to event, until the node publishes this address for the peer and hears it.
    async fn sees(&mut self, peer: NodeId, at: SocketAddr) {
        loop {
            let peers = self.handle.peers().await.unwrap();
            let found = peers.iter().find(|status| status.id == peer);
            if found.is_some_and(|found| found.state == PeerState::Up && found.address == Some(address(at))) {
                return;
            }
            self.events.next().await.expect("the driver runs");
        }
    }

    /// Waits, from event to event, until the node knows that it is at this address.
    async fn is_at(&mut self, at: SocketAddr) {
        while !self.handle.own_addresses().await.unwrap().iter().any(|own| own.address == address(at)) {
            self.events.next().await.expect("the driver runs");
        }
    }
}

/// What a node has counted under a name.
async fn count(handle: &Handle, name: &str) -> u64 {
    let counters = handle.status().await.unwrap().counters;
    counters.iter().find(|(counter, _)| *counter == name).expect("there is such a counter").1
}

async fn met(garage: &mut Running, attic: &mut Running) {
    garage.sees(attic.id, attic.at).await;
    attic.sees(garage.id, garage.at).await;
    garage.is_at(garage.at).await;
    attic.is_at(attic.at).await;
}

#[test]
fn nodes_that_know_each_other_from_their_configuration_meet() {
    run(async {
        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        assert_eq!(garage.handle.resolve("attic").await.unwrap(), Some(address(attic.at)));
        assert_eq!(garage.handle.resolve("garage").await.unwrap(), Some(address(garage.at)));
        assert_eq!(garage.handle.resolve("cellar").await.unwrap(), None);
    });
}

#[test]
fn a_node_is_removed_or_leaves_by_its_handle() {
    run(async {
        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        let itself = garage.handle.forget(garage.id).await;
        assert_eq!(itself, Err(RequestError::Refused(CommandError::Itself)));
        assert_eq!(attic.handle.leave().await, Ok(Farewell { confirmed: 1, others: 1 }));
        garage.event(|event| matches!(event, Event::MemberRemoved { .. })).await;
        assert!(garage.handle.peers().await.unwrap().is_empty());
        assert_eq!(attic.handle.leave().await, Err(RequestError::Refused(CommandError::NoCluster)));

        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        garage.handle.forget(attic.id).await.unwrap();
        let removed = attic.event(|event| matches!(event, Event::Removed { .. })).await;
        assert!(matches!(removed, Event::Removed { by: Some(by) } if by.id == garage.id));
        assert!(attic.handle.peers().await.unwrap().is_empty());
    });
}

/// A disk that can be full.
#[derive(Clone, Default)]
struct Disk {
    full: Arc<AtomicBool>,
}

impl Disk {
    fn write(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Store for Disk {
    fn joined(&mut self, _: &Cluster, _: &Saved) -> io::Result<()> {
        self.write()
    }
    fn left(&mut self) -> io::Result<()> {
        self.write()
    }
    fn save(&mut self, _: &Saved) -> io::Result<()> {
        self.write()
    }
}

#[test]
fn what_cannot_be_stored_is_never_called_done_and_lets_nobody_in() {
    run(async {
        let (garage, attic) = pair();
        let disk = Disk::default();
        let (driver, handle) = garage.driver();
        let running = tokio::spawn(driver.store(disk.clone()).run());
        let good = handle.create_invite(Duration::from_secs(60), &[address(garage.at)]).await.unwrap();

        disk.full.store(true, Ordering::Relaxed);
        let invite = handle.create_invite(Duration::from_secs(60), &[address(garage.at)]).await;
        assert!(matches!(invite, Err(RequestError::NotStored(_))), "{invite:?}");
        let forgotten = handle.forget(attic.identity.node_id()).await;
        assert!(matches!(forgotten, Err(RequestError::NotStored(_))), "{forgotten:?}");

        let mut joiner = Plan::new("cabin").start();
        joiner.handle.join(good).await.unwrap();
        // It asks some five times meanwhile.
        let joined =
            tokio::time::timeout(Duration::from_secs(3), joiner.event(|event| matches!(event, Event::Joined { .. })));
        assert!(joined.await.is_err(), "a restart would make the invite good again");
        disk.full.store(false, Ordering::Relaxed);
        handle.create_invite(Duration::from_secs(60), &[address(garage.at)]).await.unwrap();
        joiner.event(|event| matches!(event, Event::Joined { .. })).await;

        disk.full.store(true, Ordering::Relaxed);
        let left = handle.leave().await;
        assert!(matches!(left, Err(RequestError::NotStored(_))), "{left:?}");
        handle.shutdown().await.unwrap();
        assert!(matches!(running.await.unwrap(), Err(RunError::NotStored(_))));
    });
}

/// Counts what is stored.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<(usize, usize, Saved)>>);

impl Store for Shelf {
    fn joined(&mut self, _: &Cluster, saved: &Saved) -> io::Result<()> {
        let mut shelf = self.0.lock().unwrap();
        *shelf = (shelf.0 + 1, shelf.1, saved.clone());
        Ok(())
    }
    fn left(&mut self) -> io::Result<()> {
        *self.0.lock().unwrap() = (0, 0, Saved::default());
        Ok(())
    }
    fn save(&mut self, saved: &Saved) -> io::Result<()> {
        let mut shelf = self.0.lock().unwrap();
        *shelf = (shelf.0, shelf.1 + 1, saved.clone());
        Ok(())
    }
}

#[test]
fn an_invite_is_stored_before_it_is_given_and_a_cluster_before_it_is_announced() {
    run(async {
        let mut garage = Plan::new("garage");
        garage.cluster = Some(cluster());
        let (garage_shelf, attic_shelf) = (Shelf::default(), Shelf::default());
        let (driver, inviter) = garage.driver();
        tokio::spawn(driver.store(garage_shelf.clone()).run());
        let (driver, joiner) = Plan::new("attic").driver();
        let mut events = driver.events();
        tokio::spawn(driver.store(attic_shelf.clone()).run());

        let token = inviter.create_invite(Duration::from_secs(60), &[address(garage.at)]).await.unwrap();
        assert_eq!(garage_shelf.0.lock().unwrap().2.invites.len(), 1);
        joiner.join(token).await.unwrap();
        while !matches!(events.next().await.expect("the driver runs"), Event::Joined { .. }) {}
        assert_eq!(attic_shelf.0.lock().unwrap().0, 1);
    });
}

#[test]
fn a_third_node_joins_and_everybody_knows_everybody() {
    run(async {
        let mut garage = Plan::new("garage");
        garage.cluster = Some(cluster());
        let mut garage = garage.start();
        let (mut attic, mut cabin) = (Plan::new("attic").start(), Plan::new("cabin").start());
        for joiner in [&attic, &cabin] {
            let token = garage.handle.create_invite(Duration::from_secs(60), &[address(garage.at)]).await.unwrap();
            joiner.handle.join(token).await.unwrap();
        }
        met(&mut garage, &mut attic).await;
        met(&mut garage, &mut cabin).await;
        met(&mut attic, &mut cabin).await;
    });
}

#[test]
fn a_node_that_moves_is_followed_and_learns_where_it_is() {
    run(async {
        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        let old = attic.at;
        attic.at = place();
        attic.handle.rebind(vec![attic.at]).await.unwrap();
        let moved = garage.event(|event| matches!(event, Event::PeerMoved { .. })).await;
        let Event::PeerMoved { old: was, new, .. } = moved else { panic!("{moved:?}") };
        assert_eq!((was, new), (address(old), address(attic.at)));
        met(&mut garage, &mut attic).await;
    });
}

#[test]
fn a_node_stays_where_it_is_when_it_cannot_move() {
    run(async {
        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        let taken = attic.handle.rebind(vec![garage.at]).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains(&garage.at.to_string()), "{taken}");
        // It is still reached there, and heard from there.
        garage.at = place();
        garage.handle.rebind(vec![garage.at]).await.unwrap();
        met(&mut garage, &mut attic).await;
    });
}

#[test]
fn a_node_that_shuts_down_says_so() {
    run(async {
        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        attic.handle.shutdown().await.unwrap();
        let told = garage.event(|event| matches!(event, Event::PeerLeft { .. } | Event::PeerLost { .. })).await;
        assert!(matches!(told, Event::PeerLeft { .. }), "{told:?}");
        assert_eq!(attic.handle.status().await.unwrap_err(), Stopped);
        while attic.events.next().await.is_some() {}
    });
}

#[test]
fn strangers_get_no_answer_and_disturb_nobody() {
    run(async {
        let (garage, attic) = pair();
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
        let stranger = UdpSocket::bind(place()).await.unwrap();
        for length in [0, 1, 16, 66, 216, 1232, 1233, 2048, 9000] {
            let mut garbage = vec![0xD1; length];
            for (seed, byte) in garbage.iter_mut().enumerate().skip(1) {
                *byte = u8::try_from(seed * 167 % 251).unwrap();
            }
            stranger.send_to(&garbage, garage.at).await.unwrap();
        }
        // A move that is noticed afterwards shows that garage has read everything before it and goes on.
        attic.at = place();
        attic.handle.rebind(vec![attic.at]).await.unwrap();
        met(&mut garage, &mut attic).await;
        let answer = stranger.try_recv_from(&mut [0; 2048]);
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn a_peer_that_is_not_there_yet_does_not_stop_the_socket() {
    run(async {
        let (garage, attic) = pair();
        let mut garage = garage.start();
        // Garage's datagrams meet a closed port, which the system reports, until attic starts.
        while count(&garage.handle, "datagrams-sent").await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut attic = attic.start();
        met(&mut garage, &mut attic).await;
    });
}

#[test]
fn a_silent_peer_is_looked_for_when_somebody_asks_for_it() {
    run(async {
        let (garage, mut attic) = pair();
        // Only garage has an address, so only it can call.
        attic.peers = vec![garage.peer(Vec::new())];
        let garage = garage.start();
        assert_eq!(garage.handle.find(garage.id).await, Err(RequestError::Refused(CommandError::UnknownPeer)));

        let id = attic.identity.node_id();
        let asked = tokio::time::Instant::now();
        assert_eq!(garage.handle.resolve("attic").await.unwrap(), None, "nobody has ever heard it");
        assert!(asked.elapsed() >= Duration::from_millis(900), "nobody is there, so the answer takes its time");

        let _attic = attic.start();
        loop {
            let asked = tokio::time::Instant::now();
            garage.handle.find(id).await.unwrap();
            let peers = garage.handle.peers().await.unwrap();
            if peers.iter().any(|peer| peer.id == id && peer.state == PeerState::Up) {
                break;
            }
            assert!(asked.elapsed() >= Duration::from_millis(900), "it did not wait for the answer");
        }
    });
}

#[test]
fn a_configured_host_is_a_way_in() {
    run(async {
        let (mut garage, mut attic) = pair();
        // Neither has an address of the other; garage has a host name.
        garage.peers = vec![attic.peer(Vec::new())];
        attic.peers = vec![garage.peer(Vec::new())];
        attic.at = SocketAddr::from((Ipv4Addr::LOCALHOST, place().port()));
        let host = format!("localhost:{}", attic.at.port());
        garage.hosts = vec![Host { peer: attic.identity.node_id(), host }];
        let (mut garage, mut attic) = (garage.start(), attic.start());
        met(&mut garage, &mut attic).await;
    });
}

#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    run(async {
        let plan = Plan::new("garage");
        let _taken = UdpSocket::bind(plan.at).await.unwrap();
        let error = start_on(plan.at).unwrap_err();
        assert!(matches!(error, StartError::Bind { address, .. } if address == plan.at), "{error:?}");
        assert!(error.to_string().contains(&plan.at.to_string()), "{error}");
    });
}

#[test]
fn an_address_that_is_not_there_yet_is_no_error() {
    // Reserved for documentation: no machine has it.
    assert!(start_on("192.0.2.77:7733".parse().unwrap()).is_ok());
    assert!(matches!(start_on("127.0.0.1:0".parse().unwrap()), Err(StartError::NoPort(_))));
}

fn start_on(at: SocketAddr) -> Result<(Driver, Handle), StartError> {
    let config = Config::new("garage".parse().unwrap());
    let identity = Identity::from_secret(clock::random().unwrap());
    Driver::new(config, identity, Saved::default(), Settings::new(vec![at]))
}
