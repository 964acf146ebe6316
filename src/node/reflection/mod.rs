//! Where this node is: a vote over what its peers reflect. Spec: `spec/addresses.md` section 2.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::node::status::{Confidence, Nat, OwnAddress, Scope};
use crate::wire::address::Address;

/// What one peer says: "I see you at".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Where the peer that says so is: it decides on the peer's group and on which scope it can speak of.
    pub observer: Address,
    /// Where it sees this node.
    pub reflection: Address,
    /// When it said so.
    pub at: Instant,
}

/// A family and a scope: what is voted on separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Realm {
    scope: Scope,
    ipv6: bool,
}

impl Realm {
    /// The realm of an address.
    #[must_use]
    pub fn of(address: Address) -> Self {
        Self { scope: Scope::of(address.ip()), ipv6: address.ip().is_ipv6() }
    }

    /// The scope of the realm's addresses.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.scope
    }
}

/// The outcome of a vote in one realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The winner, or the address before if there is no clear one; `None` if neither exists.
    pub address: Option<Address>,
    /// How sure.
    pub confidence: Confidence,
    /// Groups that agree with `address`.
    pub observers: usize,
    /// Groups that have an opinion.
    pub groups: usize,
    /// When a group that agrees last said so.
    pub at: Option<Instant>,
}

/// Counts the votes of one realm. `last` is the address before, which stays when there is no clear winner.
///
/// Pure: the order of the observations does not matter. Spec: ADDR-3 to ADDR-5.
#[must_use]
pub fn vote(realm: Realm, observations: &[Observation], last: Option<Address>) -> Verdict {
    let ballots = ballots(realm, observations);
    let groups = ballots.len();
    let mut by_ip: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for ballot in ballots.values() {
        *by_ip.entry(ballot.reflection.ip()).or_default() += 1;
    }
    let (best_ip, best) = by_ip.iter().map(|(&ip, &votes)| (ip, votes)).max_by_key(|&(_, votes)| votes).unzip();
    let best = best.unwrap_or(0);
    let runner_up = by_ip.iter().filter(|&(ip, _)| Some(*ip) != best_ip).map(|(_, &votes)| votes).max().unwrap_or(0);
    let clear = if groups == 1 { best == 1 } else { best >= 2 && 2 * best > 3 * runner_up };
    let (winner, confidence) = match best_ip.filter(|_| clear) {
        Some(ip) => {
            let confidence = if groups == 1 { Confidence::SingleObserver } else { Confidence::Agreed };
            (Address::new(ip, port(ip, &ballots, last)), confidence)
        }
        None if groups == 0 => (last, Confidence::Stale),
        None => (last, Confidence::Disputed),
    };
    let agreeing = || ballots.values().filter(|b| winner.is_some_and(|w| w.ip() == b.reflection.ip()));
    Verdict { address: winner, confidence, observers: agreeing().count(), groups, at: agreeing().map(|b| b.at).max() }
}

/// Whether the observers of one realm see one port.
#[must_use]
pub fn nat(realm: Realm, observations: &[Observation], own: Address) -> Nat {
    let ballots = ballots(realm, observations);
    let mut ports =
        ballots.values().map(|ballot| ballot.reflection).filter(|seen| seen.ip() == own.ip()).map(|seen| seen.port());
    let (first, second) = (ports.next(), ports.next());
    match (first, second) {
        (Some(first), Some(second)) if first == second && ports.all(|port| port == first) => Nat::EndpointIndependent,
        (Some(_), Some(_)) => Nat::EndpointDependent,
        _ => Nat::Unknown,
    }
}

/// The group that an observer belongs to: those behind one public address, or in one IPv6 /56, are one voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group([u8; 16]);

impl Group {
    /// The group of an address.
    pub(crate) fn of(address: Address) -> Self {
        match address.ip() {
            IpAddr::V4(ip) => Self(ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => Self((u128::from(ip) & (u128::MAX << (128 - 56))).to_be_bytes()),
        }
    }
}

/// One vote a group: the newest, and of equally new ones the greatest, so that the order of peers does not matter.
fn ballots(realm: Realm, observations: &[Observation]) -> BTreeMap<Group, Observation> {
    let mut ballots: BTreeMap<Group, Observation> = BTreeMap::new();
    for observation in observations {
        // An observer on my network sees my address there, which is not the one that the world sees.
        if Realm::of(observation.reflection) != realm || Realm::of(observation.observer) != realm {
            continue;
        }
        let ballot = ballots.entry(Group::of(observation.observer)).or_insert(*observation);
        if (observation.at, observation.reflection) > (ballot.at, ballot.reflection) {
            *ballot = *observation;
        }
    }
    ballots
}

/// The port with most votes among those that see the winner; a tie keeps the last port, or else takes the lowest.
fn port(ip: IpAddr, ballots: &BTreeMap<Group, Observation>, last: Option<Address>) -> u16 {
    let mut by_port: BTreeMap<u16, usize> = BTreeMap::new();
    for ballot in ballots.values().filter(|ballot| ballot.reflection.ip() == ip) {
        *by_port.entry(ballot.reflection.port()).or_default() += 1;
    }
    let most = by_port.values().copied().max().unwrap_or(0);
    let mut leaders = by_port.iter().filter(|&(_, &votes)| votes == most).map(|(&port, _)| port);
    let last = last.filter(|last| last.ip() == ip).map(|last| last.port());
    match last {
        Some(last) if by_port.get(&last) == Some(&most) => last,
        _ => leaders.next().unwrap_or(0),
    }
}

/// This node's own addresses: the last verdict of each realm.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses {
    verdicts: BTreeMap<Realm, Verdict>,
}

/// An own address that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnChange {
    pub(crate) old: Option<Address>,
    pub(crate) verdict: Verdict,
    pub(crate) new: Address,
}

impl OwnAddresses {
    /// Takes back what was stored: nobody has confirmed it yet.
    pub(crate) fn restore(&mut self, addresses: &[Address]) {
        for &address in addresses {
            let verdict =
                Verdict { address: Some(address), confidence: Confidence::Stale, observers: 0, groups: 0, at: None };
            self.verdicts.insert(Realm::of(address), verdict);
        }
    }

    /// The address that this node believes to have in the realm of `reflection`.
    pub(crate) fn believed(&self, reflection: Address) -> Option<Address> {
        self.verdicts.get(&Realm::of(reflection)).and_then(|verdict| verdict.address)
    }

    /// Counts all votes anew. Returns the addresses that changed.
    pub(crate) fn recount(&mut self, observations: &[Observation]) -> Vec<OwnChange> {
        let mut realms: Vec<Realm> = self.verdicts.keys().copied().collect();
        realms.extend(observations.iter().map(|observation| Realm::of(observation.reflection)));
        realms.sort_unstable();
        realms.dedup();
        let mut changes = Vec::new();
        for realm in realms {
            let before = self.verdicts.get(&realm).copied();
            let last = before.and_then(|verdict| verdict.address);
            let mut verdict = vote(realm, observations, last);
            verdict.at = verdict.at.or_else(|| before.and_then(|verdict| verdict.at));
            if verdict.address.is_none() && verdict.groups == 0 {
                self.verdicts.remove(&realm);
                continue;
            }
            if let Some(new) = verdict.address.filter(|_| verdict.address != last) {
                changes.push(OwnChange { old: last, verdict, new });
            }
            self.verdicts.insert(realm, verdict);
        }
        changes
    }

    /// All own addresses as the observations of this moment confirm them, the one that the most can reach first.
    pub(crate) fn list(&self, now: Instant, observations: &[Observation]) -> Vec<OwnAddress> {
        let entry = |(&realm, before): (&Realm, &Verdict)| {
            let verdict = vote(realm, observations, before.address);
            Some(OwnAddress {
                address: before.address?,
                scope: realm.scope,
                confidence: verdict.confidence,
                observers: verdict.observers,
                groups: verdict.groups,
                age: verdict.at.or(before.at).map(|at| now.saturating_duration_since(at)),
            })
        };
        self.verdicts.iter().filter_map(entry).collect()
    }

    /// The addresses alone, for storing.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.verdicts.values().filter_map(|verdict| verdict.address).collect()
    }
}

#[cfg(test)]
mod tests;
