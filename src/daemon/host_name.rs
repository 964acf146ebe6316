//! A node's default name: the machine's.

use crate::wire::id::NodeId;
use crate::wire::name::Name;

/// The machine's name as a label, or `node-` and the short ID where it has none that could serve.
pub(crate) fn default_name(id: &NodeId) -> Name {
    label(&host_name())
        .unwrap_or_else(|| format!("node-{}", id.short()).parse().expect("base32 characters make a label"))
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// The first label of a host name, with what a label cannot hold made into hyphens. `localhost` names no machine.
fn label(host: &str) -> Option<Name> {
    let first = host.trim().split('.').next()?.to_ascii_lowercase();
    let clean: String =
        first.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(Name::MAX).collect();
    let clean = clean.trim_matches('-');
    if clean == "localhost" { None } else { clean.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_become_labels() {
        for (host, name) in [
            ("garage\n", Some("garage")),
            ("Attic.example.net\n", Some("attic")),
            ("my_pi 4", Some("my-pi-4")),
            ("-edge-", Some("edge")),
            ("", None),
            ("localhost.localdomain", None),
            ("___", None),
        ] {
            assert_eq!(label(host).map(|n| n.as_str().to_owned()).as_deref(), name, "{host:?}");
        }
        assert_eq!(label(&"x".repeat(80)).map(|n| n.as_str().len()), Some(Name::MAX));
    }
}
