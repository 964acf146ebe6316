//! `dddns config`, and what the other commands make of a configuration.

use std::fs;

use crate::machine::Machine;

#[test]
fn mistakes_are_shown_with_file_line_and_column() {
    let machine = Machine::set_up("garage");
    let path = machine.file("dddns.toml");
    for (text, saying) in [
        ("name = \"garage\"\n\nlistne = []\n", ":3:1: unknown key `listne`: did you mean `listen`?"),
        ("heartbeat = \"2m\"\n", ":1:13: heartbeat must be from 1s to 60s"),
        ("name = \"garage\n", ":1:15: "),
        (
            "listen = [\"[::]:7733\", \"224.0.0.1:7733\"]\n",
            ":1:24: \"224.0.0.1:7733\" is no address of a machine: listen at one that this machine has",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let saying = format!("{}{saying}", path.display());
        for command in [&["config", "check"][..], &["config", "show"], &["run"]] {
            let ended = machine.dddns(command).with(1).saying(&[&saying]);
            assert_eq!(ended.stderr.lines().count(), 1, "one line says it: {}", ended.stderr);
        }
    }
}

#[test]
fn a_configuration_that_is_no_text_is_shown_where_it_is_none() {
    let machine = Machine::set_up("garage");
    fs::write(machine.file("dddns.toml"), b"name = \"garage\"\n# caf\xe9\n").unwrap();
    let saying = format!("{}:2:6: ", machine.file("dddns.toml").display());
    machine.dddns(&["config", "check"]).with(1).saying(&[&saying, "UTF-8"]);
}

#[test]
fn a_configuration_has_a_longest_length() {
    let machine = Machine::set_up("garage");
    let path = machine.file("dddns.toml");
    let text = fs::read_to_string(&path).unwrap();
    let longest = text.clone() + &"#".repeat((1 << 20) - text.len());
    fs::write(&path, &longest).unwrap();
    machine.dddns(&["config", "check"]).with(0);
    fs::write(&path, longest + "#").unwrap();
    for command in [&["config", "check"][..], &["config", "show"], &["run"]] {
        machine.dddns(command).with(1).saying(&[path.to_str().unwrap(), "longer than 1 MiB"]);
    }
}

#[cfg(unix)]
#[test]
fn a_configuration_is_a_regular_file_or_a_link_to_one() {
    let machine = Machine::set_up("garage");
    let [pipe, link] = ["pipe", "link"].map(|name| machine.file(name));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), "/dev/zero".as_ref(), &machine.dir()] {
        let path = path.to_str().unwrap();
        for command in [&["config", "check"][..], &["run"], &["init"]] {
            machine.dddns(&[&["--config", path], command].concat()).with(1).saying(&[path, "not a regular file"]);
        }
    }
    std::os::unix::fs::symlink(machine.file("dddns.toml"), &link).unwrap();
    machine.dddns(&["--config", link.to_str().unwrap(), "config", "check"]).with(0);
}

#[test]
fn a_configuration_can_be_named_and_must_then_be_there() {
    let machine = Machine::set_up("garage");
    let named = machine.file("other.toml");
    let named = named.to_str().unwrap();
    machine.dddns(&["--config", named, "config", "check"]).with(1).saying(&["no configuration file", named]);
    machine.dddns(&["--config", named, "run"]).with(1).saying(&["no configuration file", named]);
    // What the message says to do helps.
    fs::write(named, "").unwrap();
    assert!(machine.dddns(&["--config", named, "config", "check"]).with(0).stdout.contains("no mistakes"));
    fs::write(named, "name = \"cellar\"\n").unwrap();
    assert!(machine.dddns(&["--config", named, "config", "check"]).with(0).stdout.contains("no mistakes"));
    let shown = machine.dddns(&["config", "show", "--config", named]).with(0).stdout;
    assert!(shown.contains("name = \"cellar\"  # other.toml:1\n"), "{shown}");
    assert!(shown.contains("heartbeat = \"10s\"  # default\n"), "{shown}");
}

#[test]
fn no_configuration_is_no_mistake() {
    let machine = Machine::new();
    let checked = machine.dddns(&["config", "check"]).with(0).stdout;
    let path = machine.file("dddns.toml");
    assert_eq!(checked, format!("{}: not there, so every setting has its default\n", path.display()));
    assert!(machine.dddns(&["config", "show"]).with(0).stdout.contains("listen = [\"[::]:7733\"]  # default"));
}

#[test]
fn an_address_to_listen_at_that_is_taken_is_named() {
    let machine = Machine::set_up("garage");
    let _taken = std::net::UdpSocket::bind(machine.listen).unwrap();
    let address = machine.listen.to_string();
    let ended = machine.dddns(&["run"]).with(1).saying(&["cannot listen on", &address]);
    assert!(ended.stderr.contains("stop it, or listen on another port"), "{}", ended.stderr);
}
