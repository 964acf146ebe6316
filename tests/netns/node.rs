//! A real `dddns` process on a host of the lab, driven by its command line and seen through `status --json`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::lab::{Host, Lab};

/// The port that every node listens on: the program's default.
pub(crate) const PORT: u16 = 7733;

/// How long one command may take before the test gives up on it.
const COMMAND_TIME: Duration = Duration::from_secs(90);

/// A node: its host, its state directory and, while it runs, its process.
pub(crate) struct Node {
    /// Its name in the cluster.
    pub(crate) name: &'static str,
    /// Where it runs.
    pub(crate) host: Host,
    /// Where it should be found now. Kept by the scenarios, unknown to the program.
    pub(crate) addresses: Vec<String>,
    state: TempDir,
    environment: Vec<(&'static str, String)>,
    tracer: Vec<String>,
    process: Option<Child>,
}

impl Node {
    /// A node on a host of its own with these addresses. Nothing runs yet.
    pub(crate) fn new(lab: &mut Lab, name: &'static str, addresses: &[&str]) -> Self {
        let host = lab.host();
        host.set_addresses(addresses);
        Self {
            name,
            host,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            state: TempDir::new().expect("a temporary directory"),
            environment: Vec::new(),
            tracer: Vec::new(),
            process: None,
        }
    }

    /// Sets a variable in the environment of everything this node runs from now on.
    pub(crate) fn set_environment(&mut self, key: &'static str, value: impl Into<String>) {
        self.environment.retain(|(other, _)| *other != key);
        self.environment.push((key, value.into()));
    }

    /// Runs the node under another program, such as strace, or one that prepares something and then becomes the node.
    pub(crate) fn set_tracer(&mut self, command: &[&str]) {
        self.tracer = command.iter().map(ToString::to_string).collect();
    }

    /// The directory that holds keys, state and configuration.
    pub(crate) fn directory(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// What the node wrote to standard error since it was made.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Runs one command of the program on this host and returns what came of it.
    pub(crate) fn dddns(&self, args: &[&str]) -> Output {
        self.finish(self.host.command(&program()), args)
    }

    /// Runs one command, expects it to succeed, and returns what it printed on standard output.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.succeed(self.dddns(args), args)
    }

    /// Makes the node the first of a new cluster.
    pub(crate) fn init(&self) {
        self.run(&["init", "--name", self.name]);
    }

    /// Joins by this token.
    pub(crate) fn join(&self, token: &str) {
        let args = ["join", token, "--name", self.name];
        self.succeed(self.finish(self.traced(), &args), &args);
    }

    /// Makes an invite that names this node's addresses only if `say_where`, else what its peers told it.
    pub(crate) fn invite(&self, say_where: bool) -> String {
        let mut args = vec!["invite"];
        if say_where {
            args.extend(self.addresses.iter().flat_map(|address| ["--address", address]));
        }
        self.run(&args)
    }

    /// Starts the process. Standard error goes to the log.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let mut command = self.traced();
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the log can be written");
        self.prepare(&mut command).arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("the program starts"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.status().is_none() {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().expect("can be waited for"));
            assert!(ended.is_none(), "{}: run ended with {ended:?}:\n{}", self.name, self.log());
            assert!(Instant::now() < deadline, "{}: no status after 30 s:\n{}", self.name, self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the process as a power failure would.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the node runs");
        process.kill().expect("the process can be killed");
        process.wait().expect("the process ends");
    }

    /// Asks the process to stop and expects it to end well, soon.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("the node runs");
        let id = self.tracee(process.id());
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status();
        assert!(asked.is_ok_and(|status| status.success()), "{} cannot be asked to stop", self.name);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = process.try_wait().expect("the process can be waited for") {
                assert!(status.success(), "{}: ended with {status} on SIGTERM:\n{}", self.name, self.log());
                return;
            }
            assert!(Instant::now() < deadline, "{}: still runs 20 s after SIGTERM:\n{}", self.name, self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What `status --json` says, or `None` if the node does not answer.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.dddns(&["status", "--json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("status --json prints JSON"))
    }

    /// Brings the host's interface up again with these addresses.
    pub(crate) fn plug(&mut self, addresses: &[&str]) {
        self.host.plug(addresses);
        self.addresses = addresses.iter().map(ToString::to_string).collect();
    }

    /// Gives the host other addresses, all at once.
    pub(crate) fn readdress(&mut self, addresses: &[&str]) {
        self.host.set_addresses(addresses);
        self.addresses = addresses.iter().map(ToString::to_string).collect();
    }

    fn finish(&self, mut command: Command, args: &[&str]) -> Output {
        self.prepare(&mut command).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let deadline = Instant::now() + COMMAND_TIME;
        while child.try_wait().expect("the program can be waited for").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("the program can be killed");
                panic!("{}: dddns {} has not ended after {COMMAND_TIME:?}", self.name, args.join(" "));
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output().expect("the program's output can be read")
    }

    fn succeed(&self, output: Output, args: &[&str]) -> String {
        assert!(output.status.success(), "{}: dddns {}: {}", self.name, args.join(" "), describe(&output));
        String::from_utf8(output.stdout).expect("the program prints UTF-8").trim().to_owned()
    }

    /// The program, under the tracer if there is one.
    fn traced(&self) -> Command {
        let mut words = self.tracer.clone();
        words.push(program());
        let (first, rest) = words.split_first().expect("there is a program");
        let mut command = self.host.command(first);
        command.args(rest);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.state.path().join("log")
    }

    fn prepare<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env_remove("NOTIFY_SOCKET")
            .env("DDDNS_STATE_DIR", self.directory())
            .envs(self.environment.iter().map(|(key, value)| (*key, value.as_str())))
    }

    /// The process that is to be asked to stop: the tracer's only child, unless the tracer has become the node itself.
    fn tracee(&self, process: u32) -> u32 {
        if self.tracer.is_empty() {
            return process;
        }
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        let children = children.expect("the kernel lists the tracer's children");
        match children.trim() {
            "" => process,
            child => child.parse().expect("the tracer has one child"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = if process.try_wait().is_ok_and(|ended| ended.is_none()) { self.tracee(process.id()) } else { 0 };
            if id != 0 && id != process.id() {
                // A killed tracer would leave its tracee running.
                let _ = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
            }
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The program under test.
pub(crate) fn program() -> String {
    let program = std::env::var("DDDNS_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dddns").to_owned());
    assert!(Path::new(&program).exists(), "{program}: no such program; unset DDDNS_BIN or build it");
    program
}

/// The entry of a peer in a status.
pub(crate) fn peer<'s>(status: &'s Value, name: &str) -> Option<&'s Value> {
    status["peers"].as_array()?.iter().find(|peer| peer["name"] == name)
}

/// What became of a command, for messages.
pub(crate) fn describe(output: &Output) -> String {
    format!(
        "{}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout).trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    )
}
