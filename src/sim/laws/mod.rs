//! What must hold after every step of every run, as somebody sees it who knows where everybody really is.
//!
//! Each law is stated here anew, from outside: none asks the code that it judges. What it costs is a few look-ups for a
//! datagram.

mod addresses;
mod members;
mod origins;
mod sessions;
mod tables;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::node::Node;
use crate::node::discard::Discard;
use crate::node::event::Event;
use crate::node::inspect::{Facts, LinkFacts};
use crate::sim::laws::addresses::Addresses;
use crate::sim::laws::members::Admissions;
use crate::sim::laws::origins::{Made, Origins};
use crate::sim::laws::sessions::Sessions;
use crate::sim::laws::tables::{REMOVED_MAX, Tables};
use crate::sim::world::HostId;
use crate::wire::address::Address;
use crate::wire::datagram::Datagram;
use crate::wire::id::{Index, InviteId, NodeId};
use crate::wire::initiation::Mode;
use crate::wire::kind::Kind;

/// A law that does not hold.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Its number among the properties of the protocol, or a word for it.
    pub(crate) law: &'static str,
    /// What happened instead.
    pub(crate) what: String,
}

/// Whether all laws hold.
pub(crate) type Verdict = Result<(), Broken>;

/// All laws, and what they remember of the run.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    origins: Origins,
    sessions: Sessions,
    addresses: Addresses,
    members: Admissions,
    tables: Tables,
    /// Nodes whose keys are in other hands: what they sign proves nothing, and what they do is no fault of the others.
    turned: BTreeSet<NodeId>,
    /// Hosts that are led to believe false addresses.
    misled: BTreeSet<HostId>,
}

/// Whose node sent a datagram, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) host: HostId,
    /// How often the host was switched on.
    pub(crate) run: u32,
    pub(crate) id: NodeId,
    pub(crate) to: Address,
}

/// A datagram on its way out of a host, as its node gave it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'d> {
    pub(crate) origin: Origin,
    pub(crate) datagram: &'d [u8],
    /// The sender's own indices of its sessions with the receiver index: one as a rule, several where peers drew the
    /// same by chance, none once the session is gone.
    pub(crate) sessions: &'d [Index],
    /// What the host's monotonic clock shows.
    pub(crate) local: Duration,
    /// Whether somebody sees it who may use it later.
    pub(crate) watched: bool,
}

/// A datagram that a node is about to judge.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) host: HostId,
    pub(crate) from: Address,
    pub(crate) kind: Kind,
    pub(crate) bytes: usize,
    /// The receiver index, where there is one; the counter of a tagged datagram.
    pub(crate) index: Option<Index>,
    pub(crate) counter: Option<u64>,
    /// What an initiation is for, in clear.
    pub(crate) initiation: Option<(Mode, InviteId)>,
    /// Whose node made it, and for which addresses; `None` if nobody's did.
    pub(crate) made: Option<Made>,
    /// Whether it comes from the very run of the peer from which the last one came that was accepted.
    same_run: bool,
    before: Facts,
    /// The peer whose session or handshake it names, and whether that waits for its confirmation.
    peer: Option<(NodeId, bool)>,
    link: Option<LinkFacts>,
}

/// Why a node does something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause<'a> {
    /// Its owner asked, or it started.
    Command,
    /// A deadline came.
    Timer,
    /// A datagram came, and this is what became of it.
    Datagram(&'a Arrival, Result<(), Discard>),
}

impl Laws {
    /// The keys of a node are in other hands from now on.
    pub(crate) fn turn(&mut self, id: NodeId) {
        self.turned.insert(id);
    }

    /// A host is led to believe false addresses from now on.
    pub(crate) fn mislead(&mut self, host: HostId) {
        self.misled.insert(host);
    }

    /// A host's node starts anew. `kept`: with what its last run stored last, and nothing older.
    pub(crate) fn started(&mut self, host: HostId, kept: bool) {
        self.sessions.forget(host);
        self.addresses.forget(host);
        self.tables.forget(host);
        if !kept {
            self.members.forget(host);
        }
    }

    /// A node sends a datagram.
    pub(crate) fn sent(&mut self, now: Duration, sent: &Sent<'_>) -> Verdict {
        self.origins.sent(sent);
        self.sessions.sent(sent)?;
        if self.misled.contains(&sent.origin.host) {
            return Ok(());
        }
        self.addresses.sent(now, sent)
    }

    /// Where a datagram comes from in truth. `origin`: whose node sent it, if it comes straight from there.
    pub(crate) fn maker(&self, datagram: &[u8], origin: Option<Origin>) -> Option<Made> {
        self.origins.of(datagram, origin)
    }

    /// A datagram is about to be given to the node of a host.
    pub(crate) fn arriving(
        &self,
        host: HostId,
        node: &Node,
        from: Address,
        datagram: &[u8],
        made: Option<Made>,
    ) -> Arrival {
        let (index, counter, initiation) = match Datagram::parse(datagram) {
            Ok(Datagram::Tagged(header)) => (Some(header.receiver), Some(header.counter), None),
            Ok(Datagram::Response(response)) => (Some(response.receiver), None, None),
            Ok(Datagram::CookieReply(reply)) => (Some(reply.receiver), None, None),
            Ok(Datagram::Initiation(initiation)) => (None, None, Some((initiation.mode, initiation.invite))),
            Err(_) => (None, None, None),
        };
        let peer = index.and_then(|index| node.peer_of(index));
        Arrival {
            host,
            from,
            kind: kind(datagram),
            bytes: datagram.len(),
            index,
            counter,
            initiation,
            same_run: peer.is_some_and(|(id, _)| self.addresses.is_same_run(host, id, made.as_ref())),
            made,
            before: node.facts(),
            peer,
            link: peer.and_then(|(id, _)| node.link_facts(id)),
        }
    }

    /// A datagram reached a machine on which the keys of `id` are, whatever it makes of it.
    pub(crate) fn reached(&mut self, now: Duration, id: NodeId, datagram: &[u8], made: Option<&Made>) {
        if let Some(made) = made {
            self.addresses.reached(now, id, kind(datagram), made);
        }
    }

    /// A node has judged a datagram.
    pub(crate) fn arrived(
        &mut self,
        now: Duration,
        node: &Node,
        arrival: &Arrival,
        result: Result<(), Discard>,
    ) -> Verdict {
        self.addresses.came(now, arrival);
        self.members.came(arrival);
        if let Err(reason) = result {
            return refused(node, arrival, reason);
        }
        if let (Some(index), Some(counter)) = (arrival.index, arrival.counter) {
            self.sessions.accepted(arrival, index, counter)?;
        }
        let Some((id, _)) = arrival.peer else { return Ok(()) };
        if self.turned.contains(&id) {
            return Ok(());
        }
        origins::authentic(arrival, id)?;
        if self.misled.contains(&arrival.host) {
            return Ok(());
        }
        let after = node.link_facts(id);
        // What a second machine with the peer's key says is received, and has no part in this.
        if after.and_then(|link| link.session).map(|(index, _)| index) == arrival.index {
            self.addresses.heard(arrival, id);
        }
        self.addresses.moved(now, arrival, (id, arrival.link, after))
    }

    /// Something reached a host that was sent to this address.
    pub(crate) fn is_at(&mut self, now: Duration, host: HostId, address: Address) {
        self.addresses.is_at(now, host, address);
    }

    /// A node tells its owner something.
    pub(crate) fn told(
        &mut self,
        now: Duration,
        host: HostId,
        node: &Node,
        cause: Cause<'_>,
        event: &Event,
    ) -> Verdict {
        self.members.told(host, node, cause, event)?;
        if let Event::PeerUp { peer, .. } = event {
            self.direct(peer.id, cause)?;
        }
        if self.misled.contains(&host) {
            return Ok(());
        }
        self.addresses.told(now, host, cause, event)
    }

    /// A step of a node is over, and its outputs were taken.
    pub(crate) fn stepped(&mut self, now: Duration, host: HostId, node: &Node, members_max: usize) -> Verdict {
        let facts = node.facts();
        if facts.removals >= REMOVED_MAX {
            self.members.forget_removals(host);
        }
        self.tables.stepped(now, host, &facts, members_max)
    }

    /// P22: only what a peer itself sent shows that it lives.
    fn direct(&self, peer: NodeId, cause: Cause<'_>) -> Verdict {
        let heard = match cause {
            Cause::Command | Cause::Timer => false,
            Cause::Datagram(arrival, result) => {
                let made = arrival.made.as_ref().is_some_and(|made| made.by == peer);
                result.is_ok() && arrival.counter.is_some() && (made || self.turned.contains(&peer))
            }
        };
        hold("P22", heard, || format!("{peer} is called up, and what was heard did not come from it: {cause:?}"))
    }
}

/// P5, WIRE-8: a datagram that fails a check changes nothing.
fn refused(node: &Node, arrival: &Arrival, reason: Discard) -> Verdict {
    let link = arrival.peer.and_then(|(id, _)| node.link_facts(id));
    // Whose handshakes cost how much is counted before they are judged.
    let (before, after) = (&arrival.before, &Facts { sources: arrival.before.sources, ..node.facts() });
    // A tag and a window that were passed before the body turned out wrong have moved the window.
    let judged = |link: Option<LinkFacts>| link.map(|link| LinkFacts { session: None, ..link });
    hold("P5", before == after && judged(arrival.link) == judged(link), || {
        format!("refused ({reason}), and yet {before:?} became {after:?}, {:?} became {link:?}", arrival.link)
    })
}

/// P5: what a datagram that was refused is answered with: nothing, or a cookie that is no longer than it.
pub(crate) fn answered(cause: Cause<'_>, to: Address, datagram: &[u8]) -> Verdict {
    let Cause::Datagram(arrival, Err(reason)) = cause else { return Ok(()) };
    let cookie = reason == Discard::CookieDemanded && datagram.get(1) == Some(&Kind::COOKIE_REPLY.0);
    hold("P5", cookie && to == arrival.from && datagram.len() <= arrival.bytes, || {
        format!("refused ({reason}), and answered with {} bytes to {to}", datagram.len())
    })
}

/// The type of a datagram; an empty one has none.
fn kind(datagram: &[u8]) -> Kind {
    Kind(datagram.get(1).copied().unwrap_or_default())
}

/// Says what is broken unless `holds`.
fn hold(law: &'static str, holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Broken { law, what: what() }) }
}
