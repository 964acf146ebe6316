//! The tag on every datagram: HMAC-SHA-256 under the value of the time step.

use std::fmt;

use ring::hmac;

use crate::wire::header::TAG_LEN;

/// A key for tags, with its two hash blocks computed: a tag over up to 55 bytes then costs two more.
/// Spec: `spec/cryptography.md` section 4.
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
        equal(&self.sign(data), tag)
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
