//! Located: what the sender knows about wanted members.

use serde::{Deserialize, Serialize};

use crate::wire::address::{Address, RawAddress};
use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::id::NodeId;
use crate::wire::kind::Kind;
use crate::wire::list::{List, Slot};
use crate::wire::raw::{self, Bytes, Raw};

/// Answers a [`Locate`](crate::wire::locate::Locate): hearsay, candidates only. Spec: `spec/formats.md` section 5.5.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | n |
/// | 1 + 39i | 39 | `entries[i]` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// What is known, possibly nothing.
    pub entries: List<LocatedEntry, { Self::MAX }>,
}

/// Where one member is or was.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 16 | `id` |
/// | 16 | 1 | `source` |
/// | 17 | 4 | `age_s` |
/// | 21 | 18 | `address` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocatedEntry {
    /// The member.
    pub id: NodeId,
    /// How the sender knows.
    pub source: Source,
    /// Seconds since the sender last heard the member there.
    pub age_s: u32,
    /// The address.
    pub address: Address,
}

/// How the sender of a [`Located`] knows an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The sender's link to the member is up at this address: 1 on the wire.
    Up,
    /// The sender last saw the member there: 2 on the wire.
    LastSeen,
}

impl Located {
    /// How many entries one datagram holds at most.
    pub const MAX: usize = 16;
}

impl Body for Located {
    const KIND: Kind = Kind::LOCATED;
    const LENGTHS: Lengths = Lengths::list(RawLocated::LEN, RawEntry::LEN, 0, Self::MAX);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let (head, list) = body.split_at_checked(RawLocated::LEN).ok_or(DecodeError::Length)?;
        let head: RawLocated = raw::read(head)?;
        let mut entries = List::new();
        for entry in Self::LENGTHS.entries(head.count, list)? {
            let entry = LocatedEntry::try_from(raw::read::<RawEntry>(entry)?)?;
            entries.push(entry).map_err(|_| DecodeError::Count)?;
        }
        Ok(Self { entries })
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        let head = raw::write(&RawLocated { count: self.entries.count() }, out);
        let list = out.get_mut(head..).unwrap_or_default();
        head + raw::write_all(self.entries.iter().map(RawEntry::from), list)
    }
}

impl Slot for LocatedEntry {
    const FILL: Self = Self { id: NodeId::NONE, source: Source::LastSeen, age_s: 0, address: Address::FILL };
}

#[derive(Serialize, Deserialize)]
struct RawLocated {
    count: u8,
}

impl Raw for RawLocated {
    const LEN: usize = 1;
}

#[derive(Serialize, Deserialize)]
struct RawEntry {
    id: Bytes<{ NodeId::LEN }>,
    source: u8,
    age_s: u32,
    address: RawAddress,
}

impl Raw for RawEntry {
    const LEN: usize = NodeId::LEN + 1 + 4 + RawAddress::LEN;
}

impl TryFrom<RawEntry> for LocatedEntry {
    type Error = DecodeError;

    fn try_from(raw: RawEntry) -> Result<Self, DecodeError> {
        let source = match raw.source {
            1 => Source::Up,
            2 => Source::LastSeen,
            _ => return Err(DecodeError::Source),
        };
        Ok(Self { id: NodeId(raw.id.0), source, age_s: raw.age_s, address: raw.address.required()? })
    }
}

impl From<&LocatedEntry> for RawEntry {
    fn from(entry: &LocatedEntry) -> Self {
        let source = match entry.source {
            Source::Up => 1,
            Source::LastSeen => 2,
        };
        Self { id: Bytes(entry.id.0), source, age_s: entry.age_s, address: entry.address.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::Index;

    const HEADER: Header = Header { kind: Kind::LOCATED, step: 0, receiver: Index(1), counter: 0 };

    fn one_entry() -> Vec<u8> {
        let mut body = vec![1];
        body.extend([7; 16]);
        body.extend([2, 0, 0, 1, 0]);
        body.extend(Address::FILL.to_bytes());
        body
    }

    #[test]
    fn stands_as_the_spec_says() {
        let located = Located::decode(&HEADER, &one_entry()).unwrap();
        let entry = LocatedEntry { id: NodeId([7; 16]), source: Source::LastSeen, age_s: 256, address: Address::FILL };
        assert_eq!(located.entries.as_slice(), [entry]);
        assert_eq!(Located::decode(&HEADER, &[0]).unwrap().entries.len(), 0);
    }

    #[test]
    fn refuses_unknown_sources_and_missing_addresses() {
        let mut unknown = one_entry();
        unknown[17] = 3;
        assert_eq!(Located::decode(&HEADER, &unknown), Err(DecodeError::Source));
        let mut nowhere = one_entry();
        nowhere[22..].fill(0);
        assert_eq!(Located::decode(&HEADER, &nowhere), Err(DecodeError::NoAddress));
        let mut many = vec![17];
        (0..17).for_each(|_| many.extend(&one_entry()[1..]));
        assert_eq!(Located::decode(&HEADER, &many), Err(DecodeError::Count));
    }
}
