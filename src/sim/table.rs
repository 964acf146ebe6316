//! The table of what came out: a line a scenario.

use std::time::Duration;

use crate::sim::scenario::{Moves, Outcome, Scenario};

/// The line above the columns.
#[must_use]
pub fn heading() -> String {
    line(
        &["nodes", "interval", "loss", "moved", "healed", "p50", "p95", "max", "out/s", "out B/s", "in/s", "in B/s"]
            .map(str::to_owned),
    )
}

/// A scenario and what came out of it. Traffic is that of one node while nothing happens, headers of UDP and IP
/// included.
#[must_use]
pub fn row(scenario: &Scenario, outcome: &Outcome) -> String {
    let time = |percent| outcome.percentile(percent).map_or_else(|| "-".to_owned(), seconds);
    line(&[
        scenario.nodes.to_string(),
        seconds(scenario.interval.get()),
        percent(scenario.conditions.loss_per_mille),
        moved(scenario.moves),
        format!("{} of {}", outcome.healed.len(), outcome.runs),
        time(50),
        time(95),
        time(100),
        format!("{:.1}", outcome.datagrams_out),
        format!("{:.0}", outcome.bytes_out),
        format!("{:.1}", outcome.datagrams_in),
        format!("{:.0}", outcome.bytes_in),
    ])
}

/// Who moved, in the words in which a person asks for it.
#[must_use]
pub fn moved(moves: Moves) -> String {
    match moves {
        Moves::One => "one".to_owned(),
        Moves::Two => "two".to_owned(),
        Moves::Swap => "swap".to_owned(),
        Moves::PerMille(per_mille) => percent(per_mille).replace(' ', ""),
        Moves::AllButOne => "all-but-one".to_owned(),
    }
}

/// How wide each column is.
const WIDTHS: [usize; 12] = [5, 8, 5, 11, 10, 7, 7, 7, 6, 7, 6, 7];

fn line(cells: &[String; WIDTHS.len()]) -> String {
    let padded: Vec<String> = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:>width$}")).collect();
    padded.join("  ")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn percent(per_mille: u16) -> String {
    if per_mille % 10 == 0 {
        format!("{} %", per_mille / 10)
    } else {
        format!("{}.{} %", per_mille / 10, per_mille % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_column_for_each_word_of_the_heading() {
        let outcome = Outcome {
            runs: 3,
            healed: [1_200, 2_345].map(Duration::from_millis).to_vec(),
            datagrams_out: 1.25,
            bytes_out: 117.6,
            datagrams_in: 1.2,
            bytes_in: 113.0,
        };
        let scenario = Scenario { moves: Moves::PerMille(25), ..Scenario::default() };
        let shown = format!("{}\n{}", heading(), row(&scenario, &outcome));
        insta::assert_snapshot!(shown, @r"
        nodes  interval   loss        moved      healed      p50      p95      max   out/s  out B/s    in/s   in B/s
            3   10.00 s    0 %         2.5%      2 of 3   2.34 s        -        -     1.2      118     1.2      113
        ");
    }
}
