//! Writes what the fuzzers begin with into their corpora: what the test vectors hold, and files as the program writes them.
//! `fuzz/harvest minimise` then chooses from it what is committed as seeds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dddns::wire::datagram::SEAL_LEN;
use dddns::wire::header::{Header, TAG_LEN};
use dddns::wire::kind::Kind;
use serde_json::Value;

fn main() -> io::Result<()> {
    for file in ["datagrams", "bodies", "payloads", "orders", "handshake-faults"] {
        for vector in vectors(file)? {
            put("decode", &name(file, &vector), &decodable(&vector))?;
        }
    }
    for vector in vectors("handshakes")? {
        let whole = [&vector["initiation"], &vector["response"], &vector["cookie"]["cookie_reply"]];
        for (number, part) in whole.into_iter().chain([&vector["payload_1"], &vector["payload_2"]]).enumerate() {
            put("decode", &format!("{}-{number}", name("handshakes", &vector)), &hex(part))?;
        }
    }
    for (file, list) in [("sessions", "datagrams"), ("conversations", "events")] {
        for vector in vectors(file)? {
            let said = vector[list].as_array().into_iter().flatten().filter(|entry| entry["datagram"].is_string());
            for (number, entry) in said.enumerate() {
                put("decode", &format!("{}-{number}", name(file, &vector)), &decodable(entry))?;
            }
        }
    }
    for vector in vectors("invites")? {
        put("invite", &name("invites", &vector), &first_kind(text(&vector["text"])))?;
    }
    for (target, name, content) in [
        ("config", "empty", ""),
        ("config", "settings", CONFIG),
        ("config", "peers", PEERS),
        ("config", "unknown", "nmae = \"garage\"\n"),
        ("state_file", "state", STATE),
        ("state_file", "newer", "{\"schema\": \"dddns.state/2\"}"),
        ("state_file", "foreign", "[]"),
        ("control", "status", "{\"schema\":\"dddns.control/1\",\"command\":\"status\"}\n"),
        ("control", "events", "{\"schema\":\"dddns.control/1\",\"command\":\"events\"}\n"),
        ("control", "leave", "{\"schema\":\"dddns.control/1\",\"command\":\"leave\"}\n"),
        ("control", "invite", INVITE),
        ("control", "forget", FORGET),
        ("control", "find", FIND),
    ] {
        put(target, name, &first_kind(content))?;
    }
    for number in 1..=6 {
        for target in ["node", "sim", "handshake"] {
            put(target, &format!("operations-{number}"), &operations(number))?;
        }
    }
    Ok(())
}

const CONFIG: &str = "# A node.\nname = \"Garage\"\nlisten = [\"0.0.0.0:7733\", \"[2001:db8::1]:7733\"]\nheartbeat = \"1500ms\"\n\
                      max_members = 64\nreceive_buffer = 65536\nsend_buffer = 2048\n";

const PEERS: &str = "[[peer]]\nname = \"attic\"\npublic_key = \"aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq\"\n\
                     addresses = [\"198.51.100.23:7733\", \"attic.example.net:7733\", \"my_host:1\"]\n";

const STATE: &str = r#"{"schema":"dddns.state/1","members":[{"public_key":"aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq",
"admitted_by":"aibaeaqcaibaeaqcaibaeaqcai","admission":1,"state":"member","revision":3,"name":"attic"}],"addresses":[{"id":
"aibaeaqcaibaeaqcaibaeaqcai","address":"[2001:db8::7]:7733","seen":1800000000}],"own":["192.0.2.7:7733"],"invites":[{"id":
"aeaqcaibaeaqc","hash":"aibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaiba","expiry":9,"used":true}],"joined_with":null}"#;

const INVITE: &str =
    "{\"schema\":\"dddns.control/1\",\"command\":\"invite\",\"ttl_ms\":86400000,\"addresses\":[\"192.0.2.7\"]}\n";

const FORGET: &str = "{\"schema\":\"dddns.control/1\",\"command\":\"forget\",\"id\":\"aibaeaqcaibaeaqcaibaeaqcai\"}\n";

const FIND: &str = "{\"schema\":\"dddns.control/1\",\"command\":\"find\",\"id\":\"aibaeaqcaibaeaqcaibaeaqcai\"}\n";

/// Bytes from which the targets that take a text, or the parts of one, take this text.
fn first_kind(text: &str) -> Vec<u8> {
    [[0; 4].as_slice(), text.as_bytes()].concat()
}

/// Bytes that stand for a long list of operations: an odd byte, where the list may end, says that it goes on.
fn operations(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::new();
    while bytes.len() < 640 {
        // Knuth's multiplier; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [high, ..] = state.to_be_bytes();
        bytes.push(high | 1);
    }
    bytes
}

/// The vectors of one file.
fn vectors(file: &str) -> io::Result<Vec<Value>> {
    let text = fs::read_to_string(fuzz().join("../spec/vectors").join(file).with_extension("json"))?;
    let mut file: Value = serde_json::from_str(&text)?;
    Ok(file["vectors"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// What the decoder is to be asked about: a datagram or a payload as it is; a plain body as a datagram that has it, since
/// the target takes what is in the place of a sealed body for the plain one.
fn decodable(vector: &Value) -> Vec<u8> {
    let whole = hex(&vector["datagram"]);
    if !vector["body"].is_string() {
        return [whole, hex(&vector["payload"])].concat();
    }
    let mut datagram = if whole.is_empty() { hex(&vector["header"]) } else { whole };
    datagram.truncate(Header::LEN);
    let sealed = datagram.get(1).is_some_and(|&kind| Kind(kind).is_sealed());
    let behind = if sealed { SEAL_LEN + TAG_LEN } else { TAG_LEN };
    [datagram, hex(&vector["body"]), vec![0x55; behind]].concat()
}

/// What to call a vector of this file.
fn name(file: &str, vector: &Value) -> String {
    let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("{file}-{}", text(&vector["name"]).chars().map(letters).collect::<String>())
}

fn put(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = fuzz().join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits: Vec<u32> = text(value).chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok())
        .collect()
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
