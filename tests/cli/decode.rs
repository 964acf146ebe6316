//! `dddns decode`.

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

#[test]
fn what_is_no_hexadecimal_ends_with_2() {
    let machine = Machine::new();
    for text in ["xyz", "d11", ""] {
        machine.dddns(&["decode", text]).with(2).saying(&["dddns: "]);
        machine.dddns_reading(&["decode", "-"], text).with(2).saying(&["dddns: "]);
    }
}
