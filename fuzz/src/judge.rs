//! What the specification says of bytes, stated anew: the targets hold the decoder's verdicts against it.
//!
//! Nothing here asks the decoder, and nothing is quick or clever. Spec: `spec/formats.md`.

use std::ops::RangeInclusive;

use ring::digest;

/// Whether bytes are a datagram of this version, as far as that shows without keys.
#[must_use]
pub fn is_datagram(bytes: &[u8]) -> bool {
    let &[0xD1, kind, ..] = bytes else { return false };
    let Some(head) = bytes.first_chunk::<16>() else { return false };
    let &[_, _, mode, zero, a, b, c, d, ref invite @ ..] = head;
    let index = [a, b, c, d] != [0; 4];
    let length = bytes.len();
    match kind {
        0x01 => length == 216 && index && zero == 0 && (mode == 1 || mode == 0 && is_zero(invite)),
        0x02 => length == 159 && index && mode == 0 && zero == 0,
        0x03 => length == 56 && index && mode == 0 && zero == 0,
        _ => is_body_length(kind, length) && index && zero == 0,
    }
}

/// Whether a tagged datagram of this type may be so long.
fn is_body_length(kind: u8, length: usize) -> bool {
    let list = |fixed: usize, entry: usize, counts: RangeInclusive<usize>| {
        counts.into_iter().any(|n| length == 48 + fixed + n * entry)
    };
    match kind {
        0x10 | 0x11 => length == 66,
        0x12 | 0x13 => length == 40,
        0x14 | 0x15 => length == 32,
        0x20 => list(1, 16, 1..=8),
        0x21 => list(1, 39, 0..=16),
        0x22 => list(17, 18, 1..=4),
        0x23 => length == 64,
        0x24 => list(2, 121, 0..=9),
        _ => false,
    }
}

/// Whether bytes may be the plain body of a message of this type under this header.
#[must_use]
pub fn is_body(kind: u8, header: &[u8; 16], body: &[u8]) -> bool {
    match kind {
        0x10 | 0x11 => body.split_at_checked(16).is_some_and(|(numbers, reflection)| {
            let unmasked = unmask(header, reflection);
            let none = kind == 0x10 && is_zero(&unmasked);
            reflection.len() == 18 && (none || is_address(&unmasked)) && (kind == 0x10 || !is_zero(&numbers[..8]))
        }),
        0x12 | 0x13 => body.len() == 8,
        0x14 | 0x15 => body.is_empty(),
        0x20 => counted(body, 0, 16, 1..=8, |_| true) && is_ascending(body.get(1..).unwrap_or_default().chunks(16)),
        0x21 => counted(body, 0, 39, 0..=16, |entry| matches!(entry[16], 1 | 2) && is_address(&entry[21..])),
        0x22 => counted(body, 16, 18, 1..=4, is_address),
        0x23 => body.len() == 16,
        0x24 => {
            let records = body.get(2..).unwrap_or_default().chunks(121);
            let ids = records.map(|record| node_id(record.get(..32).unwrap_or_default()));
            let ids: Vec<Vec<u8>> = ids.collect();
            counted(body, 1, 121, 0..=9, is_record)
                && (body[0] == 0 || body[0] == 1 && body[1] > 0)
                && is_ascending(ids.iter().map(Vec::as_slice))
        }
        _ => false,
    }
}

/// Whether a body has a count at this offset, so many entries after it, and nothing else.
fn counted(
    body: &[u8],
    at: usize,
    entry: usize,
    counts: RangeInclusive<usize>,
    is_entry: impl Fn(&[u8]) -> bool,
) -> bool {
    let Some(&count) = body.get(at) else { return false };
    let entries = &body[at + 1..];
    let count = usize::from(count);
    counts.contains(&count) && entries.len() == count * entry && entries.chunks(entry).all(is_entry)
}

/// Whether 121 bytes are a member record.
#[must_use]
pub fn is_record(record: &[u8]) -> bool {
    record.len() == 121 && matches!(record[52], 1 | 2) && is_name(&record[57..])
}

/// Whether 72 bytes may be the payload of an initiation.
#[must_use]
pub fn is_initiation_payload(join: bool, payload: &[u8; 72]) -> bool {
    if join { is_name(&payload[8..]) } else { is_zero(&payload[8..]) }
}

/// Whether 87 bytes may be the payload of a response.
#[must_use]
pub fn is_response_payload(join: bool, payload: &[u8; 87]) -> bool {
    let (sender, verdict, observed, cluster) = (&payload[..4], payload[4], &payload[5..23], &payload[39..]);
    let accepted = verdict == 0;
    verdict <= 4 && is_address(observed) && accepted != is_zero(sender) && (join && accepted || is_zero(cluster))
}

/// Whether 64 bytes are a name: a length, one DNS label in small letters, and zeros.
#[must_use]
pub fn is_name(bytes: &[u8]) -> bool {
    let Some((&length, text)) = bytes.split_first() else { return false };
    let Some((label, padding)) = text.split_at_checked(length.into()) else { return false };
    let edge = |b: Option<&u8>| b.is_some_and(|&b| b != b'-');
    let letters = label.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    bytes.len() == 64 && letters && edge(label.first()) && edge(label.last()) && is_zero(padding)
}

/// Whether 18 bytes are an address: neither the IP address, of either family, nor the port is zero.
#[must_use]
pub fn is_address(bytes: &[u8]) -> bool {
    let (ip, port) = bytes.split_at(16);
    let unspecified = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];
    !is_zero(ip) && ip != unspecified && !is_zero(port)
}

/// The ID that follows from a public key. Spec: `spec/cryptography.md` section 2.
fn node_id(public_key: &[u8]) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA256, &[b"dddns/1 node", public_key].concat());
    hash.as_ref()[..16].to_vec()
}

/// Takes the mask off an address that travels in clear.
fn unmask(header: &[u8; 16], masked: &[u8]) -> Vec<u8> {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    let x = word(&header[..8]) ^ word(&header[8..]);
    let mix = |z: u64| {
        let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    };
    let mask = (1..=3).flat_map(|n: u64| mix(x.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n))).to_be_bytes());
    masked.iter().zip(mask).map(|(byte, mask)| byte ^ (mask | 1)).collect()
}

fn is_ascending<'a>(ids: impl Iterator<Item = &'a [u8]>) -> bool {
    ids.is_sorted_by(|a, b| a < b)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0)
}
