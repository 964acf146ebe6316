//! Out of the cluster: `forget`, `leave`, and what is left of a node afterwards.

use crate::machine::{Machine, wait_for};

fn up(machine: &Machine) -> usize {
    usize::try_from(machine.status()["cluster"]["up"].as_u64().unwrap()).unwrap()
}

fn members(machine: &Machine) -> usize {
    usize::try_from(machine.status()["cluster"]["members"].as_u64().unwrap()).unwrap()
}

fn members_of_state(machine: &Machine) -> usize {
    let state = std::fs::read_to_string(machine.file("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    state["members"].as_array().unwrap().len()
}

/// The command line, a cluster key that is there no more, and the way back.
#[test]
fn a_removed_node_ends_says_why_and_comes_back_by_invite() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _garage = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    let running = attic.start();
    wait_for("both to be up", || up(&garage) == 2 && up(&attic) == 2);

    garage.dddns(&["forget", "cellar"]).with(3).saying(&["no member is called"]);
    garage.dddns(&["forget", "garage"]).with(6).saying(&["this node itself", "leave"]);
    let ended = garage.dddns(&["forget", "ATTIC"]).with(0);
    assert!(ended.stdout.starts_with("removed attic (") && ended.stdout.lines().count() == 1, "{}", ended.stdout);
    assert!(ended.stderr.contains("new invite"), "{}", ended.stderr);
    assert_eq!(members(&garage), 1);
    garage.dddns(&["forget", "attic"]).with(3);

    assert_eq!(running.ended(), 6);
    assert!(attic.log().contains("was removed from its cluster by garage"), "{}", attic.log());
    attic.dddns(&["run"]).with(6).saying(&["was removed from its cluster by garage", "dddns join TOKEN"]);
    attic.dddns(&["--state-dir", "state", "run"]).with(6).saying(&["run  dddns --state-dir state join TOKEN  with"]);
    attic.dddns(&["status"]).with(4);

    attic.dddns(&["init"]).with(0);
    assert_eq!(members_of_state(&attic), 0, "its own cluster begins with nobody of the old one");
    std::fs::remove_file(attic.file("cluster.key")).unwrap();
    attic.join(&garage.invite(), "attic").with(0);
    let _attic = attic.start();
    wait_for("both to be up again", || up(&garage) == 2 && up(&attic) == 2);
}

#[test]
fn a_node_that_leaves_is_gone_and_may_join_again() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _garage = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    let running = attic.start();
    wait_for("both to be up", || up(&garage) == 2 && up(&attic) == 2);
    attic.dddns(&["forget", "garage", "too", "much"]).with(2);

    let ended = attic.dddns(&["leave"]).with(0);
    assert_eq!(ended.stdout, "left the cluster: 1 of 1 other members have confirmed it\n");
    assert!(ended.stderr.contains("join TOKEN"), "{}", ended.stderr);
    assert_eq!(running.ended(), 0);
    assert_eq!(members(&garage), 1);
    assert!(attic.file("node.key").exists() && !attic.file("cluster.key").exists());
    let state = std::fs::read_to_string(attic.file("state.json")).unwrap();
    assert!(!state.contains("garage"), "{state}");
    attic.dddns(&["run"]).with(1).saying(&["belongs to no cluster", "dddns join TOKEN", "dddns init"]);
    attic.dddns(&["leave"]).with(4);

    attic.join(&garage.invite(), "attic").with(0);
    let _attic = attic.start();
    wait_for("both to be up again", || up(&garage) == 2 && up(&attic) == 2);
}

#[test]
fn what_a_node_refuses_ends_with_6() {
    let garage = Machine::set_up("garage");
    let _garage = garage.start();
    garage.dddns(&["invite"]).with(6).saying(&["give one with --address"]);
    garage.dddns(&["leave"]).with(0);
}

#[cfg(unix)]
#[test]
fn a_state_directory_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let garage = Machine::set_up("garage");
    std::fs::set_permissions(garage.dir(), std::fs::Permissions::from_mode(0o770)).unwrap();
    for command in [&["run"][..], &["init"]] {
        garage.dddns(command).with(1).saying(&["mode 0770", "chmod 700"]);
    }
}
