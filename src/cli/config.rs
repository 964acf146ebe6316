//! `dddns config`: checks the configuration, or shows what counts and where it was set.

use std::io::Write;

use clap::Subcommand;

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::config::{Heartbeat, MaxMembers};
use crate::daemon::config_file::{ConfigFile, Set};
use crate::daemon::start;

/// The arguments of `dddns config`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Find mistakes: file, line, column and what was probably meant
    Check,
    /// Show every setting and where it was set
    Show,
}

/// Reads the configuration as `dddns run` would.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let dir = global.state_dir()?;
    let named = global.config();
    let path = named.clone().unwrap_or_else(|| dir.config());
    let file = start::read_config(&dir, named.as_deref())?;
    let mut out = std::io::stdout().lock();
    match (&args.what, file) {
        (What::Check, Some(_)) => writeln!(out, "{}: no mistakes", path.display())?,
        (What::Check, None) => writeln!(out, "{}: not there, so every setting has its default", path.display())?,
        (What::Show, file) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            out.write_all(show(&file.unwrap_or_default(), &name).as_bytes())?;
        }
    }
    Ok(Exit::Done)
}

/// Every setting as it would be written, and where it comes from.
pub(super) fn show(file: &ConfigFile, path: &str) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    let listen: Vec<String> = file.listen().iter().map(|address| quoted(&address.to_string())).collect();
    let heartbeat = file.heartbeat.as_ref().map_or_else(Heartbeat::default, |set| set.value).get();
    let heartbeat = match heartbeat.subsec_millis() {
        0 => format!("{}s", heartbeat.as_secs()),
        _ => format!("{}ms", heartbeat.as_millis()),
    };
    let members = file.max_members.as_ref().map_or_else(MaxMembers::default, |set| set.value).get();
    let system = || "# receive_buffer and send_buffer: as the system has them".to_owned();
    let mut lines = vec![
        match &file.name {
            Some(name) => setting("name", &quoted(name.value.as_str()), Some(name.line), path),
            None => "# name: the machine's name  # default".to_owned(),
        },
        setting("listen", &format!("[{}]", listen.join(", ")), line(file.listen.as_ref()), path),
        setting("heartbeat", &quoted(&heartbeat), line(file.heartbeat.as_ref()), path),
        setting("max_members", &members.to_string(), line(file.max_members.as_ref()), path),
    ];
    for (key, buffer) in [("receive_buffer", &file.receive_buffer), ("send_buffer", &file.send_buffer)] {
        if let Some(set) = buffer {
            lines.push(setting(key, &set.value.to_string(), Some(set.line), path));
        }
    }
    if file.receive_buffer.is_none() && file.send_buffer.is_none() {
        lines.push(system());
    }
    for Set { value, line } in &file.peers {
        let addresses = value.peer.addresses.iter().map(ToString::to_string).chain(value.hosts.iter().cloned());
        let addresses: Vec<String> = addresses.map(|text| quoted(&text)).collect();
        lines.push(format!("[[peer]]  # {path}:{line}"));
        lines.push(format!("name = \"{}\"", value.peer.name));
        lines.push(format!("public_key = \"{}\"", value.peer.public_key));
        lines.push(format!("addresses = [{}]", addresses.join(", ")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn line<T>(set: Option<&Set<T>>) -> Option<usize> {
    set.map(|set| set.line)
}

fn setting(key: &str, value: &str, line: Option<usize>, path: &str) -> String {
    match line {
        Some(line) => format!("{key} = {value}  # {path}:{line}"),
        None => format!("{key} = {value}  # default"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_says_where_it_was_set_and_is_itself_a_configuration() {
        let key = "a".repeat(52);
        let text = format!(
            "listen = [\"192.0.2.7:1\"]\n\nheartbeat = \"1500ms\"\nsend_buffer = 4096\n[[peer]]\nname = \"attic\"\n\
             public_key = \"{key}\"\naddresses = [\"a.example.net:1\"]\n"
        );
        let shown = show(&ConfigFile::parse(&text).unwrap(), "dddns.toml");
        insta::assert_snapshot!(shown, @r#"
        # name: the machine's name  # default
        listen = ["192.0.2.7:1"]  # dddns.toml:1
        heartbeat = "1500ms"  # dddns.toml:3
        max_members = 1024  # default
        send_buffer = 4096  # dddns.toml:4
        [[peer]]  # dddns.toml:5
        name = "attic"
        public_key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        addresses = ["a.example.net:1"]
        "#);
        let again = ConfigFile::parse(&shown).unwrap();
        assert_eq!(again.peers[0].value.hosts, ["a.example.net:1"]);
        assert!(show(&ConfigFile::default(), "dddns.toml").contains("listen = [\"[::]:7733\"]  # default"));
    }
}
