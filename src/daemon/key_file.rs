//! The two files that hold keys: `node.key`, who this node is, and `cluster.key`, what the members of a cluster share.
//!
//! Each is text for its user alone (mode 0600): lines that begin with `#` are comments, and one line holds the key in
//! lower-case base32 (RFC 4648, no padding), which a provisioning tool may write as well:
//!
//! ```text
//! dddns-node-1 SECRET              52 characters: the X25519 secret key
//! dddns-cluster-1 ID KEY           26 and 52 characters: the cluster's ID and key
//! ```

use std::io;
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

use crate::auth::identity::Identity;
use crate::config::{Cluster, ClusterKey};
use crate::daemon::private_file::{self, ReadError, WriteError};
use crate::wire::id::{ClusterId, from_base32, to_base32};

const NODE: &str = "dddns-node-1";
const CLUSTER: &str = "dddns-cluster-1";

/// Reads a node's key; `None` if there is no such file.
///
/// # Errors
/// The file cannot be read, others may read it, or it holds no node key.
pub(crate) fn read_node(path: &Path) -> Result<Option<Identity>, KeyFileError> {
    let Some(text) = read(path, NODE)? else { return Ok(None) };
    let [secret] = fields(path, &text, NODE)?;
    let secret = key(secret).ok_or_else(|| KeyFileError::garbled(path, NODE))?;
    Ok(Some(Identity::from_secret(*secret)))
}

/// Writes a node's key.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_node(path: &Path, identity: &Identity) -> Result<(), WriteError> {
    let secret = Zeroizing::new(to_base32(identity.secret()));
    let text = Zeroizing::new(format!(
        "# The secret key of a dddns node. Whoever has it can be this node: show it to nobody, copy it nowhere.\n\
         # public key: {}\n{NODE} {}\n",
        identity.public_key(),
        secret.as_str()
    ));
    private_file::replace(path, text.as_bytes())
}

/// Reads a cluster's ID and key; `None` if there is no such file.
///
/// # Errors
/// The file cannot be read, others may read it, or it holds no cluster key.
pub(crate) fn read_cluster(path: &Path) -> Result<Option<Cluster>, KeyFileError> {
    let Some(text) = read(path, CLUSTER)? else { return Ok(None) };
    let [id, secret] = fields(path, &text, CLUSTER)?;
    let garbled = || KeyFileError::garbled(path, CLUSTER);
    let id: ClusterId = id.parse().map_err(|_| garbled())?;
    let secret = key(secret).ok_or_else(garbled)?;
    Ok(Some(Cluster { id, key: ClusterKey(*secret) }))
}

/// Writes a cluster's ID and key.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_cluster(path: &Path, cluster: &Cluster) -> Result<(), WriteError> {
    let secret = Zeroizing::new(to_base32(&cluster.key.0));
    let text = Zeroizing::new(format!(
        "# What the members of a dddns cluster share. Give it to members only, by a channel you trust.\n\
         {CLUSTER} {} {}\n",
        cluster.id,
        secret.as_str()
    ));
    private_file::replace(path, text.as_bytes())
}

/// Removes a cluster's key, if there is one: the node is not in that cluster any more.
///
/// # Errors
/// The file cannot be removed.
pub(crate) fn remove_cluster(path: &Path) -> Result<(), KeyFileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KeyFileError::Remove { path: path.to_owned(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts a cluster's key out of the way, into a file that has no other one.
///
/// # Errors
/// The key cannot be moved.
pub(crate) fn keep_cluster(path: &Path, kept: &Path) -> Result<(), KeyFileError> {
    std::fs::rename(path, kept).map_err(|source| {
        let (path, kept) = (path.to_owned(), kept.to_owned());
        KeyFileError::Keep { path, kept, source }
    })
}

/// The text of a file. What is none holds no key, as other nonsense does not.
fn read(path: &Path, label: &'static str) -> Result<Option<Zeroizing<String>>, KeyFileError> {
    match private_file::read(path) {
        Err(ReadError::NoText { .. }) => Err(KeyFileError::garbled(path, label)),
        read => Ok(read?),
    }
}

/// The words after the label in the one line that is no comment.
fn fields<'t, const N: usize>(path: &Path, text: &'t str, label: &'static str) -> Result<[&'t str; N], KeyFileError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(KeyFileError::garbled(path, label)) };
    let mut words = line.split_ascii_whitespace();
    let found = words.next().unwrap_or_default();
    if found != label {
        let family = label.trim_end_matches(|c: char| c.is_ascii_digit());
        let newer = found.strip_prefix(family).is_some_and(|version| version.parse::<u32>().is_ok_and(|v| v > 1));
        let path = path.to_owned();
        return Err(if newer {
            KeyFileError::Newer { path, label: found.to_owned() }
        } else {
            KeyFileError::Garbled { path, label }
        });
    }
    let fields: Vec<&str> = words.collect();
    fields.try_into().map_err(|_| KeyFileError::garbled(path, label))
}

fn key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = from_base32(text)?;
    let key = bytes.as_slice().try_into().ok().map(Zeroizing::new);
    bytes.zeroize();
    key
}

/// What a person can do who has no copy. Nothing that a node knows is of use to another node.
fn way_on(label: &str) -> &'static str {
    if label == NODE {
        "move it away together with state.json and cluster.key to begin as another node"
    } else {
        "move it away"
    }
}

/// Why a key file gives no key, or does not go. The text never holds what the file says: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is torn, or another kind of file.
    #[error(
        "{} holds no key: expected one line that begins with {label}: restore it from a copy, or {}",
        path.display(),
        way_on(label)
    )]
    Garbled { path: PathBuf, label: &'static str },
    /// It should go and does not.
    #[error("cannot remove {}: {source}: remove it yourself: this node is not in that cluster any more", path.display())]
    Remove { path: PathBuf, source: io::Error },
    /// It should be kept and stays where it is.
    #[error("cannot rename {} to {}: {source}: do it yourself and try again", path.display(), kept.display())]
    Keep { path: PathBuf, kept: PathBuf, source: io::Error },
    /// A later version made it.
    #[error("{} was written by a newer dddns ({label}): run that version", path.display())]
    Newer { path: PathBuf, label: String },
}

impl KeyFileError {
    fn garbled(path: &Path, label: &'static str) -> Self {
        Self::Garbled { path: path.to_owned(), label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        Cluster { id: ClusterId([7; 16]), key: ClusterKey([9; 32]) }
    }

    #[test]
    fn keys_are_read_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.key");
        assert!(read_cluster(&path).unwrap().is_none());
        write_cluster(&path, &cluster()).unwrap();
        assert_eq!(read_cluster(&path).unwrap(), Some(cluster()));
        remove_cluster(&path).unwrap();
        assert!(read_cluster(&path).unwrap().is_none());
        remove_cluster(&path).unwrap();

        let path = dir.path().join("node.key");
        let identity = Identity::from_secret([3; 32]);
        write_node(&path, &identity).unwrap();
        assert_eq!(read_node(&path).unwrap().unwrap().public_key(), identity.public_key());
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.key");
        let id = to_base32(&[7; 16]);
        let key = to_base32(&[9; 32]);
        for text in [
            String::new(),
            "# only a comment\n".to_owned(),
            format!("{CLUSTER} {id}\n"),
            format!("{CLUSTER} {id} {}\n", &key[..51]),
            format!("{CLUSTER} {key} {id}\n"),
            format!("{CLUSTER} {id} {key} {key}\n"),
            format!("{CLUSTER} {id} {key}\n{CLUSTER} {id} {key}\n"),
            format!("{NODE} {key}\n"),
            format!("{key}\n"),
        ] {
            private_file::replace(&path, text.as_bytes()).unwrap();
            let error = read_cluster(&path).unwrap_err().to_string();
            assert!(error.contains("holds no key") && !error.contains(&key[..20]), "{text:?}: {error}");
        }
        private_file::replace(&path, &[format!("{CLUSTER} {id} {key}").as_bytes(), b"\xff\n"].concat()).unwrap();
        assert!(matches!(read_cluster(&path), Err(KeyFileError::Garbled { .. })));
    }

    #[test]
    fn a_newer_format_is_told_from_a_torn_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        private_file::replace(&path, b"dddns-node-2 whatever it may be\n").unwrap();
        assert!(matches!(read_node(&path), Err(KeyFileError::Newer { .. })));
    }
}
