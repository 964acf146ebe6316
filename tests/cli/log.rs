//! The log of a running node: whoever reads it, or does not, the node runs on.

#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::iter;
use std::net::UdpSocket;
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc;
use std::thread;

use dddns::driver::clock;

use crate::machine::{Machine, PATIENCE, wait_for};

/// So many log lines are more than a pipe (64 KiB on Linux), the queue of the node's log (256 KiB) and its writer, who holds
/// as much once more, take together.
const TOO_MANY: u64 = 8_000;

/// What the log says where lines are missing.
const NOTICE: &str = " lines were not written: whoever reads this log does not keep up";

/// The datagrams of a burst, which the node's socket takes without dropping many.
const BURST: usize = 200;

/// Has the node discard datagrams, with a line of the log for each, until there are too many.
fn flood(machine: &Machine) {
    let socket = UdpSocket::bind((machine.listen.ip(), 0)).unwrap();
    wait_for("the node to discard that many datagrams", || {
        for _ in 0..BURST {
            socket.send_to(b"no datagram of dddns", machine.listen).unwrap();
        }
        machine.status()["counters"]["datagrams-received"].as_u64().unwrap() >= TOO_MANY
    });
}

/// The lines of a log, as they come.
fn lines(log: ChildStderr) -> mpsc::Receiver<String> {
    let (line, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(log).lines().try_for_each(|read| line.send(read.unwrap())));
    lines
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_the_node_nor_its_end() {
    let machine = Machine::set_up("garage");
    let running = machine.start_logging_to(Stdio::piped());
    flood(&machine);
    assert_eq!(running.terminate(), 0);
}

#[test]
fn a_log_that_is_read_again_says_what_is_missing_and_goes_on_to_the_end() {
    let machine = Machine::set_up("garage");
    let mut running = machine.start_logging_to(Stdio::piped());
    flood(&machine);
    let lines = lines(running.take_log());
    let deadline = clock::now() + PATIENCE;
    let next = || lines.recv_timeout(deadline.saturating_duration_since(clock::now())).expect("the notice is missing");
    let until_the_gap: Vec<String> = iter::repeat_with(next).take_while(|line| !line.contains(NOTICE)).collect();
    assert!(until_the_gap.iter().all(|line| line.starts_with("20")), "each is a line of its own");
    assert_eq!(running.terminate(), 0);
    let rest: Vec<String> = lines.iter().collect();
    assert!(rest.iter().any(|line| line.contains("stopping")), "the end is missing: {rest:?}");
    assert!(!rest.iter().any(|line| line.contains(NOTICE)), "the count is said once: {rest:?}");
}
