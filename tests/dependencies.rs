//! What we build on: every dependency, on every platform, compiles with our minimum Rust and has a licence that
//! `deny.toml` allows.
//!
//! `cargo deny` asks more (advisories, sources); this asks what can be asked with cargo alone.

#![cfg(feature = "daemon")]

use std::io::{self, Write};
use std::process::Command;

use serde_json::Value;

#[test]
fn every_dependency_compiles_with_our_minimum_rust() {
    let Some(packages) = packages() else { return };
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let newer: Vec<_> = packages
        .iter()
        .filter(|package| package["rust_version"].as_str().is_some_and(|theirs| version(theirs) > ours))
        .map(|package| format!("{} {} needs {}", package["name"], package["version"], package["rust_version"]))
        .collect();
    assert!(newer.is_empty(), "newer than Rust {}: {newer:#?}", env!("CARGO_PKG_RUST_VERSION"));
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let Some(packages) = packages() else { return };
    let policy: toml::Table = include_str!("../deny.toml").parse().expect("deny.toml is TOML");
    let allowed = policy["licenses"]["allow"].as_array().expect("deny.toml allows licences");
    let allowed: Vec<_> = allowed.iter().filter_map(toml::Value::as_str).collect();
    let refused: Vec<_> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| is_allowed(licence, &allowed)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "no licence that deny.toml allows: {refused:#?}");
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
    for good in ["MIT", "MIT/GPL-3.0", "GPL-3.0 OR MIT", "(GPL-3.0 OR ISC) AND MIT", "Apache-2.0 WITH LLVM-exception"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", ""] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

/// Every package of the lock file, or `None`, said on standard error, where cargo cannot tell.
fn packages() -> Option<Vec<Value>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--all-features", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(std::env::var_os("DDDNS_REQUIRE_TOOLS").is_none(), "cargo metadata: {reason}");
        // Not `eprintln!`: the test harness would swallow it.
        let _ = writeln!(io::stderr(), "skipped: cargo cannot list all dependencies, offline perhaps: {reason}");
        return None;
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata.get("packages").and_then(Value::as_array).cloned().expect("cargo metadata lists packages");
    assert!(packages.len() > 50, "cargo metadata lists {} packages only", packages.len());
    Some(packages)
}

/// `1.85` and `1.85.0` alike as numbers that can be compared.
fn version(text: &str) -> Vec<u64> {
    let mut numbers: Vec<_> = text.split('.').map(|part| part.parse().expect("a version is numbers")).collect();
    numbers.resize(3, 0);
    numbers
}

/// Whether the allowed licences satisfy an SPDX expression; `/` is an old way to write OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let fine = any(&mut words, allowed);
    fine && words.next().is_none()
}

/// The rest of an expression while its parts are read.
type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

/// Reads parts joined by OR.
fn any(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut fine = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        fine |= all(words, allowed);
    }
    fine
}

/// Reads parts joined by AND.
fn all(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut fine = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        fine &= one(words, allowed);
    }
    fine
}

/// Reads one licence, with its exception if it has one, or a part in parentheses.
fn one(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    match words.next() {
        None => false,
        Some("(") => {
            let fine = any(words, allowed);
            words.next_if_eq(&")").is_some() && fine
        }
        Some(licence) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
            None => allowed.contains(&licence),
            Some(exception) => allowed.contains(&format!("{licence} WITH {exception}").as_str()),
        },
    }
}
