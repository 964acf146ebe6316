//! Who is where: the Internet, the networks behind translators, and how a datagram finds its way through them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::sim::nat::Nat;
use crate::sim::world::Flight;
use crate::wire::address::Address;

/// A translator, by its place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NatId(usize);

/// A network within which addresses are reached directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// The one in which public addresses are.
    #[default]
    Internet,
    /// The one behind a translator.
    Behind(NatId),
}

/// All networks, with the hosts and translators in them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    hosts: BTreeMap<(Segment, Address), usize>,
    nats: Vec<Gateway>,
    /// The outer addresses of translators.
    gateways: BTreeMap<(Segment, IpAddr), NatId>,
}

#[derive(Debug)]
struct Gateway {
    nat: Nat,
    outside: Segment,
}

impl Places {
    /// Gives a host these addresses in place of all that it had.
    pub(crate) fn settle(&mut self, host: usize, segment: Segment, addresses: &[Address]) {
        self.hosts.retain(|_, owner| *owner != host);
        for &address in addresses {
            self.hosts.insert((segment, address), host);
        }
    }

    /// Puts up a translator with an address in `outside`.
    pub(crate) fn add_nat(&mut self, nat: Nat, outside: Segment) -> NatId {
        let id = NatId(self.nats.len());
        self.gateways.insert((outside, nat.ip().into()), id);
        self.nats.push(Gateway { nat, outside });
        id
    }

    /// A translator.
    pub(crate) fn nat(&mut self, id: NatId) -> Option<&mut Nat> {
        self.nats.get_mut(id.0).map(|gateway| &mut gateway.nat)
    }

    /// Gives a translator another address outside.
    pub(crate) fn move_nat(&mut self, id: NatId, ip: Ipv4Addr) {
        let Some(gateway) = self.nats.get_mut(id.0) else { return };
        gateway.nat.set_ip(ip);
        self.gateways.retain(|_, owner| *owner != id);
        self.gateways.insert((gateway.outside, ip.into()), id);
    }

    /// Takes a datagram that leaves a host outwards, as far as it must go. Gives the network in which it then is.
    pub(crate) fn depart(&mut self, now: Duration, mut segment: Segment, flight: &mut Flight) -> Option<Segment> {
        while let Segment::Behind(id) = segment {
            let here = self.hosts.contains_key(&(segment, flight.to));
            if here || self.gateways.contains_key(&(segment, flight.to.ip())) {
                break;
            }
            let gateway = self.nats.get_mut(id.0)?;
            if flight.to.ip() == gateway.nat.ip() && !gateway.nat.has_hairpin() {
                return None;
            }
            flight.from = gateway.nat.outward(now, flight.from, flight.to, &mut flight.datagram)?;
            segment = gateway.outside;
        }
        Some(segment)
    }

    /// Takes a datagram inwards to the host that it is for.
    pub(crate) fn arrive(&mut self, now: Duration, mut segment: Segment, flight: &mut Flight) -> Option<usize> {
        loop {
            if let Some(&host) = self.hosts.get(&(segment, flight.to)) {
                return Some(host);
            }
            let id = *self.gateways.get(&(segment, flight.to.ip()))?;
            let gateway = self.nats.get_mut(id.0)?;
            flight.to = gateway.nat.inward(now, flight.from, flight.to, &mut flight.datagram)?;
            segment = Segment::Behind(id);
        }
    }

    /// The host that an address means to somebody in a network, whether or not its translators let a datagram pass.
    pub(crate) fn holder(&self, mut segment: Segment, mut address: Address) -> Option<usize> {
        loop {
            if let Some(&host) = self.hosts.get(&(segment, address)) {
                return Some(host);
            }
            if let Some(&id) = self.gateways.get(&(segment, address.ip())) {
                address = self.nats.get(id.0)?.nat.inner(address.port())?;
                segment = Segment::Behind(id);
            } else if let Segment::Behind(id) = segment {
                segment = self.nats.get(id.0)?.outside;
            } else {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::dice::Dice;
    use crate::sim::nat::Behaviour;

    const NOW: Duration = Duration::ZERO;

    fn at(ip: [u8; 4]) -> Address {
        Address::new(ip.into(), 7733).unwrap()
    }

    fn flight(from: Address, to: Address) -> Flight {
        Flight { from, to, datagram: Vec::new() }
    }

    /// Host 0 in the open, host 1 behind a home router behind a carrier's, host 2 behind another such router.
    fn carrier() -> (Places, Segment, Segment) {
        let mut places = Places::default();
        let nat = |behaviour, ip: [u8; 4]| Nat::new(behaviour, ip.into(), Dice::new(1));
        let outer = places.add_nat(nat(Behaviour::HOME, [203, 0, 113, 1]), Segment::Internet);
        let homes = [[100, 64, 0, 1], [100, 64, 0, 2]]
            .map(|ip| Segment::Behind(places.add_nat(nat(Behaviour::HOME, ip), Segment::Behind(outer))));
        places.settle(0, Segment::Internet, &[at([192, 0, 2, 1])]);
        for (host, home) in [(1, homes[0]), (2, homes[1])] {
            places.settle(host, home, &[at([192, 168, 1, 2])]);
        }
        (places, homes[0], homes[1])
    }

    #[test]
    fn a_datagram_passes_two_translators_and_its_answer_comes_back() {
        let (mut places, home, _) = carrier();
        let mut out = flight(at([192, 168, 1, 2]), at([192, 0, 2, 1]));
        assert_eq!(places.depart(NOW, home, &mut out), Some(Segment::Internet));
        assert_eq!(out.from.ip(), IpAddr::from([203, 0, 113, 1]));
        assert_eq!(places.holder(Segment::Internet, out.from), Some(1));
        assert_eq!(places.arrive(NOW, Segment::Internet, &mut out), Some(0));
        let mut back = flight(out.to, out.from);
        assert_eq!(places.arrive(NOW, Segment::Internet, &mut back), Some(1));
        assert_eq!(back.to, at([192, 168, 1, 2]));
        let mut stranger = flight(at([192, 0, 2, 9]), out.from);
        assert_eq!(places.arrive(NOW, Segment::Internet, &mut stranger), None, "nobody else is let in");
    }

    #[test]
    fn neighbours_behind_one_carrier_meet_by_its_hairpin() {
        let (mut places, home, other) = carrier();
        let [first, second] = [home, other].map(|from| {
            let mut out = flight(at([192, 168, 1, 2]), at([192, 0, 2, 1]));
            places.depart(NOW, from, &mut out);
            out.from
        });
        // Each sends to the outer address of the other. The second one is let in: the first has opened the way.
        for (from, to, met) in [(home, second, None), (other, first, Some(1))] {
            let mut out = flight(at([192, 168, 1, 2]), to);
            assert_eq!(places.depart(NOW, from, &mut out), Some(Segment::Internet));
            assert_eq!(places.arrive(NOW, Segment::Internet, &mut out), met);
        }
    }

    #[test]
    fn a_translator_that_moves_takes_those_inside_along() {
        let (mut places, home, _) = carrier();
        places.move_nat(NatId(0), Ipv4Addr::new(203, 0, 113, 99));
        let mut out = flight(at([192, 168, 1, 2]), at([192, 0, 2, 1]));
        places.depart(NOW, home, &mut out);
        assert_eq!(out.from.ip(), IpAddr::from([203, 0, 113, 99]));
        assert_eq!(places.holder(Segment::Internet, out.from), Some(1));
    }
}
