//! How the peer tries a new address, with the faults that belong there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dddns::wire::header::Header;
use dddns::wire::id::NodeId;
use dddns::wire::path::PathChallenge;

use crate::fault::Fault;
use crate::imperfect::Imperfect;

/// How long a new address may take to answer.
const TRIAL: Duration = Duration::from_secs(3);
/// How long one that lost is ignored.
const HOLD: Duration = Duration::from_secs(10);

/// A new address on trial, or one that lost its trial.
pub(crate) struct Trial {
    pub(crate) new: SocketAddr,
    new_challenge: [u8; 8],
    old_challenge: [u8; 8],
    /// A heartbeat from there that waits for its acknowledgement.
    pub(crate) owed: Option<Header>,
    /// Whether it lost.
    pub(crate) held: bool,
    until: Instant,
}

impl Imperfect {
    /// The newest datagram so far came from there.
    pub(crate) fn observe(&mut self, now: Instant, id: NodeId, from: SocketAddr) {
        let (new_challenge, mut old_challenge) = (self.drbg.array(), self.drbg.array());
        if self.is(Fault::SameChallenge) {
            old_challenge = new_challenge;
        }
        let link = self.links.get_mut(&id).unwrap();
        let old = link.at;
        if from == old || link.trial.as_ref().is_some_and(|trial| trial.new == from) {
            return;
        }
        if self.fault == Some(Fault::MovesAtOnce) {
            link.at = from;
            return;
        }
        let until = now + TRIAL;
        link.trial = Some(Trial { new: from, new_challenge, old_challenge, owed: None, held: false, until });
        let index = link.sessions.last().unwrap().local_index();
        for _ in 0..if self.is(Fault::Amplifies) { 3 } else { 1 } {
            self.send(id, index, &PathChallenge(new_challenge), from);
        }
        if !self.is(Fault::NoOldChallenge) {
            self.send(id, index, &PathChallenge(old_challenge), old);
        }
    }

    /// A challenge was answered.
    pub(crate) fn answered(&mut self, now: Instant, id: NodeId, bytes: [u8; 8]) {
        let any = self.is(Fault::AnyAnswer);
        let link = self.links.get_mut(&id).unwrap();
        let Some(trial) = link.trial.as_mut().filter(|trial| !trial.held) else { return };
        let owed = if bytes == trial.old_challenge && bytes != trial.new_challenge {
            trial.held = true;
            trial.until = now + HOLD;
            trial.owed.take()
        } else if bytes == trial.new_challenge || any {
            link.at = trial.new;
            link.trial.take().and_then(|trial| trial.owed)
        } else {
            return;
        };
        let to = link.at;
        if let Some(header) = owed {
            self.send_ack(id, &header, to);
        }
    }

    /// Forgets what is over.
    pub(crate) fn step_trial(&mut self, now: Instant, id: NodeId) {
        let link = self.links.get_mut(&id).unwrap();
        link.trial.take_if(|trial| trial.until <= now);
    }
}
