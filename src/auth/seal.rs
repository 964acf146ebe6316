//! Sealed bodies: encrypted under the session, for what is about third parties.

use std::fmt;

use ring::aead;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::datagram::SEAL_LEN;
use crate::wire::header::Header;

/// The key that seals the bodies of one direction: printed nowhere, wiped when dropped.
/// Spec: `spec/cryptography.md` section 4.2.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SealKey(pub [u8; 32]);

impl SealKey {
    /// Encrypts `body` where it stands and returns what comes after it: the Poly1305 tag.
    #[must_use]
    pub fn seal(&self, header: &[u8; Header::LEN], counter: u64, body: &mut [u8]) -> [u8; SEAL_LEN] {
        let sealed = key(&self.0).seal_in_place_separate_tag(nonce(counter), aead::Aad::from(header), body);
        let Ok(tag) = sealed else { unreachable!("ChaCha20 encrypts 256 GiB under one nonce; this is one datagram") };
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Decrypts a sealed body where it stands and returns the plain one; `None` if it was not sealed with this key,
    /// header and counter. `sealed` holds nothing meaningful then.
    #[must_use]
    pub fn open<'b>(&self, header: &[u8; Header::LEN], counter: u64, sealed: &'b mut [u8]) -> Option<&'b [u8]> {
        let plain = key(&self.0).open_in_place(nonce(counter), aead::Aad::from(header), sealed).ok()?;
        Some(plain)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// ring's form of a ChaCha20-Poly1305 key.
pub(super) fn key(bytes: &[u8; 32]) -> aead::LessSafeKey {
    let Ok(key) = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, bytes) else {
        unreachable!("a ChaCha20-Poly1305 key is 32 bytes");
    };
    aead::LessSafeKey::new(key)
}

fn nonce(counter: u64) -> aead::Nonce {
    let mut nonce = [0; 12];
    let (_, low) = nonce.split_at_mut(4);
    low.copy_from_slice(&counter.to_be_bytes());
    aead::Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_under_its_own_key_header_and_counter_only() {
        let key = SealKey([1; 32]);
        let header = [2; 16];
        let mut sealed = b"plain".to_vec();
        let tag = key.seal(&header, 3, &mut sealed);
        sealed.extend(tag);
        assert_eq!(sealed.len(), 5 + SEAL_LEN);
        assert_eq!(key.open(&header, 3, &mut sealed.clone()), Some(&b"plain"[..]));
        assert_eq!(SealKey([0; 32]).open(&header, 3, &mut sealed.clone()), None);
        assert_eq!(key.open(&[0; 16], 3, &mut sealed.clone()), None);
        assert_eq!(key.open(&header, 4, &mut sealed.clone()), None);
        for i in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[i] ^= 0x10;
            assert_eq!(key.open(&header, 3, &mut flipped), None);
            assert_eq!(key.open(&header, 3, &mut sealed[..i].to_vec()), None);
        }
    }

    #[test]
    fn does_not_print_its_key() {
        assert_eq!(format!("{:?}", SealKey([0xAB; 32])), "SealKey(..)");
    }
}
