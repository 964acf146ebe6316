//! Nodes that know each other: what `status`, `addr` and `events` say about them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::machine::{Machine, wait_for};

fn is_up(machine: &Machine, name: &str) -> bool {
    let status = machine.status();
    let peers = status["peers"].as_array().unwrap();
    peers.iter().any(|peer| peer["name"] == name && peer["state"] == "up")
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn two_nodes_know_each_other_and_say_so_in_the_promised_form() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _garage = garage.start();
    let mut events = garage.command(&["events", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();

    attic.join(&garage.invite(), "attic").with(0);
    let running = attic.start();
    wait_for("both to be up", || is_up(&garage, "attic") && is_up(&attic, "garage"));
    wait_for("an own address", || garage.dddns(&["addr"]).code == 0);

    let status = garage.status();
    assert_eq!(status["schema"], "dddns.status/1");
    assert_eq!(keys(&status), ["cluster", "counters", "node", "peers", "schema"]);
    assert_eq!(keys(&status["node"]), ["addresses", "id", "listen", "name", "nat", "public_key"]);
    let own = &status["node"]["addresses"][0];
    assert_eq!(keys(own), ["addr", "age_ms", "confidence", "family", "observers", "scope"]);
    assert_eq!((&own["addr"], &own["confidence"]), (&garage.listen.to_string().into(), &"single-observer".into()));
    assert_eq!(keys(&status["cluster"]), ["id", "members", "up"]);
    assert_eq!((&status["cluster"]["members"], &status["cluster"]["up"]), (&2.into(), &2.into()));
    let peer = &status["peers"][0];
    let peer_keys = "addr candidates healed_ms id last_seen_ms name previous_addr rtt_ms scope since_ms state via";
    assert_eq!(keys(peer).join(" "), peer_keys);
    assert_eq!(peer["addr"], attic.listen.to_string());

    let table = garage.dddns(&["status"]).with(0).stdout;
    assert!(table.contains("2 members, 2 up") && table.contains("\nNAME     STATE    ADDRESS"), "{table}");

    let id = peer["id"].as_str().unwrap();
    let ip = format!("{}\n", attic.listen.ip());
    for name in ["attic", "ATTIC", id, &id[..8]] {
        assert_eq!(garage.dddns(&["addr", name]).with(0).stdout, ip, "{name}");
    }
    assert_eq!(garage.dddns(&["addr", "attic", "--all"]).with(0).stdout, format!("{}\n", attic.listen));
    assert_eq!(garage.dddns(&["addr"]).with(0).stdout, format!("{}\n", garage.listen.ip()));
    assert_eq!(garage.dddns(&["addr", "--json"]).with(0).json()["addresses"][0]["addr"], garage.listen.to_string());
    garage.dddns(&["addr", "nobody"]).with(3).saying(&["no member is called"]);
    garage.dddns(&["addr", "attic", "-6"]).with(3).saying(&["no IPv6 address of attic is known"]);

    drop(running);
    let mut seen = Vec::new();
    while !seen.iter().any(|event| event == "member.added") || !seen.iter().any(|event| event == "peer.up") {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["schema"], "dddns.event/1");
        assert!(event["t"].as_str().is_some_and(|t| t.len() == 24 && t.ends_with('Z')), "{event}");
        seen.push(event["event"].as_str().unwrap().to_owned());
    }
    events.kill().unwrap();
    events.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_node_that_stops_in_order_has_left_and_its_followers_end_with_4() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _garage = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    let running = attic.start();
    wait_for("both to be up", || is_up(&garage, "attic") && is_up(&attic, "garage"));
    let mut follower = attic.command(&["events"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut watcher =
        attic.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reports = BufReader::new(watcher.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let report: Value = serde_json::from_str(&reports.next().unwrap().unwrap()).unwrap();
        assert_eq!(report["schema"], "dddns.status/1");
    }

    assert_eq!(running.terminate(), 0);
    assert_eq!(follower.wait().unwrap().code(), Some(4));
    assert_eq!(watcher.wait().unwrap().code(), Some(4));
    wait_for("the goodbye", || garage.status()["peers"][0]["state"] == "left");
    let ended = garage.dddns(&["addr", "attic"]).with(0);
    assert_eq!(ended.stdout, format!("{}\n", attic.listen.ip()));
    assert!(ended.stderr.contains("attic is left"), "{}", ended.stderr);
}

#[test]
fn nodes_can_be_set_up_without_invites() {
    let garage = Machine::set_up("garage");
    let attic = Machine::new();
    let key = garage.file("cluster.key");
    let listen = attic.listen.to_string();
    attic.dddns(&["init", "--name", "attic", "--listen", &listen, "--cluster-key", key.to_str().unwrap()]).with(0);
    let public_key = |machine: &Machine| {
        let shown = fs::read_to_string(machine.file("node.key")).unwrap();
        shown.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    };
    // One list for all, as a tool would write it: a node passes over itself.
    let peers: String = [("garage", &garage), ("attic", &attic)]
        .map(|(name, machine)| {
            let (key, listen) = (public_key(machine), machine.listen);
            format!("[[peer]]\nname = \"{name}\"\npublic_key = \"{key}\"\naddresses = [\"{listen}\"]\n")
        })
        .concat();
    for machine in [&garage, &attic] {
        let config = fs::read_to_string(machine.file("dddns.toml")).unwrap();
        fs::write(machine.file("dddns.toml"), config + &peers).unwrap();
        machine.dddns(&["config", "check"]).with(0);
    }
    let _running = (garage.start(), attic.start());
    wait_for("both to be up", || is_up(&garage, "attic") && is_up(&attic, "garage"));
    assert_eq!(garage.status()["cluster"]["members"], 2);
}

#[test]
fn no_secret_is_in_any_log() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _garage = garage.start();
    let token = garage.invite();
    let joined = attic.dddns(&["-vv", "join", &token, "--listen", &attic.listen.to_string()]).with(0);
    let running = attic.start();
    wait_for("both to be up", || garage.status()["cluster"]["up"] == 2);
    drop(running);

    let logs = [garage.log(), attic.log(), joined.stderr].concat();
    assert!(logs.contains("TRACE") || logs.contains("DEBUG"), "the log is at its most talkative");
    let last_word = |machine: &Machine, name: &str| {
        let text = fs::read_to_string(machine.file(name)).unwrap();
        text.split_ascii_whitespace().next_back().unwrap().to_owned()
    };
    for machine in [&garage, &attic] {
        for name in ["node.key", "cluster.key"] {
            assert!(!logs.contains(&last_word(machine, name)), "{name} is in a log");
        }
    }
    assert!(!logs.contains(&token["dddns1".len()..]), "the token is in a log");
}
