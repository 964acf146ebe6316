//! What happens to a datagram on its way: latency, loss, duplication, size, and walls between places.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::sim::dice::Dice;
use crate::sim::loss::{Bursts, Weather};
use crate::wire::address::Address;

/// The conditions of the network. The default is a good one: 20 ms each way, nothing lost.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// One-way latency.
    pub latency: Duration,
    /// At most so much is added to it, by chance: datagrams overtake each other.
    pub jitter: Duration,
    /// How many of a thousand datagrams are lost, each by itself.
    pub loss_per_mille: u16,
    /// Losses in bursts, beside those.
    pub bursts: Option<Bursts>,
    /// How many of a thousand datagrams arrive twice.
    pub duplicates_per_mille: u16,
    /// The longest packet that passes, in bytes, with the headers of IP and UDP; longer ones are dropped.
    pub mtu: usize,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(20),
            jitter: Duration::ZERO,
            loss_per_mille: 0,
            bursts: None,
            duplicates_per_mille: 0,
            mtu: 1500,
        }
    }
}

/// The bytes that the headers of IP and UDP add to a datagram that goes to this address.
#[must_use]
pub fn headers(to: Address) -> usize {
    if to.ip().is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// The network between hosts.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// What is true everywhere.
    pub conditions: Conditions,
    /// Directions in which nothing passes.
    walls: BTreeSet<(IpAddr, IpAddr)>,
    weather: Weather,
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

    /// Lets nothing pass between any of the one and any of the other addresses, in either direction.
    pub fn part(&mut self, some: &[IpAddr], others: &[IpAddr]) {
        for &a in some {
            others.iter().for_each(|&b| self.wall(a, b));
        }
    }

    /// Takes all walls away.
    pub fn clear_walls(&mut self) {
        self.walls.clear();
    }

    /// How long a datagram of so many bytes travels, and its double if there is one; `None` if it is lost.
    pub(crate) fn carry(
        &mut self,
        dice: &mut Dice,
        from: Address,
        to: Address,
        bytes: usize,
    ) -> Option<(Duration, Option<Duration>)> {
        let lost = dice.chance(self.conditions.loss_per_mille);
        let doubled = dice.chance(self.conditions.duplicates_per_mille);
        let first = self.conditions.latency + dice.pause(self.conditions.jitter);
        let second = doubled.then(|| self.conditions.latency + dice.pause(self.conditions.jitter));
        let (from, headers, to) = (from.ip(), headers(to), to.ip());
        let swept = self.conditions.bursts.is_some_and(|bursts| self.weather.loses(bursts, dice, from, to));
        let walled = !self.walls.is_empty() && self.walls.contains(&(from, to));
        let fits = bytes + headers <= self.conditions.mtu;
        (!lost && !swept && !walled && fits).then_some((first, second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> Address {
        Address::new(IpAddr::from([192, 0, 2, n]), 7733).unwrap()
    }

    fn passes(network: &mut Network, from: u8, to: u8, bytes: usize) -> bool {
        network.carry(&mut Dice::new(1), at(from), at(to), bytes).is_some()
    }

    #[test]
    fn what_is_longer_than_the_mtu_is_dropped() {
        let mut network = Network::default();
        network.conditions.mtu = 1280;
        assert!(passes(&mut network, 1, 2, 1252) && !passes(&mut network, 1, 2, 1253));
    }

    #[test]
    fn walls_stand_where_they_were_built() {
        let mut network = Network::default();
        network.one_way_wall(at(1).ip(), at(2).ip());
        assert!(!passes(&mut network, 1, 2, 50) && passes(&mut network, 2, 1, 50));
        network.part(&[at(1).ip(), at(3).ip()], &[at(4).ip(), at(5).ip()]);
        assert!(!passes(&mut network, 3, 5, 50) && !passes(&mut network, 5, 3, 50) && passes(&mut network, 4, 5, 50));
        network.clear_walls();
        assert!(passes(&mut network, 1, 2, 50));
    }
}
