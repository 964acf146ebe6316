//! Who is meant by a name on the command line.

use crate::cli::failure::{Exit, Failure};
use crate::daemon::status_report::{PeerReport, StatusReport};

/// A shorter beginning of an ID could be a name, or fit several nodes.
const PREFIX_MIN: usize = 8;

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meant<'r> {
    /// This node itself.
    Itself,
    /// A peer.
    Peer(&'r PeerReport),
}

/// This node itself, or a member by shown name, ID, beginning of an ID, or claimed name.
pub(super) fn find<'r>(report: &'r StatusReport, asked: &str) -> Result<Meant<'r>, Failure> {
    let asked = asked.to_ascii_lowercase();
    // Peers first: one that is shown by the very name of this node was admitted earlier, so the name is its own.
    if let Some(peer) = report.peers.iter().find(|peer| peer.name == asked) {
        return Ok(Meant::Peer(peer));
    }
    let fits = |id: &str| asked.len() >= PREFIX_MIN && id.starts_with(&asked);
    if asked == report.node.name || fits(&report.node.id) {
        return Ok(Meant::Itself);
    }
    let fitting: Vec<&PeerReport> = report.peers.iter().filter(|peer| fits(&peer.id)).collect();
    match fitting.as_slice() {
        [peer] => Ok(Meant::Peer(peer)),
        [] => {
            let message = format!("no member is called {asked:?}: to see who there is run  dddns status");
            Err(Failure::new(Exit::Unknown, message))
        }
        _ => Err(Failure::new(Exit::Unknown, format!("several IDs begin with {asked:?}: give more of it"))),
    }
}
