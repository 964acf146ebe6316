//! MembersRequest: asks for a page of the member list.

use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::id::NodeId;
use crate::wire::kind::Kind;
use crate::wire::raw::{self, Bytes};

/// Asks for the records whose IDs are greater than `after`. Spec: `spec/formats.md` section 5.7.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 16 | `after` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembersRequest {
    /// The last ID of the page before; [`NodeId::NONE`] asks from the beginning.
    pub after: NodeId,
}

impl Body for MembersRequest {
    const KIND: Kind = Kind::MEMBERS_REQUEST;
    const LENGTHS: Lengths = Lengths::fixed(NodeId::LEN);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        raw::read::<Bytes<{ NodeId::LEN }>>(body).map(|id| Self { after: NodeId(id.0) })
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        raw::write(&Bytes(self.after.0), out)
    }
}
