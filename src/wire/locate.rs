//! Locate: "where are these members?"

use serde::{Deserialize, Serialize};

use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::id::NodeId;
use crate::wire::kind::Kind;
use crate::wire::list::List;
use crate::wire::raw::{self, Bytes, Raw};

/// Asks where members are. Spec: `spec/formats.md` section 5.4.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | n |
/// | 1 + 16i | 16 | `ids[i]` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locate {
    /// The wanted members: at least one, in strictly ascending order.
    pub ids: List<NodeId, { Self::MAX }>,
}

impl Locate {
    /// How many members one datagram asks for at most.
    pub const MAX: usize = 8;

    /// Asks for these members, in whatever order they come.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Count`] if there are none or more than [`Locate::MAX`] different ones.
    pub fn of(ids: &[NodeId]) -> Result<Self, DecodeError> {
        let mut list = List::new();
        let mut next = ids.iter().min();
        while let Some(id) = next {
            list.push(*id).map_err(|_| DecodeError::Count)?;
            next = ids.iter().filter(|other| *other > id).min();
        }
        Self::ascending(list)
    }

    fn ascending(ids: List<NodeId, { Self::MAX }>) -> Result<Self, DecodeError> {
        if ids.is_empty() {
            return Err(DecodeError::Count);
        }
        if !ids.as_slice().is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Order);
        }
        Ok(Self { ids })
    }
}

impl Body for Locate {
    const KIND: Kind = Kind::LOCATE;
    const LENGTHS: Lengths = Lengths::list(RawLocate::LEN, NodeId::LEN, 1, Self::MAX);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let (head, list) = body.split_at_checked(RawLocate::LEN).ok_or(DecodeError::Length)?;
        let head: RawLocate = raw::read(head)?;
        let mut ids = List::new();
        for entry in Self::LENGTHS.entries(head.count, list)? {
            let id: Bytes<{ NodeId::LEN }> = raw::read(entry)?;
            ids.push(NodeId(id.0)).map_err(|_| DecodeError::Count)?;
        }
        Self::ascending(ids)
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        let head = raw::write(&RawLocate { count: self.ids.count() }, out);
        let list = out.get_mut(head..).unwrap_or_default();
        head + raw::write_all(self.ids.iter().map(|id| Bytes(id.0)), list)
    }
}

#[derive(Serialize, Deserialize)]
struct RawLocate {
    count: u8,
}

impl Raw for RawLocate {
    const LEN: usize = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::Index;

    const HEADER: Header = Header { kind: Kind::LOCATE, step: 0, receiver: Index(1), counter: 0 };

    #[test]
    fn sorts_and_joins_what_it_is_asked_for() {
        let id = |n| NodeId([n; 16]);
        let locate = Locate::of(&[id(3), id(1), id(3), id(2)]).unwrap();
        assert_eq!(locate.ids.as_slice(), [id(1), id(2), id(3)]);
        assert_eq!(Locate::of(&[]), Err(DecodeError::Count));
        assert_eq!(Locate::of(&(0..9).map(id).collect::<Vec<_>>()), Err(DecodeError::Count));
    }

    #[test]
    fn refuses_none_too_many_and_disorder() {
        let body = |count: u8, ids: &[u8]| {
            let mut body = vec![count];
            ids.iter().for_each(|&n| body.extend([n; 16]));
            Locate::decode(&HEADER, &body)
        };
        assert!(body(2, &[1, 2]).is_ok());
        assert_eq!(body(0, &[]), Err(DecodeError::Count));
        assert_eq!(body(9, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), Err(DecodeError::Count));
        assert_eq!(body(2, &[1]), Err(DecodeError::Length));
        assert_eq!(body(2, &[2, 1]), Err(DecodeError::Order));
        assert_eq!(body(2, &[1, 1]), Err(DecodeError::Order));
    }
}
