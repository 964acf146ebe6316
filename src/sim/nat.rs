//! A network address translator, by the terms of RFC 4787: how it maps, what it lets in, and for how long.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::sim::dice::Dice;
use crate::wire::address::Address;

/// On what of the remote end a translator's decision depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// On nothing: endpoint-independent.
    Nothing,
    /// On the remote IP address: address-dependent.
    Ip,
    /// On the remote IP address and port: address- and port-dependent.
    Endpoint,
}

/// How a translator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// For which destinations an inner address gets an outer port of its own.
    pub mapping: Dependence,
    /// Who may send to an outer port: anybody, or who was sent to.
    pub filtering: Dependence,
    /// How long a mapping, and the leave to send to it, last after the last datagram from inside.
    pub timeout: Duration,
    /// Whether those inside reach each other by their outer addresses.
    pub hairpin: bool,
    /// Whether it replaces addresses that it recognises in payloads, as an application-level gateway does.
    pub rewrites: bool,
}

impl Behaviour {
    /// The most open kind, once called "full cone".
    pub const OPEN: Self = Self {
        mapping: Dependence::Nothing,
        filtering: Dependence::Nothing,
        timeout: Duration::from_secs(120),
        hairpin: true,
        rewrites: false,
    };
    /// One that lets in whom it was sent to, once called "port-restricted cone": most home routers.
    pub const HOME: Self = Self { filtering: Dependence::Endpoint, ..Self::OPEN };
    /// One that maps each destination to a port of its own, once called "symmetric".
    pub const SYMMETRIC: Self = Self { mapping: Dependence::Endpoint, hairpin: false, ..Self::HOME };
}

/// A translator between an inner network and an outer one. IPv4 only.
#[derive(Clone, Debug)]
pub struct Nat {
    behaviour: Behaviour,
    ip: Ipv4Addr,
    dice: Dice,
    /// By outer port.
    mappings: BTreeMap<u16, Mapping>,
    /// The outer port of an inner address, for the destinations that share it.
    ports: BTreeMap<(Address, Remote), u16>,
    /// Outer ports that lead to one inner address always, for anybody.
    forwards: BTreeMap<u16, Address>,
    /// Payloads changed.
    rewritten: u64,
}

/// As much of a remote end as a decision depends on; what it does not depend on is `None`.
type Remote = (Option<IpAddr>, Option<u16>);

#[derive(Clone, Debug)]
struct Mapping {
    inner: Address,
    remote: Remote,
    /// When something last went out.
    used: Duration,
    /// To whom something went out, and when last.
    leave: BTreeMap<Remote, Duration>,
}

impl Nat {
    pub(crate) fn new(behaviour: Behaviour, ip: Ipv4Addr, dice: Dice) -> Self {
        Self {
            behaviour,
            ip,
            dice,
            mappings: BTreeMap::new(),
            ports: BTreeMap::new(),
            forwards: BTreeMap::new(),
            rewritten: 0,
        }
    }

    /// Its address outside.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// How many payloads it has changed.
    #[must_use]
    pub fn rewritten(&self) -> u64 {
        self.rewritten
    }

    /// Leads an outer port to an inner address from now on, as a person who configures a router does.
    pub fn forward(&mut self, port: u16, inner: Address) {
        self.forwards.insert(port, inner);
    }

    /// Switches it off and on: all mappings are forgotten, and the next ones have other ports.
    pub fn reboot(&mut self) {
        self.mappings.clear();
        self.ports.clear();
    }

    pub(crate) fn set_ip(&mut self, ip: Ipv4Addr) {
        self.ip = ip;
        self.reboot();
    }

    pub(crate) fn has_hairpin(&self) -> bool {
        self.behaviour.hairpin
    }

    /// A datagram goes out: gives the address that it comes from outside. `None` if it cannot pass.
    pub(crate) fn outward(&mut self, now: Duration, from: Address, to: Address, payload: &mut [u8]) -> Option<Address> {
        let forwarded = self.forwards.iter().find(|(_, inner)| **inner == from).map(|(&port, _)| port);
        let port = match forwarded {
            Some(port) => port,
            None => self.map(now, from, to)?,
        };
        let outer = Address::new(self.ip.into(), port)?;
        self.rewrite(payload, from, outer);
        Some(outer)
    }

    /// A datagram comes in: gives the inner address that it goes to. `None` if nobody inside may be reached so.
    pub(crate) fn inward(&mut self, now: Duration, from: Address, to: Address, payload: &mut [u8]) -> Option<Address> {
        let inner = match self.forwards.get(&to.port()) {
            Some(inner) => *inner,
            None => self.admit(now, from, to.port())?,
        };
        self.rewrite(payload, to, inner);
        Some(inner)
    }

    /// The inner address that an outer port leads to, whoever asks.
    pub(crate) fn inner(&self, port: u16) -> Option<Address> {
        self.forwards.get(&port).copied().or_else(|| self.mappings.get(&port).map(|mapping| mapping.inner))
    }

    /// The outer port for a datagram from inside.
    fn map(&mut self, now: Duration, from: Address, to: Address) -> Option<u16> {
        let remote = part(self.behaviour.mapping, to);
        let known = self.ports.get(&(from, remote)).copied();
        let port = match known.filter(|&port| !self.expired(now, port)) {
            Some(port) => port,
            None => {
                if let Some(old) = known {
                    self.mappings.remove(&old);
                }
                self.free_port(now)?
            }
        };
        self.ports.insert((from, remote), port);
        let fresh = || Mapping { inner: from, remote, used: now, leave: BTreeMap::new() };
        let mapping = self.mappings.entry(port).or_insert_with(fresh);
        mapping.used = now;
        mapping.leave.insert(part(self.behaviour.filtering, to), now);
        Some(port)
    }

    fn admit(&self, now: Duration, from: Address, port: u16) -> Option<Address> {
        let mapping = self.mappings.get(&port).filter(|_| !self.expired(now, port))?;
        let leave = mapping.leave.get(&part(self.behaviour.filtering, from))?;
        (now <= *leave + self.behaviour.timeout).then_some(mapping.inner)
    }

    fn expired(&self, now: Duration, port: u16) -> bool {
        self.mappings.get(&port).is_none_or(|mapping| now > mapping.used + self.behaviour.timeout)
    }

    /// A port by chance that no live mapping has.
    fn free_port(&mut self, now: Duration) -> Option<u16> {
        for _ in 0..1000 {
            let port = u16::try_from(1024 + self.dice.below(64_512)).ok()?;
            if !self.forwards.contains_key(&port) && self.expired(now, port) {
                if let Some(old) = self.mappings.remove(&port) {
                    self.ports.remove(&(old.inner, old.remote));
                }
                return Some(port);
            }
        }
        None
    }

    /// Replaces an address wherever its bytes stand in a payload: IP and port, else the IP alone.
    fn rewrite(&mut self, payload: &mut [u8], old: Address, new: Address) {
        if !self.behaviour.rewrites {
            return;
        }
        let (old, new) = (old.to_bytes(), new.to_bytes());
        // The last 6 of the 18 bytes of an address on the wire are those of an IPv4 address and its port.
        for (old, new) in [(old.get(12..), new.get(12..)), (old.get(12..16), new.get(12..16))] {
            let (Some(old), Some(new)) = (old, new) else { return };
            while let Some(at) = payload.windows(old.len()).position(|window| window == old).filter(|_| old != new) {
                payload.iter_mut().skip(at).zip(new).for_each(|(byte, &new)| *byte = new);
                self.rewritten += 1;
            }
        }
    }
}

fn part(dependence: Dependence, remote: Address) -> Remote {
    match dependence {
        Dependence::Nothing => (None, None),
        Dependence::Ip => (Some(remote.ip()), None),
        Dependence::Endpoint => (Some(remote.ip()), Some(remote.port())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);
    const OUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

    fn at(ip: [u8; 4], port: u16) -> Address {
        Address::new(ip.into(), port).unwrap()
    }

    fn inner() -> Address {
        at([192, 168, 1, 2], 7733)
    }

    fn nat(behaviour: Behaviour) -> Nat {
        Nat::new(behaviour, OUTER, Dice::new(1))
    }

    const REMOTES: [([u8; 4], u16); 3] = [([192, 0, 2, 1], 1), ([192, 0, 2, 1], 2), ([192, 0, 2, 2], 1)];

    #[test]
    fn mapping_depends_on_what_it_says() {
        for (mapping, distinct) in [(Dependence::Nothing, 1), (Dependence::Ip, 2), (Dependence::Endpoint, 3)] {
            let mut nat = nat(Behaviour { mapping, ..Behaviour::HOME });
            let mut ports: Vec<u16> = REMOTES
                .iter()
                .map(|&(ip, port)| nat.outward(NOW, inner(), at(ip, port), &mut []).unwrap().port())
                .collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), distinct, "{mapping:?}");
        }
    }

    #[test]
    fn filtering_depends_on_what_it_says() {
        for (filtering, let_in) in [(Dependence::Nothing, 3), (Dependence::Ip, 2), (Dependence::Endpoint, 1)] {
            let mut nat = nat(Behaviour { filtering, ..Behaviour::OPEN });
            let outer = nat.outward(NOW, inner(), at(REMOTES[0].0, REMOTES[0].1), &mut []).unwrap();
            let admitted: Vec<Option<Address>> =
                REMOTES.iter().map(|&(ip, port)| nat.inward(NOW, at(ip, port), outer, &mut [])).collect();
            assert_eq!(admitted.iter().flatten().count(), let_in, "{filtering:?}");
            assert_eq!(admitted[0], Some(inner()));
        }
    }

    #[test]
    fn a_mapping_ends_when_nothing_goes_out_any_more() {
        let mut nat = nat(Behaviour::HOME);
        let remote = at(REMOTES[0].0, REMOTES[0].1);
        let outer = nat.outward(NOW, inner(), remote, &mut []).unwrap();
        let last = NOW + Behaviour::HOME.timeout;
        assert_eq!(nat.inward(last, remote, outer, &mut []), Some(inner()));
        let late = last + Duration::from_millis(1);
        assert_eq!(nat.inward(late, remote, outer, &mut []), None, "what comes in keeps nothing alive");
        assert_ne!(nat.outward(late, inner(), remote, &mut []), Some(outer), "and the next one is another");
    }

    #[test]
    fn a_reboot_gives_other_ports_and_a_forward_stays() {
        let mut nat = nat(Behaviour::HOME);
        let remote = at(REMOTES[0].0, REMOTES[0].1);
        let outer = nat.outward(NOW, inner(), remote, &mut []).unwrap();
        nat.reboot();
        assert_eq!(nat.inward(NOW, remote, outer, &mut []), None);
        assert_ne!(nat.outward(NOW, inner(), remote, &mut []), Some(outer));
        nat.forward(7733, inner());
        nat.reboot();
        assert_eq!(nat.inward(NOW, remote, at([203, 0, 113, 1], 7733), &mut []), Some(inner()));
        assert_eq!(nat.outward(NOW, inner(), remote, &mut []), Some(at([203, 0, 113, 1], 7733)));
    }

    #[test]
    fn a_gateway_replaces_addresses_that_it_recognises() {
        let mut nat = nat(Behaviour { rewrites: true, ..Behaviour::HOME });
        let mut payload = [b"at ".as_slice(), &inner().to_bytes(), b" or ", &[192, 168, 1, 2]].concat();
        let outer = nat.outward(NOW, inner(), at(REMOTES[0].0, REMOTES[0].1), &mut payload).unwrap();
        assert_eq!(payload, [b"at ".as_slice(), &outer.to_bytes(), b" or ", &OUTER.octets()].concat());
        assert_eq!(nat.rewritten(), 2);
        nat.inward(NOW, at(REMOTES[0].0, REMOTES[0].1), outer, &mut payload);
        assert_eq!(payload, [b"at ".as_slice(), &inner().to_bytes(), b" or ", &[192, 168, 1, 2]].concat());
    }
}
