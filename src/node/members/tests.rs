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

/// The node that keeps the list, in tests that do not care.
const OWN: NodeId = NodeId([0xEE; 16]);

fn list(records: &[MemberRecord]) -> Members {
    bounded(1024, records)
}

fn bounded(max: usize, records: &[MemberRecord]) -> Members {
    let mut members = Members::new(OWN, max);
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
        prop_assert_eq!(members.merge(&member(1, 4, "a")), ADDED, "a later admission is a deliberate act");
    }

    /// MEMB-10: which members a full list keeps does not depend on the order in which they come, nor on how often.
    /// Spec: MEMB-10.
    #[test]
    fn a_full_list_keeps_those_who_were_admitted_first(
        admissions in prop::collection::vec(1..20_u32, 4..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..4_u32), 0..12),
    ) {
        let mut records: Vec<MemberRecord> =
            (0_u8..).zip(&admissions).map(|(key, &admission)| member(key, admission, "a")).collect();
        // New names change nothing about who stays.
        for (index, revision) in &changes {
            records.push(MemberRecord { revision: *revision, ..records[index.index(admissions.len())] });
        }
        let mut expected: Vec<(u32, NodeId)> = records.iter().map(|record| (record.admission, record.id())).collect();
        expected.sort_unstable();
        expected.dedup();
        expected.truncate(3);
        let mut shuffled = records.clone();
        for (n, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(n, other);
        }
        // Whoever tells them in whatever order ends by telling all: a name may have come while there was no room.
        shuffled.extend(records.iter().copied());
        let kept = bounded(3, &shuffled);
        let mut found: Vec<(u32, NodeId)> = kept.records().map(|(id, record)| (record.admission, id)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(content(&kept), content(&bounded(3, &[records.clone(), records].concat())));
    }

    /// Lists with one bound that tell each other all they have become equal, whatever they were told before.
    #[test]
    fn full_lists_that_are_exchanged_become_equal(
        left in prop::collection::vec(any_record(), 0..20),
        right in prop::collection::vec(any_record(), 0..20),
    ) {
        let (mut left, mut right) = (bounded(2, &left), bounded(2, &right));
        for _ in 0..4 {
            content(&left).iter().for_each(|record| _ = right.merge(record));
            content(&right).iter().for_each(|record| _ = left.merge(record));
        }
        prop_assert_eq!(content(&left), content(&right));
        prop_assert_eq!(left.digest(), right.digest());
    }

    /// The count of members that `has_room` goes by is the true one.
    #[test]
    fn the_bound_holds(records in prop::collection::vec(any_record(), 0..60)) {
        let mut members = Members::new(OWN, 2);
        for record in &records {
            members.merge(record);
            let present = members.records().filter(|(_, record)| record.state == MemberState::Member).count();
            prop_assert_eq!(present, members.present);
            prop_assert!(present <= 2);
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

const ADDED: Merge = Merge::Added { displaced: None };

#[test]
fn a_merge_says_what_it_did() {
    let mut members = list(&[]);
    assert_eq!(members.merge(&member(1, 1, "a")), ADDED);
    assert_eq!(members.merge(&member(1, 1, "a")), Merge::Known);
    assert_eq!(members.merge(&record(1, 1, MemberState::Member, 1, 1, "b")), Merge::Changed);
    assert_eq!(members.merge(&record(1, 1, MemberState::Removed, 0, 1, "b")), Merge::Removed);
    assert_eq!(members.merge(&record(2, 1, MemberState::Removed, 0, 1, "c")), Merge::Noted);
}

#[test]
fn a_full_list_takes_news_of_those_it_knows() {
    let mut members = Members::new(OWN, 2);
    assert_eq!(members.merge(&member(1, 1, "a")), ADDED);
    assert!(members.has_room());
    assert_eq!(members.merge(&member(2, 2, "b")), ADDED);
    assert!(!members.has_room());
    assert_eq!(members.merge(&member(3, 3, "c")), Merge::Full);
    assert_eq!(members.merge(&record(2, 2, MemberState::Removed, 0, 1, "b")), Merge::Removed);
    assert_eq!(members.merge(&member(3, 3, "c")), ADDED);
}

#[test]
fn whoever_was_admitted_earlier_takes_the_place_of_the_last_one() {
    let mut members = bounded(2, &[member(1, 1, "a"), member(2, 3, "b")]);
    let displaced = Some(Who { id: id(2), name: "b".parse().unwrap() });
    assert_eq!(members.merge(&member(3, 2, "c")), Merge::Added { displaced });
    assert!(!members.contains(id(2)) && members.contains(id(1)) && members.contains(id(3)));
    assert_eq!(members.merge(&member(2, 3, "b")), Merge::Full);
}

#[test]
fn a_node_keeps_itself_whatever_the_bound() {
    let records = [member(1, 1, "a"), member(2, 2, "b"), member(3, 9, "own")];
    for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1]] {
        let mut members = Members::new(id(3), 2);
        order.iter().for_each(|&n: &usize| _ = members.merge(&records[n]));
        assert!(members.contains(id(3)) && members.contains(id(1)) && !members.contains(id(2)), "{order:?}");
    }
}

/// MEMB-11: removals are many, and those of nodes that nobody here knew shall not cost those of members their place.
/// Spec: MEMB-11.
#[test]
fn the_removal_of_a_member_always_has_room() {
    let key = |n: u16| {
        let mut key = [9; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        PublicKey(key)
    };
    let removed =
        |n: u16| MemberRecord { public_key: key(n), ..record(0, 100 + u32::from(n), MemberState::Removed, 0, 1, "x") };
    let mut members = list(&[member(1, 1, "a")]);
    for n in 0..1024 {
        assert_eq!(members.merge(&removed(n)), Merge::Noted);
    }
    assert_eq!(members.merge(&removed(1024)), Merge::Full);
    assert!(members.has_room(), "removed nodes are no members");
    assert_eq!(members.merge(&member(2, 2, "b")), ADDED);
    assert_eq!(members.merge(&record(1, 1, MemberState::Removed, 0, 1, "a")), Merge::Removed);
    assert_eq!(members.merge(&member(1, 1, "a")), Merge::Known, "it stays removed");
    assert_eq!(members.removals(), 1024);
    assert!(members.get(NodeId::from(&key(0))).is_none(), "the oldest removal made room");
    assert!(members.removed(NodeId::from(&key(1))).is_some());
}

#[test]
fn admissions_are_numbered_above_all_that_counts() {
    assert_eq!(list(&[]).next_admission(id(1)), Some(1));
    let members = list(&[member(1, 4, "a"), record(2, 7, MemberState::Removed, 0, 1, "b")]);
    assert_eq!(members.next_admission(id(3)), Some(8));
}

/// MEMB-3: whoever writes the greatest number there is spoils nobody's admission but that of the node it is about.
#[test]
fn a_greatest_number_bars_its_own_node_only() {
    let removed = MemberState::Removed;
    let members = list(&[member(1, 4, "a"), record(2, u32::MAX, removed, 0, 1, "b"), member(3, 1 << 31, "c")]);
    assert_eq!(members.next_admission(id(4)), Some(5));
    assert_eq!(members.next_admission(id(3)), Some((1 << 31) + 1));
    assert_eq!(members.next_admission(id(2)), None);
    let counted = list(&[member(1, (1 << 31) - 1, "a")]);
    assert_eq!(counted.next_admission(id(2)), Some(1 << 31));
    let beyond = list(&[member(1, (1 << 31) - 1, "a"), member(2, 1 << 31, "b")]);
    assert_eq!(beyond.next_admission(id(3)), Some(1 << 31), "numbers run out for nobody");
}

/// MEMB-2: configurations may give one node different names, and all nodes must settle on the same.
#[test]
fn of_records_that_differ_in_the_name_only_the_greater_bytes_stay() {
    let (long, greater) = (member(1, 0, "attic"), member(1, 0, "vps"));
    assert_eq!(content(&list(&[long, greater])), [greater]);
    assert_eq!(content(&list(&[greater, long])), [greater]);
}

/// Spec: MEMB-6.
#[test]
fn a_name_belongs_to_whoever_was_admitted_first() {
    let owner = |records: &[MemberRecord]| list(records).name_owners().get(&"pi".parse().unwrap()).copied();
    assert_eq!(owner(&[member(1, 2, "pi"), member(2, 1, "pi"), member(3, 3, "pi"), member(4, 0, "nas")]), Some(id(2)));
    let first = id(1).min(id(2));
    assert_eq!(
        owner(&[member(1, 1, "pi"), member(2, 1, "pi")]),
        Some(first),
        "of equal admissions the lower ID has it"
    );
    let freed = [member(1, 2, "pi"), record(2, 1, MemberState::Removed, 0, 1, "pi")];
    assert_eq!(owner(&freed), Some(id(1)), "a removed node has no name");
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
