//! `dddns init`.

use std::fs;

use serde_json::Value;

use crate::machine::{Machine, wait_for};

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.trim().to_owned()
}

#[test]
fn it_makes_a_key_a_cluster_and_a_configuration_and_says_what_is_next() {
    let machine = Machine::new();
    let ended = machine.dddns(&["init", "--name", "Garage", "--listen", "192.0.2.7:7733"]).with(0);
    assert_eq!(field(&ended.stdout, "name"), "garage");
    assert_eq!(field(&ended.stdout, "id").len(), 26);
    assert_eq!(field(&ended.stdout, "public key").len(), 52);
    assert!(ended.stderr.contains("dddns run") && ended.stderr.contains("dddns invite"), "{}", ended.stderr);
    let mut files: Vec<String> =
        fs::read_dir(machine.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["cluster.key", "dddns.toml", "lock", "node.key", "state.json"]);
    let config = fs::read_to_string(machine.file("dddns.toml")).unwrap();
    assert!(
        config.contains("\nname = \"garage\"\n") && config.contains("\nlisten = [\"192.0.2.7:7733\"]\n"),
        "{config}"
    );
    machine.dddns(&["config", "check"]).with(0);
}

#[cfg(unix)]
#[test]
fn what_it_makes_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;

    let machine = Machine::set_up("garage");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(machine.dir()), 0o700);
    for name in ["node.key", "cluster.key", "state.json"] {
        assert_eq!(mode(machine.file(name)), 0o600, "{name}");
    }
}

#[test]
fn it_overwrites_nothing() {
    let machine = Machine::set_up("garage");
    let content =
        || ["node.key", "cluster.key", "state.json", "dddns.toml"].map(|f| fs::read(machine.file(f)).unwrap());
    let before = content();
    machine.dddns(&["init"]).with(1).saying(&["belongs to cluster", "--state-dir"]);
    machine.dddns(&["init", "--name", "other"]).with(1).saying(&["dddns.toml", "--name"]);
    assert_eq!(content(), before);
}

#[test]
fn it_takes_the_configuration_that_is_there_and_refuses_flags_that_contradict_it() {
    let machine = Machine::new();
    fs::create_dir(machine.dir()).unwrap();
    fs::write(machine.file("dddns.toml"), "name = \"cellar\"\n").unwrap();
    machine.dddns(&["init", "--listen", "192.0.2.7:1"]).with(1).saying(&["--listen"]);
    assert!(!machine.file("node.key").exists());
    let ended = machine.dddns(&["init", "--name", "cellar"]).with(0);
    assert_eq!(field(&ended.stdout, "name"), "cellar");
    assert_eq!(fs::read_to_string(machine.file("dddns.toml")).unwrap(), "name = \"cellar\"\n");
}

#[test]
fn cut_short_it_can_be_run_again() {
    let machine = Machine::set_up("garage");
    fs::remove_file(machine.file("cluster.key")).unwrap();
    let key = fs::read(machine.file("node.key")).unwrap();
    machine.dddns(&["init"]).with(0);
    assert_eq!(fs::read(machine.file("node.key")).unwrap(), key, "the node is who it was");
}

/// What is in the state file: how many members and how many invites.
fn state(machine: &Machine) -> (usize, usize) {
    let state: Value = serde_json::from_str(&fs::read_to_string(machine.file("state.json")).unwrap()).unwrap();
    let count = |list: &str| state[list].as_array().unwrap().len();
    (count("members"), count("invites"))
}

/// Two members of a cluster that do not run any more, with an invite by the first one that nobody has used.
fn two_members() -> (Machine, Machine, String) {
    let (garage, attic) = (Machine::set_up("garage"), Machine::new());
    let running = garage.start();
    attic.join(&garage.invite(), "attic").with(0);
    let open = garage.invite();
    // The used invite is kept for a while, too.
    wait_for("all to be stored", || state(&garage) == (2, 2));
    drop(running);
    (garage, attic, open)
}

/// Nobody can say of which cluster a list without its key is, so it is not overwritten until its owner moves it away.
fn give_up_the_list(machine: &Machine, init: &[&str]) {
    let before = fs::read(machine.file("state.json")).unwrap();
    let moved = format!("mv {0} {0}.old", machine.file("state.json").display());
    machine.dddns(init).with(1).saying(&["restore it from a copy", &moved]);
    assert_eq!(fs::read(machine.file("state.json")).unwrap(), before);
    assert!(!machine.file("cluster.key").exists());
    fs::rename(machine.file("state.json"), machine.file("state.json.old")).unwrap();
    machine.dddns(init).with(0);
}

#[test]
fn a_new_cluster_begins_without_the_members_and_invites_of_the_old_one() {
    let (garage, _, token) = two_members();
    fs::write(garage.file("cluster.key"), "damaged").unwrap();
    garage.dddns(&["init"]).with(1).saying(&["cluster.key", "move it away"]);
    fs::remove_file(garage.file("cluster.key")).unwrap();
    let id = fs::read(garage.file("node.key")).unwrap();
    give_up_the_list(&garage, &["init"]);
    assert_eq!(state(&garage), (0, 0));
    assert_eq!(fs::read(garage.file("node.key")).unwrap(), id, "the node is who it was");

    let _running = garage.start();
    let cellar = Machine::new();
    let listen = cellar.listen.to_string();
    cellar.dddns(&["join", &token, "--listen", &listen, "--timeout", "2s"]).with(5);
    assert_eq!(garage.status()["cluster"]["members"], 1);
}

#[test]
fn members_stay_with_the_key_of_their_cluster_only() {
    let (garage, attic, _) = two_members();
    let members = state(&attic);
    assert_eq!(members.0, 2);
    let key_of = |machine: &Machine| machine.file("cluster.key").to_str().unwrap().to_owned();
    attic.dddns(&["init", "--cluster-key", &key_of(&garage)]).with(0);
    assert_eq!(state(&attic), members, "nothing has changed");

    fs::remove_file(garage.file("cluster.key")).unwrap();
    let cellar = Machine::set_up("cellar");
    give_up_the_list(&garage, &["init", "--cluster-key", &key_of(&cellar)]);
    assert_eq!(state(&garage), (0, 0));
}

#[test]
fn nodes_can_share_a_cluster_key_file() {
    let garage = Machine::set_up("garage");
    let key = garage.file("cluster.key");
    let key = key.to_str().unwrap();
    let attic = Machine::new();
    let first = attic.dddns(&["init", "--name", "attic", "--cluster-key", key]).with(0);
    let again = attic.dddns(&["init", "--name", "attic", "--cluster-key", key]).with(0);
    assert_eq!(first.stdout, again.stdout);
    let line = |machine: &Machine| fs::read_to_string(machine.file("cluster.key")).unwrap();
    assert_eq!(line(&attic), line(&garage));

    let other = Machine::new();
    other.dddns(&["init", "--cluster-key", "nowhere"]).with(1).saying(&["no file nowhere"]);
    assert!(!other.dir().exists());
}

#[test]
fn a_file_that_is_no_cluster_key_is_called_so_and_is_to_be_left_where_it_is() {
    let (garage, other) = (Machine::set_up("garage"), Machine::new());
    fs::write(garage.file("garbage"), [0xff; 100]).unwrap();
    fs::rename(garage.file("dddns.toml"), garage.file("garbage.toml")).unwrap();
    #[cfg(unix)]
    for name in ["garbage", "garbage.toml"] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(garage.file(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let no_key = "holds no cluster key";
    for (path, what) in [
        (garage.file("node.key"), no_key),
        (garage.file("garbage"), no_key),
        (garage.file("garbage.toml"), no_key),
        (garage.dir(), "is not a regular file"),
    ] {
        let path = path.to_str().unwrap();
        let ended = other.dddns(&["init", "--cluster-key", path]).with(1);
        let ended = ended.saying(&[path, what, "cluster.key of a member"]);
        assert!(!ended.stderr.contains("move it away") && !ended.stderr.contains("restore"), "{}", ended.stderr);
    }
    assert!(!other.dir().exists());
}

#[cfg(unix)]
#[test]
fn a_path_too_long_for_a_socket_is_refused_at_once() {
    let machine = Machine::new();
    let long = machine.dir().join("x".repeat(100));
    machine.dddns(&["init", "--state-dir", long.to_str().unwrap()]).with(1).saying(&["shorter --state-dir"]);
    assert!(!machine.dir().exists());
}
