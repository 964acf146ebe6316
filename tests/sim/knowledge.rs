//! What nodes know: their own address, and who is a member.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dddns::node::event::Event;
use dddns::node::saved::SavedAddress;
use dddns::sim::adversary::Interference;
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::address::Address;
use dddns::wire::kind::Kind;

use crate::cluster::{TODAY, away, config, formed, home, join, kind, place, seed_range};

/// The own addresses of which a host's node told after a moment.
fn told_since(world: &World, host: HostId, since: Duration) -> Vec<Address> {
    let own = |event: &Event| if let Event::OwnAddress { new, .. } = event { Some(*new) } else { None };
    world.events(host).iter().filter(|(at, _)| *at > since).filter_map(|(_, event)| own(event)).collect()
}

/// When all others have published the new place of host 1, and when it has its own.
fn published(world: &mut World, nodes: usize) -> (Duration, Duration) {
    let since = world.now();
    let new = away(2);
    world.move_to(1, &[new]);
    let others = world.run_until(Duration::from_secs(30), |world| {
        (0..nodes)
            .filter(|host| *host != 1)
            .all(|host| world.peer(host, 1).is_some_and(|peer| peer.address == Some(new)))
    });
    assert!(world.run_until(Duration::from_secs(30), |world| world.knows_itself(1)).is_some());
    let own = world.events(1).iter().rev().find(|(_, event)| matches!(event, Event::OwnAddress { .. }));
    (others.unwrap(), own.unwrap().0 - since)
}

#[test]
fn a_move_is_known_to_all_and_to_the_mover_in_time() {
    for nodes in [3, 5] {
        let mut times: Vec<Duration> = (0..40)
            .map(|seed| {
                let mut world = formed(seed, nodes);
                world.run_for(Duration::from_millis(seed * 250));
                let (others, own) = published(&mut world, usize::from(nodes));
                others.max(own)
            })
            .collect();
        times.sort();
        let rtt = Duration::from_millis(40);
        let fifth = Duration::from_secs(2);
        let second = Duration::from_secs(1);
        println!("{nodes} nodes: {:?}, max {:?}", times[20], times[39]);
        assert!(times[20] <= fifth + second + rtt, "typically: {times:?}");
        assert!(times[39] <= Duration::from_secs(10) + second, "always: {times:?}");
    }
}

#[test]
fn an_admission_reaches_all_within_two_intervals() {
    for seed in seed_range(10) {
        for loss in [0, 200] {
            let mut world = formed(seed, 5);
            world.network.conditions.loss_per_mille = loss;
            let host = world.add_host(config(6), &[home(6)], TODAY);
            join(&mut world, 2, host);
            let id = world.id(host);
            let admitted = |world: &World, by: usize| world.status(by).peers.iter().any(|peer| peer.id == id);
            assert!(world.run_until(Duration::from_secs(60), |world| admitted(world, 2)).is_some());
            let all = world.run_until(Duration::from_secs(20), |world| (0..5).all(|by| admitted(world, by)));
            assert!(all.is_some(), "seed {seed}, loss {loss}");
            assert!(world.run_until(Duration::from_secs(60), World::whole).is_some(), "seed {seed}, loss {loss}");
        }
    }
}

#[test]
fn a_member_that_was_away_learns_what_it_missed() {
    for seed in seed_range(2) {
        let mut world = formed(seed, 3);
        world.kill(1);
        world.run_for(Duration::from_secs(60));
        let host = world.add_host(config(4), &[home(4)], TODAY);
        join(&mut world, 0, host);
        world.run_for(Duration::from_secs(86_400));
        world.start(1);
        assert!(world.run_until(Duration::from_secs(10), World::whole).is_some(), "seed {seed}");
        assert_eq!(world.status(1).peers.len(), 3);
    }
}

/// Spec: ADDR-2.
#[test]
fn what_a_peer_said_before_it_was_cut_off_is_not_believed_when_it_is_back() {
    for seed in seed_range(50) {
        let mut world = formed(seed, 3);
        let (old, new) = (home(2), away(2));
        world.network.part(&[home(1).ip()], &[old.ip(), new.ip()]);
        world.move_to(1, &[new]);
        // Only host 2 tells it where it is now, and is gone when host 0 can be heard again.
        assert!(world.run_until(Duration::from_secs(30), |world| world.knows_itself(1)).is_some(), "seed {seed}");
        let since = world.now();
        world.run_for(Duration::from_secs(60));
        world.kill(2);
        world.run_for(Duration::from_secs(60));
        world.network.clear_walls();
        assert!(world.run_until(Duration::from_secs(60), |world| world.knows(0, 1) && world.knows(1, 0)).is_some());
        world.run_for(Duration::from_secs(30));
        assert_eq!(told_since(&world, 1, since), [], "seed {seed}");
    }
}

/// Spec: ADDR-2.
#[test]
fn a_move_during_an_outage_is_told_once() {
    for seed in seed_range(20) {
        for (outage, loss) in [(4, 0), (15, 0), (2, 200), (15, 200)] {
            let mut world = formed(seed, 5);
            let since = world.now();
            world.network.conditions.loss_per_mille = 1000;
            world.move_to(0, &[away(1)]);
            world.run_for(Duration::from_secs(outage));
            world.network.conditions.loss_per_mille = loss;
            world.run_for(Duration::from_secs(40));
            assert_eq!(told_since(&world, 0, since), [away(1)], "seed {seed}, {outage} s, loss {loss}");
        }
    }
}

/// Spec: ADDR-2.
#[test]
fn an_answer_that_was_held_back_tells_nobody_where_it_is() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 4);
        // Somebody in the old network keeps one answer of each peer that the node calls.
        let held: Rc<RefCell<BTreeMap<(Address, Address), Flight>>> = Rc::default();
        let keeper = Rc::clone(&held);
        world.set_adversary(Some(Box::new(move |_, flight| {
            let mut kept = keeper.borrow_mut();
            let wanted = kind(flight) == Kind::HEARTBEAT_ACK && !kept.contains_key(&(flight.to, flight.from));
            if wanted {
                kept.insert((flight.to, flight.from), flight.clone());
            }
            Interference { drop: wanted, sends: Vec::new() }
        })));
        world.run_for(Duration::from_secs(15));
        let answers_to = |host: HostId| held.borrow().keys().filter(|(to, _)| *to == world.addresses(host)[0]).count();
        let mover = (0..4).max_by_key(|&host| answers_to(host)).unwrap();
        let left = world.addresses(mover)[0];
        let since = world.now();
        world.move_to(mover, &[away(1)]);
        world.run_for(Duration::from_secs(5));
        world.set_adversary(None);
        let kept: Vec<Flight> = held.borrow().values().filter(|flight| flight.to == left).cloned().collect();
        // Of three that reflect, two are a majority.
        assert!(kept.len() >= 2, "seed {seed}");
        for flight in kept {
            world.inject(Flight { to: away(1), from: place([203, 0, 113, 99]), ..flight });
        }
        world.run_for(Duration::from_secs(15));
        assert_eq!(told_since(&world, mover, since), [away(1)], "seed {seed}");
    }
}

#[test]
fn a_node_makes_nothing_of_what_was_stored_of_itself() {
    let mut world = formed(1, 3);
    world.kill(1);
    let address = home(1);
    let itself = SavedAddress { id: world.id(1), address, seen: TODAY.as_secs() };
    world.disk(1).addresses.push(itself);
    world.start(1);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
    let saved = world.command(1, |node, _| node.saved());
    assert!(saved.addresses.iter().all(|known| known.id != world.id(1)), "{:?}", saved.addresses);
}

#[test]
fn a_name_that_is_changed_is_told_to_all() {
    let mut world = formed(1, 3);
    world.kill(1);
    world.config(1).name = "attic".parse().unwrap();
    world.start(1);
    world.run_for(Duration::from_secs(10));
    for host in [0, 2] {
        assert_eq!(world.peer(host, 1).unwrap().name.to_string(), "attic");
    }
}
