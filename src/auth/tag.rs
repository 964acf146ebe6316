//! The tag on every datagram: HMAC-SHA-256 under the value of the time step.

use std::fmt;

use ring::hmac;

use crate::wire::header::TAG_LEN;

/// A key for tags, with its two hash blocks computed: a tag over up to 55 bytes then costs two more.
/// Spec: `spec/cryptography.md` section 4.
///
/// It is ring's form of the key, which ring does not wipe; it serves for one time step.
#[derive(Clone)]
pub struct TagKey(hmac::Key);

impl TagKey {
    /// The key for one direction and one time step: V(T).
    #[must_use]
    pub fn new(value: &[u8; 20]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, value))
    }

    /// The tag over `data`.
    #[must_use]
    pub fn sign(&self, data: &[u8]) -> [u8; TAG_LEN] {
        hmac::sign(&self.0, data).as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Whether `tag` is the tag over `data`. Takes as long for a wrong tag as for the right one.
    #[must_use]
    pub fn verify(&self, data: &[u8], tag: &[u8]) -> bool {
        let right = self.sign(data);
        // Two integers take one time to compare; 16 bytes one by one would take a tenth of the tag's.
        tag.first_chunk().is_some_and(|tag| {
            let difference = u128::from_ne_bytes(right) ^ u128::from_ne_bytes(*tag);
            std::hint::black_box(difference) == 0
        }) && tag.len() == TAG_LEN
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// Compares in a time that depends on the lengths only.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    // Without this an optimiser may leave the loop at the first difference.
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_beginning_of_the_hmac() {
        // RFC 4231, test case 1: this key has 20 bytes, as V(T) has.
        let key = TagKey::new(&[0x0b; 20]);
        let tag = data_encoding::HEXLOWER.decode(b"b0344c61d8db38535ca8afceaf0bf12b").unwrap();
        assert_eq!(key.sign(b"Hi There").as_slice(), tag);
        assert!(key.verify(b"Hi There", &tag));
    }

    #[test]
    fn one_wrong_bit_or_length_is_refused() {
        let key = TagKey::new(&[1; 20]);
        let tag = key.sign(b"data");
        for bit in 0..128 {
            let mut wrong = tag;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(b"data", &wrong));
        }
        assert!(!key.verify(b"date", &tag));
        assert!(!TagKey::new(&[2; 20]).verify(b"data", &tag));
        assert!((0..16).all(|length| !key.verify(b"data", &tag[..length])));
        assert!(!key.verify(b"data", &[tag.as_slice(), &[0]].concat()));
    }
}
