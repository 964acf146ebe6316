//! Joining: by invite and by configuration.

use std::time::Duration;

use dddns::sim::world::World;

use crate::cluster::{configured, formed};

#[test]
fn three_nodes_form_a_cluster_by_invites_through_the_first() {
    let world = formed(1, 3);
    for host in 0..3 {
        let status = world.status(host);
        assert_eq!(status.peers.len(), 2);
        assert_eq!(status.addresses[0].confidence.as_str(), "agreed");
    }
}

#[test]
fn two_nodes_know_themselves_from_a_single_observer() {
    let world = formed(2, 2);
    assert_eq!(world.status(0).addresses[0].confidence.as_str(), "single-observer");
}

#[test]
fn nodes_that_know_each_other_from_their_configuration_need_no_invite() {
    let mut world = configured(3, 3);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
}
