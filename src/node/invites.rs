//! The invites that this node has made: a hash, an expiry, and whether it was used. Spec: `spec/membership.md` section 3.

use std::collections::BTreeMap;

use crate::node::saved::SavedInvite;
use crate::wire::id::InviteId;
use crate::wire::response::Verdict;

/// How many invites are kept, used and expired ones included. Spec: `INVITES_MAX`.
pub(crate) const MAX: usize = 64;

/// The longest life of an invite, in seconds. Spec: `INVITE_TTL`.
pub(crate) const LIFE_MAX: u64 = 30 * 24 * 3600;

/// How much longer it may live by a clock that was set back since, in seconds: many are a little off. Spec: `INVITE_SLACK`.
const SLACK: u64 = 24 * 3600;

/// How long a used or expired invite is kept, so that a late joiner is told why, in seconds. Spec: `INVITE_MEMORY`.
const MEMORY: u64 = 7 * 24 * 3600;

/// The invites of a node.
#[derive(Debug, Default)]
pub(crate) struct Invites {
    invites: BTreeMap<InviteId, SavedInvite>,
}

impl Invites {
    /// Takes back what was stored.
    pub(crate) fn restore(invites: Vec<SavedInvite>) -> Self {
        Self { invites: invites.into_iter().take(MAX).map(|invite| (invite.id, invite)).collect() }
    }

    /// All invites, for storing.
    pub(crate) fn saved(&self) -> Vec<SavedInvite> {
        self.invites.values().cloned().collect()
    }

    /// How many there are.
    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.invites.len()
    }

    /// Adds an invite. `false` if there is no room: only invites that serve nobody any more make room.
    pub(crate) fn add(&mut self, invite: SavedInvite, unix: u64) -> bool {
        self.invites.retain(|_, known| unix < known.expiry.saturating_add(MEMORY));
        if self.invites.len() >= MAX {
            let spent = |invite: &&SavedInvite| invite.used || is_over(invite, unix);
            let Some(oldest) = self.invites.values().filter(spent).min_by_key(|invite| invite.expiry) else {
                return false;
            };
            let oldest = oldest.id;
            self.invites.remove(&oldest);
        }
        self.invites.insert(invite.id, invite);
        true
    }

    /// The invite with this ID, and whether it lets anybody in at this time.
    pub(crate) fn judge(&self, id: InviteId, unix: u64) -> Option<(&SavedInvite, Verdict)> {
        let invite = self.invites.get(&id)?;
        let verdict = match invite {
            SavedInvite { used: true, .. } => Verdict::Used,
            open if is_over(open, unix) => Verdict::Expired,
            SavedInvite { .. } => Verdict::Accepted,
        };
        Some((invite, verdict))
    }

    /// Whether an invite has let nobody in so far. Its expiry was judged when its handshake was answered.
    pub(crate) fn is_open(&self, id: InviteId) -> bool {
        self.invites.get(&id).is_some_and(|invite| !invite.used)
    }

    /// Burns an invite.
    pub(crate) fn burn(&mut self, id: InviteId) {
        if let Some(invite) = self.invites.get_mut(&id) {
            invite.used = true;
        }
    }
}

/// Whether an invite's time is over. One that would live much longer than any may was made by another clock, which has been
/// lost since, and nobody can say how long ago. Spec: MEMB-9.
fn is_over(invite: &SavedInvite, unix: u64) -> bool {
    invite.expiry <= unix || invite.expiry > unix.saturating_add(LIFE_MAX + SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(id: u8, expiry: u64) -> SavedInvite {
        SavedInvite { id: InviteId([id; 8]), hash: [id; 32], expiry, used: false }
    }

    fn verdict(invites: &Invites, id: u8, unix: u64) -> Option<Verdict> {
        invites.judge(InviteId([id; 8]), unix).map(|(_, verdict)| verdict)
    }

    #[test]
    fn an_invite_serves_once_and_not_after_its_time() {
        let mut invites = Invites::default();
        assert!(invites.add(invite(1, 100), 0));
        assert_eq!(verdict(&invites, 1, 99), Some(Verdict::Accepted));
        assert_eq!(verdict(&invites, 1, 100), Some(Verdict::Expired));
        assert!(invites.is_open(InviteId([1; 8])));
        invites.burn(InviteId([1; 8]));
        assert!(!invites.is_open(InviteId([1; 8])) && !invites.is_open(InviteId([2; 8])));
        assert_eq!(verdict(&invites, 1, 99), Some(Verdict::Used));
        assert_eq!(verdict(&invites, 2, 99), None);
    }

    #[test]
    fn an_invite_does_not_come_back_to_life_with_a_clock_that_begins_anew() {
        let mut invites = Invites::default();
        let today = 1_800_000_000;
        assert!(invites.add(invite(1, today + LIFE_MAX), today));
        assert_eq!(verdict(&invites, 1, today - SLACK), Some(Verdict::Accepted), "the clock was set right");
        assert_eq!(verdict(&invites, 1, today - SLACK - 1), Some(Verdict::Expired));
        assert_eq!(verdict(&invites, 1, 0), Some(Verdict::Expired));
    }

    #[test]
    fn open_invites_are_never_dropped_for_new_ones() {
        let mut invites = Invites::default();
        for id in 0..64 {
            assert!(invites.add(invite(id, 100), 0));
        }
        assert!(!invites.add(invite(64, 100), 0));
        invites.burn(InviteId([7; 8]));
        assert!(invites.add(invite(64, 100), 0));
        assert_eq!(verdict(&invites, 7, 0), None);
        assert_eq!(verdict(&invites, 8, 0), Some(Verdict::Accepted));
    }
}
