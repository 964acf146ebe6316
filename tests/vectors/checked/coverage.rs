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
use crate::text::{Vector, unhex};
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

/// The names that the schema has for one kind of failure.
fn schema_names(schema: &Value, kind: &str) -> BTreeSet<String> {
    let names = schema["$defs"][kind]["enum"].as_array().unwrap_or_else(|| panic!("the schema has no {kind}"));
    names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// The names under which a node discards what the decoder takes: those of `Discard::as_str` and `AuthError::as_str`. They are
/// read in the source, since outside of the library nobody can ask for all values of a `Discard`.
fn discards() -> BTreeSet<String> {
    let sources = [include_str!("../../../src/node/discard.rs"), include_str!("../../../src/auth/session/mod.rs")];
    let arms = sources.iter().flat_map(|source| source.lines()).filter(|line| line.trim().starts_with("Self::"));
    let names = arms.filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
    names.map(str::to_owned).collect()
}

#[test]
fn every_failure_that_has_a_name_has_a_vector() {
    let schema: Value = serde_json::from_str(&read("schema")).expect("JSON");
    assert_eq!(schema_names(&schema, "discard"), discards());
    let faults = [("form-fault", "datagrams"), ("body-fault", "bodies"), ("payload-fault", "payloads")];
    for (kind, file) in faults {
        assert_eq!(schema_names(&schema, kind).difference(&verdicts(&[file])).next(), None, "not in {file}.json");
    }
    let found = verdicts(&["handshake-faults", "sessions", "conversations"]);
    assert_eq!(discards().difference(&found).next(), None, "no datagram is discarded under this name");
}

/// Types of datagrams, and what became of them at a node.
fn fates(value: &Value, found: &mut BTreeSet<(Kind, String)>) {
    match value {
        Value::Object(object) => {
            let verdict =
                object.get("verdict").or_else(|| object.get("arrives")?.get("verdict")).and_then(Value::as_str);
            if let (Some(datagram), Some(verdict)) = (object.get("datagram").and_then(Value::as_str), verdict) {
                found.extend(unhex(datagram).get(1).map(|&kind| (Kind(kind), verdict.to_owned())));
            }
            object.values().for_each(|value| fates(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| fates(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Spec: `spec/state-machine.md` section 1.
#[test]
fn every_check_of_a_node_has_a_vector_for_each_kind_of_datagram() {
    let mut found = BTreeSet::new();
    for file in ["handshake-faults", "sessions", "conversations"] {
        fates(&serde_json::from_str(&read(file)).expect("JSON"), &mut found);
    }
    let tagged = ["unknown-index", "bad-step", "bad-tag", "replay", "bad-seal", "not-a-member"];
    for name in tagged {
        let fails = |(kind, verdict): &(Kind, String)| Message::lengths(*kind).is_some() && verdict == name;
        assert!(found.iter().any(fails), "no tagged datagram fails as {name}");
    }
    let initiation =
        ["source", "mac1", "no-cluster", "unknown-invite", "cookie-demanded", "overload", "handshake", "not-a-member"];
    let handshakes: [(Kind, &[&str]); 3] = [
        (Kind::INITIATION, &initiation),
        (Kind::RESPONSE, &["mac1", "unknown-index", "handshake"]),
        (Kind::COOKIE_REPLY, &["unknown-index", "handshake"]),
    ];
    for (kind, names) in handshakes {
        for name in names {
            assert!(found.contains(&(kind, (*name).to_owned())), "no {kind} fails as {name}");
        }
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
