//! Invite tokens, right and wrong.

use dddns::auth::invite::Token;
use dddns::wire::address::Address;
use dddns::wire::id::{InviteId, PublicKey, from_base32, to_base32};
use serde_json::{Value, json};

use crate::fixed::ascending;
use crate::noise::{public_key, sha256};
use crate::text::{address, hex};

const ONE: &str = "one address";
const FOUR: &str = "four addresses";

/// Where the first address of a token stands.
const ADDRESSES: usize = 81;

pub(super) fn vectors() -> Vec<Value> {
    let four = ["203.0.113.7:4711", "[2001:db8::7]:4711", "192.168.1.2:7733", "10.0.0.1:65535"];
    let one = token(&four[..1]);
    let mut vectors = vec![valid(ONE, &four[..1]), valid(FOUR, &four)];
    let spellings = [
        ("in capitals", one.to_uppercase()),
        ("in both cases", one.replace('d', "D").replace('a', "A")),
        ("with white space around it", format!(" \t{one}\r\n")),
    ];
    for (name, text) in spellings {
        let mut vector = valid(ONE, &four[..1]);
        vector["name"] = name.into();
        vector["text"] = text.into();
        vectors.push(vector);
    }
    vectors.extend(faulty_texts(&one));
    vectors.extend(faulty_bytes(&one));
    vectors
}

fn token(addresses: &[&str]) -> String {
    let addresses: Vec<Address> = addresses.iter().map(|text| address(text)).collect();
    let inviter = PublicKey(public_key(&ascending(0x20)));
    let token = Token::new(InviteId(ascending(0x50)), ascending(0x60), inviter, 1_793_086_400, &addresses);
    token.expect("one to four addresses").to_string()
}

fn valid(name: &str, addresses: &[&str]) -> Value {
    let secret = ascending::<32>(0x60);
    json!({
        "name": name,
        "text": token(addresses),
        "verdict": "accepted",
        "fields": {
            "invite_id": hex(ascending::<8>(0x50)),
            "secret": hex(secret),
            "inviter": hex(public_key(&ascending(0x20))),
            "expiry": "1793086400",
            "addresses": addresses,
        },
        "psk": hex(sha256(&[b"dddns/1 invite", &secret])),
    })
}

fn faulty(name: &str, text: String, verdict: &str) -> Value {
    json!({"name": name, "text": text, "fault_of": ONE, "verdict": verdict})
}

fn faulty_texts(one: &str) -> Vec<Value> {
    let changed = |at: usize, to: &str| format!("{}{to}{}", &one[..at], &one[at + 1..]);
    // 103 bytes are 824 bits in 165 characters of 5: the last one has a bit to spare.
    let last = one.chars().last().expect("it is not empty");
    let next = char::from(u8::try_from(last).expect("ASCII") + 1);
    vec![
        faulty("nothing", String::new(), "no-prefix"),
        faulty("another word", changed(0, "x"), "no-prefix"),
        faulty("without the word", one[5..].to_owned(), "no-prefix"),
        faulty("version 2", changed(5, "2"), "other-version"),
        faulty("the word alone", "dddns".to_owned(), "other-version"),
        faulty("a digit 1 among the characters", changed(40, "1"), "bad-character"),
        faulty("a digit 8 among the characters", changed(40, "8"), "bad-character"),
        faulty("padding at the end", format!("{one}="), "bad-character"),
        faulty("a space within", changed(40, " "), "bad-character"),
        faulty("a letter beyond ASCII", changed(40, "é"), "bad-character"),
        faulty("no characters after the version", "dddns1".to_owned(), "bad-length"),
        faulty("one character missing", one[..one.len() - 1].to_owned(), "bad-length"),
        faulty("one character more", format!("{one}a"), "bad-length"),
        faulty("the last character with its unused bit set", format!("{}{next}", &one[..one.len() - 1]), "bad-length"),
        faulty("one character changed", changed(40, if &one[40..41] == "a" { "b" } else { "a" }), "bad-checksum"),
    ]
}

/// Faults of what the text stands for, behind a right checksum.
fn faulty_bytes(one: &str) -> Vec<Value> {
    let body = from_base32(&one[6..]).expect("base32");
    let body = body[..body.len() - 4].to_vec();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut body = body.clone();
        change(&mut body);
        let checksum = sha256(&[b"dddns/1 token", &body]);
        body.extend(&checksum[..4]);
        format!("dddns1{}", to_base32(&body))
    };
    let address = |new: [u8; 18]| with(&|body| body[ADDRESSES..].copy_from_slice(&new));
    let loopback = |last: u8, port: u8| {
        let mut address = [0; 18];
        (address[15], address[17]) = (last, port);
        address
    };
    let mut mapped = loopback(0, 9);
    mapped[10..12].fill(0xFF);
    vec![
        faulty("no address", with(&|body| body.truncate(ADDRESSES)), "bad-length"),
        faulty("five addresses", with(&|body| body.extend([1; 4 * 18])), "bad-length"),
        faulty("one byte between the addresses and the checksum", with(&|body| body.push(0)), "bad-length"),
        faulty("a count of 0 before one address", with(&|body| body[80] = 0), "bad-count"),
        faulty("a count of 2 before one address", with(&|body| body[80] = 2), "bad-count"),
        faulty("a count of 255 before one address", with(&|body| body[80] = 255), "bad-count"),
        faulty("an address that says none", address([0; 18]), "bad-address"),
        faulty("an address with port 0", address(loopback(1, 0)), "bad-address"),
        faulty("an address without IP", address(loopback(0, 9)), "bad-address"),
        faulty("an address without IPv4", address(mapped), "bad-address"),
    ]
}
