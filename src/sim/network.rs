//! What happens to a datagram on its way: latency, loss, duplication, and walls between places.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::sim::dice::Dice;
use crate::wire::address::Address;

/// The conditions of the network. The default is a good one: 20 ms each way, nothing lost.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// One-way latency.
    pub latency: Duration,
    /// At most so much is added to it, by chance: datagrams overtake each other.
    pub jitter: Duration,
    /// How many of a thousand datagrams are lost.
    pub loss_per_mille: u16,
    /// How many of a thousand datagrams arrive twice.
    pub duplicates_per_mille: u16,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { latency: Duration::from_millis(20), jitter: Duration::ZERO, loss_per_mille: 0, duplicates_per_mille: 0 }
    }
}

/// The network between hosts.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// What is true everywhere.
    pub conditions: Conditions,
    /// Directions in which nothing passes.
    walls: BTreeSet<(IpAddr, IpAddr)>,
}

impl Network {
    /// Lets nothing pass between two addresses, in either direction.
    pub fn wall(&mut self, a: IpAddr, b: IpAddr) {
        self.one_way_wall(a, b);
        self.one_way_wall(b, a);
    }

    /// Lets nothing pass from one address to another.
    pub fn one_way_wall(&mut self, from: IpAddr, to: IpAddr) {
        self.walls.insert((from, to));
    }

    /// Takes all walls away.
    pub fn clear_walls(&mut self) {
        self.walls.clear();
    }

    /// How long a datagram travels, and its double if there is one; `None` if it is lost.
    pub fn carry(&self, dice: &mut Dice, from: Address, to: Address) -> Option<(Duration, Option<Duration>)> {
        let lost = dice.chance(self.conditions.loss_per_mille);
        let doubled = dice.chance(self.conditions.duplicates_per_mille);
        let first = self.conditions.latency + dice.pause(self.conditions.jitter);
        let second = doubled.then(|| self.conditions.latency + dice.pause(self.conditions.jitter));
        let walled = !self.walls.is_empty() && self.walls.contains(&(from.ip(), to.ip()));
        (!lost && !walled).then_some((first, second))
    }
}
