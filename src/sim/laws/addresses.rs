//! Where peers are: no address is believed that did not prove itself, and none is sent more than it paid for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::node::event::Event;
use crate::node::inspect::LinkFacts;
use crate::node::status::Scope;
use crate::sim::laws::origins::Made;
use crate::sim::laws::{Arrival, Cause, Sent, Verdict, hold, kind};
use crate::sim::world::HostId;
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::kind::Kind;

/// How long after a challenge arrived its answer may still be waited for: `PENDING`, the longest such wait, and the way.
const PROOF_LIFETIME: Duration = Duration::from_secs(15);
/// How long before a new address is published the old one was challenged: `PATH_TRIAL`, and the way of the answer.
const CHALLENGE_LIFETIME: Duration = Duration::from_secs(5);

/// How long what somebody has seen counts as a vote: `VOTE_LIFETIME` at the longest `HEARTBEAT`, and the way.
const SIGHTING_LIFETIME: Duration = Duration::from_secs(190);

/// What each host has sent to addresses, and got from them.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// From where something that a host had sent arrived somewhere, and where something reached it; and when last. The
    /// second is for those who speak of a host after a sleep in which their clock stood still: what arrives is true.
    seen: BTreeMap<(HostId, Address), Duration>,
    /// From which run of a peer (its host, and how often that was switched on) a host last accepted something.
    heard: BTreeMap<(HostId, NodeId), (HostId, u32)>,
    accounts: BTreeMap<(HostId, Address), Account>,
}

/// What went between a host and an address in the present run of its node, in bytes of UDP payload.
#[derive(Debug, Default)]
struct Account {
    /// Everything that came.
    received: usize,
    /// What was sent before anybody had proved to be there, but for challenges, initiations and answers to them.
    advanced: usize,
    initiations_in: usize,
    /// Responses and cookies.
    answers_out: usize,
    challenges_in: usize,
    responses_out: usize,
    /// When it was last challenged.
    challenged: Option<Duration>,
    /// On whose machines a challenge arrived that was sent here, and when last.
    proofs: Vec<(NodeId, Duration)>,
}

impl Account {
    fn proved(&self, id: NodeId, now: Duration) -> bool {
        self.proofs.iter().any(|&(by, at)| by == id && now <= at + PROOF_LIFETIME)
    }
}

impl Addresses {
    /// A node starts anew: nothing is proved.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.accounts.retain(|(owner, _), _| *owner != host);
        self.heard.retain(|(owner, _), _| *owner != host);
    }

    /// Whether a datagram comes from the run of a peer from which the last one came.
    pub(crate) fn is_same_run(&self, host: HostId, id: NodeId, made: Option<&Made>) -> bool {
        self.heard.get(&(host, id)).is_some_and(|&last| made.is_some_and(|made| (made.host, made.run) == last))
    }

    /// A host has accepted a datagram.
    pub(crate) fn heard(&mut self, arrival: &Arrival, id: NodeId) {
        if let Some(made) = &arrival.made {
            self.heard.insert((arrival.host, id), (made.host, made.run));
        }
    }

    /// P16: to an address that has not answered a challenge goes no more than came from it. Answers are no longer than
    /// what they answer.
    pub(crate) fn sent(&mut self, now: Duration, sent: &Sent<'_>) -> Verdict {
        let kind = kind(sent.datagram);
        let account = self.accounts.entry((sent.origin.host, sent.origin.to)).or_default();
        let bytes = sent.datagram.len();
        let (what, spent, earned) = match kind {
            Kind::INITIATION => return Ok(()),
            Kind::PATH_CHALLENGE => {
                account.challenged = Some(now);
                return Ok(());
            }
            Kind::RESPONSE | Kind::COOKIE_REPLY => {
                account.answers_out += bytes;
                ("answers for initiations", account.answers_out, account.initiations_in)
            }
            Kind::PATH_RESPONSE => {
                account.responses_out += bytes;
                ("answers for challenges", account.responses_out, account.challenges_in)
            }
            _ if !account.proofs.is_empty() => return Ok(()),
            _ => {
                account.advanced += bytes;
                ("bytes, nothing proved,", account.advanced, account.received)
            }
        };
        hold("P16", spent <= earned, || format!("{spent} {what} to {} for {earned}, the last a {kind}", sent.origin.to))
    }

    /// A datagram reached a machine with the keys of `id`: whoever sent it knows so when it is answered.
    pub(crate) fn reached(&mut self, now: Duration, id: NodeId, kind: Kind, made: &Made) {
        if !matches!(kind, Kind::INITIATION | Kind::RESPONSE | Kind::PATH_CHALLENGE) {
            return;
        }
        for &to in &made.to {
            let account = self.accounts.entry((made.host, to)).or_default();
            match account.proofs.iter_mut().find(|(by, _)| *by == id) {
                Some((_, at)) => *at = now,
                None => account.proofs.push((id, now)),
            }
        }
    }

    /// Something reached a host that was sent to this address.
    pub(crate) fn is_at(&mut self, now: Duration, host: HostId, address: Address) {
        self.seen.insert((host, address), now);
    }

    /// A datagram came to a host.
    pub(crate) fn came(&mut self, now: Duration, arrival: &Arrival) {
        if let Some(made) = &arrival.made {
            self.seen.insert((made.host, arrival.from), now);
        }
        let account = self.accounts.entry((arrival.host, arrival.from)).or_default();
        account.received += arrival.bytes;
        match arrival.kind {
            Kind::INITIATION => account.initiations_in += arrival.bytes,
            Kind::PATH_CHALLENGE => account.challenges_in += arrival.bytes,
            _ => {}
        }
    }

    /// P11, ADDR-8: what an accepted datagram may do to the path of the peer that it came from.
    pub(crate) fn moved(
        &mut self,
        now: Duration,
        arrival: &Arrival,
        (id, before, after): (NodeId, Option<LinkFacts>, Option<LinkFacts>),
    ) -> Verdict {
        let Some(after) = after else { return Ok(()) };
        let known = |link: Option<LinkFacts>| link.map_or((None, None), |link| (link.current, link.published));
        let (current, published) = known(before);
        if let Some(new) = after.current.filter(|_| after.current != current && after.current != published) {
            let account = self.accounts.get(&(arrival.host, new));
            hold("P11", account.is_some_and(|account| account.proved(id, now)), || {
                format!("{new} became the address of {id}, on whose machine no challenge sent there has arrived")
            })?;
            // Where another run of the peer waits, the goodbye of the present one lets it in (STATE-10).
            let confirms = arrival.peer.is_some_and(|(_, pending)| pending);
            let proves = matches!(arrival.kind, Kind::RESPONSE | Kind::PATH_RESPONSE | Kind::LEAVE);
            hold("P11", confirms || proves, || format!("{new} became the address of {id} by a {}", arrival.kind))?;
        }
        let began = after.on_trial && before.is_some_and(|before| !before.on_trial);
        let highest = before.and_then(|before| before.session).and_then(|(_, highest)| highest);
        let of_session = before.and_then(|before| before.session).map(|(index, _)| index) == arrival.index;
        let newest = arrival.counter.is_none() || !of_session || arrival.counter > highest;
        hold("P14", !began || newest, || format!("counter {:?} after {highest:?} began a trial", arrival.counter))
    }

    /// P11, P12 and P13, whenever an address is told.
    pub(crate) fn told(&mut self, now: Duration, host: HostId, cause: Cause<'_>, event: &Event) -> Verdict {
        if let Event::OwnAddress { scope, new, .. } = event {
            hold("P13", Scope::of(new.ip()) == *scope, || format!("{new} is not of the scope {scope}"))?;
            let seen = self.seen.get(&(host, *new)).is_some_and(|at| now <= *at + SIGHTING_LIFETIME);
            return hold("P12", seen, || format!("{new} is no address from which anybody has heard host {host}"));
        }
        let Event::PeerMoved { peer, old, .. } = event else { return Ok(()) };
        // Where there was no address in this run, one that is remembered from the last is not asked; and another run of
        // the peer has rules of its own (STATE-9 to STATE-11).
        let known = match cause {
            Cause::Command => false,
            Cause::Timer => true,
            Cause::Datagram(arrival, _) => {
                arrival.same_run && arrival.link.is_some_and(|link| link.published.is_some())
            }
        };
        let challenged = self.accounts.get(&(host, *old)).and_then(|account| account.challenged);
        let asked = challenged.is_some_and(|at| now <= at + CHALLENGE_LIFETIME);
        hold("P11", !known || asked, || format!("{} was published, and its old address {old} was not asked", peer.id))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::node::status::Confidence;
    use crate::sim::laws::Origin;

    fn at(ip: [u8; 4]) -> Address {
        Address::new(IpAddr::V4(Ipv4Addr::from(ip)), 7733).unwrap()
    }

    /// A datagram of a type and a length, on its way to a stranger.
    fn sends(addresses: &mut Addresses, kind: Kind, bytes: usize) -> Verdict {
        let mut datagram = vec![0; bytes.max(2)];
        datagram[1] = kind.0;
        let origin = Origin { host: 0, run: 1, id: NodeId([1; 16]), to: at([192, 0, 2, 1]) };
        let sent = Sent { origin, datagram: &datagram, sessions: &[], local: Duration::ZERO, watched: false };
        addresses.sent(Duration::ZERO, &sent)
    }

    #[test]
    fn more_than_came_from_a_stranger_breaks_the_law() {
        let mut addresses = Addresses::default();
        addresses.accounts.entry((0, at([192, 0, 2, 1]))).or_default().received = 66;
        assert!(sends(&mut addresses, Kind::HEARTBEAT_ACK, 66).is_ok());
        assert_eq!(sends(&mut addresses, Kind::HEARTBEAT_ACK, 2).unwrap_err().law, "P16");
        assert!(sends(&mut addresses, Kind::INITIATION, 216).is_ok(), "probes have a budget of their own");
        assert_eq!(sends(&mut addresses, Kind::RESPONSE, 159).unwrap_err().law, "P16", "nobody has asked");
    }

    #[test]
    fn an_own_address_of_another_scope_or_that_nobody_saw_breaks_the_law() {
        let mut addresses = Addresses::default();
        addresses.seen.insert((0, at([10, 0, 0, 1])), Duration::ZERO);
        let mut tell = |scope, new| {
            let event = Event::OwnAddress { scope, old: None, new, confidence: Confidence::Agreed, observers: 2 };
            addresses.told(Duration::ZERO, 0, Cause::Timer, &event)
        };
        assert!(tell(Scope::Private, at([10, 0, 0, 1])).is_ok());
        assert_eq!(tell(Scope::Global, at([10, 0, 0, 1])).unwrap_err().law, "P13");
        assert_eq!(tell(Scope::Private, at([10, 0, 0, 2])).unwrap_err().law, "P12");
    }
}
