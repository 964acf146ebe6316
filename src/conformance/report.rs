//! What a run found: an outcome for each check, and from those a verdict on each requirement.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::conformance::checks::{CHECKS, Check, UNTESTABLE};
use crate::wire::id::PublicKey;

/// The schema of the JSON form.
const SCHEMA: &str = "dddns.conformance/1";

/// How a check, or a requirement, came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As the specification says.
    Pass,
    /// Against the specification.
    Fail,
    /// Not tested.
    Skipped,
}

/// How one check came out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Pass,
    Fail { expected: String, seen: String },
    Skipped { why: String },
}

/// The outcomes of a run while it goes on.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    outcomes: BTreeMap<&'static str, Outcome>,
}

impl Outcomes {
    /// The target did what the check claims, as far as is known: a failure before or after this outweighs it.
    pub(super) fn pass(&mut self, check: &Check) {
        self.outcomes.entry(check.name).or_insert(Outcome::Pass);
    }

    /// It did not. The first failure of a check is kept.
    pub(super) fn fail(&mut self, check: &Check, expected: impl Into<String>, seen: impl Into<String>) {
        let failure = Outcome::Fail { expected: expected.into(), seen: seen.into() };
        let outcome = self.outcomes.entry(check.name).or_insert_with(|| failure.clone());
        if !matches!(outcome, Outcome::Fail { .. }) {
            *outcome = failure;
        }
    }

    /// The check was not made.
    pub(super) fn skip(&mut self, check: &Check, why: impl Into<String>) {
        self.outcomes.entry(check.name).or_insert_with(|| Outcome::Skipped { why: why.into() });
    }

    /// Passes the check if it `holds`, and fails it else.
    pub(super) fn judge(&mut self, check: &Check, holds: bool, expected: &str, seen: impl FnOnce() -> String) {
        if holds { self.pass(check) } else { self.fail(check, expected, seen()) }
    }

    /// The report, with every check and every requirement in it.
    pub(super) fn report(mut self, target: PublicKey, address: SocketAddr, took: Duration) -> Report {
        for check in CHECKS {
            self.skip(check, "was not reached");
        }
        let mut by_requirement: BTreeMap<&'static str, Vec<CheckReport>> = BTreeMap::new();
        for check in CHECKS {
            let Some(outcome) = self.outcomes.get(check.name) else { continue };
            for requirement in check.requirements {
                by_requirement.entry(requirement).or_default().push(CheckReport::new(check, outcome));
            }
        }
        let mut requirements: Vec<_> = by_requirement
            .into_iter()
            .map(|(requirement, checks)| RequirementReport::new(requirement, checks))
            .collect();
        requirements.extend(UNTESTABLE.iter().map(|&(requirement, why)| RequirementReport {
            requirement,
            verdict: Verdict::Skipped,
            why: Some(why),
            checks: Vec::new(),
        }));
        requirements.sort_by_key(|one| key(one.requirement));
        let count = |verdict| requirements.iter().filter(|one| one.verdict == verdict).count();
        Report {
            schema: SCHEMA,
            target: TargetReport { public_key: target.to_string(), address: address.to_string() },
            passed: count(Verdict::Pass),
            failed: count(Verdict::Fail),
            skipped: count(Verdict::Skipped),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            requirements,
        }
    }
}

/// What a run found. Serialised, it is the JSON form; within a version of the schema only additions are made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    /// Who was tested.
    target: TargetReport,
    /// Requirements with a check that passed and none that failed.
    pub(crate) passed: usize,
    /// Requirements with a check that failed.
    pub(crate) failed: usize,
    /// Requirements that were not tested.
    pub(crate) skipped: usize,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Every requirement.
    pub(crate) requirements: Vec<RequirementReport>,
}

#[derive(Clone, Debug, Serialize)]
struct TargetReport {
    public_key: String,
    address: String,
}

/// One requirement and the checks that test it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RequirementReport {
    /// Its number; or, where the specification gives none, the name of a timer, or a document and its section.
    pub(crate) requirement: &'static str,
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// Why nothing tests it, if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<&'static str>,
    /// The checks.
    pub(crate) checks: Vec<CheckReport>,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckReport {
    /// Its name in `spec/conformance.md`.
    pub(crate) check: &'static str,
    /// What it claims.
    pub(crate) claim: &'static str,
    /// How it came out.
    pub(crate) verdict: Verdict,
    /// After a failure: what should have happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<String>,
    /// After a failure: what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<String>,
    /// Why it was not made, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

impl RequirementReport {
    fn new(requirement: &'static str, checks: Vec<CheckReport>) -> Self {
        let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
        let verdict = if any(Verdict::Fail) {
            Verdict::Fail
        } else if any(Verdict::Pass) {
            Verdict::Pass
        } else {
            Verdict::Skipped
        };
        Self { requirement, verdict, why: None, checks }
    }
}

impl CheckReport {
    fn new(check: &Check, outcome: &Outcome) -> Self {
        let bare = Self {
            check: check.name,
            claim: check.claim,
            verdict: Verdict::Pass,
            expected: None,
            seen: None,
            why: None,
        };
        match outcome.clone() {
            Outcome::Pass => bare,
            Outcome::Fail { expected, seen } => {
                Self { verdict: Verdict::Fail, expected: Some(expected), seen: Some(seen), ..bare }
            }
            Outcome::Skipped { why } => Self { verdict: Verdict::Skipped, why: Some(why), ..bare },
        }
    }
}

/// Puts requirements in the order of their numbers, `AUTH-2` before `AUTH-10`.
fn key(requirement: &'static str) -> (&'static str, u32) {
    let numbered = requirement.split_once('-').and_then(|(family, number)| Some((family, number.parse().ok()?)));
    numbered.unwrap_or((requirement, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_outweighs_what_else_a_check_says() {
        let mut outcomes = Outcomes::default();
        let check = &CHECKS[0];
        outcomes.pass(check);
        outcomes.fail(check, "this", "that");
        outcomes.fail(check, "this", "another");
        outcomes.pass(check);
        outcomes.skip(check, "never");
        let expected = Outcome::Fail { expected: "this".to_owned(), seen: "that".to_owned() };
        assert_eq!(outcomes.outcomes.get(check.name), Some(&expected));
    }

    #[test]
    fn requirements_are_in_the_order_of_their_numbers() {
        let mut sorted = ["AUTH-10", "WIRE-1", "AUTH-2", "ADDR-7"];
        sorted.sort_by_key(|requirement| key(requirement));
        assert_eq!(sorted, ["ADDR-7", "AUTH-2", "AUTH-10", "WIRE-1"]);
    }

    #[test]
    fn every_requirement_stands_in_a_report_once() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let report = Outcomes::default().report(PublicKey([1; 32]), address, Duration::ZERO);
        assert_eq!((report.passed, report.failed, report.skipped), (0, 0, report.requirements.len()));
        let mut names: Vec<_> = report.requirements.iter().map(|one| one.requirement).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), report.requirements.len());
    }
}
