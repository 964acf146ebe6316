//! The configuration file: what is read is shown as a configuration that reads the same, and a mistake has a place.

#![no_main]

use dddns::cli::rewrite::{self, Misplaced};
use dddns_fuzz::input::Input;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input<'_, Parts>| match input {
    Input::Text(text) => drop(read(text)),
    Input::Parts(parts) => made(&parts),
});

#[derive(Arbitrary, Debug)]
struct Parts {
    heartbeat_ms: u32,
    max_members: i32,
    buffer: i32,
    listen: Vec<([u8; 4], u16)>,
    peers: Vec<(u8, [u8; 4], u16)>,
}

/// A text that is read is shown as one that reads the same; a mistake lies within the text, and moves with it.
fn read(text: &str) -> Result<String, Misplaced> {
    let shown = rewrite::configuration(text);
    match &shown {
        Ok(shown) => {
            let again = rewrite::configuration(shown).expect("what is shown is itself a configuration");
            assert_eq!(settings(&again), settings(shown));
        }
        Err(mistake) => {
            assert!(!mistake.message.is_empty());
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&mistake.line), "{mistake:?} in {lines} lines");
            let line = text.split('\n').nth(mistake.line - 1).unwrap_or_default();
            assert!((1..=line.chars().count() + 1).contains(&mistake.column), "{mistake:?} in {line:?}");
        }
    }
    // Only at the very beginning is a byte order mark none of the text.
    if text.starts_with('\u{FEFF}') {
        return shown;
    }
    let below = rewrite::configuration(&format!("# a comment\n{text}"));
    match (&shown, below) {
        (Ok(shown), Ok(below)) => assert_eq!(settings(shown), settings(&below), "a comment changes a setting"),
        (Err(mistake), Err(below)) => {
            assert_eq!((mistake.line + 1, mistake.column), (below.line, below.column), "{mistake:?}, {below:?}");
        }
        (_, below) => panic!("a comment makes a difference: {shown:?}, {below:?}"),
    }
    shown
}

/// What is set, without where it was set.
fn settings(shown: &str) -> Vec<&str> {
    shown.lines().map(|line| line.split_once("  #").map_or(line, |(setting, _)| setting)).collect()
}

/// Settings are taken exactly if they are within their bounds.
fn made(parts: &Parts) {
    let Parts { heartbeat_ms, max_members, buffer, listen, peers } = parts;
    let address = |([a, b, c, d], port): &([u8; 4], u16)| format!("\"{a}.{b}.{c}.{d}:{port}\"");
    let listens: Vec<String> = listen.iter().map(address).collect();
    let mut text = format!(
        "heartbeat = \"{heartbeat_ms}ms\"\nmax_members = {max_members}\nsend_buffer = {buffer}\nlisten = [{}]\n",
        listens.join(", ")
    );
    for (key, ip, port) in peers.iter().take(4) {
        let key = dddns::wire::id::to_base32(&[*key; 32]);
        let peer =
            format!("[[peer]]\nname = \"pi\"\npublic_key = \"{key}\"\naddresses = [{}]\n", address(&(*ip, *port)));
        text.push_str(&peer);
    }
    let mut keys: Vec<u8> = peers.iter().take(4).map(|(key, _, _)| *key).collect();
    keys.sort_unstable();
    let unicast = |ip: &[u8; 4]| !matches!(ip[0], 0 | 224..=239) && *ip != [255; 4];
    let good = (1_000..=60_000).contains(heartbeat_ms)
        && (2..=1024).contains(max_members)
        && (2_048..=1 << 30).contains(buffer)
        && (1..=16).contains(&listen.len())
        && listen.iter().all(|(ip, port)| *port != 0 && (unicast(ip) || *ip == [0; 4]))
        && peers.iter().take(4).all(|(_, ip, port)| *port != 0 && unicast(ip))
        && i32::try_from(keys.len()).is_ok_and(|peers| peers < *max_members)
        && keys.is_sorted_by(|a, b| a < b);
    let shown = read(&text);
    assert_eq!(shown.is_ok(), good, "{text}{shown:?}");
    if let Ok(shown) = shown {
        assert!(shown.contains(&format!("max_members = {max_members}  #")), "{shown}");
    }
}
