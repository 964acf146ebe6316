//! The standard scenarios: their table in the repository is true, and the promised figures are reached.

use std::time::Duration;

use dddns::sim::scenario::{Moves, Outcome, Scenario};
use dddns::sim::standard::standard;
use dddns::sim::table;

/// What `dddns sim` prints: `cargo run --release --features sim -- sim > tests/sim/standard.txt` writes it anew.
const TABLE: &str = include_str!("standard.txt");

/// The seed with which `dddns sim` begins.
const SEED: u64 = 1;

/// The largest cluster that is played without the optimiser: it takes ten times as long.
const NODES_UNOPTIMISED: u16 = 10;

#[test]
fn the_table_in_the_repository_is_what_comes_out() {
    let mut lines = TABLE.lines();
    assert_eq!(lines.next(), Some(table::heading().as_str()));
    for standard in standard() {
        let line = lines.next().expect("a line for each scenario");
        if cfg!(debug_assertions) && standard.scenario.nodes > NODES_UNOPTIMISED {
            continue;
        }
        let outcome = standard.scenario.play_all(SEED..SEED + standard.seeds);
        assert_eq!(line, table::row(&standard.scenario, &outcome));
        assert_eq!(outcome.healed.len(), outcome.runs, "not all healed: {line}");
        keeps_its_promise(&standard.scenario, &outcome);
    }
    assert_eq!(lines.next(), None);
}

/// The figures that the specification promises. Spec: `spec/README.md`.
fn keeps_its_promise(scenario: &Scenario, outcome: &Outcome) {
    let seconds = |percent| outcome.percentile(percent).map_or(f64::INFINITY, |time| Duration::as_secs_f64(&time));
    let (p50, p95, max) = match (scenario.nodes, scenario.moves, scenario.conditions.loss_per_mille) {
        (3, Moves::One, 0) => (2.0, 4.0, 4.0),
        (3, Moves::Two, 0) => (3.0, 10.0, 10.0),
        (3, Moves::Swap, 0) => (10.0, 10.0, 10.0),
        (3, Moves::Two, 300) => (15.0, 15.0, 30.0),
        (10, Moves::AllButOne, 0) => (12.0, 12.0, 12.0),
        _ => (20.0, 20.0, 20.0),
    };
    assert!(seconds(50) <= p50 && seconds(95) <= p95 && seconds(100) <= max, "{}", table::row(scenario, outcome));
    // The uplink of a home bears this without noticing.
    let bytes = outcome.bytes_out.max(outcome.bytes_in);
    assert!(bytes <= 1500.0, "{}", table::row(scenario, outcome));
}
