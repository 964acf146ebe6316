//! The control socket: bad requests, bad neighbours, and what is left of a killed node.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::machine::{Machine, PATIENCE};

fn connect(machine: &Machine) -> UnixStream {
    let stream = UnixStream::connect(machine.file("control.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut UnixStream, line: &[u8]) -> Value {
    stream.write_all(line).unwrap();
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).unwrap();
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["schema"], "dddns.control/1");
    reply["reply"].clone()
}

#[test]
fn bad_requests_get_an_error_each_and_the_node_lives_on() {
    let machine = Machine::set_up("garage");
    let _running = machine.start();
    let mut stream = connect(&machine);
    for (line, kind) in [
        (&b"garbage\n"[..], "bad-request"),
        (b"\xff\xfe\x00\n", "bad-request"),
        (b"\n", "bad-request"),
        (b"{\"schema\":\"dddns.control/2\",\"command\":\"status\"}\n", "schema"),
        (b"{\"schema\":\"dddns.control/1\",\"command\":\"reboot\"}\n", "unknown-command"),
        (
            b"{\"schema\":\"dddns.control/1\",\"command\":\"invite\",\"ttl_ms\":1000,\"addresses\":[\"x\"]}\n",
            "bad-request",
        ),
        (b"{\"schema\":\"dddns.control/1\",\"command\":\"invite\",\"ttl_ms\":1000}\n", "refused"),
        (b"{\"schema\":\"dddns.control/1\",\"command\":\"forget\",\"id\":\"x\"}\n", "bad-request"),
        (
            b"{\"schema\":\"dddns.control/1\",\"command\":\"forget\",\"id\":\"a4dqobyha4dqobyha4dqobyha4\"}\n",
            "unknown-peer",
        ),
    ] {
        let reply = ask(&mut stream, line);
        assert_eq!(reply["error"]["kind"], kind, "{}", String::from_utf8_lossy(line));
    }
    let status = ask(&mut stream, b"{\"schema\":\"dddns.control/1\",\"command\":\"status\"}\n");
    assert_eq!(status["status"]["report"]["node"]["name"], "garage");

    let mut long = connect(&machine);
    let reply = ask(&mut long, &vec![b'x'; 64 << 10]);
    assert_eq!(reply["error"]["kind"], "too-long");
    assert_eq!(long.read(&mut [0; 1]).unwrap_or(0), 0, "and the connection is closed");
    machine.status();
}

#[test]
fn clients_are_bounded_and_a_place_that_gets_free_is_given_again() {
    let machine = Machine::set_up("garage");
    let _running = machine.start();
    let status = b"{\"schema\":\"dddns.control/1\",\"command\":\"status\"}\n";
    let mut clients: Vec<UnixStream> = (0..32).map(|_| connect(&machine)).collect();
    for client in &mut clients {
        assert!(ask(client, status)["status"].is_object());
    }
    machine.dddns(&["status"]).with(1).saying(&["32 clients are being served"]);
    clients.clear();
    crate::machine::wait_for("a free place", || machine.dddns(&["status"]).code == 0);
}

#[test]
fn a_client_that_reads_nothing_stalls_nobody() {
    let machine = Machine::set_up("garage");
    let _running = machine.start();
    let mut deaf = connect(&machine);
    deaf.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let status = b"{\"schema\":\"dddns.control/1\",\"command\":\"status\"}\n";
    // Until the node's answers fill every buffer, it no longer reads, and writing times out.
    while deaf.write_all(status).is_ok() {}
    machine.status();
}

#[test]
fn one_state_directory_has_one_node() {
    let machine = Machine::set_up("garage");
    let _running = machine.start();
    machine.dddns(&["run", "-q"]).with(1).saying(&["another dddns is using"]);
    machine.dddns(&["init"]).with(1).saying(&["another dddns is using"]);
    machine.status();
}

#[test]
fn a_killed_nodes_socket_is_replaced_and_a_stopped_nodes_is_gone() {
    let machine = Machine::set_up("garage");
    let running = machine.start();
    let mode = std::fs::metadata(machine.file("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    running.kill();
    assert!(machine.file("control.sock").exists());
    machine.dddns(&["status"]).with(4).saying(&["no node runs on"]);
    let running = machine.start();
    assert_eq!(running.terminate(), 0);
    assert!(!machine.file("control.sock").exists());
}
