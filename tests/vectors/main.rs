//! The test vectors of `spec/vectors/`: that the library makes them, byte for byte, and that it gives each the verdict and
//! the values that stand there.
//!
//! `DDDNS_RECORD=1 cargo test --test vectors` writes the files anew, for a change that is meant.

#![cfg(test)]

mod checked;
mod fixed;
mod made;
mod net;
mod noise;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Set to write the files anew.
const RECORD: &str = "DDDNS_RECORD";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors")
}

fn read(name: &str) -> String {
    let path = folder().join(format!("{name}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_files_are_what_the_library_makes() {
    let files = made::files();
    for (name, value) in &files {
        let made = text::print(value);
        if std::env::var_os(RECORD).is_some() {
            fs::write(folder().join(format!("{name}.json")), &made).expect("the file can be written");
        }
        let differs = made
            .lines()
            .zip(read(name).lines())
            .enumerate()
            .find(|(_, (made, there))| made != there)
            .map(|(line, (made, there))| format!("line {}\nmade  {made}\nthere {there}", line + 1));
        assert!(
            made == read(name),
            "{name}.json differs; if that is meant, run this test with {RECORD}=1: {differs:?}"
        );
    }
    let named: BTreeSet<PathBuf> = files.iter().map(|(name, _)| folder().join(format!("{name}.json"))).collect();
    let there = fs::read_dir(folder()).expect("spec/vectors").map(|entry| entry.expect("an entry").path());
    let json =
        there.filter(|path| path.extension().is_some_and(|ending| ending == "json") && !path.ends_with("schema.json"));
    assert_eq!(json.collect::<BTreeSet<_>>(), named, "there is a file that nobody makes");
}

#[test]
fn the_files_fit_their_schema() {
    let required = std::env::var_os("DDDNS_REQUIRE_TOOLS").is_some();
    let Some(python) = std::env::var_os("DDDNS_PYTHON") else {
        assert!(!required, "DDDNS_PYTHON does not name a Python that has tests/vectors/requirements.txt");
        eprintln!("skipped: DDDNS_PYTHON does not name a Python that has tests/vectors/requirements.txt");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/validate.py");
    let output = Command::new(python).arg(script).arg(folder()).output().expect("Python");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{} files", made::files().len())), "{said}");
}

/// Calls `check` with each vector of a file; a failure says which one it was.
fn each(name: &str, check: impl Fn(text::Vector<'_>)) {
    let file: Value = serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}.json: {error}"));
    let mut count = 0;
    for vector in text::Vector(&file).list("vectors") {
        println!("{name}: {}", vector.name());
        check(vector);
        count += 1;
    }
    assert!(count > 0, "{name}.json has no vectors");
}
