//! One of the tester's peers: who it is, where it is, its sessions, and how polite it is.

use std::time::Instant;

use crate::auth::drbg::Drbg;
use crate::auth::identity::Identity;
use crate::auth::mac::Mac1Key;
use crate::conformance::forge::Forge;
use crate::conformance::network::Place;
use crate::wire::body::Body;
use crate::wire::id::{Digest, Incarnation, Index, NodeId};
use crate::wire::name::Name;

/// Which peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// Joins by the invite and admits the others.
    First,
    /// Lets the target begin the handshake.
    Second,
    /// Begins the handshake itself.
    Third,
    /// Is a member and never speaks.
    Ghost,
}

impl Who {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::First, Self::Second, Self::Third, Self::Ghost];

    /// The name under which it joins.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::First => "conformance-first",
            Self::Second => "conformance-second",
            Self::Third => "conformance-third",
            Self::Ghost => "conformance-ghost",
        }
    }
}

/// A peer.
pub(super) struct Peer {
    pub(super) identity: Identity,
    /// What its handshakes say of which run it is.
    pub(super) incarnation: Incarnation,
    pub(super) name: Option<Name>,
    /// What initiations to it must be signed with.
    pub(super) mac1: Mac1Key,
    pub(super) place: Place,
    /// Oldest first; the last one is the present one.
    pub(super) sessions: Vec<Forge>,
    /// Whether it answers nothing.
    pub(super) mute: bool,
    /// Where it answers nothing.
    pub(super) deaf: Vec<Place>,
    /// The target's member list as it last told it: the peer says that its own is the same, and is left in peace.
    pub(super) digest: Digest,
}

impl Peer {
    /// A peer with a new key.
    pub(super) fn new(who: Who, drbg: &mut Drbg) -> Self {
        let identity = Identity::from_secret(drbg.array());
        let place = match who {
            Who::First => Place::First,
            Who::Second => Place::Second,
            Who::Third => Place::Third,
            Who::Ghost => Place::Ghost,
        };
        Self {
            mac1: Mac1Key::of(&identity.public_key()),
            identity,
            incarnation: Incarnation(drbg.array()),
            name: who.label().parse().ok(),
            place,
            sessions: Vec::new(),
            mute: false,
            deaf: Vec::new(),
            digest: Digest::default(),
        }
    }

    /// Its node ID.
    pub(super) fn id(&self) -> NodeId {
        self.identity.node_id()
    }

    /// Its present session.
    pub(super) fn session(&mut self) -> Option<&mut Forge> {
        self.sessions.last_mut()
    }

    /// The session by which it is addressed so.
    pub(super) fn session_by(&mut self, local: Index) -> Option<&mut Forge> {
        self.sessions.iter_mut().find(|session| session.local == local)
    }

    /// A right message under the session with this index.
    pub(super) fn reply(&mut self, now: Instant, local: Index, body: &impl Body) -> Option<Vec<u8>> {
        let session = self.session_by(local)?;
        let plan = session.plan(now);
        Some(session.make(plan, body))
    }
}
