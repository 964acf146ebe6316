//! The Wireshark dissector `spec/dddns.lua`, driven by `tshark`: it names every field of every datagram as the library
//! reads it, and what the library discards it marks with the same name.

#![cfg(test)]

mod capture;
mod conversation;
mod malformed;
mod tshark;
mod verdict;

use std::collections::BTreeSet;

use dddns::sim::world::Flight;
use dddns::wire::error::DecodeError;
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;

use capture::Capture;

/// Three nodes of each family of addresses.
fn both_families() -> Vec<Flight> {
    let v4 = [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3], [198, 51, 100, 2], [198, 51, 100, 3]].map(Into::into);
    let v6 = [1, 2, 3, 0xA2, 0xA3].map(|last| [0x2001, 0xDB8, 0, 0, 0, 0, 0, last].into());
    [conversation::between(v4), conversation::between(v6)].concat()
}

#[test]
fn what_nodes_say_is_shown_field_by_field() {
    if !tshark::is_there("what_nodes_say_is_shown_field_by_field") {
        return;
    }
    let flights = both_families();
    let kinds: BTreeSet<Kind> = flights.iter().map(|flight| Kind(flight.datagram[1])).collect();
    let handshakes = [Kind::INITIATION, Kind::RESPONSE, Kind::COOKIE_REPLY];
    for kind in Message::KINDS.iter().chain(&handshakes) {
        assert!(kinds.contains(kind), "the conversation has no {kind}");
    }
    let seen = tshark::dissect(Capture::of(&flights));
    assert_eq!(seen.len(), flights.len());
    for (shown, flight) in seen.iter().zip(&flights) {
        assert_eq!(shown.payload, flight.datagram);
        verdict::check(shown);
    }
    for field in tshark::FIELDS {
        assert!(seen.iter().any(|shown| shown.fields.contains_key(field.name)), "{} was never shown", field.name);
    }
}

#[test]
fn every_field_of_the_dissector_is_compared() {
    if !tshark::is_there("every_field_of_the_dissector_is_compared") {
        return;
    }
    let compared: BTreeSet<String> = tshark::FIELDS.iter().map(|field| field.name.to_owned()).collect();
    let all = tshark::run(&["-G", "fields"]);
    let names = all.lines().filter_map(|line| line.strip_prefix("F\t")?.split('\t').nth(1));
    let mut registered: BTreeSet<String> = names.filter(|name| name.starts_with("dddns.")).map(str::to_owned).collect();
    for name in [tshark::MALFORMED, tshark::SURPLUS] {
        assert!(registered.remove(name), "there is no field {name}");
    }
    for reason in DecodeError::ALL {
        // Those that only the plain body of a sealed message or a handshake can break have none.
        registered.remove(&format!("dddns.{reason}"));
    }
    assert_eq!(registered, compared);
}

#[test]
fn what_a_node_discards_is_marked_with_its_name_for_it() {
    if !tshark::is_there("what_a_node_discards_is_marked_with_its_name_for_it") {
        return;
    }
    let datagrams = malformed::of_every_kind(&both_families());
    let seen = tshark::dissect(Capture::on_our_port(&datagrams));
    assert_eq!(seen.len(), datagrams.len());
    let mut reasons = BTreeSet::new();
    for (shown, datagram) in seen.iter().zip(&datagrams) {
        assert_eq!(&shown.payload, datagram);
        reasons.extend(verdict::check(shown));
    }
    // The others are rules for what stands inside sealed bodies and Noise messages.
    let for_all_to_see = [
        DecodeError::TooLong,
        DecodeError::Magic,
        DecodeError::Kind,
        DecodeError::Length,
        DecodeError::NotZero,
        DecodeError::Index,
        DecodeError::Mode,
        DecodeError::Address,
        DecodeError::NoAddress,
        DecodeError::Acknowledged,
    ];
    assert_eq!(reasons, BTreeSet::from(for_all_to_see));
}

#[test]
fn a_conversation_is_recognised_on_any_port_and_nothing_else_is() {
    if !tshark::is_there("a_conversation_is_recognised_on_any_port") {
        return;
    }
    let flights = both_families();
    let seen = tshark::dissect(Capture::between_ports(&flights, 20_799, 40_000));
    assert_eq!(seen.len(), flights.len());
    seen.iter().for_each(|shown| assert_eq!(verdict::check(shown), None));

    let foreign = malformed::foreign(&flights);
    for shown in tshark::dissect(Capture::to_changing_ports(&foreign)) {
        assert!(shown.fields.is_empty() && shown.malformed.is_none(), "taken for dddns: {shown:02x?}");
    }
}

#[test]
fn what_the_capture_cut_off_is_not_judged() {
    if !tshark::is_there("what_the_capture_cut_off_is_not_judged") {
        return;
    }
    let flights = both_families();
    let seen = tshark::dissect(Capture::cut_to(&flights, 24));
    assert_eq!(seen.len(), flights.len());
    for (shown, flight) in seen.iter().zip(&flights) {
        assert_eq!(shown.payload, flight.datagram[..24]);
        assert_eq!(shown.malformed, None);
        let kind = flight.datagram[1].to_string();
        assert_eq!(shown.fields.get("dddns.type"), Some(&kind), "what is there is shown");
    }
}
