//! A run of `dddns conformance`, and what it said.

use std::process::Command;

use serde_json::Value;

/// What a run found.
pub(crate) struct Findings {
    pub(crate) code: i32,
    report: Value,
}

/// Tests the peer that made this token.
pub(crate) fn conformance(token: &str, args: &[&str]) -> Findings {
    let output = Command::new(env!("CARGO_BIN_EXE_dddns"))
        .args(["conformance", token, "--json", "--quiet", "--seed", "7"])
        .args(args)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    Findings { code: output.status.code().unwrap(), report }
}

impl Findings {
    /// The report as it was printed.
    pub(crate) fn json(&self) -> &Value {
        &self.report
    }

    /// How a requirement came out.
    #[track_caller]
    pub(crate) fn requirement(&self, name: &str) -> &str {
        let of = |one: &&Value| one["requirement"] == name;
        let found = self.requirements().iter().find(of).unwrap_or_else(|| panic!("no {name} in the report"));
        found["verdict"].as_str().unwrap()
    }

    /// How a check came out.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) -> &str {
        let mut checks = self.requirements().iter().flat_map(|one| one["checks"].as_array().unwrap());
        let found = checks.find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name} in the report"));
        found["verdict"].as_str().unwrap()
    }

    /// The checks that failed, each with what was seen.
    pub(crate) fn failures(&self) -> Vec<String> {
        let checks = self.requirements().iter().flat_map(|one| one["checks"].as_array().unwrap());
        let failed = checks.filter(|check| check["verdict"] == "fail");
        failed
            .map(|check| format!("{}: expected {}, saw {}", check["check"], check["expected"], check["seen"]))
            .collect()
    }

    fn requirements(&self) -> &[Value] {
        self.report["requirements"].as_array().unwrap()
    }
}
