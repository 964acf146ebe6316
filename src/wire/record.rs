//! A member record.
use crate::wire::id::{NodeId, PublicKey};
use crate::wire::name::Name;

/// A member record: one entry of the replicated member list. Spec: `spec/formats.md` section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// The member's public key; its node ID follows from it.
    pub public_key: PublicKey,
    /// Who admitted it; [`NodeId::NONE`] if a configuration file did.
    pub admitted_by: NodeId,
    /// How often it has been admitted.
    pub epoch: u32,
    /// Whether it is a member or removed.
    pub state: MemberState,
    /// Revision of the name within the epoch.
    pub revision: u32,
    /// Its name.
    pub name: Name,
}

/// Whether a node belongs to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// It does.
    Member,
    /// It was removed.
    Removed,
}
