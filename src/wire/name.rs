//! A member's name: one DNS label.

use std::fmt;
use std::str::FromStr;

use crate::wire::list::Slot;

/// One DNS label: 1 to 63 of `a`–`z`, `0`–`9` and `-`, with no `-` at either end. Spec: `spec/formats.md` WIRE-9.
///
/// A name is a label on a [`NodeId`](crate::wire::id::NodeId), never an identity. Names are ordered as byte strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    // First, so that the derived order is that of MEMB-2: the bytes decide, and the length byte comes last.
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX: usize = 63;

    /// Size on the wire, in bytes: the length and the bytes, padded with zero bytes.
    pub const LEN: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII letters, digits and hyphens pass the constructor.
        self.bytes.get(..usize::from(self.length)).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    /// The 64 bytes of the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut wire = [0; Self::LEN];
        let (length, bytes) = wire.split_at_mut(1);
        length.fill(self.length);
        bytes.copy_from_slice(&self.bytes);
        wire
    }

    /// Reads the 64 bytes of the wire; `None` if they are not exactly one name.
    #[must_use]
    pub fn from_bytes(wire: &[u8; Self::LEN]) -> Option<Self> {
        let (length, rest) = wire.split_first()?;
        let (text, padding) = rest.split_at_checked(usize::from(*length))?;
        let name = Self::from_ascii(text)?;
        padding.iter().all(|&b| b == 0).then_some(name)
    }

    fn from_ascii(text: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let edges = text.first()? != &b'-' && text.last()? != &b'-';
        if !edges || !text.iter().all(allowed) {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let length = u8::try_from(text.len()).ok()?;
        Some(Self { length, bytes })
    }
}

impl Slot for Name {
    const FILL: Self = {
        let mut bytes = [0; Self::MAX];
        bytes[0] = b'x';
        Self { length: 1, bytes }
    };
}

impl FromStr for Name {
    type Err = InvalidName;

    /// Reads a name as people write it; capital letters become small ones, as in DNS.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::from_ascii(text.to_ascii_lowercase().as_bytes()).ok_or(InvalidName)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A text that is not one DNS label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 63 letters, digits and hyphens, with no hyphen at either end")]
pub struct InvalidName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_dns_label() {
        for text in ["a", "0", "pi-4", "x--y", &"n".repeat(63)] {
            let name: Name = text.parse().unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!(Name::from_bytes(&name.to_bytes()), Some(name));
        }
        assert_eq!("Pi".parse::<Name>().unwrap().as_str(), "pi");
        for text in ["", "-a", "a-", "-", "a.b", "a_b", "a b", "ä", &"n".repeat(64)] {
            assert_eq!(text.parse::<Name>(), Err(InvalidName), "{text}");
        }
    }

    #[test]
    fn the_bytes_decide_the_order_and_not_the_length() {
        let sorted = ["a", "a-b", "a0", "ab", "abc", "b", "vps", "z"].map(|text| text.parse::<Name>().unwrap());
        assert!(sorted.is_sorted());
    }

    #[test]
    fn has_one_encoding() {
        let wire = |length: u8, text: &[u8]| {
            let mut wire = [0; 64];
            wire[0] = length;
            wire[1..=text.len()].copy_from_slice(text);
            Name::from_bytes(&wire)
        };
        assert!(wire(2, b"pi").is_some());
        for (length, text) in [(0, &b""[..]), (0, b"pi"), (1, b"pi"), (3, b"pi"), (64, b"pi"), (255, b"pi"), (2, b"Pi")]
        {
            assert_eq!(wire(length, text), None, "{length} {text:?}");
        }
    }
}
