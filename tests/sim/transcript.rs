//! One seed makes one run, byte for byte.

use std::net::Ipv4Addr;
use std::time::Duration;

use dddns::sim::adversary::Interference;
use dddns::sim::loss::Bursts;
use dddns::sim::nat::Behaviour;
use dddns::sim::world::World;
use ring::digest;

use crate::cluster::{TODAY, away, config, found, home, invite, join, join_with, place};

/// Everything that is sent on the Internet, when and by whom, in a run that uses all that the simulator has.
fn transcript(seed: u64) -> String {
    let mut world = World::new(seed);
    let hash = std::rc::Rc::new(std::cell::RefCell::new(digest::Context::new(&digest::SHA256)));
    let sum = std::rc::Rc::clone(&hash);
    world.set_adversary(Some(Box::new(move |now, flight| {
        let mut sum = sum.borrow_mut();
        sum.update(&now.as_nanos().to_be_bytes());
        sum.update(&flight.from.to_bytes());
        sum.update(&flight.to.to_bytes());
        sum.update(&flight.datagram);
        Interference::default()
    })));
    let conditions = &mut world.network.conditions;
    conditions.jitter = Duration::from_millis(15);
    conditions.loss_per_mille = 20;
    conditions.duplicates_per_mille = 20;
    conditions.bursts =
        Some(Bursts { begin_per_mille: 10, end_per_mille: 200, good_loss_per_mille: 0, bad_loss_per_mille: 500 });
    found(&mut world, TODAY);
    for n in 2..=4 {
        let host = world.add_host(config(n), &[home(n)], Duration::ZERO);
        world.set_drift(host, 100 * (i32::from(n) - 3));
        join(&mut world, 0, host);
    }
    let nat = world.add_nat(Behaviour::HOME, Ipv4Addr::new(203, 0, 113, 1), None);
    let inner = world.add_host(config(5), &[], TODAY);
    world.move_behind(inner, Some(nat), &[place([192, 168, 1, 2])]);
    let token = invite(&mut world, 0, Duration::from_secs(3600));
    join_with(&mut world, inner, &token);
    world.run_for(Duration::from_secs(60));
    world.move_to(1, &[away(2)]);
    world.nat(nat).reboot();
    world.sleep(2);
    world.run_for(Duration::from_secs(60));
    world.wake(2, false);
    world.kill(3);
    world.run_for(Duration::from_secs(60));
    world.start(3);
    world.run_for(Duration::from_secs(60));
    world.set_adversary(None);
    let sum = hash.borrow().clone().finish();
    data_encoding::HEXLOWER.encode(sum.as_ref())
}

#[test]
fn one_seed_makes_one_run_whatever_is_in_it() {
    let found = transcript(1);
    assert_eq!(found, transcript(1), "one run");
    assert_ne!(found, transcript(2), "the seed has no effect");
}
