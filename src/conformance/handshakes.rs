//! Handshakes at the tester's hand: begun, finished and answered.

use std::time::Instant;

use crate::auth::handshake::{Initiator, Prologue, Purpose, Received};
use crate::auth::identity::Identity;
use crate::auth::mac::Mac1Key;
use crate::conformance::checks;
use crate::conformance::forge::Forge;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{ATTEMPTS, PATIENCE, Seen, Stage, What};
use crate::driver::clock;
use crate::wire::address::Address;
use crate::wire::id::{ClusterId, Incarnation, Index, NodeId};
use crate::wire::initiation::Initiation;
use crate::wire::response::{Response, ResponsePayload, Verdict};

impl Stage {
    /// A random session index.
    pub(super) fn index(&mut self) -> Index {
        Index(u32::from_be_bytes(self.drbg.array()) | 1)
    }

    /// A handshake with the target as a member, by this run of the peer.
    pub(super) fn begin(&mut self, identity: &Identity, run: Incarnation) -> Option<Initiator> {
        let index = self.index();
        let cluster = self.cluster.clone()?;
        Initiator::start(identity, &self.target, Purpose::Member(&cluster), run, index, &mut self.drbg).ok()
    }

    /// Sends an initiation until it is answered.
    pub(super) fn initiate(&mut self, place: Place, initiation: &[u8; Initiation::LEN], index: Index) -> Option<Seen> {
        let mark = self.mark();
        (0..ATTEMPTS).find_map(|_| {
            self.send(place, initiation);
            self.wait(mark, PATIENCE, |seen| seen.answers() == Some(index))
        })
    }

    /// Reads a Response: the session under which it puts the two, and what it says.
    pub(super) fn finish(
        &mut self,
        identity: &Identity,
        initiator: &mut Initiator,
        seen: &Seen,
    ) -> Result<(Forge, ResponsePayload), String> {
        let What::Response(response) = &seen.what else { return Err(seen.describe()) };
        let right = Mac1Key::of(&identity.public_key()).verify_mac1(&**response);
        self.report.judge(&checks::TARGET_MAC1, right, "a mac1 made with the receiver's key", || {
            "a Response with another one".to_owned()
        });
        let (keys, payload) = initiator.finish(response).map_err(|error| error.to_string())?;
        self.note_incarnation(identity.node_id(), payload.incarnation);
        let observed = payload.observed;
        let here = self.is_right_reflection(seen.place, observed);
        let own = self.address(seen.place).map_or_else(String::new, |own| own.to_string());
        self.report.judge(&checks::OBSERVED, here, &format!("the address {own}"), || observed.to_string());
        Ok((Forge::new(keys, response.receiver, payload.sender, payload.clock_ms, seen.at), payload))
    }

    /// Makes a session between a peer and the target, begun by the peer.
    pub(super) fn handshake(&mut self, who: Who) -> Result<(), String> {
        let peer = self.peer(who);
        let (identity, run, place) = (peer.identity.clone(), peer.incarnation, peer.place);
        let mut initiator = self.begin(&identity, run).ok_or("the token's public key is none")?;
        let datagram = *initiator.datagram();
        let seen = self.initiate(place, &datagram, initiator.sender()).ok_or("silence")?;
        let (session, payload) = self.finish(&identity, &mut initiator, &seen)?;
        if payload.verdict != Verdict::Accepted {
            return Err(format!("the verdict {:?}", payload.verdict));
        }
        self.peer(who).sessions.push(session);
        Ok(())
    }

    /// Reads an initiation of the target to a peer, as far as it is right.
    pub(super) fn read_initiation(&mut self, who: Who, initiation: &Initiation) -> Result<Received, String> {
        let cluster = self.cluster.clone().ok_or("there is no cluster")?;
        let identity = self.peer(who).identity.clone();
        let received = Received::read(&identity, Prologue::Member(&cluster.id), initiation, &mut self.drbg);
        let received = received.map_err(|error| error.to_string())?;
        self.note_incarnation(identity.node_id(), received.incarnation());
        Ok(received)
    }

    /// The target says which run it is: always the same to one peer, and nothing that it says to another.
    fn note_incarnation(&mut self, to: NodeId, said: Incarnation) {
        let before = *self.incarnations.entry(to).or_insert(said);
        let elsewhere = self.incarnations.iter().any(|(other, told)| *other != to && *told == said);
        let right = before == said && !elsewhere;
        self.report.judge(&checks::INCARNATION, right, "one incarnation for each peer", || {
            if elsewhere { "the same for two peers" } else { "another one than before" }.to_owned()
        });
    }

    /// Answers an initiation of the target, with this clock, and keeps the session. The Response is sent by the caller.
    pub(super) fn respond(
        &mut self,
        who: Who,
        received: Received,
        initiator: Index,
        clock_ms: u64,
    ) -> Result<[u8; Response::LEN], String> {
        let cluster = self.cluster.clone().ok_or("there is no cluster")?;
        let payload = ResponsePayload {
            sender: self.index(),
            verdict: Verdict::Accepted,
            observed: Address::try_from(self.at).map_err(|error| error.to_string())?,
            clock_ms,
            incarnation: self.peer(who).incarnation,
            cluster_id: ClusterId([0; 16]),
            cluster_key: [0; 32],
        };
        let now: Instant = clock::now();
        let (response, keys) = received.respond(&cluster.key.0, &payload).map_err(|error| error.to_string())?;
        self.peer(who).sessions.push(Forge::new(keys, payload.sender, initiator, clock_ms, now));
        Ok(response)
    }
}
