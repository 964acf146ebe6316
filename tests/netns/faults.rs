//! What the switch does to datagrams on their way: it loses some of all, or everything between two hosts.
//!
//! Done by `nft` in the switch's namespace, so that no host can notice it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::lab::{Host, Lab, command_in};
use super::node::describe;
use super::skip;

/// The faults of one switch.
pub(crate) struct Faults {
    switch: String,
}

impl Faults {
    /// A switch that can be given faults, or `None`, said on standard error, where `nft` cannot do that.
    pub(crate) fn new(scenario: &str, lab: &Lab) -> Option<Self> {
        let faults = Self { switch: lab.switch() };
        let output = faults.load("");
        if output.status.success() {
            return Some(faults);
        }
        let reason = format!("needs nft (Debian package nftables) and a kernel that has it: {}", describe(&output));
        skip(scenario, &reason);
        None
    }

    /// Loses so many of a hundred datagrams from now on, by chance, in place of what was done before.
    pub(crate) fn lose(&self, percent: u8) {
        self.set(&format!("meta l4proto udp numgen random mod 100 < {percent} counter name dropped drop"));
    }

    /// Lets nothing pass between two hosts from now on, in either direction, in place of what was done before.
    pub(crate) fn part(&self, a: &Host, b: &Host) {
        let (a, b) = (a.port(), b.port());
        self.set(&format!(
            "iifname {a} oifname {b} counter name dropped drop
             iifname {b} oifname {a} counter name dropped drop"
        ));
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        self.set("");
    }

    /// How many packets were dropped since the faults were last set.
    pub(crate) fn dropped(&self) -> u64 {
        let listed = self.nft(&["-j", "list", "counters", "table", "bridge", "faults"]).output().expect("nft runs");
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{}", describe(&listed)));
        let mut counters = listed["nftables"].as_array().into_iter().flatten();
        counters.find_map(|entry| entry["counter"]["packets"].as_u64()).expect("nft lists the counter")
    }

    fn set(&self, rules: &str) {
        let output = self.load(rules);
        assert!(output.status.success(), "nft: {rules}\n{}", describe(&output));
    }

    /// Replaces all rules by these, in one go.
    fn load(&self, rules: &str) -> Output {
        let table = format!(
            "table bridge faults
             delete table bridge faults
             table bridge faults {{
                 counter dropped {{ }}
                 chain forward {{
                     type filter hook forward priority 0
                     {rules}
                 }}
             }}"
        );
        let mut command = self.nft(&["-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("ip runs");
        let mut input = child.stdin.take().expect("standard input is piped");
        // A program that is not there reads nothing: how it ended says so.
        let _ = input.write_all(table.as_bytes());
        drop(input);
        child.wait_with_output().expect("ip ends")
    }

    fn nft(&self, args: &[&str]) -> Command {
        let mut command = command_in(&self.switch, "nft");
        command.args(args);
        command
    }
}
