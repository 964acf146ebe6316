//! `dddns join` and `dddns invite`.

use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;

use dddns::auth::invite::Token;
use dddns::driver::clock;
use serde_json::Value;

use crate::machine::{Machine, wait_for};

#[test]
fn a_text_that_is_no_token_ends_with_2_and_is_not_repeated() {
    let machine = Machine::new();
    let text = "dddns1abcdefghijklmnop";
    machine.dddns(&["join", "hello"]).with(2).saying(&["dddns1"]);
    let ended = machine.dddns(&["join", text]).with(2).saying(&["dddns: "]);
    assert!(!ended.stderr.contains(text), "{}", ended.stderr);
    machine.dddns_reading(&["join", "-"], text).with(2).saying(&["dddns: "]);
    assert!(!machine.dir().exists());
}

#[test]
fn an_inviter_that_does_not_answer_ends_with_5_and_can_be_tried_again() {
    let garage = Machine::set_up("garage");
    let running = garage.start();
    let token = garage.invite();
    drop(running);
    // Somebody is there, but it is not the inviter.
    let _deaf = UdpSocket::bind(garage.listen).unwrap();

    let attic = Machine::new();
    let listen = attic.listen.to_string();
    let args = ["join", &token, "--listen", &listen, "--timeout", "1s"];
    let ended = attic.dddns(&args).with(5).saying(&["no answer from", &garage.listen.to_string(), "firewall"]);
    assert!(!ended.stderr.contains("withdrawn"), "nobody can withdraw a token: {}", ended.stderr);
    for name in ["cluster.key", "state.json", "dddns.toml"] {
        assert!(!attic.file(name).exists(), "{name}");
    }
    let key = fs::read(attic.file("node.key")).unwrap();
    attic.dddns(&["join", &token, "--name", "other", "--listen", &listen, "--timeout", "1s"]).with(5);
    assert_eq!(fs::read(attic.file("node.key")).unwrap(), key);
}

#[test]
fn a_token_lets_one_node_in_and_that_one_as_often_as_it_asks() {
    let garage = Machine::set_up("garage");
    let _running = garage.start();
    let token = garage.invite();

    let attic = Machine::new();
    let ended = attic.join(&token, "attic").with(0);
    assert!(ended.stdout.starts_with("joined cluster ") && ended.stderr.contains("dddns run"), "{ended:?}");
    assert!(fs::read_to_string(attic.file("dddns.toml")).unwrap().contains("\nname = \"attic\"\n"));
    attic.join(&token, "attic").with(0);
    attic.dddns(&["join", &garage.invite()]).with(1).saying(&["belongs to cluster", "--state-dir", "dddns leave"]);
    attic.dddns(&["init"]).with(1).saying(&["belongs to cluster"]);

    let thief = Machine::new();
    let refused = thief.join(&token, "thief").with(6);
    assert!(refused.stderr.contains("the invite has been used"), "{}", refused.stderr);
    assert!(!thief.file("cluster.key").exists());
}

#[test]
fn a_join_that_was_cut_short_is_completed_with_the_same_token() {
    let garage = Machine::set_up("garage");
    let _running = garage.start();
    let token = garage.invite();
    let attic = Machine::new();
    attic.join(&token, "attic").with(0);

    // As if the power had gone right after the cluster's key was stored: no member has told the node of its admission.
    let mut state: Value = serde_json::from_str(&fs::read_to_string(attic.file("state.json")).unwrap()).unwrap();
    let own = state["members"].as_array().unwrap().iter().position(|record| record["name"] == "attic").unwrap();
    state["members"].as_array_mut().unwrap().remove(own);
    fs::write(attic.file("state.json"), state.to_string()).unwrap();

    attic.join(&token, "attic").with(0);
    let state: Value = serde_json::from_str(&fs::read_to_string(attic.file("state.json")).unwrap()).unwrap();
    assert!(state["members"].as_array().unwrap().iter().any(|record| record["name"] == "attic"), "{state:#}");
}

/// What a join leaves behind that was let in, and whose time was over before a member confirmed it.
fn let_in_and_not_confirmed(machine: &Machine, cluster: &Machine, token: &str) {
    machine
        .dddns(&[
            "init",
            "--name",
            "cellar",
            "--listen",
            &machine.listen.to_string(),
            "--cluster-key",
            cluster.file("cluster.key").to_str().unwrap(),
        ])
        .with(0);
    let mut state: Value = serde_json::from_str(&fs::read_to_string(machine.file("state.json")).unwrap()).unwrap();
    state["joined_with"] = token.parse::<Token>().unwrap().id().to_string().into();
    let inviter: Value = serde_json::from_str(&fs::read_to_string(cluster.file("state.json")).unwrap()).unwrap();
    state["members"] = vec![inviter["members"][0].clone()].into();
    fs::write(machine.file("state.json"), state.to_string()).unwrap();
}

#[test]
fn the_slower_of_two_with_one_token_belongs_to_no_cluster_once_it_hears_so() {
    let garage = Machine::set_up("garage");
    let _running = garage.start();
    let token = garage.invite();
    Machine::new().join(&token, "attic").with(0);
    let cellar = Machine::new();
    let_in_and_not_confirmed(&cellar, &garage, &token);
    // Until then nobody knows.
    cellar.dddns(&["init"]).with(1).saying(&["belongs to cluster"]);
    let ended = cellar.dddns(&["join", &token]).with(6);
    for said in ["has been used", "belongs to no cluster", "with a new token run  dddns join TOKEN"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert!(!cellar.file("cluster.key").exists());
    cellar.dddns(&["run"]).with(1).saying(&["belongs to no cluster", "dddns join TOKEN", "dddns init"]);
    cellar.dddns(&["join", &garage.invite()]).with(0);
}

#[test]
fn a_join_that_is_given_up_for_another_cluster_takes_nothing_there() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::set_up("attic"));
    let token = {
        let _running = garage.start();
        garage.invite()
    };
    let _running = attic.start();
    let cellar = Machine::new();
    let_in_and_not_confirmed(&cellar, &garage, &token);
    assert!(fs::read_to_string(cellar.file("state.json")).unwrap().contains("\"garage\""));
    cellar.dddns(&["join", &attic.invite()]).with(0);
    let state = fs::read_to_string(cellar.file("state.json")).unwrap();
    assert!(state.contains("\"attic\"") && !state.contains("\"garage\""), "{state}");
}

#[test]
fn an_expired_token_ends_with_6() {
    let garage = Machine::set_up("garage");
    let _running = garage.start();
    let address = garage.listen.to_string();
    let ended = garage.dddns(&["invite", "--ttl", "1s", "--address", &address]).with(0);
    let token = ended.stdout.trim_end();
    let expiry = token.parse::<Token>().unwrap().expiry();
    wait_for("the token to expire", || clock::unix().as_secs() > expiry);
    let refused = Machine::new().join(token, "attic").with(6);
    assert!(refused.stderr.contains("the invite has expired"), "{}", refused.stderr);
}

#[test]
fn an_invite_is_a_token_alone_on_standard_output() {
    let garage = Machine::set_up("garage");
    let _running = garage.start();
    garage.dddns(&["invite"]).with(6).saying(&["--address"]);
    for ttl in ["0s", "31d", "1"] {
        garage.dddns(&["invite", "--ttl", ttl, "--address", "192.0.2.7"]).with(2).saying(&["--ttl"]);
    }
    for address in ["0.0.0.0", "attic.example.net", "192.0.2.7:0"] {
        garage.dddns(&["invite", "--address", address]).with(2).saying(&["--address", address]);
    }

    let ended = garage.dddns(&["invite", "--address", "192.0.2.7", "--qr"]).with(0);
    assert!(ended.stdout.starts_with("dddns1") && ended.stdout.lines().count() == 1, "{}", ended.stdout);
    assert!(ended.stderr.contains('█') && ended.stderr.contains("Valid for one node until"), "{}", ended.stderr);

    let invite =
        garage.dddns(&["invite", "--address", "192.0.2.7", "--address", "[2001:db8::7]:9", "--json"]).with(0).json();
    assert_eq!((&invite["schema"], &invite["clock_is_off"]), (&"dddns.invite/1".into(), &false.into()));
    let port = garage.listen.port();
    let addresses: Vec<&str> = invite["addresses"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(addresses, [format!("192.0.2.7:{port}").as_str(), "[2001:db8::7]:9"]);
}

/// Spec: MEMB-6.
#[test]
fn who_has_a_name_that_a_member_has_is_told_and_shown_by_another_one() {
    let (garage, attic) = (Machine::set_up("raspberrypi"), Machine::new());
    let _running = garage.start();
    let joined = attic.join(&garage.invite(), "raspberrypi").with(0);
    let _attic = attic.start();
    assert!(attic.log().contains("is called raspberrypi as well"), "{}", attic.log());
    wait_for("them to meet", || attic.status()["cluster"]["up"] == 2 && garage.status()["cluster"]["up"] == 2);
    let shown = attic.status()["node"]["name"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("raspberrypi-"), "{shown}");
    let told = format!("is called raspberrypi as well, so all show this node as {shown}: ");
    assert!(joined.stderr.contains(&told), "{shown}: {}", joined.stderr);
    assert_eq!(garage.status()["peers"][0]["name"], shown);
    assert_eq!(
        (&garage.status()["node"]["name"], &attic.status()["peers"][0]["name"]),
        (&"raspberrypi".into(), &"raspberrypi".into())
    );
    attic.dddns(&["forget", &shown]).with(6).saying(&["that is this node itself"]);
}

#[cfg(unix)]
#[test]
fn a_node_whose_clock_is_not_the_systems_is_told_to_whoever_wants_warnings() {
    let machine = Machine::set_up("garage");
    let made = {
        let _running = machine.start();
        machine.invite().parse::<Token>().unwrap()
    };
    // In place of the node: what it would answer two days ago.
    let expiry = made.expiry() - 2 * 24 * 3_600;
    let token = Token::new(made.id(), [7; 32], made.inviter(), expiry, made.addresses()).unwrap();
    let invite = serde_json::json!({"token": token.to_string(), "expires": "then", "addresses": []});
    let reply = serde_json::json!({"schema": "dddns.control/1", "reply": {"invite": invite}});
    let _ = fs::remove_file(machine.file("control.sock"));
    let listener = std::os::unix::net::UnixListener::bind(machine.file("control.sock")).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
            writeln!(stream, "{reply}").unwrap();
        }
    });
    let (hint, warning) = ("Valid for one node until", "not the system's any more");
    for (args, hinted, warned) in [(&[][..], true, true), (&["-q"], false, true), (&["-qq"], false, false)] {
        let told = machine.dddns(&[&["invite"], args].concat()).with(0).stderr;
        assert_eq!((told.contains(hint), told.contains(warning)), (hinted, warned), "{args:?}: {told}");
        assert_eq!(told.is_empty(), !hinted && !warned, "{args:?}: {told}");
    }
    assert_eq!(machine.dddns(&["invite", "--json"]).with(0).json()["clock_is_off"], true);
}
