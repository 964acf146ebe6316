//! Decisions: scopes, the vote on one's own address, the replay window. Paths are checked where the path rule is private.

use std::time::{Duration, Instant};

use dddns::auth::replay::Window;
use dddns::node::reflection::{Observation, Realm, nat, vote};
use dddns::node::status::{Nat, Scope};
use dddns::wire::address::Address;

use crate::each;
use crate::text::Vector;

#[test]
fn replays() {
    each("replays", |vector| {
        let mut window = Window::new();
        for step in vector.list("steps") {
            let counter = step.u64("counter");
            // What may not be used at all is refused before the window is asked.
            let new = counter < 1 << 63 && window.check(counter);
            assert_eq!(if new { "accepted" } else { "replay" }, step.text("verdict"), "{counter}");
            if new {
                window.accept(counter);
            }
        }
        assert_eq!(window.highest(), vector.maybe("highest").map(|_| vector.u64("highest")));
    });
}

#[test]
fn scopes() {
    each("scopes", |vector| {
        let ip = vector.text("ip").parse().expect("an IP address");
        assert_eq!(Scope::of(ip).as_str(), vector.text("scope"));
    });
}

#[test]
fn votes() {
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    let start = Instant::now();
    each("votes", |vector| {
        let mut observations: Vec<Observation> =
            vector.list("observations").map(|seen| observation(seen, start)).collect();
        let last = vector.maybe("last").map(|_| vector.address("last"));
        for _ in 0..observations.len().max(1) {
            let realm = realm(vector);
            let verdict = vote(realm, &observations, last);
            assert_eq!(verdict.address, vector.maybe("address").map(|_| vector.address("address")));
            assert_eq!(verdict.confidence.as_str(), vector.text("confidence"));
            let counted = [verdict.observers, verdict.groups].map(|count| u32::try_from(count).expect("few"));
            assert_eq!(counted, [vector.u32("agreeing"), vector.u32("groups")]);
            let nat = verdict.address.map_or(Nat::Unknown, |own| nat(realm, &observations, own));
            assert_eq!(nat.as_str(), vector.text("nat"));
            // The order does not matter.
            let one = observations.len().min(1);
            observations.rotate_left(one);
        }
    });
}

fn observation(seen: Vector<'_>, start: Instant) -> Observation {
    Observation {
        observer: seen.address("observer"),
        reflection: seen.address("reflection"),
        at: start + Duration::from_millis(seen.u64("at_ms")),
    }
}

/// The realm of this scope and family: that of any address in it.
fn realm(vector: Vector<'_>) -> Realm {
    let example = match (vector.text("scope"), vector.text("family")) {
        ("global", "IPv4") => "192.0.2.1:1",
        ("global", "IPv6") => "[2001:db8::1]:1",
        ("private", "IPv4") => "10.0.0.1:1",
        ("private", "IPv6") => "[fd00::1]:1",
        ("cgnat", "IPv4") => "100.64.0.1:1",
        other => panic!("no example of {other:?}"),
    };
    let address: Address = crate::text::address(example);
    Realm::of(address)
}
