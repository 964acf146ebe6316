//! The laws of the member list. Spec: `spec/membership.md` sections 1 and 2.

use proptest::prelude::*;

use super::*;
use crate::wire::id::PublicKey;

fn record(key: u8, admission: u32, state: MemberState, revision: u32, by: u8, name: &str) -> MemberRecord {
    MemberRecord {
        public_key: PublicKey([key; 32]),
        admitted_by: NodeId([by; 16]),
        admission,
        state,
        revision,
        name: name.parse().unwrap(),
    }
}

fn member(key: u8, admission: u32, name: &str) -> MemberRecord {
    record(key, admission, MemberState::Member, 0, 1, name)
}

fn id(key: u8) -> NodeId {
    NodeId::from(&PublicKey([key; 32]))
}

fn list(records: &[MemberRecord]) -> Members {
    let mut members = Members::new(1024);
    for record in records {
        members.merge(record);
    }
    members
}

fn content(members: &Members) -> Vec<MemberRecord> {
    members.records().map(|(_, record)| *record).collect()
}

fn any_record() -> impl Strategy<Value = MemberRecord> {
    let state = prop_oneof![Just(MemberState::Member), Just(MemberState::Removed)];
    (0..4_u8, 0..4_u32, state, 0..3_u32, 0..3_u8, "[a-c]{1,2}")
        .prop_map(|(key, admission, state, revision, by, name)| record(key, admission, state, revision, by, &name))
}

proptest! {
    /// MEMB-2: whatever comes, in whatever order and however often, all lists end alike.
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        records in prop::collection::vec(any_record(), 0..30),
        order in prop::collection::vec(any::<prop::sample::Index>(), 30),
    ) {
        let straight = list(&records);
        let mut shuffled = records.clone();
        for (n, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(n, other);
        }
        shuffled.extend(records.iter().copied());
        let other = list(&shuffled);
        prop_assert_eq!(content(&straight), content(&other));
        prop_assert_eq!(straight.digest(), other.digest());
        // Two lists that are merged give what all their records give.
        let (left, right) = records.split_at(records.len() / 2);
        let mut merged = list(left);
        for record in content(&list(right)) {
            merged.merge(&record);
        }
        prop_assert_eq!(content(&straight), content(&merged));
    }

    /// A removal stays whatever older admissions come after it.
    #[test]
    fn a_removal_beats_every_admission_up_to_its_own(later in prop::collection::vec(any_record(), 0..30)) {
        let mut members = list(&[record(1, 3, MemberState::Removed, 0, 0, "a")]);
        for record in later.iter().filter(|record| record.admission <= 3) {
            members.merge(record);
            prop_assert!(!members.contains(id(1)));
        }
        prop_assert_eq!(members.merge(&member(1, 4, "a")), Merge::Added, "a later admission is a deliberate act");
    }

    /// The count of members that `has_room` goes by is the true one.
    #[test]
    fn the_bound_holds(records in prop::collection::vec(any_record(), 0..60)) {
        let mut members = Members::new(2);
        for record in &records {
            members.merge(record);
            let present = members.records().filter(|(_, record)| record.state == MemberState::Member).count();
            prop_assert_eq!(present, members.present);
            prop_assert!(present <= 2 && members.records.len() <= 4);
        }
    }
}

#[test]
fn each_field_decides_only_where_those_before_it_are_equal() {
    let removed = MemberState::Removed;
    let ladder = [
        record(1, 1, MemberState::Member, 9, 9, "zz"),
        record(1, 2, MemberState::Member, 0, 0, "b"),
        record(1, 2, MemberState::Member, 0, 0, "c"),
        record(1, 2, MemberState::Member, 0, 1, "a"),
        record(1, 2, MemberState::Member, 1, 0, "a"),
        record(1, 2, removed, 0, 0, "a"),
        record(1, 3, MemberState::Member, 0, 0, "a"),
    ];
    for (n, lower) in ladder.iter().enumerate() {
        for higher in &ladder[n + 1..] {
            assert_eq!(content(&list(&[*lower, *higher])), [*higher]);
            assert_eq!(content(&list(&[*higher, *lower])), [*higher]);
        }
    }
}

#[test]
fn a_merge_says_what_it_did() {
    let mut members = Members::new(1024);
    assert_eq!(members.merge(&member(1, 1, "a")), Merge::Added);
    assert_eq!(members.merge(&member(1, 1, "a")), Merge::Known);
    assert_eq!(members.merge(&record(1, 1, MemberState::Member, 1, 1, "b")), Merge::Changed);
    assert_eq!(members.merge(&record(1, 1, MemberState::Removed, 0, 1, "b")), Merge::Removed);
    assert_eq!(members.merge(&record(2, 1, MemberState::Removed, 0, 1, "c")), Merge::Noted);
}

#[test]
fn a_full_list_takes_news_of_those_it_knows() {
    let mut members = Members::new(2);
    assert_eq!(members.merge(&member(1, 1, "a")), Merge::Added);
    assert!(members.has_room());
    assert_eq!(members.merge(&member(2, 2, "b")), Merge::Added);
    assert!(!members.has_room());
    assert_eq!(members.merge(&member(3, 3, "c")), Merge::Full);
    assert_eq!(members.merge(&record(2, 2, MemberState::Removed, 0, 1, "b")), Merge::Removed);
    assert_eq!(members.merge(&member(3, 3, "c")), Merge::Added);
    assert_eq!(members.merge(&record(4, 3, MemberState::Removed, 0, 1, "d")), Merge::Noted);
    assert_eq!(members.merge(&record(5, 3, MemberState::Removed, 0, 1, "e")), Merge::Full);
    assert!(!members.has_room(), "as many removed ones as members, and no more");
}

#[test]
fn admissions_are_numbered_above_all_that_is_known() {
    assert_eq!(Members::new(8).next_admission(), 1);
    let members = list(&[member(1, 4, "a"), record(2, 7, MemberState::Removed, 0, 1, "b")]);
    assert_eq!(members.next_admission(), 8);
    assert_eq!(list(&[member(1, u32::MAX, "a")]).next_admission(), u32::MAX);
}

/// MEMB-2: configurations may give one node different names, and all nodes must settle on the same.
#[test]
fn of_records_that_differ_in_the_name_only_the_greater_bytes_stay() {
    let (long, greater) = (member(1, 0, "attic"), member(1, 0, "vps"));
    assert_eq!(content(&list(&[long, greater])), [greater]);
    assert_eq!(content(&list(&[greater, long])), [greater]);
}

#[test]
fn a_name_belongs_to_whoever_was_admitted_first() {
    let members = list(&[member(1, 2, "pi"), member(2, 1, "pi"), member(3, 3, "pi"), member(4, 4, "nas")]);
    let taken: Vec<bool> = (1..=4).map(|key| members.name_taken(id(key))).collect();
    assert_eq!(taken, [true, false, true, false]);
    let (first, second) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    let equal = list(&[member(1, 1, "pi"), member(2, 1, "pi")]);
    assert!(!equal.name_taken(id(first)) && equal.name_taken(id(second)), "of equal admissions the lower ID has it");
    let freed = list(&[member(1, 2, "pi"), record(2, 1, MemberState::Removed, 0, 1, "pi")]);
    assert!(!freed.name_taken(id(1)), "a removed node has no name");
}

#[test]
fn pages_give_every_record_once() {
    let records: Vec<MemberRecord> = (1..=40).map(|key| member(key, 1, "a")).collect();
    let members = list(&records);
    let (mut after, mut seen) = (NodeId::NONE, Vec::new());
    loop {
        let page = members.page(after);
        seen.extend(page.records.iter().copied());
        let Some(last) = page.records.as_slice().last().filter(|_| page.more) else { break };
        after = last.id();
    }
    assert_eq!(seen, content(&members));
}

#[test]
fn the_digest_follows_every_change() {
    let mut members = list(&[member(1, 1, "a")]);
    let before = members.digest();
    members.merge(&record(2, 1, MemberState::Removed, 0, 1, "b"));
    assert_ne!(members.digest(), before, "removed ones count too");
}
