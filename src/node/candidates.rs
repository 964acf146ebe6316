//! Addresses that somebody claims for a peer: worth a probe, never a fact. Spec: `spec/addresses.md` section 4.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::node::path::Challenge;
use crate::node::status::Scope;
use crate::wire::address::Address;

/// How many candidates a peer has at most. Spec: `CANDIDATES_MAX`.
pub(crate) const MAX: usize = 8;
/// How often one is probed. Spec: `PROBES_MAX`.
pub(crate) const PROBES: u8 = 3;
/// The time between two probes of one candidate. Spec: `PROBE_INTERVAL`.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

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
    /// When it is probed next.
    due: Instant,
}

impl Candidates {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds an address to be probed at `due`. One that is being probed already goes on as it is; where the list is
    /// full, the one with most probes behind it makes room.
    pub(crate) fn add(&mut self, address: Address, challenge: Challenge, due: Instant) {
        if self.list.iter().any(|candidate| candidate.address == address) {
            return;
        }
        if self.list.len() == MAX {
            let tried = |(_, candidate): &(usize, &Candidate)| candidate.probes;
            if let Some((most_tried, _)) = self.list.iter().enumerate().max_by_key(tried) {
                self.list.remove(most_tried);
            }
        }
        self.list.push(Candidate { address, challenge, probes: 0, due });
    }

    /// The next probe: counts it, and drops candidates whose last probe had its time.
    pub(crate) fn next_probe(&mut self, now: Instant) -> Option<&Candidate> {
        self.list.retain(|candidate| candidate.probes < PROBES || candidate.due > now);
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

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.list = Vec::new();
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
    match address.ip() {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && ip.octets()[0] != 0,
        IpAddr::V6(ip) => !ip.is_multicast(),
    }
}
