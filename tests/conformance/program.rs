//! The program itself passes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use dddns::auth::invite::Token;
use dddns::driver::clock;

use crate::run::conformance;

/// A node that runs until this is dropped.
struct Node {
    child: Child,
    dir: tempfile::TempDir,
    listen: SocketAddr,
}

impl Node {
    fn start() -> Self {
        /// No two nodes of this process have one port.
        static COUNT: AtomicU16 = AtomicU16::new(0);
        let dir = tempfile::tempdir().unwrap();
        let [.., high, low] = std::process::id().to_be_bytes();
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let listen = SocketAddr::from(([127, 0, 0, 1], 20_000 + u16::from_be_bytes([high, low]) % 20_000 + nth));
        let made =
            command(dir.path(), &["init", "--name", "target", "--listen", &listen.to_string()]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let child = command(dir.path(), &["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, dir, listen }
    }

    /// An invite, once the node is there.
    fn invite(&self) -> String {
        self.invite_for("1h")
    }

    /// An invite that lives for so long, once the node is there.
    fn invite_for(&self, ttl: &str) -> String {
        let deadline = clock::now() + Duration::from_secs(60);
        loop {
            let args = ["invite", "--ttl", ttl, "--address", &self.listen.to_string()];
            let output = command(self.dir.path(), &args).output().unwrap();
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
            assert!(clock::now() < deadline, "the node does not answer: {output:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dddns"));
    command.env_remove("DDDNS_CONFIG").env_remove("NOTIFY_SOCKET");
    command.env("DDDNS_STATE_DIR", dir.join("state")).args(args);
    command
}

#[test]
fn the_program_passes_and_the_report_has_the_promised_form() {
    let node = Node::start();
    let findings = conformance(&node.invite(), &["--flood"]);
    assert_eq!((findings.code, findings.failures()), (0, Vec::new()));

    let report = findings.json();
    assert_eq!(report["schema"], "dddns.conformance/1");
    assert_eq!((&report["failed"], &report["seed"]), (&0.into(), &7.into()));
    let requirements = report["requirements"].as_array().unwrap();
    let counted = |verdict: &str| requirements.iter().filter(|one| one["verdict"] == verdict).count();
    assert_eq!(
        (report["passed"].as_u64(), report["skipped"].as_u64()),
        (u64::try_from(counted("pass")).ok(), u64::try_from(counted("skipped")).ok(),)
    );
    assert!(counted("pass") > 50, "{report:#}");
    for skipped in requirements.iter().filter(|one| one["verdict"] == "skipped") {
        assert!(skipped["why"].is_string(), "{skipped}");
    }
}

#[test]
fn a_target_that_is_not_there_ends_with_5() {
    let node = Node::start();
    let token: Token = node.invite().parse().unwrap();
    drop(node);
    let ended = Command::new(env!("CARGO_BIN_EXE_dddns")).args(["conformance", &token.to_string()]).output().unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(5), 0), "{ended:?}");
}

#[test]
fn an_invite_that_is_refused_ends_with_6_and_says_why() {
    let node = Node::start();
    let token = node.invite_for("1s");
    let expiry = token.parse::<Token>().unwrap().expiry();
    while clock::unix().as_secs() <= expiry {
        std::thread::sleep(Duration::from_millis(50));
    }
    let ended = Command::new(env!("CARGO_BIN_EXE_dddns")).args(["conformance", &token]).output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(6), 0), "{told}");
    assert!(told.contains("refuses the invite: it has expired: make a new one"), "{told}");
}
