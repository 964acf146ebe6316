//! The bounds of what a responder keeps, and what it demands under load.

use super::*;
use crate::auth::drbg::Drbg;
use crate::auth::handshake::{Initiator, Prologue, Purpose, Received};
use crate::auth::identity::Identity;
use crate::config::{Cluster, ClusterKey};
use crate::wire::datagram::Datagram;
use crate::wire::id::{ClusterId, Incarnation};
use crate::wire::initiation::Mode;
use crate::wire::response::{ResponsePayload, Verdict};

#[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
fn start() -> Instant {
    Instant::now()
}

fn at(n: u8) -> Address {
    Address::new([192, 0, 2, n].into(), 7733).unwrap()
}

/// A responder, and what it takes to ask it for handshakes.
struct Bench {
    own: Identity,
    cluster: Cluster,
    drbg: Drbg,
    responder: Responder,
    index: u32,
}

impl Bench {
    fn new(now: Instant) -> Self {
        let own = Identity::from_secret([1; 32]);
        let cluster = Cluster { id: ClusterId([2; 16]), key: ClusterKey([3; 32]) };
        let responder = Responder::new(own.public_key(), now);
        Self { own, cluster, drbg: Drbg::new([4; 32]), responder, index: 0 }
    }

    fn initiator(&mut self, peer: u8) -> Initiator {
        self.index += 1;
        let identity = Identity::from_secret([peer; 32]);
        let purpose = Purpose::Member(&self.cluster);
        Initiator::start(
            &identity,
            &self.own.public_key(),
            purpose,
            Incarnation([1; 8]),
            Index(self.index),
            &mut self.drbg,
        )
        .unwrap()
    }

    fn initiation(initiator: &Initiator) -> Initiation {
        match Datagram::parse(initiator.datagram()).unwrap() {
            Datagram::Initiation(initiation) => initiation,
            other @ (Datagram::Response(_) | Datagram::CookieReply(_) | Datagram::Tagged(_)) => panic!("{other:?}"),
        }
    }

    /// A handshake with this peer that was answered; its session has the index of the initiation, plus 1000.
    fn pending(&mut self, peer: u8, now: Instant) -> Pending {
        self.pending_from(peer, at(9), now)
    }

    fn pending_from(&mut self, peer: u8, from: Address, now: Instant) -> Pending {
        let initiation = Self::initiation(&self.initiator(peer));
        let prologue = Prologue::Member(&self.cluster.id);
        let received = Received::read(&self.own, prologue, &initiation, &mut self.drbg).unwrap();
        let peer = received.initiator();
        let index = Index(1000 + initiation.sender.0);
        let payload = ResponsePayload {
            sender: index,
            verdict: Verdict::Accepted,
            observed: from,
            clock_ms: 0,
            incarnation: Incarnation([2; 8]),
            cluster_id: ClusterId([0; 16]),
            cluster_key: [0; 32],
        };
        let (response, keys) = received.respond(&self.cluster.key.0, &payload).unwrap();
        let session = Session::new(keys, index, initiation.sender, 0, now);
        Pending {
            session: Box::new(session),
            peer,
            incarnation: Incarnation([1; 8]),
            address: from,
            created: now,
            crosses: false,
            admission: None,
            initiation: Box::new(initiation),
            response: Box::new(response),
        }
    }
}

#[test]
fn the_same_initiation_from_the_same_address_has_the_same_answer() {
    let now = start();
    let mut bench = Bench::new(now);
    let pending = bench.pending(7, now);
    let (initiation, response) = (*pending.initiation, *pending.response);
    assert_eq!(bench.responder.repeat(at(9), &initiation), None);
    bench.responder.add(pending);
    assert_eq!(bench.responder.repeat(at(9), &initiation), Some(&response));
    assert_eq!(bench.responder.repeat(at(8), &initiation), None, "from elsewhere it is another handshake");
    let with_cookie = Initiation { mac2: [1; 16], ..initiation };
    assert_eq!(bench.responder.repeat(at(9), &with_cookie), Some(&response));
    let readdressed = Initiation { sender: Index(99), ..initiation };
    assert_eq!(bench.responder.repeat(at(9), &readdressed), None, "it is to be refused like any forgery");
    let invited = Initiation { mode: Mode::Join, invite: InviteId([1; 8]), ..initiation };
    assert_eq!(bench.responder.repeat(at(9), &invited), None);
    let other = Bench::initiation(&bench.initiator(7));
    assert_eq!(bench.responder.repeat(at(9), &other), None);
}

#[test]
fn a_peer_has_four_at_most_and_pushes_out_only_its_own() {
    let now = start();
    let mut bench = Bench::new(now);
    let other = bench.pending(7, now);
    assert_eq!(bench.responder.add(other), None);
    let evicted: Vec<Option<Index>> = (0..6)
        .map(|_| {
            let pending = bench.pending(8, now);
            bench.responder.add(pending)
        })
        .collect();
    assert_eq!(evicted, [None, None, None, None, Some(Index(1002)), Some(Index(1003))]);
    assert!(bench.responder.session_mut(Index(1001)).is_some());
    assert_eq!(bench.responder.pending.len(), 1 + PEER_MAX);
}

#[test]
fn replays_from_one_place_push_out_each_other() {
    let now = start();
    let mut bench = Bench::new(now);
    let own = bench.pending_from(8, at(1), now);
    let (peer, index) = (own.peer, own.session.local_index());
    bench.responder.add(own);
    for _ in 0..20 {
        assert!(!bench.responder.is_crowded(now, &peer, at(2)), "no cookie is asked of anybody");
        let replay = bench.pending_from(8, at(2), now);
        bench.responder.add(replay);
    }
    assert!(bench.responder.session_mut(index).is_some());
    // And it is not kept out where the replays were first.
    assert!(!bench.responder.is_crowded(now, &peer, at(3)));
    let another = bench.pending_from(8, at(3), now);
    let index = another.session.local_index();
    bench.responder.add(another);
    assert!(bench.responder.session_mut(index).is_some());
}

/// Spec: STATE-13.
#[test]
fn replays_from_many_places_have_to_show_that_they_are_there() {
    let now = start();
    let mut bench = Bench::new(now);
    let own = bench.pending_from(8, at(1), now);
    let peer = own.peer;
    bench.responder.add(own);
    for place in 2..=4 {
        assert!(!bench.responder.is_crowded(now, &peer, at(place)));
        let replay = bench.pending_from(8, at(place), now);
        bench.responder.add(replay);
    }
    let soon = now + FRESH - Duration::from_millis(1);
    assert!(bench.responder.is_crowded(soon, &peer, at(5)), "it would push out a fresh one");
    assert!(!bench.responder.is_crowded(soon, &peer, at(1)), "a peer pushes out its own");
    assert!(!bench.responder.is_crowded(now + FRESH, &peer, at(5)), "it has had its time");
}

#[test]
fn all_together_have_sixty_four_at_most() {
    let now = start();
    let mut bench = Bench::new(now);
    for peer in 0..70_u8 {
        let pending = bench.pending(100 + peer, now);
        let evicted = bench.responder.add(pending);
        assert_eq!(evicted, peer.checked_sub(64).map(|n| Index(1001 + u32::from(n))), "the oldest makes room");
    }
    assert_eq!(bench.responder.pending.len(), MAX);
}

#[test]
fn what_is_not_confirmed_in_time_is_forgotten() {
    let now = start();
    let mut bench = Bench::new(now);
    let (first, second) = (bench.pending(7, now), bench.pending(8, now + Duration::from_secs(1)));
    bench.responder.add(first);
    bench.responder.add(second);
    assert_eq!(bench.responder.next_expiry(), Some(now + LIFETIME));
    assert_eq!(bench.responder.take_expired(now + LIFETIME - Duration::from_millis(1)), []);
    assert_eq!(bench.responder.take_expired(now + LIFETIME), [Index(1001)]);
    assert!(bench.responder.take(Index(1002)).is_some());
    assert!(bench.responder.take(Index(1002)).is_none(), "confirmed once");
    assert_eq!(bench.responder.next_expiry(), None);
}

#[test]
fn under_load_a_cookie_is_demanded_and_serves_only_where_it_was_sent() {
    let now = start();
    let mut bench = Bench::new(now);
    let mut initiator = bench.initiator(7);
    let plain = Bench::initiation(&initiator);
    for _ in 0..OPEN_BURST {
        assert_eq!(bench.responder.admit(now, at(1), &plain), Admittance::Granted);
    }
    assert_eq!(bench.responder.admit(now, at(1), &plain), Admittance::CookieDemanded);
    let reply = bench.responder.cookies.reply(now, at(1), &plain, &mut bench.drbg);
    let Ok(Datagram::CookieReply(reply)) = Datagram::parse(&reply) else { panic!("no cookie reply") };
    initiator.set_cookie(initiator.open_cookie(&reply).unwrap());
    let proven = Bench::initiation(&initiator);
    assert_eq!(bench.responder.admit(now, at(2), &proven), Admittance::CookieDemanded);
    for _ in 0..SOURCE_BURST {
        assert_eq!(bench.responder.admit(now, at(1), &proven), Admittance::Granted);
    }
    assert_eq!(bench.responder.admit(now, at(1), &proven), Admittance::Overload);
    assert_eq!(bench.responder.admit(now + OPEN_PERIOD, at(3), &plain), Admittance::Granted, "the budget comes back");
}

/// What a node at `from` sends once it has its cookie.
fn proven(bench: &mut Bench, now: Instant, peer: u8, from: Address) -> Initiation {
    let mut initiator = bench.initiator(peer);
    let plain = Bench::initiation(&initiator);
    let reply = bench.responder.cookies.reply(now, from, &plain, &mut bench.drbg);
    let Ok(Datagram::CookieReply(reply)) = Datagram::parse(&reply) else { panic!("no cookie reply") };
    initiator.set_cookie(initiator.open_cookie(&reply).unwrap());
    Bench::initiation(&initiator)
}

#[test]
fn who_floods_from_one_place_keeps_nobody_else_out() {
    let mut now = start();
    let mut bench = Bench::new(now);
    // Whoever knows the public key gets a cookie at its own address, and has as many ports as it likes.
    let flood: Vec<(Address, Initiation)> = (1..=20)
        .map(|port| {
            let from = Address::new([203, 0, 113, 66].into(), port).unwrap();
            (from, proven(&mut bench, now, 9, from))
        })
        .collect();
    let victim = proven(&mut bench, now, 7, at(1));
    for round in 0..100 {
        for (from, initiation) in flood.iter().cycle().take(200) {
            bench.responder.admit(now, *from, initiation);
        }
        assert_eq!(bench.responder.admit(now, at(1), &victim), Admittance::Granted, "round {round}");
        now += Duration::from_secs(1);
    }
}

#[test]
fn places_are_bounded_and_forgotten_when_they_are_quiet() {
    let mut now = start();
    let mut bench = Bench::new(now);
    for n in 0..200 {
        bench.responder.has_share(now, at(n));
    }
    assert_eq!(bench.responder.sources.len(), SOURCES_MAX);
    now += SOURCE_PERIOD;
    bench.responder.has_share(now, at(250));
    assert_eq!(bench.responder.sources.len(), 1);
    let (all, mut spent) = (usize::try_from(PROVEN_BURST).unwrap(), 0);
    for n in 0..200_u8 {
        let initiation = proven(&mut bench, now, 7, at(n));
        while bench.responder.open.take(now) {}
        spent += usize::from(bench.responder.admit(now, at(n), &initiation) == Admittance::Granted);
    }
    assert_eq!(spent, all, "many places together have what there is");
    let remembered = bench.responder.sources.len();
    bench.responder.sources.clear();
    let refused = proven(&mut bench, now, 7, at(201));
    assert_eq!(bench.responder.admit(now, at(201), &refused), Admittance::Overload);
    assert_eq!((remembered, bench.responder.sources.len()), (SOURCES_MAX, 0), "who is refused leaves no trace");
}
