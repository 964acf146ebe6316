//! Members: a page of the member list.

use serde::{Deserialize, Serialize};

use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::kind::Kind;
use crate::wire::list::List;
use crate::wire::raw::{self, Raw};
use crate::wire::record::{MemberRecord, RawRecord};

/// A page of the member list. Spec: `spec/formats.md` section 5.8.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | `more` |
/// | 1 | 1 | n |
/// | 2 + 121i | 121 | `records[i]` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// Whether the sender has records with greater IDs, and this answers a request. Never with an empty list.
    pub more: bool,
    /// The records, in strictly ascending order of node ID.
    pub records: List<MemberRecord, { Self::MAX }>,
}

impl Members {
    /// How many records one datagram holds at most.
    pub const MAX: usize = 9;
}

impl Body for Members {
    const KIND: Kind = Kind::MEMBERS;
    const LENGTHS: Lengths = Lengths::list(RawMembers::LEN, MemberRecord::LEN, 0, Self::MAX);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let (head, list) = body.split_at_checked(RawMembers::LEN).ok_or(DecodeError::Length)?;
        let head: RawMembers = raw::read(head)?;
        let more = match head.more {
            0 => false,
            1 if head.count > 0 => true,
            _ => return Err(DecodeError::More),
        };
        let mut records = List::<MemberRecord, { Self::MAX }>::new();
        let mut previous = None;
        for entry in Self::LENGTHS.entries(head.count, list)? {
            let record = MemberRecord::try_from(raw::read::<RawRecord>(entry)?)?;
            let id = Some(record.id());
            if previous >= id {
                return Err(DecodeError::Order);
            }
            previous = id;
            records.push(record).map_err(|_| DecodeError::Count)?;
        }
        Ok(Self { more, records })
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        let head = raw::write(&RawMembers { more: self.more.into(), count: self.records.count() }, out);
        let list = out.get_mut(head..).unwrap_or_default();
        head + raw::write_all(self.records.iter().map(RawRecord::from), list)
    }
}

#[derive(Serialize, Deserialize)]
struct RawMembers {
    more: u8,
    count: u8,
}

impl Raw for RawMembers {
    const LEN: usize = 2;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::{Index, PublicKey};
    use crate::wire::list::Slot;

    const HEADER: Header = Header { kind: Kind::MEMBERS, step: 0, receiver: Index(1), counter: 0 };

    fn page(count: u8) -> Vec<MemberRecord> {
        let record = |n| MemberRecord { public_key: PublicKey([n; 32]), ..MemberRecord::FILL };
        let mut records: Vec<_> = (0..count).map(record).collect();
        records.sort_by_key(MemberRecord::id);
        records
    }

    fn body(more: u8, records: &[MemberRecord]) -> Vec<u8> {
        let mut body = vec![more, u8::try_from(records.len()).unwrap()];
        records.iter().for_each(|record| body.extend(record.to_bytes()));
        body
    }

    #[test]
    fn holds_up_to_nine_records_in_order() {
        let full = Members::decode(&HEADER, &body(1, &page(9))).unwrap();
        assert!(full.more);
        assert_eq!(full.records.as_slice(), page(9));
        assert_eq!(Members::decode(&HEADER, &body(0, &page(10))), Err(DecodeError::Count));
        let mut swapped = page(9);
        swapped.swap(3, 4);
        assert_eq!(Members::decode(&HEADER, &body(0, &swapped)), Err(DecodeError::Order));
        let mut twice = page(2);
        twice[1] = twice[0];
        assert_eq!(Members::decode(&HEADER, &body(0, &twice)), Err(DecodeError::Order));
    }

    #[test]
    fn an_empty_page_is_the_last() {
        assert!(Members::decode(&HEADER, &[0, 0]).is_ok());
        assert_eq!(Members::decode(&HEADER, &[1, 0]), Err(DecodeError::More));
        assert_eq!(Members::decode(&HEADER, &body(2, &page(1))), Err(DecodeError::More));
    }
}
