//! What every tagged message has in common: a type, the lengths it may have, a codec.

use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::kind::Kind;
use crate::wire::members::Members;

/// The longest plain body, in bytes: a full page of the member list.
pub const MAX_BODY: usize = Members::LENGTHS.max_len();

/// The body of a tagged datagram. Spec: `spec/formats.md` section 5.
pub trait Body: Sized {
    /// The type.
    const KIND: Kind;

    /// Which lengths the plain body may have.
    const LENGTHS: Lengths;

    /// Whether the body travels encrypted.
    const SEALED: bool = Self::KIND.is_sealed();

    /// Reads the plain body that stood under `header`.
    ///
    /// # Errors
    ///
    /// Whatever the message's table in `spec/formats.md` says is discarded.
    fn decode(header: &Header, body: &[u8]) -> Result<Self, DecodeError>;

    /// Writes the plain body that is to stand under `header` at the beginning of `out`, which has [`MAX_BODY`] bytes or
    /// `Self::LENGTHS.max_len()`, and returns its length.
    fn encode(&self, header: &Header, out: &mut [u8]) -> usize;
}

/// The lengths that a body may have: a fixed part and a list of equal entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    fixed: usize,
    entry: usize,
    min: usize,
    max: usize,
}

impl Lengths {
    /// Exactly this many bytes.
    #[must_use]
    pub const fn fixed(bytes: usize) -> Self {
        Self { fixed: bytes, entry: 1, min: 0, max: 0 }
    }

    /// `fixed` bytes and then `min` to `max` entries of `entry` bytes each.
    #[must_use]
    pub const fn list(fixed: usize, entry: usize, min: usize, max: usize) -> Self {
        Self { fixed, entry, min, max }
    }

    /// The greatest length, in bytes.
    #[must_use]
    pub const fn max_len(self) -> usize {
        self.fixed + self.entry * self.max
    }

    /// Whether a body may have this length.
    #[inline]
    #[must_use]
    pub fn allow(self, length: usize) -> bool {
        let Some(list) = length.checked_sub(self.fixed) else { return false };
        list >= self.min * self.entry && list <= self.max * self.entry && list % self.entry == 0
    }

    /// The entries of a body's list, if its count and its length agree and are allowed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Count`] if the count is not allowed, [`DecodeError::Length`] if the list has another length.
    pub fn entries(self, count: u8, list: &[u8]) -> Result<std::slice::ChunksExact<'_, u8>, DecodeError> {
        let count = usize::from(count);
        if count < self.min || count > self.max {
            return Err(DecodeError::Count);
        }
        if list.len() != count * self.entry {
            return Err(DecodeError::Length);
        }
        Ok(list.chunks_exact(self.entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_whole_entries_within_its_bounds() {
        let lengths = Lengths::list(2, 10, 1, 3);
        let allowed: Vec<usize> = (0..50).filter(|&n| lengths.allow(n)).collect();
        assert_eq!(allowed, [12, 22, 32]);
        let fixed: Vec<usize> = (0..50).filter(|&n| Lengths::fixed(7).allow(n)).collect();
        assert_eq!(fixed, [7]);
        assert_eq!(lengths.entries(0, &[]).err(), Some(DecodeError::Count));
        assert_eq!(lengths.entries(2, &[0; 19]).err(), Some(DecodeError::Length));
        assert_eq!(lengths.entries(2, &[0; 20]).unwrap().len(), 2);
    }
}
