//! Structs of fixed size to bytes and back, by bincode: integers big-endian, byte strings as they are, nothing between.

use std::fmt;

use bincode::Options;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::error::DecodeError;

/// A struct of integers and byte strings only, so that its size on the wire never varies.
pub(super) trait Raw: Serialize + DeserializeOwned {
    /// Size on the wire, in bytes.
    const LEN: usize;
}

/// Reads a struct from exactly its bytes.
///
/// bincode allocates an error to report one. It never has to here: the length is checked before, and every value of an
/// integer is one.
#[inline]
pub(super) fn read<R: Raw>(bytes: &[u8]) -> Result<R, DecodeError> {
    if bytes.len() != R::LEN {
        return Err(DecodeError::Length);
    }
    options().deserialize(bytes).map_err(|_| DecodeError::Length)
}

/// Writes a struct at the beginning of `out` and returns its length; writes nothing and returns 0 if `out` is shorter.
#[inline]
pub(super) fn write<R: Raw>(raw: &R, out: &mut [u8]) -> usize {
    // The slice is the limit: with one of its own, bincode would go through the struct twice.
    match out.get_mut(..R::LEN).map(|exact| options().with_no_limit().serialize_into(exact, raw)) {
        Some(Ok(())) => R::LEN,
        Some(Err(_)) | None => 0,
    }
}

/// The bytes of a struct that has exactly `N` of them.
#[inline]
pub(super) fn to_array<R: Raw, const N: usize>(raw: &R) -> [u8; N] {
    const { assert!(N == R::LEN, "the array must be as long as the struct on the wire") };
    let mut bytes = [0; N];
    write(raw, &mut bytes);
    bytes
}

/// Writes structs one after the other at the beginning of `out` and returns their length together.
pub(super) fn write_all<R: Raw>(items: impl Iterator<Item = R>, out: &mut [u8]) -> usize {
    let mut written = 0;
    for item in items {
        written += write(&item, out.get_mut(written..).unwrap_or_default());
    }
    written
}

#[inline]
fn options() -> impl Options {
    // The largest datagram: nothing in one can be longer.
    const LIMIT: u64 = 1232;
    bincode::DefaultOptions::new().with_fixint_encoding().with_big_endian().with_limit(LIMIT).reject_trailing_bytes()
}

/// `N` bytes. serde knows arrays of up to 32 elements and bincode reads them one by one; these travel 16 at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Bytes<N> {
    /// How many integers they travel as: `u128` first, then `u8` for those left over.
    const ELEMENTS: usize = N / 16 + N % 16;
}

impl<const N: usize> Raw for Bytes<N> {
    const LEN: usize = N;
}

impl<const N: usize> Serialize for Bytes<N> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(Self::ELEMENTS)?;
        let mut rest = self.0.as_slice();
        while let Some((chunk, after)) = rest.split_first_chunk() {
            tuple.serialize_element(&u128::from_be_bytes(*chunk))?;
            rest = after;
        }
        for byte in rest {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(Self::ELEMENTS, BytesVisitor)
    }
}

struct BytesVisitor<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for BytesVisitor<N> {
    type Value = Bytes<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Bytes<N>, A::Error> {
        let mut bytes = [0; N];
        let mut chunks = bytes.chunks_exact_mut(16);
        for chunk in &mut chunks {
            chunk.copy_from_slice(&next::<u128, A>(&mut elements)?.to_be_bytes());
        }
        for byte in chunks.into_remainder() {
            *byte = next::<u8, A>(&mut elements)?;
        }
        Ok(Bytes(bytes))
    }
}

#[inline]
fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(elements: &mut A) -> Result<T, A::Error> {
    elements.next_element()?.ok_or_else(|| A::Error::custom("too few bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Sample {
        word: u32,
        long: Bytes<35>,
        short: Bytes<3>,
    }

    impl Raw for Sample {
        const LEN: usize = 42;
    }

    #[test]
    fn bytes_travel_as_they_are() {
        let wire: Vec<u8> = (0..42).collect();
        let sample: Sample = read(&wire).unwrap();
        assert_eq!(sample.word, 0x0001_0203);
        assert_eq!(sample.long.0.as_slice(), &wire[4..39]);
        assert_eq!(sample.short.0.as_slice(), &wire[39..]);
        assert_eq!(to_array::<_, 42>(&sample).as_slice(), wire);
    }

    #[test]
    fn another_length_is_refused() {
        assert!(read::<Sample>(&[0; 41]).is_err());
        assert!(read::<Sample>(&[0; 43]).is_err());
        assert_eq!(write(&read::<Sample>(&[7; 42]).unwrap(), &mut [0; 41]), 0);
    }
}
