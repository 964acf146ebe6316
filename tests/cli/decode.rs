//! `dddns decode`.

use serde_json::Value;

use crate::machine::Machine;

/// A Leave: header and tag, nothing between.
const LEAVE: &str = "d1140700 01020304 0000000000000009 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_well_formed_datagram_is_explained_whatever_way_it_is_given() {
    let machine = Machine::new();
    let plain = LEAVE.replace(' ', "");
    let results = [
        machine.dddns(&["decode", LEAVE]),
        machine.dddns(&["decode", &plain]),
        machine.dddns(&["decode", &format!("0x{plain}")]),
        machine.dddns(&["decode", "d1140700", "01020304", "0000000000000009", &plain[32..]]),
        machine.dddns_reading(&["decode", "-"], &LEAVE.replace(' ', "\n")),
    ];
    for ended in results {
        let ended = ended.with(0);
        assert!(ended.stdout.ends_with("well-formed: Leave, 32 bytes\n"), "{}", ended.stdout);
        assert_eq!(ended.stdout.lines().count(), 9, "{}", ended.stdout);
    }
}

#[test]
fn a_malformed_datagram_is_explained_as_far_as_it_goes_and_ends_with_1() {
    let machine = Machine::new();
    let cut = LEAVE.replace(' ', "");
    let ended = machine.dddns(&["decode", &cut[..20]]).with(1);
    assert!(ended.stdout.contains("malformed: bad-length, 10 bytes"), "{}", ended.stdout);
    assert!(ended.stdout.contains("cut off: 2 of 8 bytes"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}

/// What `decode` says of the reflection in a test vector, and its verdict.
fn reflection(machine: &Machine, vectors: &Value, name: &str) -> (String, String) {
    let vectors = vectors["vectors"].as_array().unwrap();
    let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap_or_else(|| panic!("no vector {name:?}"));
    let ended = machine.dddns(&["decode", vector["datagram"].as_str().unwrap()]).with(1);
    let line = ended.stdout.lines().find_map(|line| line.split_once("  reflection      "));
    let (_, reflection) = line.unwrap_or_else(|| panic!("no reflection in {}", ended.stdout));
    let (_, verdict) = ended.stdout.trim_end().rsplit_once("malformed: ").unwrap();
    (reflection.to_owned(), verdict.to_owned())
}

#[test]
fn a_reflection_is_shown_whatever_else_is_wrong() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/spec/vectors/datagrams.json")).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let machine = Machine::new();
    for (name, reflection_shown, verdict) in [
        ("HeartbeatAck: it acknowledges nothing", "[2001:db8::7]:4711 (masked)", "nothing-acknowledged, 66 bytes"),
        ("Heartbeat: one byte more", "203.0.113.7:4711 (masked)", "bad-length, 67 bytes"),
        ("Heartbeat without reflection: one byte more", "none (masked)", "bad-length, 67 bytes"),
        ("HeartbeatAck: no address", "none (masked)", "no-address, 66 bytes"),
        ("Heartbeat: an address with port 0", "not an address (masked)", "bad-address, 66 bytes"),
        ("Heartbeat: one byte missing", "cut off: 17 of 18 bytes", "bad-length, 65 bytes"),
        // The mask is made of the header as it stands: another header, another address.
        (
            "Heartbeat: byte 3 is not zero",
            "[30b8:2ca8:700a:d052:8e8:97cf:bde8:cdc9]:14979 (masked; without the flags 203.0.113.7:4711)",
            "not-zero, 66 bytes",
        ),
        (
            "Heartbeat: index 0",
            "[808:de3c:3294:f452:46da:4565:d35a:c719]:56977 (masked; right only if index 0 is what was sent)",
            "bad-index, 66 bytes",
        ),
    ] {
        let expected = (reflection_shown.to_owned(), verdict.to_owned());
        assert_eq!(reflection(&machine, &vectors, name), expected, "{name}");
    }
}

#[test]
fn what_is_no_hexadecimal_ends_with_2() {
    let machine = Machine::new();
    for text in ["xyz", "d11", ""] {
        machine.dddns(&["decode", text]).with(2).saying(&["dddns: "]);
        machine.dddns_reading(&["decode", "-"], text).with(2).saying(&["dddns: "]);
    }
}
