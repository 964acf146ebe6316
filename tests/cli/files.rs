//! What a node does with files that it cannot trust: it says so, and leaves them alone.

use std::collections::BTreeMap;
use std::fs;
#[cfg(unix)]
use std::path::Path;

use crate::machine::{Machine, wait_for};

fn refused(machine: &Machine, name: &str, content: impl AsRef<[u8]>, saying: &[&str]) {
    let content = content.as_ref();
    fs::write(machine.file(name), content).unwrap();
    let path = machine.file(name);
    let path = path.to_str().unwrap();
    let texts: Vec<&str> = [path].iter().chain(saying).copied().collect();
    machine.dddns(&["run"]).with(1).saying(&texts);
    assert_eq!(fs::read(machine.file(name)).unwrap(), content, "{name} was touched");
}

#[test]
fn a_state_file_that_is_not_understood_stops_the_node_and_is_left_alone() {
    let machine = Machine::set_up("garage");
    let whole = fs::read_to_string(machine.file("state.json")).unwrap();
    let torn = &whole[..whole.len() / 2];
    refused(&machine, "state.json", torn, &["is damaged", "mv "]);
    refused(&machine, "state.json", "", &["is damaged", "mv "]);
    refused(
        &machine,
        "state.json",
        "{\"schema\": \"dddns.state/2\"}",
        &["written by a newer dddns", "run that version"],
    );
    refused(&machine, "state.json", "{\"what\": \"ever\"}", &["not a state file of dddns"]);
    // `join` must not touch it either.
    machine.dddns(&["init"]).with(1);
    assert_eq!(fs::read_to_string(machine.file("state.json")).unwrap(), "{\"what\": \"ever\"}");
}

#[test]
fn key_files_that_hold_no_key_stop_the_node() {
    let machine = Machine::set_up("garage");
    let key = fs::read_to_string(machine.file("cluster.key")).unwrap();
    refused(&machine, "cluster.key", &key[..key.len() - 5], &["holds no key"]);
    refused(&machine, "cluster.key", "dddns-cluster-2 x y\n", &["newer dddns"]);
    fs::write(machine.file("cluster.key"), key).unwrap();
    refused(&machine, "node.key", "", &["holds no key"]);
}

#[test]
fn damage_that_is_no_text_is_damage_as_any_other() {
    let machine = Machine::set_up("garage");
    for (name, saying) in [
        ("state.json", &["is damaged", "restore it from a copy", "mv ", "dddns join TOKEN"][..]),
        ("cluster.key", &["holds no key", "restore it from a copy", "move it away"]),
        (
            "node.key",
            &["holds no key", "restore it from a copy", "move it away together with state.json and cluster.key"],
        ),
    ] {
        let whole = fs::read(machine.file(name)).unwrap();
        let (half, _) = whole.split_at(whole.len() / 2);
        refused(&machine, name, [half, &[0xff; 512]].concat(), saying);
        fs::write(machine.file(name), whole).unwrap();
    }
}

#[test]
fn a_key_that_is_missing_is_never_made_by_run() {
    let machine = Machine::set_up("garage");
    for (name, told) in
        [("cluster.key", "belongs to no cluster"), ("node.key", "node.key, the key of"), ("state.json", "no node in")]
    {
        fs::remove_file(machine.file(name)).unwrap();
        machine.dddns(&["run"]).with(1).saying(&[told]);
        assert!(!machine.file(name).exists());
    }
}

/// All that is in the state directory.
fn files(machine: &Machine) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(machine.dir()).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap_or_default())).collect()
}

#[test]
fn a_node_key_that_is_lost_is_not_replaced_beside_what_its_node_knew() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::set_up("attic"));
    let _running = garage.start();
    let (token, key) = (garage.invite(), garage.file("cluster.key"));
    fs::remove_file(attic.file("node.key")).unwrap();
    let refused = |left: &[&str]| {
        let before = files(&attic);
        let moved = |name: &&str| format!("mv {0} {0}.old  and then  ", attic.file(name).display());
        let moves: String = left.iter().map(moved).collect();
        let saying = ["restore it from a copy", &format!("run  {moves}dddns init  or  dddns join TOKEN")];
        for command in [&["run"][..], &["init"], &["init", "--cluster-key", key.to_str().unwrap()], &["join", &token]] {
            attic.dddns(command).with(1).saying(&saying);
            assert_eq!(files(&attic), before, "{command:?}");
        }
    };
    let rename = |from: &str, to: &str| fs::rename(attic.file(from), attic.file(to)).unwrap();
    refused(&["state.json", "cluster.key"]);
    rename("state.json", "state.json.old");
    refused(&["cluster.key"]);
    rename("cluster.key", "cluster.key.old");
    rename("state.json.old", "state.json");
    refused(&["state.json"]);
    rename("state.json", "state.json.old");
    attic.dddns(&["join", &token]).with(0);
}

#[cfg(unix)]
#[test]
fn files_that_others_may_read_stop_the_node() {
    use std::os::unix::fs::PermissionsExt;

    let machine = Machine::set_up("garage");
    for name in ["node.key", "cluster.key", "state.json"] {
        let set = |mode| fs::set_permissions(machine.file(name), fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        let chmod = format!("chmod 600 {}", machine.file(name).display());
        machine.dddns(&["run"]).with(1).saying(&["mode 0640", &chmod]);
        set(0o600);
    }
}

#[cfg(unix)]
#[test]
fn whoever_owns_what_cannot_be_written_is_told_to_make_it_writable() {
    use std::os::unix::fs::PermissionsExt;

    let mut machine = Machine::set_up("garage");
    machine.leave_to_a_user();
    let (dir, lock) = (machine.dir(), machine.file("lock"));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let chmod = |path: &Path| format!("chmod u+rwX {}", path.display());
    {
        let _running = machine.start();
        set(&dir, 0o555);
        let invite = machine.dddns(&["invite", "--address", "192.0.2.7"]).with(1);
        let told = invite.saying(&["no invite was made", "state.json: Permission denied", &chmod(&dir)]).stderr;
        assert!(!told.contains("restart"), "there is nothing that a restart would undo: {told}");
        machine.dddns(&["leave"]).with(1).saying(&[
            "a restart of the node would undo it",
            "remove it yourself",
            "keeps trying",
        ]);
    }
    machine.dddns(&["run"]).with(1).saying(&["control.sock", &chmod(&dir)]);
    set(&dir, 0o755);
    set(&lock, 0o400);
    machine.dddns(&["init"]).with(1).saying(&["cannot lock", &chmod(&lock)]);
    fs::remove_file(lock).unwrap();
    set(&dir, 0o555);
    for command in ["init", "run"] {
        let told = machine.dddns(&[command]).with(1).saying(&["cannot lock", &chmod(&dir)]).stderr;
        assert!(!told.contains("another user"), "it is that user: {told}");
    }
    set(&dir, 0o755);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_file_is_refused_and_not_waited_for() {
    let machine = Machine::set_up("garage");
    fs::remove_file(machine.file("state.json")).unwrap();
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(machine.file("state.json")).status();
    assert!(made.unwrap().success());
    machine.dddns(&["run"]).with(1).saying(&["state.json", "not a regular file"]);
}

#[cfg(unix)]
#[test]
fn a_lock_that_is_no_file_is_refused_and_neither_waited_for_nor_followed() {
    let machine = Machine::set_up("garage");
    let [lock, elsewhere] = ["lock", "elsewhere"].map(|name| machine.file(name));
    let refused = || {
        for command in ["run", "init"] {
            machine.dddns(&[command]).with(1).saying(&[lock.to_str().unwrap(), "not a regular file"]);
        }
    };
    fs::remove_file(&lock).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
    refused();
    // Somebody reads from it.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&lock).unwrap();
    refused();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
    refused();
    assert!(!elsewhere.exists());
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_no_missing_file_and_is_left_alone() {
    let machine = Machine::set_up("garage");
    let [copy, unmounted] = ["copy", "unmounted"].map(|name| machine.dir().with_extension(name));
    for name in ["node.key", "cluster.key", "state.json", "dddns.toml"] {
        let path = machine.file(name);
        fs::rename(&path, &copy).unwrap();
        std::os::unix::fs::symlink(unmounted.join(name), &path).unwrap();
        let before = files(&machine);
        for command in ["run", "init"] {
            machine.dddns(&[command]).with(1).saying(&[path.to_str().unwrap(), "is a link to nothing: mount what"]);
            assert!(path.is_symlink(), "{name}");
            assert_eq!(files(&machine), before, "{name}");
        }
        fs::rename(&copy, &path).unwrap();
    }
}

#[test]
fn a_message_that_quotes_a_file_does_not_steer_the_terminal() {
    let machine = Machine::set_up("garage");
    fs::write(machine.file("state.json"), "{\"schema\": \"dddns.state/\\u001b[2J\\u0007\"}").unwrap();
    let ended = machine.dddns(&["run"]).with(1).saying(&["dddns.state/\\u{1b}[2J\\u{7}"]);
    assert!(!ended.stderr.contains(['\u{1b}', '\u{7}']), "{:?}", ended.stderr);
}

/// Follows what the program printed for a node of two whose member list is of no use.
#[track_caller]
fn comes_back(attic: &Machine, garage: &Machine) {
    let id = garage.status()["peers"][0]["id"].clone();
    attic.dddns(&["join", &garage.invite()]).with(0);
    let _running = attic.start();
    wait_for("the two to meet", || [attic, garage].iter().all(|machine| machine.status()["peers"][0]["state"] == "up"));
    let peers = garage.status()["peers"].clone();
    assert_eq!((peers.as_array().unwrap().len(), &peers[0]["id"]), (1, &id), "it is the node that it was");
}

#[test]
fn a_node_whose_state_is_damaged_comes_back_as_the_message_says() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _running = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    fs::write(attic.file("state.json"), "").unwrap();
    let moved = format!("mv {0} {0}.old  and then  dddns join TOKEN", attic.file("state.json").display());
    attic.dddns(&["run"]).with(1).saying(&[&moved]);
    fs::rename(attic.file("state.json"), attic.file("state.json.old")).unwrap();
    comes_back(&attic, &garage);
}

#[test]
fn a_node_whose_state_is_lost_says_so_and_comes_back_by_an_invite() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let _running = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    fs::remove_file(attic.file("state.json")).unwrap();
    attic.dddns(&["run"]).with(1).saying(&["there is no", "state.json", "dddns join TOKEN"]);
    assert!(!attic.file("state.json").exists());
    comes_back(&attic, &garage);
}

#[test]
fn a_founder_whose_state_is_lost_comes_back_by_an_invite_of_another_member() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let running = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    drop(running);
    fs::remove_file(garage.file("state.json")).unwrap();
    let _running = attic.start();
    comes_back(&garage, &attic);
}

#[test]
fn a_node_whose_state_is_lost_keeps_the_key_of_its_cluster_when_it_joins_another() {
    let (garage, attic) = (Machine::set_up("garage"), Machine::set_up("attic"));
    let _running = garage.start();
    let key = fs::read(attic.file("cluster.key")).unwrap();
    fs::remove_file(attic.file("state.json")).unwrap();
    let joined = attic.dddns(&["join", &garage.invite()]).with(0);
    let id = String::from_utf8(key.clone()).unwrap();
    let id = id.lines().find_map(|line| line.strip_prefix("dddns-cluster-1 ")).unwrap().split(' ').next().unwrap();
    let kept = attic.file(&format!("cluster.key.{id}"));
    assert!(joined.stderr.contains(&format!("is kept in {}", kept.display())), "{}", joined.stderr);
    assert_eq!(fs::read(kept).unwrap(), key);
    assert_eq!(fs::read(attic.file("cluster.key")).unwrap(), fs::read(garage.file("cluster.key")).unwrap());
}

#[test]
fn the_last_member_whose_state_is_lost_begins_anew_as_the_message_says() {
    let machine = Machine::set_up("garage");
    fs::remove_file(machine.file("state.json")).unwrap();
    let moved = format!("mv {0} {0}.old  and then  dddns init", machine.file("cluster.key").display());
    machine.dddns(&["run"]).with(1).saying(&[&moved]);
    fs::rename(machine.file("cluster.key"), machine.file("cluster.key.old")).unwrap();
    machine.dddns(&["init"]).with(0);
    let _running = machine.start();
}

#[test]
fn a_node_that_finds_its_peers_in_the_configuration_starts_without_a_state_and_says_so() {
    let machine = Machine::set_up("garage");
    fs::remove_file(machine.file("state.json")).unwrap();
    let peer = format!(
        "[[peer]]\nname = \"attic\"\npublic_key = \"{}\"\n",
        "aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq"
    );
    let config = fs::read_to_string(machine.file("dddns.toml")).unwrap();
    fs::write(machine.file("dddns.toml"), config + &peer).unwrap();
    let _running = machine.start();
    assert!(machine.log().contains("there is no") && machine.log().contains("state.json"), "{}", machine.log());
}
