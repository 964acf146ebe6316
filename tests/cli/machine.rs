//! A machine of its own for a node: a state directory, an address, and the program run in a clean environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::ChildStderr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::Duration;

use dddns::driver::clock;
use serde_json::Value;

/// Longer than anything takes, even on a busy machine: reached only when something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The same, once the exit code is seen to be this one.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The same, once all these texts are seen on standard error, and nothing on standard output.
    #[track_caller]
    pub(crate) fn saying(self, texts: &[&str]) -> Self {
        assert_eq!(self.stdout, "", "stderr: {}", self.stderr);
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing in: {}", self.stderr);
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A machine.
pub(crate) struct Machine {
    root: tempfile::TempDir,
    pub(crate) listen: SocketAddr,
    program: PathBuf,
    #[cfg(unix)]
    user: Option<u32>,
}

impl Machine {
    /// A machine on which nothing is set up.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let [.., high, low] = pid.to_be_bytes();
        // Every process of tests has loopback addresses of its own where the system has more than one.
        let listen = if cfg!(target_os = "linux") {
            SocketAddr::from(([127, 64 + high % 128, low, nth], 7733))
        } else {
            SocketAddr::from(([127, 0, 0, 1], 20_000 + u16::from(low) * 128 + u16::from(nth)))
        };
        Self {
            root: tempfile::tempdir().unwrap(),
            listen,
            program: env!("CARGO_BIN_EXE_dddns").into(),
            #[cfg(unix)]
            user: None,
        }
    }

    /// Leaves the machine to a user who can only write what he may: root can write everything.
    #[cfg(unix)]
    pub(crate) fn leave_to_a_user(&mut self) {
        use std::os::unix::fs::{MetadataExt, chown};

        const USER: u32 = 7733;
        let root = self.root.path();
        if std::fs::metadata(root).unwrap().uid() != 0 {
            return;
        }
        // The program may be where only root can go.
        let program = root.join("dddns");
        std::fs::copy(&self.program, &program).unwrap();
        let files = std::fs::read_dir(self.dir()).unwrap().map(|file| file.unwrap().path());
        for path in [root.to_owned(), self.dir()].into_iter().chain(files) {
            chown(path, Some(USER), None).unwrap();
        }
        (self.program, self.user) = (program, Some(USER));
    }

    /// A machine on which `dddns init` was run.
    pub(crate) fn set_up(name: &str) -> Self {
        let machine = Self::new();
        machine.dddns(&["init", "--name", name, "--listen", &machine.listen.to_string()]).with(0);
        machine
    }

    /// The state directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// A file in the state directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The program, to be run in this machine's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = clean(&self.program, self.root.path());
        command.env("DDDNS_STATE_DIR", self.dir()).args(args);
        #[cfg(unix)]
        if let Some(user) = self.user {
            std::os::unix::process::CommandExt::uid(&mut command, user);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn dddns(&self, args: &[&str]) -> Ended {
        run(self.command(args), "")
    }

    /// Runs the program to its end with this on its standard input.
    pub(crate) fn dddns_reading(&self, args: &[&str], input: &str) -> Ended {
        run(self.command(args), input)
    }

    /// Starts the node and waits until it answers.
    pub(crate) fn start(&self) -> Running<'_> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.root.path().join("log")).unwrap();
        self.start_logging_to(log.into())
    }

    /// Starts the node with its log going there, and waits until it answers.
    pub(crate) fn start_logging_to(&self, log: Stdio) -> Running<'_> {
        let mut command = self.command(&["run", "-vv"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut running = Running { machine: self, child };
        wait_for("the node to answer", || {
            assert!(running.child.try_wait().unwrap().is_none(), "the node ended: {}", self.log());
            self.dddns(&["status"]).code == 0
        });
        running
    }

    /// What the node wrote on standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    /// What `status --json` says.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.dddns(&["status", "--json"]).with(0).json()
    }

    /// A token that lets one node in.
    #[track_caller]
    pub(crate) fn invite(&self) -> String {
        let ended = self.dddns(&["invite", "--address", &self.listen.to_string()]).with(0);
        ended.stdout.trim_end().to_owned()
    }

    /// Joins with a token.
    pub(crate) fn join(&self, token: &str, name: &str) -> Ended {
        self.dddns(&["join", token, "--name", name, "--listen", &self.listen.to_string()])
    }
}

/// A node that runs until this is dropped.
pub(crate) struct Running<'m> {
    machine: &'m Machine,
    child: Child,
}

impl Running<'_> {
    /// Ends the node as systemd does; how it ended.
    #[cfg(unix)]
    pub(crate) fn terminate(self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended()
    }

    /// Waits until the node ends; with which code.
    pub(crate) fn ended(mut self) -> i32 {
        let deadline = clock::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(clock::now() < deadline, "the node does not end: {}", self.machine.log());
            sleep(Duration::from_millis(10));
        }
    }

    /// The log of a node that was started to log into a pipe.
    #[cfg(unix)]
    pub(crate) fn take_log(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// Ends the node without a chance to say or store anything.
    #[cfg(unix)]
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in an environment that says nothing about dddns.
pub(crate) fn bare(home: &Path) -> Command {
    clean(env!("CARGO_BIN_EXE_dddns").as_ref(), home)
}

fn clean(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["DDDNS_STATE_DIR", "DDDNS_CONFIG", "STATE_DIRECTORY", "NO_COLOR", "NOTIFY_SOCKET", "XDG_STATE_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home).current_dir(home);
    command
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: Command, input: &str) -> Ended {
    let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).write_stdin(input).output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = clock::now() + PATIENCE;
    while !holds() {
        assert!(clock::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(50));
    }
}
