//! Which members keep a link for good: all of a small cluster, an even choice of a bounded number in a large one.

use ring::digest;

use crate::wire::id::NodeId;

/// Up to how many members, rounded up to a power of two, all are neighbours. Spec: `FULL_MESH`.
const FULL_MESH: usize = 128;
/// How many neighbours a member has for each doubling of the cluster, where all places are taken. Spec: `DEGREE`.
const DEGREE: u64 = 4;

/// The rule for a cluster of some size. Spec: `spec/scale.md` section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbourhood {
    /// The binary logarithm of the number of members, rounded up.
    doublings: u32,
}

impl Neighbourhood {
    /// The rule for so many members. It changes only where their number crosses a power of two.
    pub(crate) fn of(members: usize) -> Self {
        Self { doublings: members.max(1).next_power_of_two().trailing_zeros() }
    }

    /// Whether everybody is everybody's neighbour.
    pub(crate) fn is_mesh(self) -> bool {
        1_usize.checked_shl(self.doublings).is_some_and(|places| places <= FULL_MESH)
    }

    /// How often the size doubles from one member to all: the depth of a tree that reaches everybody.
    pub(crate) fn doublings(self) -> u32 {
        self.doublings
    }

    /// Whether two different members are neighbours. Spec: SCALE-1.
    pub(crate) fn joins(self, a: NodeId, b: NodeId) -> bool {
        self.is_mesh() || lot(a, b) < self.bound()
    }

    /// floor(2^64 · `DEGREE` · log2(P) / P) for P places; less than 2^64, since P is above `FULL_MESH`.
    fn bound(self) -> u64 {
        let share = u128::from(DEGREE * u64::from(self.doublings)) << 64;
        u64::try_from(share >> self.doublings.min(127)).unwrap_or(u64::MAX)
    }
}

/// The number that two members draw together, whichever of them computes it.
fn lot(a: NodeId, b: NodeId) -> u64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"dddns/1 neighbours");
    hash.update(&a.min(b).0);
    hash.update(&a.max(b).0);
    let hash = hash.finish();
    u64::from_be_bytes(hash.as_ref().first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u16) -> NodeId {
        let [high, low] = n.to_be_bytes();
        let mut bytes = [high; 16];
        bytes[15] = low;
        NodeId(bytes)
    }

    fn degrees(members: u16) -> Vec<usize> {
        let rule = Neighbourhood::of(usize::from(members));
        let of = |a: u16| (0..members).filter(|&b| a != b && rule.joins(id(a), id(b))).count();
        (0..members).map(of).collect()
    }

    #[test]
    fn a_small_cluster_is_a_full_mesh() {
        for members in [1, 2, 100, 128] {
            assert!(degrees(members).iter().all(|&degree| degree == usize::from(members) - 1), "{members}");
        }
    }

    /// Spec: SCALE-1.
    #[test]
    fn a_large_one_has_neighbours_in_the_logarithm_of_its_size() {
        // Half of the places taken, and all.
        for (members, least, mean, most) in [(129, 4, 16, 34), (256, 14, 32, 52), (513, 6, 20, 40), (1024, 18, 40, 68)]
        {
            let degrees = degrees(members);
            let sum: usize = degrees.iter().sum();
            let found = sum / degrees.len();
            assert!(found.abs_diff(mean) <= 1, "{members}: {found} on average");
            assert!(degrees.iter().all(|degree| (least..=most).contains(degree)), "{members}: {degrees:?}");
        }
    }

    #[test]
    fn neighbours_are_so_for_each_other_and_change_only_at_powers_of_two() {
        let rule = Neighbourhood::of(1000);
        assert_eq!(rule, Neighbourhood::of(513));
        let wider = Neighbourhood::of(512);
        assert_ne!(rule, wider);
        for (a, b) in (0..100).flat_map(|a| (0..100).map(move |b| (id(a), id(b)))).filter(|(a, b)| a != b) {
            assert_eq!(rule.joins(a, b), rule.joins(b, a));
            assert!(!rule.joins(a, b) || wider.joins(a, b), "growth only ever ends links");
        }
    }

    #[test]
    fn the_choice_is_the_one_of_the_spec() {
        // printf 'dddns/1 neighbours' and 16 bytes 01, 16 bytes 02: sha256sum.
        assert_eq!(lot(NodeId([2; 16]), NodeId([1; 16])), LOT);
        assert_eq!(Neighbourhood::of(1024).bound(), 40 << 54);
    }

    const LOT: u64 = 0x5a19_183f_b78a_dafd;
}
