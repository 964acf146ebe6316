//! Whole datagrams, and each with one fault that shows without keys.

use dddns::wire::datagram::SEAL_LEN;
use dddns::wire::header::{Header, TAG_LEN};
use serde_json::{Value, json};

use super::bodies::{self, Sample};
use super::handshakes::{self, CLOCK_MS, Made};
use crate::noise::Keys;
use crate::text::hex;

/// A right datagram.
struct Whole {
    name: String,
    datagram: Vec<u8>,
    verdict: String,
}

pub(super) fn vectors() -> Vec<Value> {
    let made = handshakes::all();
    let [members, joining, _] = &made;
    let samples = bodies::samples();
    let mut whole = handshake_datagrams(members, joining);
    whole.extend(samples.iter().map(|sample| tagged(sample, &members.keys)));
    let mut vectors: Vec<Value> = whole
        .iter()
        .map(|whole| json!({"name": whole.name, "datagram": hex(&whole.datagram), "verdict": whole.verdict}))
        .collect();
    for whole in &whole {
        vectors.extend(common(whole));
    }
    vectors.extend(initiations(&whole[0], &whole[1]));
    for (sample, whole) in samples.iter().zip(&whole[4..]) {
        vectors.extend(clear_bodies(sample, whole, &members.keys));
        vectors.extend(list_lengths(sample, whole, &members.keys));
    }
    vectors.extend(types(&whole[4]));
    vectors.extend(tiny(&whole[4]));
    vectors
}

fn handshake_datagrams(members: &Made, joining: &Made) -> Vec<Whole> {
    let whole = |name: &str, datagram: &[u8], verdict: &str| Whole {
        name: name.to_owned(),
        datagram: datagram.to_vec(),
        verdict: verdict.to_owned(),
    };
    vec![
        whole("Initiation", &members.initiation, "Initiation"),
        whole("Initiation of a joiner", &joining.initiation, "Initiation"),
        whole("Response", &members.response, "Response"),
        whole("CookieReply", &members.cookie_reply, "CookieReply"),
    ]
}

fn tagged(sample: &Sample, keys: &Keys) -> Whole {
    let datagram = datagram(&sample.header, &sample.body, keys);
    Whole { name: sample.name.to_owned(), datagram, verdict: sample.header.kind.to_string() }
}

/// What the initiator of the first handshake would send: sealed where it has to be, and tagged.
fn datagram(header: &Header, body: &[u8], keys: &Keys) -> Vec<u8> {
    keys.initiator.datagram(&header.to_bytes(), body, header.kind.is_sealed(), CLOCK_MS / 30_000)
}

fn fault(of: &Whole, name: &str, datagram: Vec<u8>, verdict: &str) -> Value {
    json!({
        "name": format!("{}: {name}", of.name),
        "datagram": hex(datagram),
        "fault_of": of.name,
        "verdict": verdict,
    })
}

fn with(of: &Whole, at: usize, new: &[u8]) -> Vec<u8> {
    let mut datagram = of.datagram.clone();
    datagram[at..at + new.len()].copy_from_slice(new);
    datagram
}

/// Faults that every datagram can have.
fn common(of: &Whole) -> Vec<Value> {
    let longer = |bytes| [of.datagram.as_slice(), &vec![0; bytes]].concat();
    let shorter = |bytes| of.datagram[..of.datagram.len() - bytes].to_vec();
    let mut faults = vec![
        fault(of, "version 2", with(of, 0, &[0xD2]), "bad-magic"),
        fault(of, "byte 3 is not zero", with(of, 3, &[0x80]), "not-zero"),
        fault(of, "index 0", with(of, 4, &[0; 4]), "bad-index"),
        fault(of, "one byte missing", shorter(1), "bad-length"),
        fault(of, "one byte more", longer(1), "bad-length"),
        fault(of, "16 bytes missing", shorter(16), "bad-length"),
        fault(of, "1233 bytes", longer(1233 - of.datagram.len()), "too-long"),
    ];
    // 16 bytes are an entry of this one.
    if of.verdict == "Locate" && of.datagram.len() > 65 {
        faults.retain(|fault| !fault["name"].as_str().is_some_and(|name| name.ends_with("16 bytes missing")));
    }
    if of.verdict == "Response" || of.verdict == "CookieReply" {
        faults.push(fault(of, "byte 2 is not zero", with(of, 2, &[1]), "not-zero"));
    }
    faults
}

fn initiations(member: &Whole, joiner: &Whole) -> Vec<Value> {
    vec![
        fault(member, "mode 2", with(member, 2, &[2]), "unknown-mode"),
        fault(joiner, "mode 255", with(joiner, 2, &[255]), "unknown-mode"),
        fault(member, "an invite ID", with(member, 8, &[1]), "not-zero"),
        fault(member, "an invite ID whose last byte is not zero", with(member, 15, &[1]), "not-zero"),
    ]
}

/// Faults of bodies that need no key to be seen.
fn clear_bodies(sample: &Sample, whole: &Whole, keys: &Keys) -> Vec<Value> {
    if sample.header.kind.is_sealed() {
        return Vec::new();
    }
    let faults = bodies::faults(sample).into_iter();
    faults.map(|found| fault(whole, found.name, datagram(&sample.header, &found.body, keys), found.verdict)).collect()
}

/// Lists with fewer and more entries than they may have, by their length.
fn list_lengths(sample: &Sample, whole: &Whole, keys: &Keys) -> Vec<Value> {
    let (fixed, entry, entries, verdict) = match sample.name {
        "Locate" => (1, 16, 0, "bad-length"),
        "Locate for eight" => (1, 16, 9, "bad-length"),
        "Located with sixteen entries" => (1, 39, 17, "bad-length"),
        "Rendezvous" => (17, 18, 0, "bad-length"),
        "Rendezvous with four addresses" => (17, 18, 5, "bad-length"),
        // Ten records are more than a datagram holds.
        "Members, a full page" => (2, 121, 10, "too-long"),
        _ => return Vec::new(),
    };
    let mut body = sample.body.clone();
    body.resize(fixed + entry * entries, 0);
    let name = format!("as long as with {entries} entries");
    vec![fault(whole, &name, datagram(&sample.header, &body, keys), verdict)]
}

/// Other values of the first two bytes.
fn types(heartbeat: &Whole) -> Vec<Value> {
    let mut vectors = Vec::new();
    for magic in [0x00, 0xC1, 0xD0, 0xDF, 0xE1, 0x1D, 0xFF] {
        vectors.push(fault(heartbeat, &format!("byte 0 is 0x{magic:02X}"), with(heartbeat, 0, &[magic]), "bad-magic"));
    }
    for kind in [0x00, 0x04, 0x0F, 0x16, 0x1F, 0x25, 0x2F, 0x30, 0x31, 0x32, 0x7F, 0x90, 0xE0, 0xEF, 0xF0, 0xFF] {
        vectors.push(fault(heartbeat, &format!("type 0x{kind:02X}"), with(heartbeat, 1, &[kind]), "unknown-type"));
    }
    vectors
}

fn tiny(heartbeat: &Whole) -> Vec<Value> {
    let least = Header::LEN + TAG_LEN;
    let lengths = [0, 1, 2, 3, 4, 8, 15, 16, least - 1, least, least + SEAL_LEN];
    let cut = |length: usize| {
        let datagram = heartbeat.datagram[..length].to_vec();
        fault(heartbeat, &format!("its first {length} bytes"), datagram, "bad-length")
    };
    lengths.into_iter().map(cut).collect()
}
