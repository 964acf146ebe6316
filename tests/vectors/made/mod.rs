//! What each file holds: inputs and results written down by hand, bytes made by the library, keys by `noise`.

mod bodies;
mod conversations;
mod datagrams;
mod handshakes;
mod invites;
mod keys;
mod masks;
mod onlooker;
mod orders;
mod paths;
mod payloads;
mod replays;
mod sessions;
mod stage;
mod steps;
mod votes;

use serde_json::{Value, json};

/// Which version of the files' own form this is.
const FORMAT: &str = "dddns.vectors/1";

/// Every file, by its name without `.json`.
pub(crate) fn files() -> Vec<(&'static str, Value)> {
    vec![
        file("keys", "Key pairs, and the node IDs that follow from them.", keys::vectors()),
        file("invites", "Invite tokens: what they say, or what is wrong with them.", invites::vectors()),
        file("steps", "Time steps: V(T) and the TOTP code of a secret.", steps::values()),
        file("rebuilt-steps", "The step that a receiver takes a header's byte for.", steps::rebuilt()),
        file("masks", "Address masks.", masks::vectors()),
        file(
            "datagrams",
            "Whole datagrams without keys: what they are, or what is wrong with them.",
            datagrams::vectors(),
        ),
        file("bodies", "Plain bodies: what they say, or what is wrong with them.", bodies::vectors()),
        file(
            "payloads",
            "Payloads inside the Noise messages: what they say, or what is wrong with them.",
            payloads::vectors(),
        ),
        file("orders", "Several faults at once: which one has to be named.", orders::vectors()),
        file("handshakes", "Whole handshakes with fixed keys.", handshakes::vectors()),
        file("handshake-faults", "Handshake datagrams that are discarded.", handshakes::faults()),
        file(
            "sessions",
            "Tagged datagrams, in the order and at the times at which one end gets them.",
            sessions::vectors(),
        ),
        file("replays", "Counters, in the order in which a replay window is asked about them.", replays::vectors()),
        file("scopes", "The scopes of addresses.", votes::scopes()),
        file("votes", "Votes of observers on a node's own address in one realm.", votes::vectors()),
        file("paths", "What happens on a link's path, and where the peer is taken to be.", paths::vectors()),
        file(
            "conversations",
            "Clusters from their beginning: every datagram, and what the nodes then know.",
            conversations::vectors(),
        ),
    ]
}

fn file(name: &'static str, about: &str, vectors: Vec<Value>) -> (&'static str, Value) {
    (name, json!({"format": FORMAT, "file": name, "about": about, "vectors": vectors}))
}
