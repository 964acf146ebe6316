//! When what a node knows is stored: members at once, addresses at most once a minute, failures again later.

use std::io;
use std::time::{Duration, Instant};

use crate::config::Cluster;
use crate::driver::Store;
use crate::driver::error::NotStored;
use crate::node::saved::{Revision, Saved};

/// How long after the last time new addresses are stored: SD cards wear out.
const ADDRESSES_EVERY: Duration = Duration::from_secs(60);

/// How long the first addresses after the start are collected.
const ADDRESSES_FIRST: Duration = Duration::from_secs(5);

/// How long after a failure storing is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Owns the store and knows what is in it.
pub(super) struct Keeper {
    store: Option<Box<dyn Store>>,
    /// Whether the node belongs to a cluster: before that there is nothing to store.
    member: bool,
    /// A cluster that was joined and could not be stored yet.
    joined: Option<Cluster>,
    /// Whether a cluster was left and could not be deleted yet.
    left: bool,
    /// What the store holds.
    stored: Revision,
    /// What the node holds.
    wanted: Revision,
    last: Option<Instant>,
    /// When addresses are to be stored.
    addresses_at: Option<Instant>,
    /// Set after a failure, until it is made good.
    failure: Option<Failure>,
}

/// Something could not be stored.
struct Failure {
    /// Not tried again before then.
    retry_at: Instant,
    /// What the store said last.
    error: NotStored,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("stored", &self.stored).field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Keeper {
    /// A keeper without a store.
    pub(super) fn new(member: bool) -> Self {
        Self {
            store: None,
            member,
            joined: None,
            left: false,
            stored: Revision::default(),
            wanted: Revision::default(),
            last: None,
            addresses_at: None,
            failure: None,
        }
    }

    /// Stores there from now on.
    pub(super) fn store(&mut self, store: Box<dyn Store>) {
        self.store = Some(store);
    }

    /// The node is at this revision: plans the next storing.
    pub(super) fn note(&mut self, now: Instant, revision: Revision) {
        self.wanted = revision;
        if self.addresses_at.is_none() && self.wanted.addresses != self.stored.addresses {
            let at = self.last.map_or(now + ADDRESSES_FIRST, |last| last + ADDRESSES_EVERY);
            self.addresses_at = Some(at.max(now));
        }
    }

    /// When [`Keeper::keep`] has something to do next; a past instant means at once.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.store.is_none() || !(self.member || self.left) {
            return None;
        }
        let at = if self.owes_members() { Some(now) } else { self.addresses_at };
        at.map(|at| self.failure.as_ref().map_or(at, |failure| at.max(failure.retry_at)))
    }

    /// Whether the store takes what it is given, for all that is known.
    pub(super) fn works(&self) -> bool {
        self.failure.is_none()
    }

    /// Somebody waits for the answer: the next [`Keeper::keep`] tries, also soon after a failure.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(failure) = &mut self.failure {
            failure.retry_at = now;
        }
    }

    /// That the store has every change of members and invites.
    pub(super) fn members_stored(&self) -> Result<(), NotStored> {
        match &self.failure {
            Some(failure) if self.owes_members() => Err(failure.error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    fn owes_members(&self) -> bool {
        self.joined.is_some() || self.left || self.wanted.members != self.stored.members
    }

    /// Stores what is due. `saved` is called only then.
    pub(super) fn keep(&mut self, now: Instant, saved: impl FnOnce() -> Saved) {
        if self.due(now).is_some_and(|at| at <= now) {
            self.write(now, &saved());
        }
    }

    /// The node was admitted: stored before anybody hears of it.
    pub(super) fn joined(&mut self, now: Instant, cluster: &Cluster, revision: Revision, saved: &Saved) {
        self.member = true;
        self.left = false;
        self.joined = Some(cluster.clone());
        self.wanted = revision;
        self.write(now, saved);
    }

    /// The node left its cluster: deleted before anybody hears of it.
    pub(super) fn left(&mut self, now: Instant, revision: Revision) {
        self.member = false;
        self.joined = None;
        self.left = true;
        self.wanted = revision;
        self.write(now, &Saved::default());
    }

    /// The driver stops: what was put off is stored now.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        revision: Revision,
        saved: impl FnOnce() -> Saved,
    ) -> Result<(), NotStored> {
        self.wanted = revision;
        let pending = self.left || self.joined.is_some() || (self.member && self.wanted != self.stored);
        if pending {
            self.write(now, &saved());
        }
        self.failure.take().filter(|_| pending).map_or(Ok(()), |failure| Err(failure.error))
    }

    fn write(&mut self, now: Instant, saved: &Saved) {
        let Some(store) = &mut self.store else { return };
        let result = match &self.joined {
            Some(cluster) => store.joined(cluster, saved),
            None if self.left => store.left(),
            None => store.save(saved),
        };
        match result {
            Ok(()) => {
                self.joined = None;
                self.left = false;
                self.stored = self.wanted;
                self.last = Some(now);
                self.addresses_at = None;
                if self.failure.take().is_some() {
                    tracing::info!("the state can be stored again");
                }
            }
            Err(error) => self.failed(now, &error),
        }
    }

    fn failed(&mut self, now: Instant, error: &io::Error) {
        if self.failure.is_none() {
            tracing::warn!(%error, "the state cannot be stored: a restart would lose changes; trying again");
        } else {
            tracing::debug!(%error, "the state still cannot be stored");
        }
        self.failure = Some(Failure { retry_at: now + RETRY, error: NotStored(error.to_string()) });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::ClusterKey;
    use crate::driver::clock;
    use crate::wire::id::ClusterId;

    #[derive(Default)]
    struct Disk {
        full: bool,
        joins: usize,
        leaves: usize,
        saves: usize,
    }

    struct Fake(Arc<Mutex<Disk>>);

    impl Fake {
        fn write(&self, count: impl FnOnce(&mut Disk)) -> io::Result<()> {
            let mut disk = self.0.lock().unwrap();
            count(&mut disk);
            if disk.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Store for Fake {
        fn joined(&mut self, _: &Cluster, _: &Saved) -> io::Result<()> {
            self.write(|disk| disk.joins += 1)
        }
        fn left(&mut self) -> io::Result<()> {
            self.write(|disk| disk.leaves += 1)
        }
        fn save(&mut self, _: &Saved) -> io::Result<()> {
            self.write(|disk| disk.saves += 1)
        }
    }

    fn keeper(member: bool) -> (Keeper, Arc<Mutex<Disk>>) {
        let disk = Arc::new(Mutex::new(Disk::default()));
        let mut keeper = Keeper::new(member);
        keeper.store(Box::new(Fake(Arc::clone(&disk))));
        (keeper, disk)
    }

    fn at(keeper: &mut Keeper, now: Instant, members: u64, addresses: u64) {
        keeper.note(now, Revision { members, addresses });
        keeper.keep(now, Saved::default);
    }

    #[test]
    fn members_are_stored_at_once() {
        let (mut keeper, disk) = keeper(true);
        let now = clock::now();
        at(&mut keeper, now, 1, 0);
        at(&mut keeper, now, 2, 0);
        at(&mut keeper, now, 2, 0);
        assert_eq!(disk.lock().unwrap().saves, 2);
        assert_eq!(keeper.due(now), None);
    }

    #[test]
    fn addresses_are_stored_once_a_minute_however_often_they_change() {
        let (mut keeper, disk) = keeper(true);
        let start = clock::now();
        for second in 0..600 {
            at(&mut keeper, start + Duration::from_secs(second), 0, second + 1);
        }
        assert_eq!(disk.lock().unwrap().saves, 10);
    }

    #[test]
    fn the_last_change_of_addresses_is_not_forgotten() {
        let (mut keeper, disk) = keeper(true);
        let start = clock::now();
        at(&mut keeper, start, 0, 1);
        let due = keeper.due(start).unwrap();
        assert!(due > start);
        keeper.keep(due, Saved::default);
        assert_eq!(disk.lock().unwrap().saves, 1);
        assert_eq!(keeper.due(due), None);
    }

    #[test]
    fn a_failure_is_retried_later_and_not_in_a_loop() {
        let (mut keeper, disk) = keeper(true);
        let now = clock::now();
        disk.lock().unwrap().full = true;
        for _ in 0..100 {
            at(&mut keeper, now, 1, 0);
        }
        assert_eq!(disk.lock().unwrap().saves, 1);
        assert_eq!(keeper.due(now), Some(now + RETRY));
        disk.lock().unwrap().full = false;
        keeper.keep(now + RETRY, Saved::default);
        assert_eq!(disk.lock().unwrap().saves, 2);
        assert_eq!(keeper.due(now + RETRY), None);
    }

    #[test]
    fn whoever_waits_for_an_answer_is_told_whether_it_is_stored() {
        let (mut keeper, disk) = keeper(true);
        let now = clock::now();
        disk.lock().unwrap().full = true;
        at(&mut keeper, now, 1, 0);
        assert!(keeper.members_stored().is_err() && !keeper.works());
        disk.lock().unwrap().full = false;
        keeper.hurry(now);
        at(&mut keeper, now, 2, 0);
        assert!(keeper.members_stored().is_ok() && keeper.works());

        // Addresses are stored when it suits; nobody waits for them.
        disk.lock().unwrap().full = true;
        at(&mut keeper, now, 2, 1);
        keeper.keep(now + ADDRESSES_EVERY, Saved::default);
        assert!(keeper.members_stored().is_ok() && !keeper.works());
    }

    #[test]
    fn an_end_that_stores_nothing_says_so() {
        let (mut keeper, disk) = keeper(true);
        let now = clock::now();
        disk.lock().unwrap().full = true;
        at(&mut keeper, now, 1, 0);
        let revision = Revision { members: 1, addresses: 0 };
        assert!(keeper.finish(now, revision, Saved::default).is_err());
        assert_eq!(disk.lock().unwrap().saves, 2, "the end is the last chance, however short ago the last failure was");
        disk.lock().unwrap().full = false;
        keeper.finish(now, revision, Saved::default).unwrap();
    }

    #[test]
    fn what_is_stored_already_is_not_stored_again_at_the_end() {
        let (mut keeper, disk) = keeper(true);
        let now = clock::now();
        keeper.finish(now, Revision::default(), Saved::default).unwrap();
        assert_eq!(disk.lock().unwrap().saves, 0);
        at(&mut keeper, now, 1, 0);
        keeper.finish(now, Revision { members: 1, addresses: 0 }, Saved::default).unwrap();
        assert_eq!(disk.lock().unwrap().saves, 1);
        keeper.finish(now, Revision { members: 1, addresses: 1 }, Saved::default).unwrap();
        assert_eq!(disk.lock().unwrap().saves, 2);
    }

    #[test]
    fn a_cluster_that_was_left_is_deleted_and_nothing_stored_after_it() {
        let (mut keeper, disk) = keeper(true);
        let now = clock::now();
        disk.lock().unwrap().full = true;
        keeper.left(now, Revision { members: 1, addresses: 0 });
        assert_eq!(keeper.due(now), Some(now + RETRY));
        disk.lock().unwrap().full = false;
        keeper.keep(now + RETRY, Saved::default);
        at(&mut keeper, now + RETRY, 2, 2);
        keeper.finish(now + RETRY, Revision { members: 3, addresses: 3 }, Saved::default).unwrap();
        let disk = disk.lock().unwrap();
        assert_eq!((disk.leaves, disk.saves), (2, 0));
    }

    #[test]
    fn a_cluster_that_could_not_be_stored_is_stored_before_anything_else() {
        let (mut keeper, disk) = keeper(false);
        let now = clock::now();
        at(&mut keeper, now, 1, 1);
        assert_eq!(disk.lock().unwrap().saves, 0, "a node without a cluster has nothing to store");
        disk.lock().unwrap().full = true;
        let cluster = Cluster { id: ClusterId([1; 16]), key: ClusterKey([2; 32]) };
        keeper.joined(now, &cluster, Revision { members: 2, addresses: 0 }, &Saved::default());
        disk.lock().unwrap().full = false;
        at(&mut keeper, now + RETRY, 3, 0);
        let disk = disk.lock().unwrap();
        assert_eq!((disk.joins, disk.saves), (2, 0));
        assert_eq!(keeper.due(now + RETRY), None);
    }
}
