//! Random bytes from a seed: the same seed gives the same bytes, and bytes given out cannot be found again.

use std::fmt;

use ring::hmac;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A deterministic generator with fast key erasure: whoever reads its memory learns nothing about bytes that it gave
/// out before. HMAC-SHA-256 in counter mode; every call replaces the key by block 0.
///
/// Cloning one gives the same bytes twice: that is for tests.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Drbg {
    key: [u8; 32],
}

impl Drbg {
    /// A generator. The seed holds 256 bits from the operating system. Spec: `spec/cryptography.md` section 1.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { key: seed }
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        for (i, chunk) in (1_u64..).zip(out.chunks_mut(32)) {
            let block = hmac::sign(&key, &i.to_be_bytes());
            chunk.iter_mut().zip(block.as_ref()).for_each(|(byte, random)| *byte = *random);
        }
        let next = hmac::sign(&key, &0_u64.to_be_bytes());
        self.key.iter_mut().zip(next.as_ref()).for_each(|(byte, random)| *byte = *random);
    }

    /// `N` random bytes.
    #[must_use]
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Drbg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drbg(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let stream = |seed: u8| {
            let mut drbg = Drbg::new([seed; 32]);
            [drbg.array::<40>(), drbg.array::<40>()]
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        assert_ne!(stream(1)[0], stream(1)[1]);
    }

    #[test]
    fn no_block_is_repeated_and_none_is_the_next_key() {
        let mut drbg = Drbg::new([3; 32]);
        let mut blocks = Vec::new();
        for _ in 0..50 {
            blocks.extend(drbg.array::<96>().chunks(32).map(<[u8]>::to_vec));
            blocks.push(drbg.key.to_vec());
        }
        blocks.sort();
        blocks.dedup();
        assert_eq!(blocks.len(), 200);
    }

    #[test]
    fn fills_any_length() {
        let whole = Drbg::new([4; 32]).array::<65>();
        for n in 0..65 {
            let mut part = vec![0; n];
            Drbg::new([4; 32]).fill(&mut part);
            assert_eq!(part, whole[..n]);
        }
    }
}
