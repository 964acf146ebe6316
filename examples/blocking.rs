//! Two nodes over plain `std::net::UdpSocket`s, in one thread and without a runtime: all that the core needs.
//!
//! `cargo run --example blocking --no-default-features`
//!
//! They know each other from their configuration, as nodes do that a provisioning tool set up. Each one is driven by
//! the same loop, which is the whole contract of [`Node`]: give it what happened, act on every output, sleep until its
//! deadline.

#![expect(clippy::disallowed_methods, reason = "this program is a driver: it owns the clock and the entropy")]

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};

use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config, Peer};
use dddns::node::Node;
use dddns::node::event::Event;
use dddns::node::outbox::Output;
use dddns::node::saved::Saved;
use dddns::node::status::PeerState;
use dddns::wire::address::Address;
use dddns::wire::id::ClusterId;

/// In what time the two must have met.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long one socket is waited for while the other may have something.
const GLANCE: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster { id: ClusterId(random()?), key: ClusterKey(random()?) };
    let (garage, attic) = (Identity::from_secret(random()?), Identity::from_secret(random()?));
    let (garage_socket, garage_at) = bind(1)?;
    let (attic_socket, attic_at) = bind(2)?;

    let garage_config = config("garage", &cluster, ("attic", &attic, attic_at))?;
    let attic_config = config("attic", &cluster, ("garage", &garage, garage_at))?;
    let mut nodes = [
        Blocking::new("garage", garage_config, garage, garage_socket)?,
        Blocking::new("attic", attic_config, attic, attic_socket)?,
    ];

    let start = Instant::now();
    while !nodes.iter().all(Blocking::knows_everything) {
        if start.elapsed() > PATIENCE {
            return Err(format!("the nodes did not meet within {PATIENCE:?}: is there a loopback interface?").into());
        }
        for node in &mut nodes {
            node.turn()?;
        }
    }
    for node in &mut nodes {
        node.tell_what_it_knows()?;
        node.core.shutdown(Instant::now());
        node.act()?;
    }
    Ok(())
}

/// A core and its socket.
struct Blocking {
    name: &'static str,
    core: Node,
    socket: UdpSocket,
}

impl Blocking {
    fn new(name: &'static str, config: Config, identity: Identity, socket: UdpSocket) -> Result<Self, Box<dyn Error>> {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let core = Node::new(config, identity, Saved::default(), random()?, Instant::now(), unix);
        Ok(Self { name, core, socket })
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        // 1. Act on every output.
        self.act()?;

        // 2. Sleep until the deadline, or until a datagram arrives.
        let now = Instant::now();
        let sleep = self.core.poll_timeout().map_or(GLANCE, |at| at.saturating_duration_since(now).min(GLANCE));
        self.socket.set_read_timeout(Some(sleep.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 2048];
        let received = self.socket.recv_from(&mut buffer);

        // 3. Tell the core what happened. A datagram that it discards is none of our business.
        let now = Instant::now();
        match received {
            Ok((length, from)) => {
                let (datagram, _) = buffer.split_at_mut(length);
                let _ = self.core.handle_datagram(now, from, datagram);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            // The other one is not there yet, some systems report.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => return Err(error.into()),
        }
        if self.core.poll_timeout().is_some_and(|at| at <= now) {
            self.core.handle_timeout(now);
        }
        self.act()
    }

    fn act(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { to, datagram } => {
                    self.socket.send_to(datagram, to)?;
                }
                Output::Event(event) => say(self.name, &event)?,
            }
        }
        Ok(())
    }

    /// Whether the peer answers, and has told this node where it is.
    fn knows_everything(&self) -> bool {
        let status = self.core.status(Instant::now());
        !status.addresses.is_empty() && status.peers.iter().any(|peer| peer.state == PeerState::Up)
    }

    fn tell_what_it_knows(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let status = self.core.status(Instant::now());
        for own in &status.addresses {
            writeln!(out, "{} is at {} ({})", self.name, own.address, own.confidence.as_str())?;
        }
        for peer in &status.peers {
            let at = peer.address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
            writeln!(out, "{} knows {}, which is {}, at {at}", self.name, peer.display_name(), peer.state.as_str())?;
        }
        Ok(())
    }
}

fn say(name: &str, event: &Event) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{name}: {event:?}")
}

/// The configuration of a node that knows one peer.
fn config(name: &str, cluster: &Cluster, peer: (&str, &Identity, SocketAddr)) -> Result<Config, Box<dyn Error>> {
    let (peer_name, peer_identity, peer_at) = peer;
    let mut config = Config::new(name.parse()?);
    config.cluster = Some(cluster.clone());
    config.peers = vec![Peer {
        name: peer_name.parse()?,
        public_key: peer_identity.public_key(),
        addresses: vec![Address::try_from(peer_at)?],
    }];
    Ok(config)
}

/// A socket on a loopback port that differs between processes: nodes do not ask the system for their own address.
fn bind(offset: u32) -> io::Result<(UdpSocket, SocketAddr)> {
    let mut attempt = 0;
    loop {
        let port = 30_000 + (std::process::id() * 7 + offset + attempt * 101) % 2_000;
        let at = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap_or(7733)));
        match UdpSocket::bind(at) {
            Ok(socket) => return Ok((socket, at)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < 20 => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Box<dyn Error>> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the operating system gives no random bytes")?;
    Ok(bytes)
}
