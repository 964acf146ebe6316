//! A member that lies: it has the keys of one node, and what it does to the others has bounds.

use std::time::{Duration, Instant};

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Purpose};
use dddns::auth::session::Session;
use dddns::node::event::{Event, Refusal};
use dddns::node::status::{Confidence, PeerState};
use dddns::sim::adversary::Interference;
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::address::Address;
use dddns::wire::body::Body;
use dddns::wire::conflict::Conflict;
use dddns::wire::datagram::Datagram;
use dddns::wire::heartbeat::Heartbeat;
use dddns::wire::id::{Digest, Incarnation, Index, NodeId};
use dddns::wire::kind::Kind;
use dddns::wire::leave::Leave;
use dddns::wire::list::List;
use dddns::wire::locate::Locate;
use dddns::wire::located::{Located, LocatedEntry, Source};
use dddns::wire::members::Members;
use dddns::wire::members_request::MembersRequest;
use dddns::wire::path::PathResponse;
use dddns::wire::record::{MemberRecord, MemberState};
use dddns::wire::rendezvous::Rendezvous;

use crate::cluster::{
    TODAY, away, config, configured, formed, happened, home, invite, join_with, kind, place, secrets, seed_range,
};

/// The keys of a host whose node was switched off, in other hands: a session with one victim.
struct Liar {
    session: Session,
    from: Address,
    to: Address,
    epoch: Instant,
    began: Duration,
}

impl Liar {
    /// Takes over `host` and makes a session with `victim`.
    fn take_over(world: &mut World, host: HostId, victim: HostId) -> Self {
        world.take_over(host);
        let mut liar = Self::shake_hands(world, host, victim, (Incarnation([0xBA; 8]), Index(0x0BAD_0BAD)));
        liar.reflect(world, liar.to);
        // The victim asks the machine whose keys these are whether it is still there.
        world.run_for(Duration::from_millis(1500));
        liar
    }

    /// Makes a session as another run of a host that was taken over, and does not confirm it.
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock; only differences count")]
    fn shake_hands(
        world: &mut World,
        host: HostId,
        victim: HostId,
        (incarnation, index): (Incarnation, Index),
    ) -> Self {
        let (from, to) = (world.addresses(host)[0], world.addresses(victim)[0]);
        let mut drbg = Drbg::new(world.dice.seed());
        let (identity, responder) = (world.identity(host).clone(), world.identity(victim).public_key());
        let cluster = secrets();
        let mut initiator =
            Initiator::start(&identity, &responder, Purpose::Member(&cluster), incarnation, index, &mut drbg).unwrap();
        world.tap();
        world.inject(Flight { from, to, datagram: initiator.datagram().to_vec() });
        world.run_for(Duration::from_millis(50));
        let answers = world.tapped().into_iter().filter(|flight| flight.from == to && flight.to == from);
        let response = answers
            .filter_map(|flight| match Datagram::parse(&flight.datagram) {
                Ok(Datagram::Response(response)) => Some(response),
                _ => None,
            })
            .next()
            .expect("a member is answered");
        let (keys, payload) = initiator.finish(&response).unwrap();
        let epoch = Instant::now();
        let session = Session::new(keys, index, payload.sender, payload.clock_ms, epoch);
        Self { session, from, to, epoch, began: world.now() }
    }

    fn reflect(&mut self, world: &mut World, address: Address) {
        self.say(world, &Heartbeat { seen: 0, digest: Digest([0; 8]), reflection: Some(address) });
    }

    fn say(&mut self, world: &mut World, body: &impl Body) {
        let flight = self.put(world, body);
        world.inject(flight);
    }

    /// What it would say, to be sent at any time.
    fn put(&mut self, world: &World, body: &impl Body) -> Flight {
        let now = self.epoch + (world.now() - self.began);
        let mut datagram = Vec::new();
        self.session.encode(now, body, &mut datagram).unwrap();
        Flight { from: self.from, to: self.to, datagram }
    }

    fn tell(&mut self, world: &mut World, records: &[MemberRecord]) {
        let mut page = Members { more: false, records: List::new() };
        records.iter().for_each(|record| page.records.push(*record).unwrap());
        self.say(world, &page);
    }

    fn located(&mut self, world: &mut World, id: NodeId, addresses: &[Address]) {
        let mut entries = List::new();
        for &address in addresses {
            entries.push(LocatedEntry { id, source: Source::Up, age_s: 0, address }).unwrap();
        }
        self.say(world, &Located { entries });
    }
}

fn victim_of_poison(n: u16) -> Address {
    let [a, b] = n.to_be_bytes();
    place([203, 0, a, b])
}

/// The datagrams that went to none of the hosts.
fn strays(world: &mut World) -> Vec<Flight> {
    world.tapped().into_iter().filter(|flight| flight.to.ip().to_string().starts_with("203.0.")).collect()
}

#[test]
fn false_addresses_get_three_probes_each() {
    let mut world = formed(1, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    world.kill(1);
    world.run_for(Duration::from_secs(60));
    let id = world.id(1);
    world.tap();
    let poison: Vec<Address> = (1..=8).map(victim_of_poison).collect();
    liar.located(&mut world, id, &poison);
    world.run_for(Duration::from_millis(100));
    // The same again, while they are probed.
    liar.located(&mut world, id, &poison);
    world.run_for(Duration::from_secs(10));
    let strays = strays(&mut world);
    assert!(!strays.is_empty());
    for address in poison {
        let to: Vec<usize> = strays.iter().filter(|f| f.to == address).map(|f| f.datagram.len()).collect();
        assert!(to.len() <= 3, "{address}: {to:?}");
    }
    world.start(1);
    assert!(
        world.run_until(Duration::from_secs(3), |world| world.knows(0, 1)).is_some(),
        "and do not hide the true one"
    );
}

#[test]
fn a_flood_of_false_addresses_stays_within_the_budget() {
    let mut world = formed(2, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    world.kill(1);
    world.run_for(Duration::from_secs(60));
    let id = world.id(1);
    world.tap();
    for n in 0..1000_u16 {
        let poison: Vec<Address> = (0..8).map(|k| victim_of_poison(n * 8 + k + 1)).collect();
        liar.located(&mut world, id, &poison);
        world.run_for(Duration::from_millis(10));
    }
    // Four addresses at a time, with three probes each in a second and a half, for ten seconds.
    let sent = strays(&mut world).len();
    assert!((60..=100).contains(&sent), "{sent} probes");
    world.start(1);
    assert!(world.run_until(Duration::from_secs(3), |world| world.knows(0, 1)).is_some());
    assert!(world.status(0).peers.iter().all(|peer| peer.candidates <= 8));
}

#[test]
fn addresses_that_nobody_can_have_are_not_probed() {
    let mut world = formed(3, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    world.kill(1);
    world.run_for(Duration::from_secs(60));
    let id = world.id(1);
    let before = world.count(0, "probes");
    let never = [[127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255], [169, 254, 1, 1], [0, 1, 2, 3]];
    world.tap();
    liar.located(&mut world, id, &never.map(place));
    let mut addresses = List::new();
    addresses.push(place(never[0])).unwrap();
    liar.say(&mut world, &Rendezvous { seeker: id, addresses });
    world.run_for(Duration::from_millis(500));
    let sent = world.tapped();
    assert!(never.iter().all(|ip| sent.iter().all(|flight| flight.to != place(*ip))));
    assert!(world.count(0, "probes") - before <= 3, "the usual rounds only");
}

/// Spec: ADDR-1.
#[test]
fn hearsay_about_a_peer_that_is_up_moves_it_nowhere() {
    let mut world = formed(4, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let id = world.id(1);
    let moved = |world: &World| happened(world, 0, |event| matches!(event, Event::PeerMoved { .. }));
    let before = moved(&world);
    for n in 1..100 {
        liar.located(&mut world, id, &[victim_of_poison(n)]);
        let mut addresses = List::new();
        addresses.push(home(3)).unwrap();
        liar.say(&mut world, &Rendezvous { seeker: id, addresses });
        world.run_for(Duration::from_millis(300));
        assert!(world.knows(0, 1) && world.knows(0, 2));
    }
    assert_eq!(moved(&world), before);
}

#[test]
fn one_liar_of_three_observers_is_outvoted() {
    let mut world = formed(5, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let own = |world: &World| happened(world, 0, |event| matches!(event, Event::OwnAddress { .. }));
    let before = own(&world);
    let mut heard = 0;
    for n in 1..200_u16 {
        liar.reflect(&mut world, victim_of_poison(n));
        world.run_for(Duration::from_millis(500));
        let own = &world.status(0).addresses[0];
        assert_eq!((own.address, own.confidence.as_str(), own.observers), (home(1), "agreed", 2));
        heard += usize::from(own.groups == 3);
    }
    assert!(heard > 50, "its votes were counted {heard} times of 199");
    assert_eq!(own(&world), before);
    assert!(world.knows(0, 1) && world.knows(0, 2));
}

#[test]
fn a_member_says_goodbye_for_itself_only() {
    let mut world = formed(6, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    liar.say(&mut world, &Leave);
    world.run_for(Duration::from_secs(30));
    assert!(world.knows(0, 1) && world.knows(0, 2));
    assert_eq!(world.peer(0, 3).unwrap().state.as_str(), "left");
}

/// Spec: `spec/state-machine.md` section 4, the rows of Leave.
#[test]
fn a_goodbye_that_arrives_after_its_sender_came_back_ends_nothing() {
    let mut world = formed(8, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let goodbye = liar.put(&world, &Leave);
    liar.reflect(&mut world, liar.to);
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.peer(0, 3).unwrap().state, PeerState::Up);
    world.inject(goodbye);
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.peer(0, 3).unwrap().state, PeerState::Up);
}

#[test]
fn a_member_turns_others_away_from_itself_only() {
    let mut world = formed(9, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    for _ in 0..10 {
        liar.say(&mut world, &Conflict);
        world.run_for(Duration::from_secs(6));
    }
    assert_eq!(world.peer(0, 3).unwrap().state.as_str(), "conflict");
    assert_eq!(happened(&world, 0, |event| matches!(event, Event::NodeConflict { .. })), 1);
    assert!([1, 2].iter().all(|&host| world.knows(0, host) && world.knows(host, 0)));
}

#[test]
fn a_flood_of_members_ends_at_the_bound() {
    let mut world = formed(7, 3);
    let mut liar = Liar::take_over(&mut world, 2, 0);
    for n in 0..400_u16 {
        let mut records: Vec<MemberRecord> = (0..9_u8).map(|k| invented(n, k)).collect();
        records.sort_by_key(MemberRecord::id);
        let mut page = Members { more: false, records: List::new() };
        records.into_iter().for_each(|record| page.records.push(record).unwrap());
        liar.say(&mut world, &page);
        world.run_for(Duration::from_millis(25));
    }
    assert_eq!(world.status(0).peers.len(), 1023);
    world.run_for(Duration::from_secs(20));
    assert!(world.knows(0, 1) && world.knows(1, 0), "those who are there stay");
}

#[test]
fn a_member_that_renames_others_without_end_is_not_followed_without_end() {
    let mut world = formed(8, 3);
    let mut liar = Liar::take_over(&mut world, 2, 0);
    let revision = |world: &mut World| world.command(0, |node, _| node.revision().members);
    let (stored, sent) = (revision(&mut world), world.traffic(0).datagrams_out);
    let key = world.identity(1).public_key();
    for n in 1..=5000_u32 {
        let mut page = Members { more: false, records: List::new() };
        page.records.push(MemberRecord { public_key: key, revision: 10 + n, ..invented(0, 1) }).unwrap();
        liar.say(&mut world, &page);
        world.run_for(Duration::from_millis(10));
    }
    let (stored, sent) = (revision(&mut world) - stored, world.traffic(0).datagrams_out - sent);
    assert!((250..270).contains(&stored), "{stored} changes to be stored");
    assert!(sent < 500, "{sent} datagrams sent");
    world.run_for(Duration::from_secs(20));
    assert!(world.knows(0, 1) && world.knows(1, 0));
    // And news of nodes that it does not know is no part of that.
    let mut page = Members { more: false, records: List::new() };
    page.records.push(invented(7, 7)).unwrap();
    liar.say(&mut world, &page);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.status(0).peers.len(), 3);
}

/// MEMB-4: as long as there is a greater revision.
#[test]
fn a_member_that_is_renamed_by_another_says_its_name_again() {
    let mut world = formed(9, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let public_key = world.identity(1).public_key();
    let known =
        world.command(0, |node, _| node.saved().members).into_iter().find(|known| known.public_key == public_key);
    liar.tell(&mut world, &[MemberRecord { revision: 1_000_000, name: "nas".parse().unwrap(), ..known.unwrap() }]);
    world.run_for(Duration::from_secs(2));
    for host in [0, 2] {
        assert_eq!(world.peer(host, 1).unwrap().name.as_str(), "node-2", "host {host}");
    }
}

/// MEMB-3: the greatest number bars the node that it is written about, and no other.
#[test]
fn a_greatest_number_spoils_one_identity_only() {
    let mut world = formed(10, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let public_key = world.identity(1).public_key();
    let state = MemberState::Removed;
    liar.tell(&mut world, &[MemberRecord { public_key, admission: u32::MAX, state, ..invented(0, 1) }]);
    world.run_for(Duration::from_secs(2));
    assert!(world.peer(0, 1).is_none() && world.peer(2, 1).is_none());
    let token = invite(&mut world, 0, Duration::from_secs(86_400));
    world.command(1, |node, now| node.join(now, &token)).unwrap();
    world.run_for(Duration::from_secs(10));
    let barred = |event: &Event| matches!(event, Event::JoinRefused { reason: Refusal::Barred });
    assert_eq!(happened(&world, 1, barred), 1);
    // The same invite, which nobody has used, lets a new identity in; and who was removed in a usual way comes back.
    let new = world.add_host(config(5), &[home(5)], TODAY);
    join_with(&mut world, new, &token);
    assert!(world.run_until(Duration::from_secs(30), |world| world.knows(0, new) && world.knows(2, new)).is_some());
    let id = world.id(2);
    world.command(0, |node, now| node.forget(now, id)).unwrap();
    world.run_for(Duration::from_secs(2));
    let token = invite(&mut world, 0, Duration::from_secs(86_400));
    world.command(2, |node, now| node.join(now, &token)).unwrap();
    assert!(world.run_until(Duration::from_secs(30), |world| world.knows(0, 2) && world.knows(2, 0)).is_some());
}

/// Records of others stand beside the removal, before it and after it.
#[test]
fn a_node_that_learns_of_its_removal_looks_for_nobody_any_more() {
    let mut world = formed(12, 3);
    let mut liar = Liar::take_over(&mut world, 2, 0);
    let public_key = world.identity(0).public_key();
    let own = world.command(0, |node, _| node.saved().members).into_iter().find(|known| known.public_key == public_key);
    let mut records: Vec<MemberRecord> = (0..8_u8).map(|k| invented(1, k)).collect();
    records.push(MemberRecord { state: MemberState::Removed, ..own.unwrap() });
    records.sort_by_key(MemberRecord::id);
    assert!(records.last().is_some_and(|last| last.public_key != public_key), "one comes after it");
    liar.tell(&mut world, &records);
    world.run_for(Duration::from_secs(1));
    assert!(world.status(0).peers.is_empty());
    world.tap();
    world.run_for(Duration::from_secs(60));
    assert!(world.tapped().iter().all(|flight| flight.from != home(1)), "it calls nobody");
}

/// MEMB-11: whoever fills the memory for removals keeps nobody in, itself included, and nobody out.
#[test]
fn a_flood_of_removals_hinders_neither_a_removal_nor_an_admission() {
    let mut world = formed(11, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    for n in 0..250_u16 {
        let state = MemberState::Removed;
        let mut records: Vec<MemberRecord> =
            (0..9_u8).map(|k| MemberRecord { state, admission: u32::MAX, ..invented(n, k) }).collect();
        records.sort_by_key(MemberRecord::id);
        liar.tell(&mut world, &records);
        world.run_for(Duration::from_millis(25));
    }
    let saved = world.command(0, |node, _| node.saved().members.len());
    assert_eq!(saved, 4 + 1024);
    let id = world.id(3);
    world.command(1, |node, now| node.forget(now, id)).unwrap();
    world.run_for(Duration::from_secs(60));
    assert!((0..3).all(|host| world.peer(host, 3).is_none()));
    let new = world.add_host(config(5), &[home(5)], TODAY);
    let token = invite(&mut world, 2, Duration::from_secs(86_400));
    join_with(&mut world, new, &token);
    let whole = |world: &World| (0..3).all(|host| world.knows(host, new) && world.knows(new, host));
    assert!(world.run_until(Duration::from_secs(30), whole).is_some());
}

fn invented(n: u16, k: u8) -> MemberRecord {
    let mut key = [k; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    MemberRecord {
        public_key: dddns::wire::id::PublicKey(key),
        admitted_by: NodeId([1; 16]),
        admission: 9,
        state: MemberState::Member,
        revision: 0,
        name: format!("x-{n}-{k}").parse().unwrap(),
    }
}

#[test]
fn one_who_asks_without_end_makes_others_call_within_a_budget() {
    let mut world = formed(10, 10);
    let mut liar = Liar::take_over(&mut world, 9, 0);
    let mut ids = List::new();
    let mut wanted: Vec<NodeId> = (1..9).map(|host| world.id(host)).collect();
    wanted.sort_unstable();
    wanted.into_iter().for_each(|id| ids.push(id).unwrap());
    let rendezvous = |world: &mut World| {
        let called =
            |flight: &Flight| flight.from == home(1) && flight.to != home(10) && kind(flight) == Kind::RENDEZVOUS;
        world.tapped().into_iter().filter(called).count()
    };
    world.tap();
    // As fast as the network carries it: no pair is brought together again within half a second.
    for _ in 0..1000 {
        liar.say(&mut world, &Locate { ids });
        world.run_for(Duration::from_millis(10));
    }
    // Eight, and eight again each time that it is heard after it was suspected: it answers no heartbeats.
    let asked = rendezvous(&mut world);
    assert!((8..=48).contains(&asked), "{asked} of 8000");
    // Just slowly enough for that: 256, and ten a second.
    for _ in 0..200 {
        liar.say(&mut world, &Locate { ids });
        world.run_for(Duration::from_millis(510));
    }
    let asked = rendezvous(&mut world);
    assert!((1100..=1400).contains(&asked), "{asked} of 1600");
    for _ in 0..100 {
        for host in 1..9 {
            let id = world.id(host);
            let mut ids = List::new();
            ids.push(id).unwrap();
            liar.say(&mut world, &Locate { ids });
        }
        world.run_for(Duration::from_millis(200));
    }
    assert!(rendezvous(&mut world) <= 48, "nor do many small questions help");
    assert!((0..9).all(|a| (0..9).all(|b| a == b || world.knows(a, b))));
}

#[test]
fn one_who_tells_without_end_delays_no_search() {
    for seed in seed_range(1) {
        let mut world = formed(seed, 5);
        let mut liar = Liar::take_over(&mut world, 4, 0);
        let mut fakes = Vec::new();
        // As many as a full mesh has: of others a node would not have links to look for.
        for n in 0..13_u16 {
            let mut records: Vec<MemberRecord> = (0..9_u8).map(|k| invented(n, k)).collect();
            records.sort_by_key(MemberRecord::id);
            fakes.extend(records.iter().map(MemberRecord::id));
            let mut page = Members { more: false, records: List::new() };
            records.into_iter().for_each(|record| page.records.push(record).unwrap());
            liar.say(&mut world, &page);
        }
        world.kill(1);
        world.run_for(Duration::from_secs(60));
        let deferred = world.count(0, "probes-deferred");
        let mut next = 0_u16;
        let mut calls: Vec<Duration> = Vec::new();
        world.tap();
        for _ in 0..300 {
            for id in &fakes {
                next = next.wrapping_add(1);
                liar.located(&mut world, *id, &[victim_of_poison(next | 1)]);
            }
            world.run_for(Duration::from_millis(100));
            let called = world.tapped().iter().any(|flight| flight.from == home(1) && flight.to == home(2));
            calls.extend(called.then(|| world.now()));
        }
        assert!(world.count(0, "probes-deferred") > deferred + 1000, "seed {seed}: the budget was never spent");
        // Three rounds of three probes to the address that the node knows by itself, half a second apart.
        let rounds: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let prompt = rounds.iter().filter(|pause| **pause <= Duration::from_millis(600)).count();
        assert!(prompt >= 5, "seed {seed}: {rounds:?} between calls");
    }
}

#[test]
fn who_shows_two_addresses_in_turns_is_followed_ever_more_rarely() {
    let mut world = formed(11, 5);
    let mut liar = Liar::take_over(&mut world, 4, 0);
    let round = |world: &mut World| {
        let sent = world.tapped();
        let others = |flight: &&Flight| flight.from == home(1) && flight.to != home(5);
        sent.iter().filter(others).filter(|flight| kind(flight) == Kind::HEARTBEAT).count()
    };
    world.tap();
    world.run_for(Duration::from_secs(600));
    let quiet = round(&mut world);
    for n in 0..1200_u16 {
        liar.reflect(&mut world, victim_of_poison(1 + n % 2));
        world.run_for(Duration::from_millis(500));
    }
    let disturbed = round(&mut world);
    // Six rounds until they are a minute apart, then one a minute, to three others each.
    assert!(disturbed < quiet + 3 * 20, "{disturbed} heartbeats in ten minutes, {quiet} without the liar");
    // And its owner's own moves are noticed as ever.
    world.move_to(0, &[away(1)]);
    assert!(world.run_until(Duration::from_secs(4), |world| (1..4).all(|host| world.knows(host, 0))).is_some());
}

/// Spec: `spec/state-machine.md` section 4, the row of Conflict.
#[test]
fn one_who_ends_a_link_while_its_list_is_read_keeps_nobody_from_reading_others() {
    let mut world = formed(21, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let gone = invented(5, 5);
    liar.tell(&mut world, &[gone]);
    world.run_for(Duration::from_secs(2));
    let lists = |world: &World, host| world.status(host).peers.iter().any(|peer| peer.id == gone.id());
    assert!((0..3).all(|host| lists(&world, host)));
    // Its list differs, it is asked for it, and answers that it talks to another machine.
    world.tap();
    liar.reflect(&mut world, liar.to);
    let asked = |flight: &Flight| flight.to == home(4) && kind(flight) == Kind::MEMBERS_REQUEST;
    assert!((0..100).any(|_| {
        world.run_for(Duration::from_millis(50));
        world.tapped().iter().any(asked)
    }));
    liar.say(&mut world, &Conflict);
    world.run_for(Duration::from_secs(1));
    // The victim misses a removal, and has to read it in somebody's list.
    let victim = |flight: &Flight| flight.from == home(1) || flight.to == home(1);
    world.set_adversary(Some(Box::new(move |_, flight| Interference { drop: victim(flight), sends: Vec::new() })));
    world.command(1, |node, now| node.forget(now, gone.id())).unwrap();
    world.run_for(Duration::from_millis(300));
    world.set_adversary(None);
    assert!(world.run_until(Duration::from_secs(60), |world| !lists(world, 0)).is_some());
}

/// Spec: STATE-10.
#[test]
fn one_who_ends_a_link_in_a_contest_is_called_again() {
    let mut world = formed(22, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let mut second = Liar::shake_hands(&mut world, 3, 0, (Incarnation([0xCC; 8]), Index(0x0BAD_0CCC)));
    second.reflect(&mut world, second.to);
    world.run_for(Duration::from_millis(100));
    liar.say(&mut world, &Conflict);
    world.run_for(Duration::from_secs(2));
    world.tap();
    world.run_for(Duration::from_secs(600));
    let call = |flight: &&Flight| flight.from == home(1) && flight.to == home(4) && kind(flight) == Kind::INITIATION;
    let calls = world.tapped().iter().filter(call).count();
    assert!((3..=40).contains(&calls), "a round every two minutes: {calls} initiations in ten");
}

#[test]
fn one_who_begins_anew_while_an_answer_is_due_is_missed_when_it_falls_silent() {
    let mut world = formed(27, 50);
    let mut liar = Liar::take_over(&mut world, 49, 0);
    liar.reflect(&mut world, liar.to);
    world.tap();
    let due = |flight: &Flight| flight.from == home(1) && flight.to == home(50) && kind(flight) == Kind::HEARTBEAT;
    assert!((0..2000).any(|_| {
        world.run_for(Duration::from_millis(10));
        world.tapped().iter().any(due)
    }));
    // Nobody else asks after it, and it says nothing that makes an exchange.
    let asks = |flight: &Flight| kind(flight) == Kind::LOCATE && flight.from != home(50);
    world.set_adversary(Some(Box::new(move |_, flight| Interference { drop: asks(flight), sends: Vec::new() })));
    let mut again = Liar::shake_hands(&mut world, 49, 0, (Incarnation([0xBA; 8]), Index(0x0BAD_0DDD)));
    let mut ids = List::new();
    ids.push(world.id(5)).unwrap();
    again.say(&mut world, &Locate { ids });
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.peer(0, 49).unwrap().state, PeerState::Up);
    let missed = |world: &World| world.peer(0, 49).unwrap().state != PeerState::Up;
    assert!(world.run_until(Duration::from_secs(60), missed).is_some(), "it is up for ever");
}

/// Spec: `spec/membership.md` section 5.
#[test]
fn a_handshake_that_waits_ends_with_the_removal_of_whoever_answered_it() {
    let mut world = formed(26, 4);
    world.take_over(3);
    let mut liar = Liar::shake_hands(&mut world, 3, 0, (Incarnation([0xBA; 8]), Index(0x0BAD_0BAD)));
    let id = world.id(0);
    world.command(1, |node, now| node.forget(now, id)).unwrap();
    world.run_for(Duration::from_secs(2));
    assert_eq!(happened(&world, 0, |event| matches!(event, Event::Removed { .. })), 1);
    world.tap();
    liar.reflect(&mut world, liar.to);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.tapped().iter().filter(|flight| flight.from == home(1)).map(kind).collect::<Vec<_>>(), []);
}

/// Spec: ADDR-2.
#[test]
fn who_reflects_nothing_any_more_has_no_vote_though_it_is_up() {
    let mut world = formed(30, 2);
    let mut liar = Liar::take_over(&mut world, 1, 0);
    liar.reflect(&mut world, liar.to);
    world.run_for(Duration::from_millis(100));
    let confidence = |world: &World| world.status(0).addresses[0].confidence;
    assert_eq!(confidence(&world), Confidence::SingleObserver);
    for _ in 0..100 {
        // It answers every heartbeat, and says nothing of where that came from.
        liar.say(&mut world, &Heartbeat { seen: u64::MAX, digest: Digest([0; 8]), reflection: None });
        world.run_for(Duration::from_millis(400));
        assert_eq!(world.peer(0, 1).unwrap().state, PeerState::Up);
    }
    assert_eq!(confidence(&world), Confidence::Stale);
}

/// Spec: `PREVIOUS`.
#[test]
fn what_was_sent_under_the_session_before_is_taken_and_acknowledged() {
    let mut world = formed(31, 4);
    let mut before = Liar::take_over(&mut world, 3, 0);
    let mut present = Liar::shake_hands(&mut world, 3, 0, (Incarnation([0xBA; 8]), Index(0x0BAD_0DDD)));
    present.reflect(&mut world, present.to);
    world.run_for(Duration::from_millis(100));
    world.tap();
    before.reflect(&mut world, before.to);
    world.run_for(Duration::from_millis(100));
    let acked =
        |flight: &Flight| kind(flight) == Kind::HEARTBEAT_ACK && flight.datagram[4..8] == [0x0B, 0xAD, 0x0B, 0xAD];
    assert!(world.tapped().iter().any(acked));
}

/// Renames somebody else without end, at two of three honest nodes.
#[test]
fn one_who_spends_the_news_budget_cannot_keep_its_own_removal_from_spreading() {
    let mut world = formed(41, 4);
    let mut first = Liar::take_over(&mut world, 3, 1);
    let mut second = Liar::shake_hands(&mut world, 3, 2, (Incarnation([0xBA; 8]), Index(0x0BAD_0DDD)));
    second.reflect(&mut world, second.to);
    world.run_for(Duration::from_millis(1500));
    let mut revision = 0;
    let mut flood = |world: &mut World, times: u32| {
        for _ in 0..times {
            revision += 1;
            let rename = MemberRecord { revision, ..invented(0, 1) };
            first.tell(world, &[rename]);
            second.tell(world, &[rename]);
            world.run_for(Duration::from_millis(20));
        }
    };
    flood(&mut world, 1100);
    assert!(world.count(1, "news-ignored") > 0 && world.count(2, "news-ignored") > 0, "nothing is spent");
    let id = world.id(3);
    world.command(0, |node, now| node.forget(now, id)).unwrap();
    flood(&mut world, 3000);
    let listed: Vec<usize> = (0..3).filter(|&host| world.peer(host, 3).is_some()).collect();
    assert!(listed.is_empty(), "after a minute it is still a member for {listed:?}");
}

#[test]
fn one_who_leaves_and_comes_back_without_end_makes_others_send_within_a_budget() {
    let mut world = formed(42, 20);
    let mut liar = Liar::take_over(&mut world, 19, 0);
    // The others miss it, and ask.
    world.run_for(Duration::from_secs(60));
    liar.reflect(&mut world, liar.to);
    world.run_for(Duration::from_secs(1));
    world.tap();
    let events = world.events(0).len();
    for _ in 0..1000 {
        liar.say(&mut world, &Leave);
        liar.say(&mut world, &PathResponse([0; 8]));
        world.run_for(Duration::from_millis(5));
    }
    let events = world.events(0).len() - events;
    let told = |flight: &&Flight| flight.from == home(1) && flight.to != home(20) && kind(flight) == Kind::LOCATED;
    let located = world.tapped().iter().filter(told).count();
    // Five seconds: each of the 18 others is told five times, and the owner of coming and going.
    assert!(located <= 5 * 18 && events <= 2 * 6, "{located} Located, {events} events");
}

#[test]
fn one_who_asks_for_lists_without_end_gets_a_bounded_number_of_pages_and_only_where_it_is() {
    let mut world = formed(43, 12);
    let mut liar = Liar::take_over(&mut world, 11, 0);
    liar.reflect(&mut world, liar.to);
    world.run_for(Duration::from_secs(1));
    let pages = |world: &mut World, liar: &mut Liar| {
        world.tap();
        for _ in 0..2000 {
            liar.say(world, &MembersRequest { after: NodeId([0; 16]) });
            world.run_for(Duration::from_millis(5));
        }
        world.tapped().iter().filter(|flight| flight.from == home(1) && kind(flight) == Kind::MEMBERS).count()
    };
    // Ten seconds at four a second beyond the burst.
    let there = pages(&mut world, &mut liar);
    assert!((256..=256 + 41).contains(&there), "{there}");
    // It answers no challenge elsewhere, and its old address may be anybody's by now.
    world.run_for(Duration::from_secs(120));
    liar.from = place([203, 0, 113, 9]);
    assert_eq!(pages(&mut world, &mut liar), 0);
}

#[test]
fn the_only_observer_cannot_make_news_with_every_datagram() {
    let mut world = formed(44, 2);
    world.move_to(0, &[away(1)]);
    world.run_for(Duration::from_secs(60));
    world.move_to(0, &[home(1)]);
    world.run_for(Duration::from_secs(60));
    let mut liar = Liar::take_over(&mut world, 1, 0);
    liar.reflect(&mut world, liar.to);
    world.run_for(Duration::from_secs(1));
    let own = |world: &World| happened(world, 0, |event| matches!(event, Event::OwnAddress { .. }));
    let before = own(&world);
    for n in 0..1000 {
        liar.reflect(&mut world, if n % 2 == 0 { away(1) } else { home(1) });
        world.run_for(Duration::from_millis(5));
    }
    let told = own(&world) - before;
    assert!((1..=6).contains(&told), "{told} events in five seconds");
}

#[test]
fn one_who_introduces_a_seeker_falsely_without_end_hides_no_true_introduction() {
    let mut world = formed(45, 5);
    let mut liar = Liar::take_over(&mut world, 4, 0);
    // Host 1 is dead for long, so host 0 seldom looks for it.
    world.kill(1);
    world.run_for(Duration::from_secs(1800));
    let seeker = world.id(1);
    world.take_over(3);
    let mut honest = Liar::shake_hands(&mut world, 3, 0, (Incarnation([0xBA; 8]), Index(0x0BAD_0DDD)));
    honest.reflect(&mut world, honest.to);
    world.run_for(Duration::from_millis(1500));
    world.tap();
    let introduce = |world: &mut World, by: &mut Liar, address| {
        let mut addresses = List::new();
        addresses.push(address).unwrap();
        by.say(world, &Rendezvous { seeker, addresses });
    };
    let true_ones: Vec<Address> = (100..160).map(away).collect();
    for &address in &true_ones {
        for n in 1..=20 {
            introduce(&mut world, &mut liar, victim_of_poison(n % 4 + 1));
            if n == 10 {
                introduce(&mut world, &mut honest, address);
            }
            world.run_for(Duration::from_millis(50));
        }
    }
    let sent = world.tapped();
    let tried = true_ones.iter().filter(|&&at| sent.iter().any(|flight| flight.from == home(1) && flight.to == at));
    assert_eq!(tried.count(), true_ones.len());
}

/// What a host knows of a node.
fn known(world: &mut World, host: HostId, of: HostId) -> MemberRecord {
    let public_key = world.identity(of).public_key();
    let mut members = world.command(host, |node, _| node.saved().members).into_iter();
    members.find(|known| known.public_key == public_key).expect("it knows it")
}

/// `admitted by` zero, which anybody can write, stands for an inviter, whose own word counts.
#[test]
fn who_says_that_nobody_admitted_somebody_keeps_nobody_in() {
    let mut world = formed(46, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    for of in [3, 2] {
        let right = known(&mut world, 0, of);
        liar.tell(&mut world, &[MemberRecord { admitted_by: NodeId::NONE, revision: right.revision + 1, ..right }]);
    }
    world.run_for(Duration::from_secs(3));
    assert_ne!(known(&mut world, 1, 3).admitted_by, NodeId::NONE);
    let [honest, lying] = [2, 3].map(|host| world.id(host));
    world.command(0, |node, now| node.forget(now, honest)).unwrap();
    world.command(1, |node, now| node.forget(now, lying)).unwrap();
    world.run_for(Duration::from_secs(3));
    for (host, of) in [(0, 2), (1, 2), (0, 3), (1, 3)] {
        assert_eq!(known(&mut world, host, of).state, MemberState::Removed, "{of} at {host}");
    }
}

#[test]
fn who_says_that_nobody_admitted_it_cannot_admit_itself() {
    let mut world = formed(47, 4);
    let mut liar = Liar::take_over(&mut world, 3, 0);
    let right = known(&mut world, 0, 3);
    // Host 1 hears of nothing, and nobody hears of what it does.
    let alone = |flight: &Flight| flight.from == home(2) || flight.to == home(2);
    world.set_adversary(Some(Box::new(move |_, flight| Interference { drop: alone(flight), sends: Vec::new() })));
    liar.tell(&mut world, &[MemberRecord { admitted_by: NodeId::NONE, revision: right.revision + 1, ..right }]);
    world.run_for(Duration::from_millis(300));
    let [admitter, lying] = [1, 3].map(|host| world.id(host));
    world.command(1, |node, now| node.forget(now, lying)).unwrap();
    liar.tell(&mut world, &[MemberRecord { admitted_by: admitter, admission: right.admission + 1, ..right }]);
    world.run_for(Duration::from_millis(300));
    world.set_adversary(None);
    world.run_for(Duration::from_secs(60));
    for host in 0..3 {
        assert_eq!(known(&mut world, host, 3).state, MemberState::Removed, "host {host}");
    }
}

/// Who is known by a provisional record only may tell any number of itself.
#[test]
fn what_stands_for_an_inviter_is_taken_from_nobody() {
    let mut world = formed(48, 3);
    let mut liar = Liar::take_over(&mut world, 2, 0);
    let stranger = invented(7, 7);
    let provisional = MemberRecord { admitted_by: NodeId::NONE, admission: 0, revision: 0, ..stranger };
    liar.tell(&mut world, &[provisional]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.status(0).peers.len(), 2);
    liar.tell(&mut world, &[stranger]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.status(0).peers.len(), 3);
}

/// A node that starts anew from its configuration has not heard of the removal, and its configuration names the removed one.
#[test]
fn who_is_known_by_configuration_cannot_admit_itself() {
    for default_name in [false, true] {
        let mut world = configured(49, 3);
        assert!(world.run_until(Duration::from_secs(30), World::whole).is_some());
        let lying = world.id(2);
        if default_name {
            let own_name = format!("node-{}", lying.short()).parse().unwrap();
            world.config(0).peers.iter_mut().filter(|peer| NodeId::from(&peer.public_key) == lying).for_each(|peer| {
                peer.name = own_name;
            });
        }
        world.command(1, |node, now| node.forget(now, lying)).unwrap();
        world.kill(0);
        world.erase(0);
        world.set_cluster(0, secrets());
        let others = |flight: &Flight| [flight.from, flight.to].contains(&home(2));
        world.set_adversary(Some(Box::new(move |_, flight| Interference { drop: others(flight), sends: Vec::new() })));
        world.start(0);
        let right = known(&mut world, 0, 2);
        assert_eq!((right.state, right.admission), (MemberState::Member, 0));
        let mut liar = Liar::take_over(&mut world, 2, 0);
        liar.tell(&mut world, &[MemberRecord { admission: 1, revision: 1, ..right }]);
        world.run_for(Duration::from_millis(300));
        assert_eq!(known(&mut world, 0, 2).admission, 0);
        world.set_adversary(None);
        world.run_for(Duration::from_secs(60));
        for host in [0, 1] {
            assert_eq!(known(&mut world, host, 2).state, MemberState::Removed, "host {host}");
        }
    }
}
