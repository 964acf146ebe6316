//! The last things that happened in a run, to be read when one fails.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use crate::node::discard::Discard;
use crate::sim::world::HostId;
use crate::wire::address::Address;
use crate::wire::kind::Kind;

/// How many are kept: enough to see two heartbeats and a search before what went wrong.
const KEPT: usize = 60;

/// What happened lately.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lately: VecDeque<(Duration, HostId, Happening)>,
}

/// Something that happened at a host.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Its node sent a datagram.
    Sent { to: Address, kind: Kind, bytes: usize },
    /// A datagram came.
    Came { from: Address, kind: Kind, bytes: usize, result: Result<(), Discard> },
    /// Its node told its owner something.
    Told(String),
    /// Somebody did something to the machine.
    Done(&'static str),
}

impl Trace {
    /// Takes note of something.
    pub(crate) fn note(&mut self, now: Duration, host: HostId, happening: Happening) {
        if self.lately.len() == KEPT {
            self.lately.pop_front();
        }
        self.lately.push_back((now, host, happening));
    }

    /// All of it, a line each, and how to see it again.
    pub(crate) fn report(&self, seed: u64, now: Duration) -> String {
        let mut text = format!("seed {seed}, {now:?} after the beginning. What happened before:\n");
        for (at, host, happening) in &self.lately {
            let _ = write!(text, "{:>12.6} s  host {host}: ", at.as_secs_f64());
            let _ = match happening {
                Happening::Sent { to, kind, bytes } => writeln!(text, "sent {kind} ({bytes} bytes) to {to}"),
                Happening::Came { from, kind, bytes, result: Ok(()) } => {
                    writeln!(text, "took {kind} ({bytes} bytes) from {from}")
                }
                Happening::Came { from, kind, bytes, result: Err(reason) } => {
                    writeln!(text, "refused {kind} ({bytes} bytes) from {from}: {reason}")
                }
                Happening::Told(event) => writeln!(text, "told {event}"),
                Happening::Done(what) => writeln!(text, "was {what}"),
            };
        }
        let _ = write!(text, "To see it again: {}", repeat(seed));
        text
    }
}

/// The command that plays a seed again, for whoever runs now: a test of this crate, `dddns sim`, or a fuzz target.
fn repeat(seed: u64) -> String {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(|path| path.file_stem()?.to_str()).unwrap_or_default();
    // A test program is called as its file, with a hash.
    let target = match program.rsplit_once('-') {
        Some(("dddns", _)) => "--lib".to_owned(),
        Some((file, _)) => format!("--test {file}"),
        None if program == "dddns" => return format!("the same command with --seed {seed} --seeds 1"),
        None => return "the same program with the same input".to_owned(),
    };
    format!("DDDNS_SEED={seed} cargo test --no-default-features --features sim {target} {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_happened_last_and_how_to_repeat_it() {
        let mut trace = Trace::default();
        for n in 0..100 {
            trace.note(Duration::from_secs(n), 3, Happening::Done("switched on"));
        }
        let report = trace.report(17, Duration::from_secs(100));
        assert_eq!(report.lines().count(), KEPT + 2);
        assert!(report.contains("   99.000000 s  host 3: was switched on") && !report.contains("   39.000000 s"));
        assert!(report.contains("DDDNS_SEED=17 cargo test --no-default-features --features sim --lib "), "{report}");
        assert!(report.ends_with("a_report_says_what_happened_last_and_how_to_repeat_it"), "{report}");
    }
}
