//! The real program in network namespaces: real processes, real sockets, addresses that really change.
//!
//! Needs Linux, root and `ip`, some scenarios further tools; where they are missing, each says why it is skipped.
//! `DDDNS_BIN` names another program to test, `DDDNS_REQUIRE_TOOLS=1` turns skips into failures, `DDDNS_JUDGE_TIMES=1`
//! late healing as well. What changes took is shown, and written to `netns-report.txt` in cargo's directory for test
//! files (`target/tmp`).

#![cfg(all(feature = "daemon", target_os = "linux"))]
#![expect(clippy::disallowed_methods, reason = "a black-box test measures real time")]

#[cfg(test)]
mod clocks;
#[cfg(test)]
mod clones;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod dissector;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod healing;
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

/// Makes the report begin anew with each run.
static REPORT: Once = Once::new();

/// Says that a scenario is not run, and why: a failure where everything must run.
fn skip(scenario: &str, reason: &str) {
    assert!(std::env::var_os("DDDNS_REQUIRE_TOOLS").is_none(), "{scenario}: {reason}");
    show(&format!("skipped: {scenario}: {reason}\n"));
}

/// Puts a line into the report, and shows it.
fn report(line: &str) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("netns-report.txt");
    REPORT.call_once(|| {
        let _ = std::fs::remove_file(&path);
    });
    let line = format!("{line}\n");
    let mut file = File::options().create(true).append(true).open(path).expect("the report can be written");
    file.write_all(line.as_bytes()).expect("the report can be written");
    show(&line);
}

/// Writes to standard error what the test harness would swallow if `eprintln!` did.
fn show(line: &str) {
    let _ = io::stderr().write_all(line.as_bytes());
}
