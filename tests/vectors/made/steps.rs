//! Time steps and their values.

use serde_json::{Value, json};

use crate::fixed::ascending;
use crate::noise::totp_value;
use crate::text::hex;

/// A secret of RFC 6238, Appendix B.
const RFC: &[u8; 20] = b"12345678901234567890";

/// The times and codes of RFC 6238, Appendix B, for HMAC-SHA-1.
const APPENDIX_B: [(u64, &str); 6] = [
    (59, "94287082"),
    (1_111_111_109, "07081804"),
    (1_111_111_111, "14050471"),
    (1_234_567_890, "89005924"),
    (2_000_000_000, "69279037"),
    (20_000_000_000, "65353130"),
];

pub(super) fn values() -> Vec<Value> {
    let mut vectors = Vec::new();
    for (time, code) in APPENDIX_B {
        let (name, step) = (format!("RFC 6238, Appendix B, {time} s"), time / 30);
        vectors.push(vector(&name, RFC, time * 1000, step, code));
    }
    let ours = ascending::<20>(0xA0);
    // The edges of a step, and the ends of 32 bits of seconds.
    for (time_ms, step) in [
        (0, 0),
        (29_999, 0),
        (30_000, 1),
        (59_999, 1),
        (1_793_000_012_345, 59_766_667),
        (4_294_967_295_999, 143_165_576),
        (4_294_967_296_000, 143_165_576),
        (281_474_976_710_655, 9_382_499_223),
    ] {
        vectors.push(vector(&format!("{time_ms} ms"), &ours, time_ms, step, &code(&totp_value(&ours, step))));
    }
    vectors
}

fn vector(name: &str, secret: &[u8; 20], time_ms: u64, step: u64, code: &str) -> Value {
    json!({
        "name": name,
        "secret": hex(secret),
        "link_time_ms": time_ms.to_string(),
        "step": step.to_string(),
        "header_step": step % 256,
        "value": hex(totp_value(secret, step)),
        "code": code,
    })
}

/// RFC 4226 section 5.3, eight digits.
fn code(value: &[u8; 20]) -> String {
    let offset = usize::from(value[19] % 16);
    let number = u32::from_be_bytes(value[offset..offset + 4].try_into().expect("four bytes")) % (1 << 31);
    format!("{:08}", number % 100_000_000)
}

/// What AUTH-4 makes of a byte: a step, or no step within one.
pub(super) fn rebuilt() -> Vec<Value> {
    let cases: [(&str, u64, u8, Option<u64>); 14] = [
        ("the same step", 59_766_667, 139, Some(59_766_667)),
        ("one step behind", 59_766_667, 138, Some(59_766_666)),
        ("one step ahead", 59_766_667, 140, Some(59_766_668)),
        ("two steps behind", 59_766_667, 137, None),
        ("two steps ahead", 59_766_667, 141, None),
        ("127 steps ahead", 59_766_667, 10, None),
        ("128 steps away", 59_766_667, 11, None),
        ("ahead across a multiple of 256", 59_766_783, 0, Some(59_766_784)),
        ("behind across a multiple of 256", 59_766_784, 255, Some(59_766_783)),
        ("two ahead across a multiple of 256", 59_766_783, 1, None),
        ("two behind across a multiple of 256", 59_766_784, 254, None),
        ("step 0", 0, 0, Some(0)),
        ("one ahead of step 0", 0, 1, Some(1)),
        ("there is no step before 0", 0, 255, None),
    ];
    let vector = |(name, own, header_step, step): (&str, u64, u8, Option<u64>)| {
        let verdict = if step.is_some() { "accepted" } else { "bad-step" };
        json!({
            "name": name,
            "own_step": own.to_string(),
            "header_step": header_step,
            "step": step.map(|step| step.to_string()),
            "verdict": verdict,
        })
    };
    cases.into_iter().map(vector).collect()
}
