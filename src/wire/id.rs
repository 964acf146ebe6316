//! The identifiers that travel: who, which cluster, which session, which member list.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD_NOCASE;
use serde::{Deserialize, Serialize};

/// Defines a newtype over a byte array that prints, and parses, as lower-case base32.
macro_rules! base32_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(pub u32);

impl Index {
    /// "No session": stands in a refusal only.
    pub const NONE: Self = Self(0);
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A fingerprint of a member list: equal lists have equal digests.
///
/// Spec: `spec/membership.md` section 4.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
