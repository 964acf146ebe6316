//! Trials of new addresses, carried out: challenges, probes, and what follows when an address has proved itself.

use std::time::{Duration, Instant};

use crate::auth::drbg::Drbg;
use crate::node::budget::Budget;
use crate::node::candidates;
use crate::node::event::Event;
use crate::node::link::{Link, Role};
use crate::node::links::Slot;
use crate::node::path::{Challenge, Observed, Step, TrialStart, Verdict};
use crate::node::receive::Arrival;
use crate::node::status::PeerState;
use crate::node::timer::LinkTimer;
use crate::node::{Node, PROBE_BURST};
use crate::wire::address::Address;
use crate::wire::body::Body;
use crate::wire::header::{Header, TAG_LEN};
use crate::wire::path::{PathChallenge, PathResponse};

/// The size of a challenge and of its response on the wire, in bytes.
const CHALLENGE_BYTES: usize = Header::LEN + PathChallenge::LENGTHS.max_len() + TAG_LEN;
/// The probes that a node makes in a burst because one peer tells it addresses, while probes are scarce, and the time in
/// which that peer gains another one. Spec: `PROBE_SHARE`.
const TOLD_BURST: u32 = 16;
const TOLD_PERIOD: Duration = Duration::from_millis(100);
/// Within which time a probe is tried again for which the budget was spent.
const DEFERRED: Duration = Duration::from_millis(200);

/// What a trial needs: fresh challenges, and the round-trip time.
fn trial_start(drbg: &mut Drbg, rtt: Option<Duration>) -> TrialStart {
    TrialStart { new_challenge: drbg.array(), old_challenge: drbg.array(), rtt }
}

impl Node {
    /// Something authentic of `bytes` bytes came from an address, perhaps a new one. `heard_before`: when the peer was heard
    /// last before that.
    pub(super) fn observe(
        &mut self,
        now: Instant,
        slot: Slot,
        from: Address,
        bytes: usize,
        heard_before: Option<Instant>,
    ) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let start = trial_start(&mut self.drbg, link.rtt);
        match link.path.observe(now, from, bytes, start) {
            Observed::Nothing => {}
            Observed::Conflict { owed_ack } => self.note_conflict(now, slot, owed_ack),
            Observed::Trial => link.silent_since(heard_before),
        }
        self.step_path(now, slot);
    }

    /// Goes on with the trial of a new address.
    pub(super) fn step_path(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        match link.path.step(now, CHALLENGE_BYTES) {
            Step::Idle => self.disarm(slot, LinkTimer::Path),
            Step::Forget => {
                link.heard_again();
                self.disarm(slot, LinkTimer::Path);
            }
            Step::Publish => {
                self.disarm(slot, LinkTimer::Path);
                self.publish(now, slot);
            }
            Step::Challenge { new, old, next } => {
                for (to, challenge) in [new, old].into_iter().flatten() {
                    self.send_challenge(now, slot, to, challenge);
                }
                self.arm(slot, LinkTimer::Path, next);
            }
        }
    }

    /// Whoever is challenged by a peer answers to where the challenge came from.
    pub(super) fn receive_challenge(&mut self, now: Instant, arrival: &Arrival, challenge: &PathChallenge) {
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        // Not counted against the budget of the address: the response is as long as the challenge that paid for it.
        if let Some(session) = &mut link.session {
            let response = PathResponse(challenge.0);
            let _ = self.outbox.transmit(arrival.from, |bytes| session.encode(now, &response, bytes));
        }
    }

    pub(super) fn receive_path_response(&mut self, now: Instant, arrival: &Arrival, response: &PathResponse) {
        let slot = arrival.slot;
        if self.is_contested(now, slot, response.0) {
            return;
        }
        let Some(link) = self.links.get_mut(slot) else { return };
        match link.path.answer(now, response.0) {
            Verdict::Validated { owed_ack } => {
                if let (Some(counter), Some(to)) = (owed_ack, link.path.current()) {
                    self.send_ack(now, slot, to, counter);
                }
                self.address_proved(now, slot);
                self.step_path(now, slot);
            }
            Verdict::Conflict { owed_ack } => {
                self.note_conflict(now, slot, owed_ack);
                self.disarm(slot, LinkTimer::Path);
            }
            // The answer to a probe; or to a challenge that was answered before, since they are sent repeatedly.
            Verdict::Unsolicited => {
                if let Some(address) = link.candidates.as_ref().and_then(|candidates| candidates.answered(response.0)) {
                    self.validated(now, slot, address);
                }
            }
        }
    }

    /// An address proved itself by an exchange that it had to take part in: a handshake, or the answer to a probe.
    pub(super) fn validated(&mut self, now: Instant, slot: Slot, address: Address) {
        let Some(link) = self.links.get_mut(slot) else { return };
        if link.path.current() == Some(address) && !link.path.on_trial() {
            return;
        }
        let start = trial_start(&mut self.drbg, link.rtt);
        link.silent_since(link.last_heard);
        if link.path.validated(now, address, start) {
            self.disarm(slot, LinkTimer::Path);
            self.publish(now, slot);
        } else {
            self.step_path(now, slot);
        }
        self.address_proved(now, slot);
    }

    /// Traffic goes to a new address: talks to the peer there, and tells those who look for it.
    fn address_proved(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        link.candidates = None;
        link.outstanding = None;
        let calls = link.role.calls();
        self.disarm(slot, LinkTimer::Probe);
        self.disarm(slot, LinkTimer::Resend);
        if calls {
            self.send_heartbeat(now, slot);
        }
        self.tell_seekers(now, slot);
        self.recount(now);
    }

    /// The path in use becomes the address that everybody is told.
    fn publish(&mut self, now: Instant, slot: Slot) {
        // The first second of 1970 stands for what others told: SavedAddress::TOLD.
        let unix = self.unix(now).as_secs().max(1);
        let Some(link) = self.links.get_mut(slot) else { return };
        let old = link.path.publish().or_else(|| self.history.latest(link.id));
        let silent_since = link.heard_again();
        let Some(new) = link.path.published() else { return };
        let (id, role) = (link.id, link.role);
        let told_there = self.directory.last(id).is_some_and(|last| last.address == new);
        if self.history.visit(id, new, unix) {
            self.revision.addresses += 1;
            if !told_there {
                self.rumour(now, id);
            }
        }
        let Some(link) = self.links.get_mut(slot) else { return };
        let Some(old) = old.filter(|old| *old != new) else { return };
        let healed = silent_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        link.healed_ms = Some(u32::try_from(healed.as_millis()).unwrap_or(u32::MAX));
        if let Some(peer) = self.who(id).filter(|_| role == Role::Kept) {
            let healed_ms = u64::try_from(healed.as_millis()).unwrap_or(u64::MAX);
            self.outbox.event(Event::PeerMoved { peer, old, new, healed_ms });
        }
    }

    /// A peer's new address was not believed because the old one still answered.
    /// `owed_ack`: the counter of a heartbeat that came from the new one.
    pub(super) fn note_conflict(&mut self, now: Instant, slot: Slot, owed_ack: Option<u64>) {
        self.counters.path_conflicts += 1;
        let Some(link) = self.links.get_mut(slot) else { return };
        link.heard_again();
        if let (Some(counter), Some(to)) = (owed_ack, link.path.current()) {
            self.send_ack(now, slot, to, counter);
        }
    }

    /// Adds addresses at which a peer may be, and probes them. `teller`: who says so, and from where; `None` for what this
    /// node knows by itself.
    pub(super) fn add_hearsay(&mut self, now: Instant, slot: Slot, addresses: &[Address], teller: Option<&Arrival>) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let by = teller.map(|arrival| arrival.slot);
        let mut due = now;
        for &address in addresses {
            let in_use = link.is_up() && link.path.current() == Some(address);
            if !in_use && candidates::acceptable(address, teller.map(|arrival| arrival.from)) {
                link.candidates.get_or_insert_default().add(address, self.drbg.array(), due, by);
                due += candidates::STAGGER;
            }
        }
        if let Some(due) = candidates_due(link) {
            self.arm(slot, LinkTimer::Probe, due);
        }
    }

    /// Probes the candidates of a peer that are due. Where a session lives, two of three probes are challenges; the
    /// others are handshakes, in case the peer has restarted.
    pub(super) fn probe(&mut self, now: Instant, slot: Slot) {
        loop {
            let Some(link) = self.links.get_mut(slot) else { return };
            let Some((address, teller)) = link.candidates.as_mut().and_then(|all| all.due_now(now)) else { break };
            if !self.may_probe(now, teller) {
                self.counters.probes_deferred += 1;
                // By chance, so that among many peers who wait none is always last.
                let chance = self.jitter.spread(DEFERRED, 0..=100);
                let later = self.probes.next().max(now + Duration::from_millis(1)) + chance;
                if let Some(all) = self.links.get_mut(slot).and_then(|link| link.candidates.as_mut()) {
                    all.defer(address, later);
                }
                continue;
            }
            let Some(link) = self.links.get_mut(slot) else { return };
            let has_session = link.session.is_some();
            let Some(candidate) = link.candidates.as_mut().and_then(|all| all.next_probe(now)) else { break };
            let (to, challenge, probes) = (candidate.address, candidate.challenge, candidate.probes);
            self.counters.probes += 1;
            if has_session && probes < candidates::PROBES {
                self.send_challenge(now, slot, to, challenge);
            } else {
                self.initiate(now, slot, to);
            }
        }
        if let Some(due) = self.links.get(slot).and_then(candidates_due) {
            self.arm(slot, LinkTimer::Probe, due);
        }
    }

    /// Takes a probe from the budget. What others tell has no part in its last quarter, and of the quarter before that each
    /// teller has a share: whoever tells without end keeps neither the others nor the node's own knowledge from being tried.
    fn may_probe(&mut self, now: Instant, teller: Option<Slot>) -> bool {
        let left = self.probes.left(now);
        let free = match teller {
            None => true,
            Some(_) if left > PROBE_BURST / 2 => true,
            Some(_) if left <= PROBE_BURST / 4 => false,
            Some(teller) => self.links.get_mut(teller).is_some_and(|link| {
                let full = || Budget::new(TOLD_BURST, TOLD_PERIOD, now);
                link.rare_mut().told.get_or_insert_with(full).take(now)
            }),
        };
        free && self.probes.take(now)
    }

    /// The address of a peer to show: the published one, else the last one known.
    pub(super) fn last_known(&self, link: &Link) -> Option<Address> {
        link.path.published().or_else(|| self.history.latest(link.id))
    }

    /// All that is known of where a peer may be, the likeliest first.
    pub(super) fn known_addresses(&self, slot: Slot) -> Vec<Address> {
        let Some(link) = self.links.get(slot) else { return Vec::new() };
        let configured = self.configured.get(&link.id).map(Vec::as_slice).unwrap_or_default();
        let history = self.history.of(link.id);
        let told = self.directory.sightings(link.id).map(|sighting| sighting.address);
        let mut known: Vec<Address> = Vec::new();
        for address in link.path.current().into_iter().chain(told).chain(history).chain(configured.iter().copied()) {
            if !known.contains(&address) {
                known.push(address);
            }
        }
        // The configuration keeps its place among the candidates: it may be the only one that somebody renews.
        if known.len() > candidates::MAX {
            let keep = candidates::MAX.saturating_sub(configured.len().min(candidates::MAX / 2));
            let tail = configured.iter().copied().take(candidates::MAX / 2).collect::<Vec<_>>();
            known.truncate(keep);
            known.extend(tail.into_iter().filter(|address| !known.contains(address)).collect::<Vec<_>>());
        }
        known
    }

    pub(super) fn send_challenge(&mut self, now: Instant, slot: Slot, to: Address, challenge: Challenge) {
        let Some(session) = self.links.get_mut(slot).and_then(|link| link.session.as_mut()) else { return };
        if self.outbox.transmit(to, |bytes| session.encode(now, &PathChallenge(challenge), bytes)).is_err() {
            self.rekey(now, slot);
        }
    }

    /// Whether a peer is silent enough that hearsay about it is worth probing.
    pub(super) fn is_missing(&self, slot: Slot) -> bool {
        self.links.get(slot).is_some_and(|link| link.state != PeerState::Up)
    }
}

/// When there is something to do about a peer's candidates.
fn candidates_due(link: &Link) -> Option<Instant> {
    link.candidates.as_ref().and_then(|candidates| candidates.due())
}
