//! What real nodes say to each other, in virtual time, while as much as possible happens to them.

use std::net::IpAddr;
use std::time::Duration;

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Purpose};
use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config};
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, Incarnation, Index};

/// More handshakes at once than a node answers before it demands cookies.
const FLOOD: u32 = 100;

/// 2026-01-01, since 1970.
const CLOCK: Duration = Duration::from_secs(1_767_225_600);

/// Everything that three nodes send: two join the first, one moves, then two at once (who find each other through the
/// third), somebody switches on a copy of one, the first is flooded with handshakes, and one leaves. The addresses are where the three are at first, and
/// where the latter two are in the end.
pub(crate) fn between(places: [IpAddr; 5]) -> Vec<Flight> {
    let [first, second, third, second_away, third_away] =
        places.map(|ip| Address::new(ip, 7733).expect("tests name addresses"));
    let mut world = World::new(1);
    world.tap();
    let founder = found(&mut world, first);
    let movers = [second, third].map(|home| join(&mut world, founder, home));
    assert!(world.run_until(Duration::from_secs(60), World::whole).is_some(), "the cluster did not form");
    world.run_for(Duration::from_secs(40));

    world.move_to(movers[0], &[second_away]);
    assert!(world.run_until(Duration::from_secs(60), World::whole).is_some(), "the mover was not found");
    world.run_for(Duration::from_secs(40));
    world.move_to(movers[0], &[second]);
    world.move_to(movers[1], &[third_away]);
    assert!(world.run_until(Duration::from_secs(60), World::whole).is_some(), "the movers were not found");

    let clone = world.add_clone(movers[0], &[second_away], CLOCK);
    world.start(clone);
    world.run_for(Duration::from_secs(60));
    world.kill(clone);

    flood(&mut world, founder, second_away);
    world.run_for(Duration::from_secs(20));
    world.stop(movers[1]);
    world.run_for(Duration::from_secs(5));
    world.tapped()
}

fn found(world: &mut World, home: Address) -> HostId {
    let mut config = Config::new("node-1".parse().expect("a name"));
    config.cluster = Some(Cluster { id: ClusterId([7; 16]), key: ClusterKey([8; 32]) });
    let founder = world.add_host(config, &[home], CLOCK);
    world.start(founder);
    founder
}

fn join(world: &mut World, inviter: HostId, home: Address) -> HostId {
    let config = Config::new("joiner".parse().expect("a name"));
    // A Raspberry Pi that has not been told the time yet.
    let joiner = world.add_host(config, &[home], Duration::from_secs(60));
    let at = world.addresses(inviter).to_vec();
    let token = world.command(inviter, |node, now| node.create_invite(now, Duration::from_secs(86_400), &at));
    world.start(joiner);
    world.command(joiner, |node, now| node.join(now, &token.expect("an invite"))).expect("the joiner can join");
    joiner
}

/// Somebody who knows a node's public key, and no more, begins handshakes.
fn flood(world: &mut World, victim: HostId, from: Address) {
    let nobody = Cluster { id: ClusterId([1; 16]), key: ClusterKey([1; 32]) };
    let stranger = Identity::from_secret([5; 32]);
    let responder = world.identity(victim).public_key();
    let to = world.addresses(victim)[0];
    let mut drbg = Drbg::new([6; 32]);
    for index in 1..=FLOOD {
        let (run, index) = (Incarnation([0; 8]), Index(index));
        let initiator = Initiator::start(&stranger, &responder, Purpose::Member(&nobody), run, index, &mut drbg);
        let datagram = initiator.expect("a handshake").datagram().to_vec();
        world.inject(Flight { from, to, datagram });
        world.run_for(Duration::from_millis(1));
    }
}
