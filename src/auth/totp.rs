//! RFC 6238: the value that a secret has in a time step.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The time step X. T0 is 0. Spec: `spec/cryptography.md` section 4.
pub const STEP: Duration = Duration::from_secs(30);

/// [`STEP`] in milliseconds.
pub const STEP_MS: u64 = 30_000;

/// A TOTP secret: printed nowhere, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(pub [u8; 20]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// V(T): HMAC-SHA-1 of the step, before RFC 6238's truncation.
#[must_use]
pub fn value(secret: &Secret, step: u64) -> [u8; 20] {
    hmac_sha1(&secret.0, step)
}

/// The lowest eight bits of a step: what a header has room for.
pub(crate) fn low8(step: u64) -> u8 {
    step.to_le_bytes()[0]
}

/// The code that people type, of 6 to 8 digits: RFC 4226, section 5.3. Nothing in the protocol needs it; it ties V(T)
/// to every TOTP implementation there is.
///
/// `digits` beyond 9 give all the digits there are.
#[must_use]
pub fn code(value: &[u8; 20], digits: u32) -> u32 {
    let offset = usize::from(value[19] & 0x0F);
    let window = value.get(offset..).and_then(|tail| tail.first_chunk()).copied().unwrap_or_default();
    let number = u32::from_be_bytes(window) & 0x7FFF_FFFF;
    10_u32.checked_pow(digits).map_or(number, |modulus| number % modulus)
}

fn hmac_sha1(key: &[u8], step: u64) -> [u8; 20] {
    let Ok(mac) = Hmac::<Sha1>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    mac.chain_update(step.to_be_bytes()).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6238_appendix_b() {
        let secret = Secret(*b"12345678901234567890");
        let vectors = [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ];
        for (seconds, expected) in vectors {
            assert_eq!(code(&value(&secret, seconds / STEP.as_secs()), 8), expected, "at {seconds} s");
        }
    }

    #[test]
    fn rfc_4226_appendix_d() {
        // Truncation at every offset that these values have, and the untruncated value for count 0.
        let secret = Secret(*b"12345678901234567890");
        let codes = [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (count, expected) in (0..).zip(codes) {
            assert_eq!(code(&value(&secret, count), 6), expected);
        }
        let hex = data_encoding::HEXLOWER.encode(&value(&secret, 0));
        assert_eq!(hex, "cc93cf18508d94934c64b65d8ba7667fb7cde4b0");
    }

    #[test]
    fn does_not_print_its_secret() {
        assert_eq!(format!("{:?}", Secret([0xAB; 20])), "Secret(..)");
    }
}
