//! A member record: one entry of the replicated member list.

use serde::{Deserialize, Serialize};

use crate::wire::error::DecodeError;
use crate::wire::id::{NodeId, PublicKey};
use crate::wire::list::Slot;
use crate::wire::name::Name;
use crate::wire::raw::{self, Bytes, Raw};

/// A member record. Spec: `spec/formats.md` section 6.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 32 | `public_key` |
/// | 32 | 16 | `admitted_by` |
/// | 48 | 4 | `admission` |
/// | 52 | 1 | `state` |
/// | 53 | 4 | `revision` |
/// | 57 | 64 | `name` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// The member's public key; its node ID follows from it.
    pub public_key: PublicKey,
    /// Who admitted or removed it, as whoever made the record says: anybody can write anybody's ID. The node itself if a
    /// configuration file or itself did; [`NodeId::NONE`] in what stands for an inviter until its record comes.
    pub admitted_by: NodeId,
    /// The number of its admission: greater than all that its admitter knew.
    pub admission: u32,
    /// Whether it is a member or removed.
    pub state: MemberState,
    /// Revision of the name within the admission.
    pub revision: u32,
    /// Its name.
    pub name: Name,
}

/// Whether a node belongs to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It does: 1 on the wire.
    Member,
    /// It was removed: 2 on the wire.
    Removed,
}

impl MemberRecord {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 121;

    /// The node ID that follows from the public key.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId::from(&self.public_key)
    }

    /// The 121 bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        raw::to_array(&RawRecord::from(self))
    }

    /// Reads the 121 bytes of the wire.
    ///
    /// # Errors
    ///
    /// Another length, an unknown state, or a name that is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::try_from(raw::read::<RawRecord>(bytes)?)
    }
}

impl Slot for MemberRecord {
    const FILL: Self = Self {
        public_key: PublicKey([0; 32]),
        admitted_by: NodeId::NONE,
        admission: 0,
        state: MemberState::Member,
        revision: 0,
        name: Name::FILL,
    };
}

#[derive(Serialize, Deserialize)]
pub(super) struct RawRecord {
    public_key: Bytes<{ PublicKey::LEN }>,
    admitted_by: Bytes<{ NodeId::LEN }>,
    admission: u32,
    state: u8,
    revision: u32,
    name: Bytes<{ Name::LEN }>,
}

impl Raw for RawRecord {
    const LEN: usize = MemberRecord::LEN;
}

impl TryFrom<RawRecord> for MemberRecord {
    type Error = DecodeError;

    fn try_from(raw: RawRecord) -> Result<Self, DecodeError> {
        let state = match raw.state {
            1 => MemberState::Member,
            2 => MemberState::Removed,
            _ => return Err(DecodeError::State),
        };
        Ok(Self {
            public_key: PublicKey(raw.public_key.0),
            admitted_by: NodeId(raw.admitted_by.0),
            admission: raw.admission,
            state,
            revision: raw.revision,
            name: Name::from_bytes(&raw.name.0).ok_or(DecodeError::Name)?,
        })
    }
}

impl From<&MemberRecord> for RawRecord {
    fn from(record: &MemberRecord) -> Self {
        let state = match record.state {
            MemberState::Member => 1,
            MemberState::Removed => 2,
        };
        Self {
            public_key: Bytes(record.public_key.0),
            admitted_by: Bytes(record.admitted_by.0),
            admission: record.admission,
            state,
            revision: record.revision,
            name: Bytes(record.name.to_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        let mut bytes = vec![1; 32];
        bytes.extend([2; 16]);
        bytes.extend([0, 0, 0, 3, 2, 0, 0, 0, 5]);
        bytes.extend([3, b'p', b'i', b'4']);
        bytes.resize(121, 0);
        bytes
    }

    #[test]
    fn stands_as_the_spec_says() {
        let record = MemberRecord {
            public_key: PublicKey([1; 32]),
            admitted_by: NodeId([2; 16]),
            admission: 3,
            state: MemberState::Removed,
            revision: 5,
            name: "pi4".parse().unwrap(),
        };
        assert_eq!(record.to_bytes().as_slice(), bytes());
        assert_eq!(MemberRecord::from_bytes(&bytes()), Ok(record));
    }

    #[test]
    fn refuses_unknown_states_and_names_that_are_none() {
        for state in [0, 3, 255] {
            let mut unknown = bytes();
            unknown[52] = state;
            assert_eq!(MemberRecord::from_bytes(&unknown), Err(DecodeError::State));
        }
        let mut padded = bytes();
        padded[120] = 1;
        assert_eq!(MemberRecord::from_bytes(&padded), Err(DecodeError::Name));
    }
}
