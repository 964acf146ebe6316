//! The standard scenarios: what is measured to say how well a cluster heals and what it costs.

use crate::sim::network::Conditions;
use crate::sim::scenario::{Moves, Scenario};

/// A scenario, and for how many seeds it is played.
#[derive(Clone, Debug)]
pub struct Standard {
    /// What is played.
    pub scenario: Scenario,
    /// For how many seeds: fewer where a run takes longer.
    pub seeds: u64,
}

/// The standard scenarios, small clusters first. All have the default heartbeat interval and a round trip of 40 ms.
#[must_use]
pub fn standard() -> Vec<Standard> {
    use Moves::{AllButOne, One, PerMille, Swap, Two};
    let clusters: [(u16, u64, &[Moves]); 4] = [
        (3, 100, &[One, Two, Swap]),
        (10, 40, &[One, Two, AllButOne]),
        (30, 10, &[One, PerMille(100), AllButOne]),
        (100, 2, &[One, PerMille(100), AllButOne]),
    ];
    let mut all = Vec::new();
    for (nodes, seeds, moves) in clusters {
        let played = |&moves| Standard { scenario: Scenario { nodes, moves, ..Scenario::default() }, seeds };
        all.extend(moves.iter().map(played));
        if nodes == 3 {
            let conditions = Conditions { loss_per_mille: 300, ..Conditions::default() };
            let lossy = Scenario { nodes, moves: Two, conditions, ..Scenario::default() };
            all.push(Standard { scenario: lossy, seeds });
        }
    }
    all
}
