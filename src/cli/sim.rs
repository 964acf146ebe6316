//! `dddns sim`: clusters in virtual time, and how long they take to heal.

use std::io::Write;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use crate::cli::failure::{Exit, Failure};
use crate::config::Heartbeat;
use crate::daemon::duration_text;
use crate::sim::nat::Behaviour;
use crate::sim::network::Conditions;
use crate::sim::scenario::{Moves, Outcome, Scenario};
use crate::sim::standard::{Standard, standard};
use crate::sim::table;

/// How many nodes a cluster may have here.
const NODES: RangeInclusive<i64> = 2..=1024;

/// For how many seeds a scenario may be played.
const SEEDS_MAX: u64 = 1_000_000;

/// The greatest first seed: all that follow it are numbers, too.
const SEED_MAX: u64 = u64::MAX - SEEDS_MAX;

/// The arguments of `dddns sim`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How many nodes the cluster has; without this and what follows, the standard scenarios are played
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(NODES))]
    nodes: Option<u16>,

    /// The heartbeat interval, 1s to 60s [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    interval: Option<Heartbeat>,

    /// How many datagrams are lost, such as 30% [default: 0%]
    #[arg(long, value_name = "PERCENT", value_parser = per_mille)]
    loss: Option<u16>,

    /// Who moves at once: one, two, swap (two exchange their addresses), all-but-one, or a part such as 10% [default: one]
    #[arg(long, value_name = "WHO", value_parser = moves)]
    moves: Option<Moves>,

    /// What every node but the first is behind [default: none]
    #[arg(long, value_name = "KIND", value_enum)]
    nat: Option<Kind>,

    /// The first seed: the same seeds give the same table
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    seed: u64,

    /// For how many seeds each scenario is played [default: 20; the standard scenarios have their own]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: Option<u64>,

    /// Print a JSON object a scenario: schema dddns.sim/1
    #[arg(long)]
    json: bool,
}

/// The kinds of NAT that there are names for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Public addresses
    None,
    /// One port for all, open to all ("full cone")
    Open,
    /// One port for all, open to whom it was sent to, as in most homes ("port-restricted cone")
    Home,
    /// A port for each destination ("symmetric")
    Symmetric,
}

/// Plays the scenarios and prints a line for each.
pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    if !args.json {
        writeln!(out, "{}", table::heading())?;
    }
    let (mut runs, mut healed) = (0, 0);
    for Standard { scenario, seeds } in args.scenarios()? {
        let last = args.seed + args.seeds.unwrap_or(seeds);
        let outcome = scenario.play_all(args.seed..last);
        runs += outcome.runs;
        healed += outcome.healed.len();
        if args.json {
            writeln!(out, "{}", object(&scenario, args.seed, &outcome))?;
        } else {
            writeln!(out, "{}", table::row(&scenario, &outcome))?;
        }
        out.flush()?;
    }
    if healed < runs {
        let message =
            format!("{} of {runs} runs did not heal: `healed` says of each scenario how many did", runs - healed);
        return Err(Failure::new(Exit::Failed, message));
    }
    Ok(Exit::Done)
}

impl Args {
    /// The scenario that was asked for; the standard ones if none was.
    fn scenarios(&self) -> Result<Vec<Standard>, Failure> {
        let asked = self.nodes.is_some()
            || self.interval.is_some()
            || self.loss.is_some()
            || self.moves.is_some()
            || self.nat.is_some();
        if !asked {
            return Ok(standard());
        }
        let usual = Scenario::default();
        let scenario = Scenario {
            nodes: self.nodes.unwrap_or(usual.nodes),
            interval: self.interval.unwrap_or(usual.interval),
            conditions: Conditions { loss_per_mille: self.loss.unwrap_or(0), ..usual.conditions },
            nat: self.nat.and_then(behaviour),
            moves: self.moves.unwrap_or(usual.moves),
            patience: usual.patience,
        };
        if scenario.movers() > scenario.movable() {
            let (movers, movable) = (scenario.movers(), scenario.movable());
            let message = format!(
                "{movers} nodes are to move, and {movable} can: the first one stays where a NAT is before the others"
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(vec![Standard { scenario, seeds: 20 }])
    }
}

fn behaviour(kind: Kind) -> Option<Behaviour> {
    match kind {
        Kind::None => None,
        Kind::Open => Some(Behaviour::OPEN),
        Kind::Home => Some(Behaviour::HOME),
        Kind::Symmetric => Some(Behaviour::SYMMETRIC),
    }
}

/// The same as a line of the table, for programs: times in milliseconds, sorted, of those runs that healed.
fn object(scenario: &Scenario, seed: u64, outcome: &Outcome) -> serde_json::Value {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    json!({
        "schema": "dddns.sim/1",
        "nodes": scenario.nodes,
        "interval_ms": ms(scenario.interval.get()),
        "loss_per_mille": scenario.conditions.loss_per_mille,
        "moved": table::moved(scenario.moves),
        "seed": seed,
        "runs": outcome.runs,
        "healed": outcome.healed.len(),
        "p50_ms": outcome.percentile(50).map(ms),
        "p95_ms": outcome.percentile(95).map(ms),
        "max_ms": outcome.percentile(100).map(ms),
        "datagrams_out_per_s": outcome.datagrams_out,
        "bytes_out_per_s": outcome.bytes_out,
        "datagrams_in_per_s": outcome.datagrams_in,
        "bytes_in_per_s": outcome.bytes_in,
    })
}

fn interval(text: &str) -> Result<Heartbeat, String> {
    let time = duration_text::parse(text).map_err(|error| error.to_string())?;
    Heartbeat::new(time).ok_or_else(|| "an interval is 1s to 60s".to_owned())
}

/// Reads `30%`, or `2.5%`, as so many of a thousand.
fn per_mille(text: &str) -> Result<u16, String> {
    let wrong = || "a part is a number of percent from 0% to 100%, such as 30% or 2.5%".to_owned();
    let number = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(tenth) || tenth.len() != 1 {
        return Err(wrong());
    }
    let parse = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    let per_mille = parse(whole)?.checked_mul(10).and_then(|whole| whole.checked_add(parse(tenth).ok()?));
    per_mille.filter(|per_mille| *per_mille <= 1000).ok_or_else(wrong)
}

fn moves(text: &str) -> Result<Moves, String> {
    match text {
        "one" => Ok(Moves::One),
        "two" => Ok(Moves::Two),
        "swap" => Ok(Moves::Swap),
        "all-but-one" => Ok(Moves::AllButOne),
        part => {
            let wrong = || "those who move are: one, two, swap, all-but-one, or a part such as 10%".to_owned();
            per_mille(part).ok().filter(|part| *part > 0).map(Moves::PerMille).ok_or_else(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        let read = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.args);
        for wrong in ["sim --nodes 2 --nat home --moves swap", "sim --nodes 2 --nat open --moves two"] {
            let refused = read(wrong).ok().unwrap().scenarios().err().unwrap();
            assert_eq!(refused.exit(), Exit::Usage, "{wrong}");
        }
        for right in ["sim --nodes 2 --moves swap", "sim --nodes 3 --nat home --moves all-but-one", "sim --moves 1%"] {
            assert_eq!(read(right).ok().unwrap().scenarios().ok().unwrap().len(), 1, "{right}");
        }
        let beyond = format!("sim --seed {}", u64::MAX);
        assert!(read(&beyond).is_err() && read("sim --moves 0%").is_err());
    }

    #[test]
    fn parts_are_read() {
        for (text, expected) in [("0%", 0), ("30%", 300), ("2.5%", 25), ("100%", 1000)] {
            assert_eq!(per_mille(text), Ok(expected), "{text}");
        }
        for text in ["", "%", "30", "-1%", "100.1%", "1.25%", ".5%", "1.%", "+1%", "99999%", "a%"] {
            assert!(per_mille(text).is_err(), "{text}");
        }
    }

    #[test]
    fn who_moves_is_read_as_it_is_shown() {
        for shown in ["one", "two", "swap", "all-but-one", "10%", "2.5%"] {
            assert_eq!(moves(shown).map(table::moved), Ok(shown.to_owned()));
        }
        for wrong in ["three", "0%", "10"] {
            assert!(moves(wrong).is_err(), "{wrong}");
        }
    }
}
