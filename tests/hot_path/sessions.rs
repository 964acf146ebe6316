//! A session without a node around it.

use std::time::Instant;

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Prologue, Purpose, Received};
use dddns::auth::identity::Identity;
use dddns::auth::session::Session;
use dddns::config::{Cluster, ClusterKey};
use dddns::wire::address::Address;
use dddns::wire::datagram::Datagram;
use dddns::wire::id::{ClusterId, Incarnation, Index};
use dddns::wire::response::{ResponsePayload, Verdict};

/// Both ends of a session: the one that sends, and the one that judges.
pub(crate) fn sessions(now: Instant) -> (Session, Session) {
    let (initiator, responder) = (Identity::from_secret([1; 32]), Identity::from_secret([2; 32]));
    let cluster = Cluster { id: ClusterId([3; 16]), key: ClusterKey([4; 32]) };
    let mut drbg = Drbg::new([5; 32]);
    let called = responder.public_key();
    let purpose = Purpose::Member(&cluster);
    let mut started = Initiator::start(&initiator, &called, purpose, Incarnation([6; 8]), Index(1), &mut drbg)
        .expect("the key and the index are right");
    let Ok(Datagram::Initiation(initiation)) = Datagram::parse(started.datagram()) else { panic!("not an initiation") };
    let received =
        Received::read(&responder, Prologue::Member(&cluster.id), &initiation, &mut drbg).expect("an initiation");
    let payload = ResponsePayload {
        sender: Index(2),
        verdict: Verdict::Accepted,
        observed: Address::new([192, 0, 2, 1].into(), 1).expect("an address"),
        clock_ms: 1_800_000_000_000,
        incarnation: Incarnation([7; 8]),
        cluster_id: ClusterId([0; 16]),
        cluster_key: [0; 32],
    };
    let (response, theirs) = received.respond(&cluster.key.0, &payload).expect("a response");
    let Ok(Datagram::Response(response)) = Datagram::parse(&response) else { panic!("not a response") };
    let (ours, _) = started.finish(&response).expect("the end");
    (
        Session::new(ours, Index(1), Index(2), payload.clock_ms, now),
        Session::new(theirs, Index(2), Index(1), payload.clock_ms, now),
    )
}
