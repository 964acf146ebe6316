//! That nothing is left out: every reason of the decoder, every type, and every fault beside what it is a fault of.

use std::collections::{BTreeMap, BTreeSet};

use dddns::auth::invite::TokenError;
use dddns::auth::session::AuthError;
use dddns::node::discard::Discard;
use dddns::wire::error::DecodeError;
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;
use serde_json::Value;

use super::bytes::{base, token_fault};
use crate::text::Vector;
use crate::{made, read};

/// Every verdict in these files, those within sequences too.
fn verdicts(files: &[&str]) -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("verdict").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| collect(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    for file in files {
        collect(&serde_json::from_str(&read(file)).expect("JSON"), &mut found);
    }
    found
}

#[test]
fn every_reason_and_every_type_has_a_vector() {
    let found = verdicts(&["datagrams", "bodies", "payloads"]);
    for reason in DecodeError::ALL {
        assert!(found.contains(reason.as_str()), "there is no vector for {reason}");
    }
    let handshakes = [Kind::INITIATION, Kind::RESPONSE, Kind::COOKIE_REPLY];
    for kind in Message::KINDS.iter().chain(&handshakes) {
        assert!(verdicts(&["datagrams"]).contains(&kind.to_string()), "there is no datagram {kind}");
    }
    let conversations = read("conversations");
    for kind in Message::KINDS.iter().chain(&handshakes) {
        assert!(conversations.contains(&format!("\"type\": \"{kind}\"")), "nobody says {kind} in a conversation");
    }
    for kind in Message::KINDS {
        assert!(verdicts(&["bodies"]).contains(&kind.to_string()), "there is no body {kind}");
    }
}

#[test]
fn every_fault_of_tokens_sessions_and_handshakes_has_a_vector() {
    let tokens = [
        TokenError::Prefix,
        TokenError::Version,
        TokenError::Character('1'),
        TokenError::Length,
        TokenError::Checksum,
        TokenError::AddressCount,
        TokenError::Address,
    ];
    let found = verdicts(&["invites"]);
    tokens.into_iter().for_each(|error| assert!(found.contains(token_fault(error)), "no invite fails as {error:?}"));
    let found = verdicts(&["sessions"]);
    for error in [AuthError::Step, AuthError::Tag, AuthError::Replay, AuthError::Seal] {
        assert!(found.contains(error.as_str()), "no datagram of a session fails as {error:?}");
    }
    let found = verdicts(&["handshake-faults"]);
    for reason in
        [Discard::Mac1, Discard::Handshake, Discard::NotAMember, Discard::UnknownInvite, Discard::UnknownIndex]
    {
        assert!(found.contains(reason.as_str()), "no datagram of a handshake fails as {reason:?}");
    }
}

#[test]
fn names_are_unique_and_faults_have_one_base() {
    for (name, _) in made::files() {
        let file: Value = serde_json::from_str(&read(name)).expect("JSON");
        let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
        for vector in Vector(&file).list("vectors") {
            let known = seen.insert(vector.name(), vector.maybe("fault_of").is_some());
            assert_eq!(known, None, "{name}.json has two vectors named {:?}", vector.name());
        }
        if name == "handshake-faults" {
            continue;
        }
        for vector in Vector(&file).list("vectors") {
            let Some(base) = base(vector) else { continue };
            let found = seen.get(base.as_str());
            assert_eq!(found, Some(&false), "{name}.json: {:?} is a fault of {base:?}", vector.name());
        }
    }
}
