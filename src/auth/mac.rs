//! mac1: shows that whoever calls knows whom it calls, so that a scanner gets silence.

use std::fmt;

use ring::{digest, hmac};

use crate::auth::tag::equal;
use crate::wire::id::PublicKey;
use crate::wire::initiation::Initiation;
use crate::wire::response::Response;

/// The key of mac1, made of the public key of whoever receives the message. Spec: `spec/cryptography.md` section 5.
#[derive(Clone)]
pub struct Mac1Key(hmac::Key);

impl Mac1Key {
    /// The key for messages to the owner of `receiver`.
    #[must_use]
    pub fn of(receiver: &PublicKey) -> Self {
        let hash = labelled(b"dddns/1 mac1", receiver);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hash.as_ref()))
    }

    /// Whether the message's mac1 is right: the first thing to ask of it (AUTH-11). Takes as long if it is not.
    #[must_use]
    pub fn verify_mac1(&self, message: &impl HasMac1) -> bool {
        equal(&self.mac1(message), message.mac1())
    }

    /// The mac1 that the message should have.
    pub(crate) fn mac1(&self, message: &impl HasMac1) -> [u8; 16] {
        message.with_covered(|covered| truncated(&self.0, covered))
    }
}

impl fmt::Debug for Mac1Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac1Key(..)")
    }
}

/// The messages that carry a mac1.
pub trait HasMac1 {
    /// The mac1 that the message carries.
    fn mac1(&self) -> &[u8; 16];

    /// Gives `function` every byte of the datagram before mac1.
    fn with_covered<T>(&self, function: impl FnOnce(&[u8]) -> T) -> T;
}

impl HasMac1 for Initiation {
    fn mac1(&self) -> &[u8; 16] {
        &self.mac1
    }

    fn with_covered<T>(&self, function: impl FnOnce(&[u8]) -> T) -> T {
        function(self.to_bytes().split_at(Self::BEFORE_MAC1).0)
    }
}

impl HasMac1 for Response {
    fn mac1(&self) -> &[u8; 16] {
        &self.mac1
    }

    fn with_covered<T>(&self, function: impl FnOnce(&[u8]) -> T) -> T {
        function(self.to_bytes().split_at(Self::BEFORE_MAC1).0)
    }
}

/// mac2 over every byte of the initiation before it.
pub(super) fn mac2(cookie: &[u8; 16], initiation: &[u8; Initiation::LEN]) -> [u8; 16] {
    let (covered, _) = initiation.split_at(Initiation::BEFORE_MAC2);
    truncated(&hmac::Key::new(hmac::HMAC_SHA256, cookie), covered)
}

/// `SHA-256(label || key)`.
pub(super) fn labelled(label: &[u8], key: &PublicKey) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(label);
    hash.update(&key.0);
    hash.finish()
}

/// The first 16 bytes of an HMAC-SHA-256.
pub(super) fn truncated(key: &hmac::Key, data: &[u8]) -> [u8; 16] {
    hmac::sign(key, data).as_ref().first_chunk().copied().unwrap_or_default()
}
