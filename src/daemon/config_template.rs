//! The configuration file that `init` and `join` write: its comments are the documentation.

use std::net::SocketAddr;

use crate::wire::name::Name;

/// Every key with its meaning, bounds and default, all commented out.
const TEMPLATE: &str = include_str!("template.toml");

/// The file for a node of this name. With no address to listen at, the default stays a comment.
pub(crate) fn render(name: &Name, listen: &[SocketAddr]) -> String {
    let mut lines: Vec<String> = TEMPLATE.lines().map(str::to_owned).collect();
    set(&mut lines, "name", format!("name = \"{name}\""));
    if !listen.is_empty() {
        let addresses: Vec<String> = listen.iter().map(|address| format!("\"{address}\"")).collect();
        set(&mut lines, "listen", format!("listen = [{}]", addresses.join(", ")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Replaces the first line that shows a key.
fn set(lines: &mut [String], key: &str, value: String) {
    let shown = format!("#{key} = ");
    if let Some(line) = lines.iter_mut().find(|line| line.starts_with(&shown)) {
        *line = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::config_file::ConfigFile;

    #[test]
    fn what_is_rendered_is_read_back() {
        let name: Name = "attic".parse().unwrap();
        let file = ConfigFile::parse(&render(&name, &[])).unwrap();
        assert_eq!(file.name.unwrap().value, name);
        assert!(file.listen.is_none());

        let listen: Vec<SocketAddr> = vec!["192.0.2.7:7733".parse().unwrap(), "[2001:db8::1]:9".parse().unwrap()];
        let file = ConfigFile::parse(&render(&name, &listen)).unwrap();
        assert_eq!(file.listen.unwrap().value, listen);
    }

    #[test]
    fn the_template_shows_every_key_with_a_value_that_is_valid() {
        let key = "a".repeat(52);
        let shown: String = TEMPLATE
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
            .map(|line| line.replace("52 characters", &key) + "\n")
            .collect();
        let file = ConfigFile::parse(&shown).unwrap();
        assert!(file.name.is_some() && file.listen.is_some() && file.heartbeat.is_some() && file.max_members.is_some());
        assert!(file.receive_buffer.is_some() && file.send_buffer.is_some());
        let peer = &file.peers[0].value;
        assert_eq!((peer.peer.addresses.len(), peer.hosts.len()), (1, 1));
    }

    #[test]
    fn the_defaults_that_the_template_shows_are_the_defaults() {
        use crate::config::{Heartbeat, MaxMembers};
        use crate::daemon::config_file::DEFAULT_LISTEN;

        assert!(TEMPLATE.contains(&format!("#listen = [\"{DEFAULT_LISTEN}\"]\n")));
        assert!(TEMPLATE.contains(&format!("#heartbeat = \"{}s\"\n", Heartbeat::default().get().as_secs())));
        assert!(TEMPLATE.contains(&format!("#max_members = {}\n", MaxMembers::default().get())));
    }
}
