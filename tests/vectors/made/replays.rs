//! Sequences of counters for the replay window.

use serde_json::{Value, json};

type Step = (u64, bool);

pub(super) fn vectors() -> Vec<Value> {
    const LAST: u64 = (1 << 63) - 1;
    let cases: Vec<(&str, Vec<Step>)> = vec![
        ("in order", (0..8).map(|counter| (counter, true)).collect()),
        ("the first again", vec![(0, true), (0, false)]),
        ("the first is not 0", vec![(5, true), (5, false), (4, true), (0, true), (4, false)]),
        ("out of order", vec![(3, true), (1, true), (2, true), (0, true), (1, false), (3, false), (4, true)]),
        ("1023 below the highest", vec![(1023, true), (0, true), (0, false)]),
        ("1024 below the highest", vec![(1024, true), (0, false), (1, true)]),
        ("1024 below the highest, far from 0", vec![(100_000, true), (98_976, false), (98_977, true), (98_977, false)]),
        ("a jump by the whole window", vec![(7, true), (1031, true), (7, false), (8, true)]),
        ("a jump by more than the window", vec![(7, true), (1032, true), (8, false), (9, true)]),
        (
            "a far jump forgets nothing that is inside",
            vec![(10, true), (1_000_000, true), (999_999, true), (998_977, true), (998_976, false)],
        ),
        (
            "what is old moves nothing",
            vec![(5000, true), (10, false), (5000, false), (5001, true), (3978, true), (3977, false)],
        ),
        (
            "around the words of a bit map",
            vec![
                (63, true),
                (64, true),
                (62, true),
                (65, true),
                (63, false),
                (64, false),
                (127, true),
                (128, true),
                (127, false),
            ],
        ),
        (
            "one turn of a ring of 1088 bits",
            vec![(0, true), (1088, true), (1087, true), (65, true), (64, false), (1088, false)],
        ),
        (
            "the greatest counter that may be used",
            vec![(LAST, true), (LAST - 1023, true), (LAST - 1024, false), (LAST, false)],
        ),
        (
            "the first counter that may not be used",
            vec![(0, true), (LAST + 1, false), (1, true), (u64::MAX, false), (2, true)],
        ),
    ];
    let vector = |(name, steps): (&str, Vec<Step>)| {
        let mut highest: Option<u64> = None;
        let steps: Vec<Value> = steps
            .into_iter()
            .map(|(counter, accepted)| {
                highest = highest.max(accepted.then_some(counter));
                let verdict = if accepted { "accepted" } else { "replay" };
                json!({"counter": counter.to_string(), "verdict": verdict})
            })
            .collect();
        json!({"name": name, "steps": steps, "highest": highest.map(|highest| highest.to_string())})
    };
    cases.into_iter().map(vector).collect()
}
