//! Addresses that somebody claims for a peer: worth a probe, never a fact. Spec: `spec/addresses.md` section 4.

use std::time::{Duration, Instant};

use crate::node::links::Slot;
use crate::node::path::Challenge;
use crate::node::status::Scope;
use crate::wire::address::Address;

/// How many candidates a peer has at most. Spec: `CANDIDATES_MAX`.
pub(crate) const MAX: usize = 8;
/// How often one is probed. Spec: `PROBES_MAX`.
pub(crate) const PROBES: u8 = 3;
/// The time between two probes of one candidate. Spec: `PROBE_INTERVAL`.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);
/// Between the first probes of addresses that were named together, the likeliest first: with many peers missing, the
/// likeliest address of each comes before the others. Spec: `PROBE_STAGGER`.
pub(crate) const STAGGER: Duration = Duration::from_millis(50);

/// The candidate addresses of one peer, newest claim last.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    list: Vec<Candidate>,
}

/// One candidate.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) address: Address,
    /// What it must echo.
    pub(crate) challenge: Challenge,
    /// Probes sent.
    pub(crate) probes: u8,
    /// Who told it; `None` for what this node knows by itself.
    teller: Option<Slot>,
    /// When it is probed next.
    due: Instant,
}

impl Candidates {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds an address to be probed at `due`. `teller` is who told it, `None` for what this node knows by itself. One that
    /// is being probed already goes on as it is. Where the list is full, one that somebody told makes room before one
    /// that this node knows by itself, and of these the one with most probes behind it. Of what one peer tells no more than
    /// half a list is tried at a time.
    pub(crate) fn add(&mut self, address: Address, challenge: Challenge, due: Instant, teller: Option<Slot>) {
        if self.list.iter().any(|candidate| candidate.address == address) {
            return;
        }
        let told = self.list.iter().filter(|candidate| candidate.teller == teller).count();
        if teller.is_some() && told >= MAX / 2 {
            return;
        }
        if self.list.len() == MAX {
            let tried = |(_, candidate): &(usize, &Candidate)| (candidate.teller.is_some(), candidate.probes);
            if let Some((most_tried, _)) = self.list.iter().enumerate().max_by_key(tried) {
                self.list.remove(most_tried);
            }
        }
        self.list.push(Candidate { address, challenge, probes: 0, teller, due });
    }

    /// Probes those that were not probed yet only once.
    pub(crate) fn once(&mut self) {
        for candidate in self.list.iter_mut().filter(|candidate| candidate.probes == 0) {
            candidate.probes = PROBES - 1;
        }
    }

    /// Probes every candidate at least twice more.
    pub(crate) fn again(&mut self) {
        for candidate in &mut self.list {
            candidate.probes = candidate.probes.min(PROBES - 2);
        }
    }

    /// The address whose probe is due, if there is one, and who told it. Drops candidates whose last probe had its time.
    pub(crate) fn due_now(&mut self, now: Instant) -> Option<(Address, Option<Slot>)> {
        self.list.retain(|candidate| candidate.probes < PROBES || candidate.due > now);
        let next = self.list.iter().find(|candidate| candidate.probes < PROBES && candidate.due <= now);
        next.map(|candidate| (candidate.address, candidate.teller))
    }

    /// Puts the next probe of an address off.
    pub(crate) fn defer(&mut self, address: Address, until: Instant) {
        for candidate in self.list.iter_mut().filter(|candidate| candidate.address == address) {
            candidate.due = until;
        }
    }

    /// Makes the probe that is due: counts it.
    pub(crate) fn next_probe(&mut self, now: Instant) -> Option<&Candidate> {
        let candidate = self.list.iter_mut().find(|candidate| candidate.probes < PROBES && candidate.due <= now)?;
        candidate.probes += 1;
        candidate.due = now + INTERVAL;
        Some(candidate)
    }

    /// When there is something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.list.iter().map(|candidate| candidate.due).min()
    }

    /// The candidate that this challenge was sent to.
    pub(crate) fn answered(&self, answer: Challenge) -> Option<Address> {
        self.list.iter().find(|c| c.challenge == answer && c.probes > 0).map(|candidate| candidate.address)
    }
}

/// Whether an address that came by hearsay may be probed. `via` is the path by which the claim came; `None` for the
/// node's own configuration and memory. Spec: ADDR-9.
pub(crate) fn acceptable(address: Address, via: Option<Address>) -> bool {
    let scope = Scope::of(address.ip());
    let local = matches!(scope, Scope::Loopback | Scope::LinkLocal);
    if local && via.is_some_and(|via| Scope::of(via.ip()) != scope) {
        return false;
    }
    address.is_unicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Address {
        text.parse::<std::net::SocketAddr>().unwrap().try_into().unwrap()
    }

    fn host(n: u8) -> Address {
        at(&format!("192.0.2.{n}:7733"))
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_candidate_is_probed_three_times_and_then_dropped() {
        let mut now = start();
        let mut candidates = Candidates::default();
        candidates.add(host(1), [1; 8], now, None);
        for n in 1..=PROBES {
            assert_eq!(candidates.next_probe(now).map(|probed| probed.probes), Some(n));
            assert!(candidates.next_probe(now).is_none(), "not before its interval is over");
            now += INTERVAL;
        }
        assert_eq!(candidates.len(), 1, "the last probe has its time too");
        assert!(candidates.due_now(now).is_none());
        assert_eq!((candidates.len(), candidates.due()), (0, None));
    }

    #[test]
    fn a_repeated_claim_does_not_begin_anew() {
        let now = start();
        let mut candidates = Candidates::default();
        candidates.add(host(1), [1; 8], now, None);
        candidates.next_probe(now);
        candidates.add(host(1), [2; 8], now, None);
        assert!(candidates.next_probe(now).is_none());
        assert_eq!((candidates.answered([1; 8]), candidates.answered([2; 8])), (Some(host(1)), None));
    }

    #[test]
    fn the_most_tried_one_makes_room() {
        let now = start();
        let mut candidates = Candidates::default();
        for n in 1..=8 {
            candidates.add(host(n), [n; 8], now, None);
        }
        assert_eq!(candidates.next_probe(now).map(|probed| probed.address), Some(host(1)));
        candidates.add(host(9), [9; 8], now, None);
        assert_eq!(candidates.len(), MAX);
        let left: Vec<Address> =
            std::iter::from_fn(|| candidates.next_probe(now).map(|probed| probed.address)).collect();
        assert_eq!(left, (2..=9).map(host).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_tells_more_than_half_of_the_list() {
        let now = start();
        let mut candidates = Candidates::default();
        for n in 1..=4 {
            candidates.add(host(n), [n; 8], now, None);
            assert!(candidates.next_probe(now).is_some());
        }
        for n in 10..100 {
            candidates.add(host(n), [n; 8], now, Some(Slot(7)));
        }
        assert!((1..=4).all(|n| candidates.answered([n; 8]).is_some()), "what the node knew is still there");
        assert_eq!(candidates.len(), MAX);
        candidates.add(host(100), [100; 8], now, Some(Slot(8)));
        let due: Vec<_> = candidates.list.iter().filter_map(|candidate| candidate.teller).collect();
        assert_eq!(due.iter().filter(|teller| **teller == Slot(8)).count(), 1, "and others are heard too");
    }

    #[test]
    fn what_others_tell_keeps_nothing_that_the_node_knows_from_being_tried() {
        let now = start();
        let mut candidates = Candidates::default();
        for n in 100..104 {
            candidates.add(host(n), [n; 8], now + INTERVAL, Some(Slot(7)));
        }
        for n in 1..=8 {
            candidates.add(host(n), [n; 8], now, None);
        }
        let mut tried: Vec<Address> = Vec::new();
        while let Some(probed) = candidates.next_probe(now) {
            tried.push(probed.address);
        }
        assert_eq!(tried, (1..=8).map(host).collect::<Vec<_>>());
    }

    #[test]
    fn one_probe_can_be_asked_for_and_more_later() {
        let mut now = start();
        let mut candidates = Candidates::default();
        candidates.add(host(1), [1; 8], now, None);
        candidates.once();
        assert!(candidates.next_probe(now).is_some());
        candidates.again();
        for probed in [true, true, false] {
            now += INTERVAL;
            assert_eq!(candidates.next_probe(now).is_some(), probed);
        }
    }

    #[test]
    fn only_a_challenge_that_was_sent_can_be_answered() {
        let now = start();
        let mut candidates = Candidates::default();
        candidates.add(host(1), [1; 8], now, None);
        assert_eq!(candidates.answered([1; 8]), None);
        candidates.next_probe(now);
        assert_eq!(candidates.answered([1; 8]), Some(host(1)));
    }

    /// Spec: ADDR-9.
    #[test]
    fn what_nobody_can_be_at_is_refused() {
        let via = Some(at("192.0.2.1:1"));
        for never in ["0.1.2.3:1", "224.0.0.1:1", "239.255.255.255:1", "255.255.255.255:1", "[ff02::1]:1"] {
            assert!(!acceptable(at(never), via) && !acceptable(at(never), None), "{never}");
        }
        for local in ["127.0.0.1:1", "[::1]:1", "169.254.1.1:1", "[fe80::1]:1"] {
            assert!(!acceptable(at(local), via), "{local} by way of the world");
            assert!(acceptable(at(local), Some(at(local))) && acceptable(at(local), None), "{local}");
        }
        assert!(!acceptable(at("127.0.0.1:1"), Some(at("169.254.1.1:1"))));
        for fine in ["198.51.100.1:1", "10.0.0.1:1", "100.64.0.1:1", "[2001:db8::1]:1", "[fd00::1]:1"] {
            assert!(acceptable(at(fine), via), "{fine}");
        }
    }
}
