//! The real program in network namespaces: real processes, real sockets, addresses that really change.
//!
//! Needs Linux, root and `ip`; elsewhere every scenario says why it is skipped. `DDDNS_BIN` names another program to
//! test, `DDDNS_REQUIRE_TOOLS=1` turns skips into failures. Measured times are appended to
//! `netns-report.txt` in cargo's directory for test files (`target/tmp`).

#![cfg(all(feature = "daemon", target_os = "linux"))]
#![expect(clippy::disallowed_methods, reason = "a black-box test measures real time")]

#[cfg(test)]
mod clocks;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod node;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod syscalls;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

/// Makes the report begin anew with each run.
static REPORT: Once = Once::new();

/// Says that a scenario is not run, and why: a failure where everything must run.
fn skip(scenario: &str, reason: &str) {
    assert!(std::env::var_os("DDDNS_REQUIRE_TOOLS").is_none(), "{scenario}: {reason}");
    // Not `eprintln!`: the test harness would swallow it.
    let _ = writeln!(io::stderr(), "skipped: {scenario}: {reason}");
}

/// Reports what a change took, next to what it should take on a quiet machine.
fn report(what: &str, took: Duration, aim: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("netns-report.txt");
    REPORT.call_once(|| {
        let _ = std::fs::remove_file(&path);
    });
    let line = format!("{what}: {:.1} s (aim: {aim})\n", took.as_secs_f64());
    let mut file = File::options().create(true).append(true).open(path).expect("the report can be written");
    file.write_all(line.as_bytes()).expect("the report can be written");
}
