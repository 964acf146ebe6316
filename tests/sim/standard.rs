//! The standard scenarios: their table in the repository is true, and the promised figures are reached.

use std::time::Duration;

use dddns::sim::scenario::{Moves, Outcome, Scenario};
use dddns::sim::standard::standard;
use dddns::sim::table;

/// What `dddns sim` prints: `cargo run --release --features sim -- sim > tests/sim/standard.txt` writes it anew.
const TABLE: &str = include_str!("standard.txt");

/// The seed with which `dddns sim` begins.
const SEED: u64 = 1;

/// Plays the scenarios with so many nodes, and compares what comes out with the table in the repository.
fn the_table_is_true_of(nodes: u16) {
    let (heading, lines) = TABLE.split_once('\n').expect("a heading");
    assert_eq!(heading, table::heading());
    let scenarios = standard();
    assert_eq!(lines.lines().count(), scenarios.len());
    let mut played = 0;
    for (line, standard) in lines.lines().zip(scenarios).filter(|(_, standard)| standard.scenario.nodes == nodes) {
        let outcome = standard.scenario.play_all(SEED..SEED + standard.seeds);
        assert_eq!(line, table::row(&standard.scenario, &outcome));
        assert_eq!(outcome.healed.len(), outcome.runs, "not all healed: {line}");
        keeps_its_promise(&standard.scenario, &outcome);
        played += 1;
    }
    assert!(played >= 3, "{played} scenarios of {nodes} nodes");
}

#[test]
fn the_table_is_true_of_three_nodes() {
    the_table_is_true_of(3);
}

#[test]
fn the_table_is_true_of_ten_nodes() {
    the_table_is_true_of(10);
}

#[test]
fn the_table_is_true_of_thirty_nodes() {
    the_table_is_true_of(30);
}

#[test]
fn the_table_is_true_of_a_hundred_nodes() {
    the_table_is_true_of(100);
}

/// The figures that README.md promises.
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
