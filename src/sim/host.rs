//! A machine that a node runs on: its disk, its clocks, its addresses, and switching it on and off.

#![expect(clippy::indexing_slicing, reason = "a host ID that add_host did not give is a defect of the scenario")]

use std::time::Duration;

use crate::auth::identity::Identity;
use crate::config::{Cluster, Config};
use crate::node::Node;
use crate::node::event::Event;
use crate::node::saved::{Revision, Saved};
use crate::sim::clock::Clock;
use crate::sim::laws::Cause;
use crate::sim::places::{NatId, Segment};
use crate::sim::trace::Happening;
use crate::sim::world::{HostId, Traffic, World};
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// A machine.
pub(crate) struct Host {
    pub(crate) node: Option<Node>,
    /// How often it was switched on.
    pub(crate) run: u32,
    pub(crate) identity: Identity,
    /// What follows from `identity`.
    pub(crate) id: NodeId,
    pub(crate) config: Config,
    pub(crate) segment: Segment,
    pub(crate) addresses: Vec<Address>,
    /// True addresses, each with the false one that the machine takes it for.
    pub(crate) believed: Vec<(Address, Address)>,
    /// What its disk holds.
    pub(crate) disk: Disk,
    /// Which version of what its node wants to be stored that is.
    pub(crate) stored: Revision,
    /// Whether somebody else than its node has written to the disk.
    pub(crate) altered: bool,
    pub(crate) clock: Clock,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) traffic: Traffic,
}

/// What a disk holds, but for the node's key.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What the node wanted to be stored.
    pub saved: Saved,
    /// The secrets of its cluster.
    pub cluster: Option<Cluster>,
}

impl Host {
    /// The true address of what the machine takes for `address`, and what it takes a true one for: each false address
    /// and the true one have changed places.
    pub(crate) fn truth(&self, address: Address) -> Address {
        let other = |&(truth, believed)| match address {
            address if address == truth => Some(believed),
            address if address == believed => Some(truth),
            _ => None,
        };
        self.believed.iter().find_map(other).unwrap_or(address)
    }
}

impl World {
    /// Adds a host, switched off. Its wall clock says `clock` (since 1970) now.
    pub fn add_host(&mut self, config: Config, addresses: &[Address], clock: Duration) -> HostId {
        let identity = Identity::from_secret(self.dice.seed());
        self.add_machine(identity, config, addresses, clock)
    }

    /// Adds a host, switched off, whose disk is a copy of another one's as it is now: key, cluster and all.
    pub fn add_clone(&mut self, of: HostId, addresses: &[Address], clock: Duration) -> HostId {
        let original = &self.hosts[of];
        let (identity, config, disk) = (original.identity.clone(), original.config.clone(), original.disk.clone());
        let host = self.add_machine(identity, config, addresses, clock);
        self.hosts[host].disk = disk;
        host
    }

    fn add_machine(&mut self, identity: Identity, config: Config, addresses: &[Address], unix: Duration) -> HostId {
        let mut clock = Clock::new(unix);
        clock.set_wall(self.now, unix);
        self.hosts.push(Host {
            node: None,
            run: 0,
            id: identity.node_id(),
            identity,
            disk: Disk { saved: Saved::default(), cluster: config.cluster.clone() },
            config,
            segment: Segment::Internet,
            addresses: Vec::new(),
            believed: Vec::new(),
            stored: Revision::default(),
            altered: false,
            clock,
            events: Vec::new(),
            traffic: Traffic::default(),
        });
        let host = self.hosts.len() - 1;
        self.move_to(host, addresses);
        host
    }

    /// Gives a host new addresses in place of its old ones, in the network in which it is.
    pub fn move_to(&mut self, host: HostId, addresses: &[Address]) {
        self.hosts[host].addresses = addresses.to_vec();
        self.places.settle(host, self.hosts[host].segment, addresses);
        self.trace.note(self.now, host, Happening::Done("given addresses"));
    }

    /// Takes a host into the network behind a translator, or back to the Internet, with new addresses.
    pub fn move_behind(&mut self, host: HostId, nat: Option<NatId>, addresses: &[Address]) {
        self.hosts[host].segment = nat.map_or(Segment::Internet, Segment::Behind);
        self.move_to(host, addresses);
    }

    /// Switches a host on: its node starts with what the disk holds.
    pub fn start(&mut self, host: HostId) {
        let seed = self.dice.seed();
        let (now, unix) = (self.instant(host), self.hosts[host].clock.wall(self.now));
        let machine = &mut self.hosts[host];
        self.laws.started(host, !std::mem::take(&mut machine.altered));
        self.trace.note(self.now, host, Happening::Done("switched on"));
        let config = Config { cluster: machine.disk.cluster.clone(), ..machine.config.clone() };
        let node = Node::new(config, machine.identity.clone(), machine.disk.saved.clone(), seed, now, unix);
        machine.disk.saved = node.saved();
        machine.stored = node.revision();
        machine.node = Some(node);
        machine.run += 1;
        self.drain(host, Cause::Command);
    }

    /// Switches a host off without notice. Its disk keeps what was stored last.
    pub fn kill(&mut self, host: HostId) {
        self.hosts[host].node = None;
        self.trace.note(self.now, host, Happening::Done("switched off"));
        self.plan(host);
    }

    /// Stops a node in order: it says goodbye.
    pub fn stop(&mut self, host: HostId) {
        self.command(host, Node::shutdown);
        self.kill(host);
    }

    /// Switches a host off, and its keys are in other hands: whoever has them may do what its node could.
    pub fn take_over(&mut self, host: HostId) {
        self.kill(host);
        self.laws.turn(self.hosts[host].id);
    }

    /// Leads a machine to believe that what is at the first address of each pair is at the second. Its node then tells
    /// the others so, as a liar would, and does everything else that an honest one does.
    pub fn mislead(&mut self, host: HostId, truth_and_belief: &[(Address, Address)]) {
        self.laws.mislead(host);
        self.hosts[host].believed = truth_and_belief.to_vec();
    }

    /// Sends a machine to sleep: its node does nothing, and what is sent to it is lost.
    pub fn sleep(&mut self, host: HostId) {
        self.hosts[host].clock.sleep(self.now);
        self.trace.note(self.now, host, Happening::Done("sent to sleep"));
        self.plan(host);
    }

    /// Wakes a machine. On some systems the monotonic clock has gone on in the meantime, on others it has not.
    pub fn wake(&mut self, host: HostId, clock_went_on: bool) {
        self.hosts[host].clock.wake(self.now, clock_went_on);
        self.trace.note(self.now, host, Happening::Done("woken"));
        self.plan(host);
    }

    /// Sets the wall clock of a host to so long after 1970. Its node reads it at its next start.
    pub fn set_wall_clock(&mut self, host: HostId, unix: Duration) {
        self.hosts[host].clock.set_wall(self.now, unix);
    }

    /// Lets the monotonic clock of a host run `ppm` millionths faster than the world (slower if negative; at most 1000
    /// either way).
    pub fn set_drift(&mut self, host: HostId, ppm: i32) {
        self.hosts[host].clock.set_drift(self.now, ppm);
        self.plan(host);
    }

    /// What a host's disk holds now: to be given back to it, or to a clone of it, later on.
    #[must_use]
    pub fn snapshot(&self, host: HostId) -> Disk {
        self.hosts[host].disk.clone()
    }

    /// Gives a host that is switched off an older state of its disk.
    pub fn restore(&mut self, host: HostId, disk: Disk) {
        self.hosts[host].disk = disk;
        self.hosts[host].altered = true;
    }

    /// Loses what the disk of a host that is switched off holds, but for the node's key.
    pub fn erase(&mut self, host: HostId) {
        self.restore(host, Disk::default());
    }

    /// What a host's disk holds; to be changed while the host is switched off.
    pub fn disk(&mut self, host: HostId) -> &mut Saved {
        self.hosts[host].altered = true;
        &mut self.hosts[host].disk.saved
    }

    /// A host's configuration, for its next start.
    pub fn config(&mut self, host: HostId) -> &mut Config {
        &mut self.hosts[host].config
    }

    /// Gives a host the secrets of a cluster, for its next start.
    pub fn set_cluster(&mut self, host: HostId, cluster: Cluster) {
        self.hosts[host].disk.cluster = Some(cluster);
    }
}
