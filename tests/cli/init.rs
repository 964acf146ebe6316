//! `dddns init`.

use std::fs;

use crate::machine::Machine;

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
    let node_key = garage.file("node.key");
    other.dddns(&["init", "--cluster-key", node_key.to_str().unwrap()]).with(1).saying(&["holds no key"]);
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
