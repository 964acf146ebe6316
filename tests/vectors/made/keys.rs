//! Key pairs and node IDs.

use dddns::auth::identity::Identity;
use serde_json::{Value, json};

use crate::fixed::ascending;
use crate::text::{hex, unhex};

pub(super) fn vectors() -> Vec<Value> {
    vec![
        vector(
            "Bob of RFC 7748, section 6.1",
            &unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
        ),
        vector("ascending bytes", &ascending::<32>(0x10)),
        vector("all bits set, of which X25519 ignores five", &[0xFF; 32]),
        vector("no bits set, of which X25519 sets one", &[0; 32]),
    ]
}

fn vector(name: &str, secret: &[u8]) -> Value {
    let identity = Identity::from_secret(secret.try_into().expect("32 bytes"));
    let (key, id) = (identity.public_key(), identity.node_id());
    json!({
        "name": name,
        "secret": hex(secret),
        "public_key": hex(key.0),
        "public_key_text": key.to_string(),
        "node_id": hex(id.0),
        "node_id_text": id.to_string(),
    })
}
