//! The identifiers that travel: who, which cluster, which session, which member list.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD_NOCASE;
use ring::digest;

use crate::wire::error::DecodeError;
use crate::wire::list::Slot;

/// Defines a newtype over a byte array that prints, and parses, as lower-case base32.
macro_rules! base32_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Size on the wire, in bytes.
            pub const LEN: usize = $length;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&to_base32(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = from_base32(text).ok_or(ParseIdError { length: $length })?;
                let bytes = bytes.try_into().map_err(|_| ParseIdError { length: $length })?;
                Ok(Self(bytes))
            }
        }
    };
}

base32_id! {
    /// Who a node is: derived from its public key, so it never changes with an address or a name.
    ///
    /// Spec: `spec/cryptography.md` section 2.
    NodeId, 16
}

base32_id! {
    /// Which cluster: random, made once by the cluster's first node.
    ///
    /// Spec: `spec/cryptography.md` section 2.
    ClusterId, 16
}

base32_id! {
    /// A node's static X25519 public key.
    PublicKey, 32
}

base32_id! {
    /// Which invite: random, made by the inviter.
    InviteId, 8
}

impl NodeId {
    /// The ID that no node has: "from the beginning" in a list, "nobody" as an admitter.
    pub const NONE: Self = Self([0; 16]);

    /// The first 8 characters of the printed ID, enough to tell the nodes of a cluster apart by eye.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = to_base32(&self.0);
        text.truncate(8);
        text
    }
}

impl From<&PublicKey> for NodeId {
    /// The node ID that follows from a public key.
    fn from(key: &PublicKey) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"dddns/1 node");
        hash.update(&key.0);
        let hash = hash.finish();
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl Slot for NodeId {
    const FILL: Self = Self::NONE;
}

impl ClusterId {
    /// The first 8 characters of the printed ID.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = to_base32(&self.0);
        text.truncate(8);
        text
    }
}

/// What a session is addressed by: chosen at random by its receiver, never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u32);

impl Index {
    /// "No session": stands in a refusal only.
    pub const NONE: Self = Self(0);

    /// The index, where it must be one.
    #[inline]
    pub(super) fn some(self) -> Result<Self, DecodeError> {
        if self == Self::NONE { Err(DecodeError::Index) } else { Ok(self) }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Which run of a node: equal in all handshakes that it makes with one peer between a start and the next.
///
/// Spec: `spec/cryptography.md` section 3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Incarnation(pub [u8; 8]);

impl Incarnation {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 8;
}

// Between two nodes it is as good as a secret.
impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incarnation(..)")
    }
}

/// A fingerprint of a member list: equal lists have equal digests.
///
/// Spec: `spec/membership.md` section 2.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 8]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A text that is not the identifier it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid identifier: expected {length} bytes in base32")]
pub struct ParseIdError {
    length: usize,
}

/// Prints bytes the way all identifiers, keys and tokens are printed: lower-case base32 without padding.
#[must_use]
pub fn to_base32(bytes: &[u8]) -> String {
    BASE32_NOPAD_NOCASE.encode(bytes).to_ascii_lowercase()
}

/// Reads base32 in either case; `None` if it is not canonical base32.
#[must_use]
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    BASE32_NOPAD_NOCASE.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_read_as_it_is_printed() {
        let id = NodeId([0xA5; 16]);
        let text = id.to_string();
        assert_eq!(text.len(), 26);
        assert!(text.starts_with(&id.short()));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_ascii_uppercase().parse(), Ok(id));
        assert_eq!(PublicKey([1; 32]).to_string().len(), 52);
        for wrong in ["", &text[..25], "1", &format!("{text}a")] {
            assert!(wrong.parse::<NodeId>().is_err(), "{wrong}");
        }
        // The last character has bits that stand for nothing: only zero will do.
        let mut padded = text;
        padded.pop();
        padded.push('7');
        assert!(padded.parse::<NodeId>().is_err());
    }

    #[test]
    fn a_node_id_is_the_beginning_of_the_labelled_hash() {
        let mut input = b"dddns/1 node".to_vec();
        input.extend([7; 32]);
        let hash = digest::digest(&digest::SHA256, &input);
        assert_eq!(NodeId::from(&PublicKey([7; 32])).0, hash.as_ref()[..16]);
    }
}
