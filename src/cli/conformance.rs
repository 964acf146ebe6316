//! `dddns conformance`: checks another implementation against the specification, over UDP.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tracing::level_filters::LevelFilter;

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::style::{Style, Tone};
use crate::cli::{join, log};
use crate::conformance::report::{CheckReport, Report, RequirementReport, Verdict};
use crate::conformance::{ConformanceError, Part, Settings};
use crate::driver::clock;

/// The arguments of `dddns conformance`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// An invite that the implementation made, or `-` to read it from standard input
    token: String,

    /// An IP address of this machine for the tester's peers; several are used in turn [default: the loopback for a target
    /// there, else all]
    #[arg(long, value_name = "IP")]
    bind: Vec<IpAddr>,

    /// Run these parts only, after joining; may be given several times
    #[arg(long, value_name = "PART", value_parser = parts())]
    only: Vec<Part>,

    /// Flood the target with initiations too, to see its cookies: it keeps others out for some seconds
    #[arg(long)]
    flood: bool,

    /// Repeat a run with the keys and numbers of this seed
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the checks and prints a line for each requirement. The exit code is 0 if none failed.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let token = join::read_token(&args.token)?;
    log::start(global, LevelFilter::WARN);
    let number = match args.seed {
        Some(number) => number,
        None => u64::from(u32::from_be_bytes(clock::random()?)),
    };
    let mut seed = [0; 32];
    seed.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, value)| *byte = value);
    global.hint("some forty seconds …");
    let settings = Settings { token, bind: args.bind.clone(), seed, only: args.only.clone(), flood: args.flood };
    let report = crate::conformance::run(settings)?;
    let text = if args.json { json(&report, number)? } else { render(&report, number, global.stdout_style()) };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if report.failed == 0 { Exit::Done } else { Exit::Failed })
}

impl From<ConformanceError> for Failure {
    fn from(error: ConformanceError) -> Self {
        let exit = match &error {
            ConformanceError::Sockets(_) => Exit::Failed,
            ConformanceError::Token => Exit::Usage,
            ConformanceError::Silent => Exit::TimedOut,
            ConformanceError::Refused(_) => Exit::Refused,
        };
        Self::new(exit, error.to_string())
    }
}

/// The parts of a run, by name.
fn parts() -> impl TypedValueParser<Value = Part> {
    let named = |name: String| Part::ALL.into_iter().find(|part| part.as_str() == name).ok_or("there is no such part");
    PossibleValuesParser::new(Part::ALL.map(Part::as_str)).try_map(named)
}

fn json(report: &Report, seed: u64) -> Result<String, Failure> {
    let unprintable = |error: serde_json::Error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}"));
    let mut value = serde_json::to_value(report).map_err(unprintable)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("seed".to_owned(), seed.into());
    }
    Ok(format!("{value}\n"))
}

fn render(report: &Report, seed: u64, style: Style) -> String {
    let mut text = String::new();
    for requirement in &report.requirements {
        text.push_str(&line(requirement, style));
    }
    let (passed, failed, skipped) = (report.passed, report.failed, report.skipped);
    let counts = format!("{passed} requirements passed, {failed} failed, {skipped} skipped");
    let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
    let took = report.took_ms / 1000;
    let _ = writeln!(text, "{} in {took} s (seed {seed})", style.paint(tone, &counts));
    text
}

/// A line for a requirement, and one more for each of its checks that failed.
fn line(requirement: &RequirementReport, style: Style) -> String {
    let (tone, word) = match requirement.verdict {
        Verdict::Pass => (Tone::Good, "pass"),
        Verdict::Fail => (Tone::Bad, "FAIL"),
        Verdict::Skipped => (Tone::Quiet, "skip"),
    };
    let names = |verdict: Verdict| {
        let of = requirement.checks.iter().filter(move |check| check.verdict == verdict);
        of.map(|check| check.check).collect::<Vec<_>>().join(", ")
    };
    let skipped = requirement.checks.iter().find_map(|check| check.why.as_deref());
    let what = match requirement.verdict {
        Verdict::Pass => names(Verdict::Pass),
        Verdict::Fail => names(Verdict::Fail),
        Verdict::Skipped => requirement.why.or(skipped).unwrap_or_default().to_owned(),
    };
    let mut text = format!("{:<20} {}  {what}\n", requirement.requirement, style.paint(tone, word));
    for check in &requirement.checks {
        text.push_str(&details(check));
    }
    text
}

fn details(check: &CheckReport) -> String {
    let (Some(expected), Some(seen)) = (&check.expected, &check.seen) else { return String::new() };
    format!(
        "{:>22} {}: {}\n{:>22} expected  {expected}\n{:>22} seen      {seen}\n",
        "", check.check, check.claim, "", ""
    )
}
