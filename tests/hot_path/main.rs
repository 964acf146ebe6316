//! The hot path, from judging bytes to a heartbeat received and answered by the core: no allocation, bounded memory, few
//! instructions.

#![expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]

#[cfg(test)]
mod allocation;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod worst;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use allocation_counter::measure;
    use dddns::auth::totp::STEP;

    use super::pair::{Recording, receive};
    use super::worst;

    /// Long enough for handshakes, member lists and first estimates to be over; a whole number of steps.
    const WARM_UP: Duration = Duration::from_secs(120);

    /// The most instructions that a heartbeat received and answered may take on x86-64.
    const INSTRUCTIONS_MAX: u64 = 13_000;

    /// The most memory that one more peer may take, in bytes: 1 KiB for its link (a unit test holds that bound), the rest
    /// for its record in the member list, where it was, its entry in the configuration, and its places in the tables.
    const PEER_MAX: i64 = 2560;

    /// How many nodes receive heartbeats there: two runs of a test program differ by some ten thousand instructions anyhow.
    const NODES: u64 = 40;

    /// Tells the run under callgrind how many datagrams to take, and which.
    const COUNT: &str = "DDDNS_COUNT";
    const INPUT: &str = "DDDNS_INPUT";

    #[test]
    fn a_heartbeat_allocates_nothing() {
        let recording = Recording::new(Instant::now(), 2, 0, WARM_UP, 200);
        let (mut node, _) = recording.node();
        for (number, (now, mut datagram)) in recording.heartbeats().enumerate() {
            let allocations = measure(|| receive(&mut node, now, &mut datagram)).count_total;
            assert_eq!(allocations, 0, "heartbeat {number} allocated");
        }
    }

    #[test]
    fn a_peer_takes_little_more_than_its_link() {
        // As many moves as addresses are kept of a peer (spec: `HISTORY_MAX`).
        for moves in [0, 8] {
            let few = held(9, moves);
            let many = held(17, moves);
            let peer = (many - few) / 8;
            say(&format!("memory of a peer that has moved {moves} times: {peer} bytes (aim: at most {PEER_MAX})"));
            assert!(peer <= PEER_MAX, "a peer takes {peer} bytes: {few} with 8 peers, {many} with 16");
        }
    }

    #[test]
    fn a_heartbeat_takes_few_instructions() {
        if !can_count("instructions of a heartbeat") {
            return;
        }
        // What comes before the heartbeats is the same in both runs, so it cancels out. The warm-up ends where a step of
        // the tags' keys begins, and 60 heartbeats fit into one: the change of keys cancels out too.
        let all = |heartbeats| instructions("receive_heartbeats", "", heartbeats);
        let each = (all(60) - all(30)) / (30 * NODES);
        say(&format!("instructions of a heartbeat: {each} (aim: at most {INSTRUCTIONS_MAX})"));
        assert!(each <= INSTRUCTIONS_MAX, "a heartbeat takes {each} instructions");
        // Less than one hash: nothing was received.
        assert!(each > 2_000, "{each} instructions are too few to be true");
    }

    #[test]
    fn no_input_costs_much_more_than_a_valid_one() {
        if !can_count("instructions of the worst input") {
            return;
        }
        let count = u64::try_from(worst::PREPARED).unwrap();
        let each = |input| {
            let all = |count| instructions("judge_inputs", input, count);
            all(count).saturating_sub(all(0)) / count
        };
        let valid = each(worst::VALID);
        say(&format!("instructions of {}: {valid}", worst::VALID));
        assert!(valid > 10_000, "{valid} instructions are too few to be true");
        for input in worst::OTHERS {
            let cost = each(input);
            say(&format!("instructions of an input that is bad, {input}: {cost}"));
            assert!(cost <= 3 * valid, "{input}: {cost} instructions, and a valid datagram takes {valid}");
        }
    }

    #[test]
    #[ignore = "is what a_heartbeat_takes_few_instructions runs under callgrind"]
    fn receive_heartbeats() {
        let count = std::env::var(COUNT).unwrap().parse().unwrap();
        let recording = Recording::new(Instant::now(), 2, 0, WARM_UP, 60);
        for _ in 0..NODES {
            let (mut node, begin) = recording.node();
            // Copied beforehand, so that only what the node does differs between the runs.
            let mut heartbeats: Vec<_> = recording.heartbeats().collect();
            assert!(heartbeats.iter().all(|(now, _)| *now < begin + STEP), "the keys would change in the middle");
            for (now, datagram) in heartbeats.iter_mut().take(count) {
                receive(&mut node, *now, datagram);
            }
        }
    }

    #[test]
    #[ignore = "is what no_input_costs_much_more_than_a_valid_one runs under callgrind"]
    fn judge_inputs() {
        let count = std::env::var(COUNT).unwrap().parse().unwrap();
        worst::judge(&std::env::var(INPUT).unwrap(), Instant::now(), count);
    }

    #[test]
    fn every_input_is_judged_as_its_name_says() {
        for input in worst::OTHERS.into_iter().chain([worst::VALID]) {
            worst::judge(input, Instant::now(), worst::PREPARED);
        }
    }

    /// How many bytes a node holds that has a link with each of the others, in a cluster of this size, after each of them
    /// has moved so often.
    fn held(nodes: usize, moves: usize) -> i64 {
        let recording = Recording::new(Instant::now(), nodes, moves, WARM_UP, 0);
        let mut node = None;
        let held = measure(|| node = Some(recording.node())).bytes_current;
        let (node, now) = node.expect("it was made");
        let status = node.status(now);
        let up = status.peers.iter().filter(|peer| peer.state == dddns::node::status::PeerState::Up).count();
        assert_eq!(up, nodes - 1, "every link is up");
        let moved = status.peers.iter().filter(|peer| peer.previous_address.is_some()).count();
        assert_eq!(moved, if moves > 0 { nodes - 1 } else { 0 }, "every peer has moved");
        held
    }

    /// Whether instructions can be counted here, and mean anything; says so where not.
    fn can_count(what: &str) -> bool {
        let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let reason = if cfg!(not(target_arch = "x86_64")) {
            "the bound is for x86-64"
        } else if cfg!(debug_assertions) {
            say(&format!("skipped: {what}: the bound is for --release"));
            return false;
        } else if !valgrind.is_ok_and(|status| status.success()) {
            "needs valgrind"
        } else {
            return true;
        };
        assert!(std::env::var_os("DDDNS_REQUIRE_TOOLS").is_none(), "{what}: {reason}");
        say(&format!("skipped: {what}: {reason}"));
        false
    }

    /// How many instructions this test program takes in all to run one of its ignored tests with this count.
    fn instructions(test: &str, input: &str, count: u64) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("callgrind");
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", &format!("--callgrind-out-file={}", file.display())])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("tests::{test}"), "--ignored", "--test-threads=1"])
            .env(COUNT, count.to_string())
            .env(INPUT, input)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let counts = fs::read_to_string(file).unwrap();
        let total = counts.lines().find_map(|line| line.strip_prefix("totals:")).expect("callgrind counts");
        total.trim().parse().unwrap()
    }

    /// Not `eprintln!`: the test harness would swallow it.
    fn say(line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}
