//! The command line itself, and commands that need a node where none runs.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::machine::{Machine, bare, run};

#[test]
fn wrong_usage_ends_with_2_and_says_how_it_is_right() {
    let machine = Machine::new();
    for args in [
        &["--frobnicate"][..],
        &["frobnicate"],
        &["join"],
        &["config"],
        &["addr", "-4", "-6"],
        &["status", "extra"],
        &["-v", "-q", "status"],
        &["--color", "sometimes", "status"],
        &["init", "--name", "two words"],
        &["init", "--listen", "7733"],
        &["init", "--listen", "0.0.0.0:0"],
        &["init", "--listen", "224.0.0.1:7733"],
        &["init", "--listen", "255.255.255.255:7733"],
        &["join", "dddns1", "--listen", "[ff02::1]:7733"],
        &["invite", "--ttl", "1"],
        &["join", "dddns1", "--timeout", "25h"],
        &["join", "dddns1", "--timeout", "18446744073709551615s"],
        &["invite", "--address", "garage.example.net"],
    ] {
        machine.dddns(args).with(2).saying(&["--help"]);
    }
    assert!(!machine.dir().exists(), "wrong usage makes nothing");
    machine.dddns(&[]).with(2).saying(&["Usage:", "init", "First steps"]);
}

#[test]
fn help_and_errors_name_the_times_that_are_taken() {
    let machine = Machine::new();
    let units = "ms, s, m, h or d";
    for (args, flag, code, most, beyond) in [
        (&["invite"][..], "--ttl", 4, "30d", "at most 30 days"),
        (&["join", "dddns1"], "--timeout", 2, "1d", "tried for at most 24h"),
    ] {
        let given = |time| machine.dddns(&[args, &[flag, time]].concat());
        let help = machine.dddns(&[args, &["-h"]].concat()).with(0).stdout;
        assert!(help.contains(units), "{help}");
        for time in ["1000ms", "60s", "60m", "24h", most] {
            let ended = given(time).with(code);
            assert!(!ended.stderr.contains(flag), "{time}: {}", ended.stderr);
        }
        given("1w").with(2).saying(&[flag, units]);
        given("31d").with(2).saying(&[flag, beyond]);
    }
}

#[test]
fn help_and_version_are_results() {
    let machine = Machine::new();
    for args in [&["--help"][..], &["help", "join"], &["run", "--help"], &["--version"]] {
        let ended = machine.dddns(args).with(0);
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{args:?}: {ended:?}");
    }
}

#[test]
fn without_a_running_node_commands_end_with_4() {
    let nothing = Machine::new();
    let stopped = Machine::set_up("garage");
    for machine in [&nothing, &stopped] {
        for args in [&["status"][..], &["status", "--json"], &["addr"], &["addr", "attic"], &["events"], &["invite"]] {
            machine.dddns(args).with(4).saying(&["no node runs on", "dddns run"]);
        }
    }
}

#[test]
fn a_state_directory_that_is_a_file_is_said_to_be_none() {
    let machine = Machine::set_up("garage");
    let file = machine.file("node.key");
    // Elsewhere the system says of the second one only that it is not there.
    let below = cfg!(unix).then(|| file.join("below"));
    for path in [file].into_iter().chain(below) {
        let path = path.to_str().unwrap();
        let told = format!("{path} is no folder");
        for command in [&["status"][..], &["run"], &["init"], &["config", "check"]] {
            machine.dddns(&[&["--state-dir", path], command].concat()).with(1).saying(&[&told, "--state-dir"]);
        }
    }
}

#[test]
fn a_node_that_is_not_set_up_does_not_run() {
    let machine = Machine::new();
    machine.dddns(&["run"]).with(1).saying(&["dddns init", "dddns join"]);
    assert!(!machine.dir().exists());
}

#[test]
fn commands_in_errors_can_be_typed_as_they_are_shown() {
    let machine = Machine::set_up("garage");
    let refused = |dir: &str, args: &[&str], code: i32, commands: &[&str]| {
        let config = format!("{dir}/dddns.toml");
        let flags = ["--state-dir", dir, "--config", &config];
        let ended = machine.dddns(&[&flags, args].concat()).with(code);
        for command in commands {
            let typed = format!("  dddns {} {command}", flags.join(" "));
            assert!(ended.stderr.contains(&typed), "{typed:?} is missing in: {}", ended.stderr);
        }
        assert_eq!(ended.stderr.matches("  dddns ").count(), commands.len(), "{}", ended.stderr);
    };
    {
        let _running = machine.start();
        refused("state", &["addr", "nobody"], 3, &["status"]);
        refused("state", &["addr"], 3, &["status"]);
        refused("state", &["forget", "nobody"], 3, &["status"]);
        refused("state", &["forget", "garage"], 6, &["leave"]);
    }
    refused("nowhere", &["run"], 1, &["init", "join TOKEN"]);
    refused("state", &["status"], 4, &["run"]);
    refused("state", &["init"], 1, &["run"]);

    let [state, cluster_key, node_key] = ["state.json", "cluster.key", "node.key"].map(|name| machine.file(name));
    let whole = fs::read(&state).unwrap();
    fs::write(&state, "").unwrap();
    refused("state", &["run"], 1, &["join TOKEN"]);
    fs::remove_file(&state).unwrap();
    refused("state", &["run"], 1, &["join TOKEN", "init"]);
    fs::write(&state, whole).unwrap();
    fs::remove_file(cluster_key).unwrap();
    refused("state", &["run"], 1, &["join TOKEN", "init"]);
    fs::remove_file(node_key).unwrap();
    refused("state", &["run"], 1, &["init", "join TOKEN"]);
}

#[test]
fn flag_beats_environment_beats_systemd() {
    let machine = Machine::new();
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let show = |flag: bool, environment: bool| {
        let mut command = bare(home.path());
        command.env("STATE_DIRECTORY", path("systemd"));
        if environment {
            command.env("DDDNS_STATE_DIR", path("environment"));
        }
        if flag {
            command.arg("--state-dir").arg(path("flag"));
        }
        command.arg("status");
        run(command, "").with(4).stderr
    };
    assert!(show(false, false).contains("systemd"));
    assert!(show(false, true).contains("environment"));
    assert!(show(true, true).contains("flag"));
    drop(machine);
}

#[test]
fn output_that_nobody_takes_any_more_is_no_failure() {
    let machine = Machine::set_up("garage");
    let mut child = machine
        .command(&["decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader is gone before the program has anything to say.
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"d110").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let machine = Machine::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = machine.command(&["decode", "d110"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot write to standard output"));
}

#[test]
fn color_is_there_when_it_is_asked_for() {
    let machine = Machine::new();
    let color = |args: &[&str]| machine.dddns(args).with(1).stdout.contains("\x1b[");
    assert!(!color(&["decode", "d110"]));
    assert!(color(&["--color", "always", "decode", "d110"]));
    assert!(!color(&["--color", "never", "decode", "d110"]));
}

#[cfg(feature = "sim")]
#[test]
fn what_does_not_heal_in_virtual_time_is_counted() {
    let machine = Machine::new();
    let ended = machine.dddns(&["sim", "--nodes", "2", "--loss", "100%", "--seeds", "2"]).with(1);
    assert!(ended.stdout.contains("0 of 2"), "{}", ended.stdout);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.starts_with("dddns: 2 of 2 runs did not heal"), "{}", ended.stderr);
}
