//! `dddns decode --keys`, with the recorded handshakes of `tests/noise/` as its material.

use std::path::PathBuf;

use dddns::auth::identity::Identity;
use dddns::wire::datagram::Datagram;
use dddns::wire::id::NodeId;
use ring::hmac;
use serde_json::Value;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error};

use crate::machine::Machine;

/// What was recorded of the handshake between members.
fn recorded() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/noise/recorded.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    all.into_iter().find(|record| record["join"] == false).unwrap()
}

/// A file of keys that only its owner can read.
fn keys(machine: &Machine, text: &str) -> String {
    std::fs::create_dir_all(machine.dir()).unwrap();
    let path: PathBuf = machine.file("keys.toml");
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What HKDF-Extract gives at the end of the recorded handshake, in hexadecimal: as the author of another implementation
/// would find it, with the Noise library alone. Spec: `spec/cryptography.md` section 3.1.
fn prk(record: &Value) -> String {
    let bytes = |name: &str| hex(record[name].as_str().unwrap());
    let (Ok(Datagram::Initiation(initiation)), Ok(Datagram::Response(response))) =
        (Datagram::parse(&bytes("initiation")), Datagram::parse(&bytes("response")))
    else {
        panic!("the handshake was recorded")
    };
    let header = &bytes("initiation")[..16];
    let prologue = [b"dddns/1 member".as_slice(), &bytes("cluster_id"), header].concat();
    let (initiator, responder, ephemeral) =
        (bytes("initiator_secret"), bytes("responder_secret"), bytes("initiator_ephemeral"));
    let public = Identity::from_secret(responder.clone().try_into().unwrap()).public_key();
    let key: [u8; 32] = bytes("cluster_key").try_into().unwrap();
    let protocol = || "Noise_IKpsk2_25519_ChaChaPoly_SHA256".parse().unwrap();
    let end = || Builder::with_resolver(protocol(), Box::new(Given));

    let mut buffer = [0; 1232];
    let called = end().local_private_key(&responder).unwrap().prologue(&prologue).unwrap().psk(2, &key).unwrap();
    let length = called.build_responder().unwrap().read_message(&initiation.noise, &mut buffer).unwrap();
    let payload = buffer[..length].to_vec();
    let caller = end().local_private_key(&initiator).unwrap().prologue(&prologue).unwrap().psk(2, &key).unwrap();
    let caller = caller.remote_public_key(&public.0).unwrap().fixed_ephemeral_key_for_testing_only(&ephemeral);
    let mut caller = caller.build_initiator().unwrap();
    let length = caller.write_message(&payload, &mut buffer).unwrap();
    assert_eq!(buffer[..length], initiation.noise);
    caller.read_message(&response.noise, &mut buffer).unwrap();
    let salt = hmac::Key::new(hmac::HMAC_SHA256, caller.get_handshake_hash());
    let (k1, k2) = caller.dangerously_get_raw_split();
    data_encoding::HEXLOWER.encode(hmac::sign(&salt, &[k1, k2].concat()).as_ref())
}

/// The Noise library's own functions, without randomness: every key is given.
struct Given;

impl CryptoResolver for Given {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(NoRandomness))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct NoRandomness;

impl Random for NoRandomness {
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::Rng)
    }
}

fn session(record: &Value, prk: &str) -> String {
    let (initiator, responder) = (&record["initiator_index"], &record["responder_index"]);
    let clock_ms = &record["clock_ms"];
    format!("[[session]]\ninitiator = {initiator}\nresponder = {responder}\nclock_ms = {clock_ms}\nprk = \"{prk}\"\n")
}

fn node(record: &Value, end: &str) -> String {
    format!("[[node]]\nsecret = {}\ncluster = {}\n", record[format!("{end}_secret")], record["cluster_id"])
}

#[test]
fn what_was_said_is_proven_and_opened() {
    let machine = Machine::new();
    let record = recorded();
    let file = keys(&machine, &session(&record, &prk(&record)));
    for said in record["said"].as_array().unwrap() {
        let ended = machine.dddns(&["decode", "--keys", &file, said["datagram"].as_str().unwrap()]).with(0);
        let sender = if said["from_initiator"] == true { "initiator" } else { "responder" };
        let step = (record["clock_ms"].as_u64().unwrap() + said["after_ms"].as_u64().unwrap()) / 30_000;
        let tag = format!("valid: made by the {sender} in step {step}");
        assert!(ended.stdout.contains(&tag) && ended.stdout.ends_with("the keys\n"), "{}", ended.stdout);
        let opened = ended.stdout.contains("the sealed body, opened:");
        assert_eq!(opened, said["sealed"] == true, "{}", ended.stdout);
        if opened {
            let after = NodeId(hex(said["body"].as_str().unwrap()).try_into().unwrap());
            assert!(ended.stdout.contains(&format!("after           {after}")), "{}", ended.stdout);
        }
    }
}

#[test]
fn what_was_changed_or_is_of_another_session_is_told_apart() {
    let machine = Machine::new();
    let record = recorded();
    let prk = &prk(&record);
    let datagram = record["said"][0]["datagram"].as_str().unwrap();
    let file = keys(&machine, &session(&record, prk));
    let changed = datagram.replace("9091", "9092");
    let ended = machine.dddns(&["decode", "--keys", &file, &changed]).with(1);
    assert!(ended.stdout.contains("WRONG: its tag is wrong"), "{}", ended.stdout);
    assert!(ended.stdout.contains("well-formed") && ended.stdout.contains("not authentic"), "{}", ended.stdout);

    let mut other = record.clone();
    other["responder_index"] = 7.into();
    let file = keys(&machine, &session(&other, prk));
    let ended = machine.dddns(&["decode", "--keys", &file, datagram]).with(0);
    assert!(ended.stdout.contains("not checked") && ended.stdout.contains("not proven"), "{}", ended.stdout);
}

#[test]
fn a_right_tag_on_a_body_that_does_not_open_is_told_from_a_wrong_one() {
    let machine = Machine::new();
    let record = recorded();
    let right = session(&record, &prk(&record));
    // Another session of the same indices, whose keys fit nothing, does not hide what the right ones say.
    let file = keys(&machine, &(right + &session(&record, &"5e".repeat(32))));
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vectors/sessions.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let sequences = all["vectors"].as_array().unwrap().iter().flat_map(|all| all["datagrams"].as_array().unwrap());
    let unsealed: Vec<&Value> = sequences.filter(|datagram| datagram["verdict"] == "bad-seal").collect();
    assert!(!unsealed.is_empty());
    for datagram in unsealed {
        let ended = machine.dddns(&["decode", "--keys", &file, datagram["datagram"].as_str().unwrap()]).with(1);
        assert!(ended.stdout.contains("  seal tag        WRONG: "), "{}", ended.stdout);
        assert!(ended.stdout.contains("  tag             valid\n"), "{}", ended.stdout);
        assert!(ended.stdout.ends_with("the sealed body does not open\n"), "{}", ended.stdout);
    }
}

#[test]
fn a_handshake_shows_who_calls_to_whoever_is_called() {
    let machine = Machine::new();
    let record = recorded();
    let file = keys(&machine, &(node(&record, "initiator") + &node(&record, "responder")));
    let id = NodeId(hex(record["initiator_id"].as_str().unwrap()).try_into().unwrap());
    let ended = machine.dddns(&["decode", "--keys", &file, record["initiation"].as_str().unwrap()]).with(0);
    assert!(ended.stdout.contains(&format!("opens: node {id}, ")), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("authentic: whoever made it has the keys\n"), "{}", ended.stdout);
    let ended = machine.dddns(&["decode", "--keys", &file, record["response"].as_str().unwrap()]).with(0);
    assert!(ended.stdout.contains(&format!("valid: for node {id}")), "{}", ended.stdout);
    assert!(ended.stdout.contains("not proven"), "its payload opens to its receiver alone: {}", ended.stdout);

    let file = keys(&machine, &node(&record, "initiator"));
    let ended = machine.dddns(&["decode", "--keys", &file, record["initiation"].as_str().unwrap()]).with(0);
    assert!(ended.stdout.contains("for no node in the file"), "{}", ended.stdout);
    let mut strange = record.clone();
    strange["cluster_id"] = "ab".repeat(16).into();
    let file = keys(&machine, &node(&strange, "responder"));
    let ended = machine.dddns(&["decode", "--keys", &file, record["initiation"].as_str().unwrap()]).with(1);
    assert!(ended.stdout.contains("does not decrypt") && ended.stdout.contains("not authentic"), "{}", ended.stdout);
}

#[test]
fn a_file_of_keys_that_is_wrong_is_refused_without_showing_it() {
    let machine = Machine::new();
    let record = recorded();
    let secret = "5e".repeat(32);
    let good = session(&record, &secret);
    for (wrong, said) in [
        (good.replace("prk", "prq"), "a key that does not belong there"),
        (good.replace("prk = ", "# "), "missing field `prk`"),
        (good.replace(&secret, &secret[2..]), "expected 32 bytes in hexadecimal"),
        (good.replace(&secret, &format!("{secret}zz")), "expected 32 bytes in hexadecimal"),
        (
            good.replace("clock_ms = ", &format!("clock_ms = \"{secret}\" # ")),
            "not the kind of value that belongs there",
        ),
        (good.replace("clock_ms = ", "clock_ms = -"), "not the kind of value that belongs there"),
        (format!("{secret}\n{good}"), "keys.toml:1: "),
        (format!("[[node]]\nsecret = \"{secret}\"\ncluster = 7\n"), "not the kind of value that belongs there"),
    ] {
        let file = keys(&machine, &wrong);
        let ended = machine.dddns(&["decode", "--keys", &file, "d110"]).with(1);
        assert!(ended.stdout.is_empty() && !ended.stderr.contains(&secret[..16]), "{}", ended.stderr);
        assert!(ended.stderr.contains("keys.toml:") && ended.stderr.contains("--help"), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let missing = machine.file("nothing");
    machine.dddns(&["decode", "--keys", missing.to_str().unwrap(), "d110"]).with(1).saying(&["there is no file"]);
}

#[cfg(unix)]
#[test]
fn a_file_of_keys_that_others_can_read_is_refused() {
    let machine = Machine::new();
    let file = keys(&machine, "");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    machine.dddns(&["decode", "--keys", &file, "d110"]).with(1).saying(&["chmod 600"]);
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}
