//! Where the control socket is: a Unix socket in the state directory, a named pipe on Windows.

use std::io;
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::{Listener, Stream, prelude::*};
use interprocess::local_socket::{ListenerOptions, Name};

use crate::daemon::state_dir::StateDir;
use crate::daemon::write_access;

/// What a Unix socket's path may have, in bytes: `sun_path` less its terminating zero.
const PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Opens the socket for this node's user alone. The caller holds the state directory's lock, so a socket that is there
/// already belongs to a process that was killed, and is replaced.
///
/// # Errors
/// The path is too long, or the system refuses.
pub(crate) fn listen(dir: &StateDir) -> Result<Listener, SocketError> {
    let failed = |source| SocketError::Listen { path: dir.socket(), source };
    check(dir)?;
    remove_stale(dir).map_err(failed)?;
    let options = ListenerOptions::new().name(name(dir).map_err(failed)?);
    private(options, dir).map_err(failed)
}

/// Connects to the node that runs on this state directory.
///
/// # Errors
/// None runs, or the system refuses.
pub(crate) async fn connect(dir: &StateDir) -> Result<Stream, SocketError> {
    check(dir)?;
    let connected = match name(dir) {
        Ok(name) => Stream::connect(name).await,
        Err(error) => Err(error),
    };
    connected.map_err(|source| {
        if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            SocketError::NotRunning { dir: dir.path().into() }
        } else {
            SocketError::Connect { path: dir.socket(), source }
        }
    })
}

/// Whether the path fits into a socket's name.
///
/// # Errors
/// It does not.
pub(crate) fn check(dir: &StateDir) -> Result<(), SocketError> {
    let path = dir.socket();
    if cfg!(unix) && path.as_os_str().len() > PATH_MAX {
        return Err(SocketError::TooLong { path });
    }
    Ok(())
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// The system's bound on a socket's path.
    #[error(
        "{} is {} bytes long, and a socket's path can have {PATH_MAX}: choose a shorter --state-dir",
        path.display(), path.as_os_str().len()
    )]
    TooLong { path: PathBuf },
    /// It cannot be opened.
    #[error("cannot open the control socket {}: {source}{}", path.display(), who_may_open(path, source))]
    Listen { path: PathBuf, source: io::Error },
    /// Nobody listens.
    #[error(
        "no node runs on {}: start it with  dddns run  or, if it runs on another directory, name that with --state-dir",
        dir.display()
    )]
    NotRunning { dir: PathBuf },
    /// It cannot be reached.
    #[error("cannot reach the node at {}: {source}{}", path.display(), who_may_connect(source))]
    Connect { path: PathBuf, source: io::Error },
}

fn who_may_open(path: &Path, error: &io::Error) -> String {
    match path.parent() {
        Some(dir) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!(": {}", write_access::remedy(dir, error))
        }
        Some(_) | None => String::new(),
    }
}

fn who_may_connect(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { ": run this as the user that runs the node" } else { "" }
}

#[cfg(unix)]
fn name(dir: &StateDir) -> io::Result<Name<'static>> {
    use interprocess::local_socket::GenericFilePath;

    dir.socket().to_fs_name::<GenericFilePath>()
}

/// Pipes have a name space of their own: the state directory's name, hashed, tells them apart.
#[cfg(windows)]
fn name(dir: &StateDir) -> io::Result<Name<'static>> {
    use crate::wire::id::to_base32;
    use interprocess::local_socket::GenericNamespaced;

    let path = std::path::absolute(dir.path())?;
    let hash = ring::digest::digest(&ring::digest::SHA256, path.as_os_str().as_encoded_bytes());
    format!("dddns-{}", to_base32(hash.as_ref())).to_ns_name::<GenericNamespaced>()
}

/// Opens the socket with mode 0600. Systems that cannot set it before the socket has its name (macOS) get it right
/// after; until then the state directory, which only its user may enter, keeps others away.
#[cfg(unix)]
fn private(options: ListenerOptions<'_>, dir: &StateDir) -> io::Result<Listener> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use interprocess::TryClone;
    use interprocess::os::unix::local_socket::ListenerOptionsExt;

    match options.try_clone()?.mode(0o600).create_tokio() {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let listener = options.create_tokio()?;
            std::fs::set_permissions(dir.socket(), Permissions::from_mode(0o600))?;
            Ok(listener)
        }
        opened => opened,
    }
}

/// Opens the pipe for its owner, administrators and the system. What Windows gives by default lets others open it for
/// reading: they would have no answer, and take the places of those who would.
#[cfg(windows)]
fn private(options: ListenerOptions<'_>, _: &StateDir) -> io::Result<Listener> {
    use interprocess::os::windows::local_socket::ListenerOptionsExt;
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;
    use widestring::u16cstr;

    // All rights (GA) for the owner (OW), administrators (BA) and the system (SY), nothing inherited (P).
    let access = SecurityDescriptor::deserialize(u16cstr!("D:P(A;;GA;;;OW)(A;;GA;;;BA)(A;;GA;;;SY)"))?;
    options.security_descriptor(access).create_tokio()
}

#[cfg(unix)]
fn remove_stale(dir: &StateDir) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;

    let path = dir.socket();
    match std::fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(&path),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there: move it away"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A pipe ends with its process.
#[cfg(windows)]
fn remove_stale(_: &StateDir) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn dir(path: PathBuf) -> StateDir {
        StateDir::locate(Some(path)).unwrap()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_the_user_may_connect_and_a_stale_socket_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let dir = dir(parent.path().to_owned());
        assert!(matches!(connect(&dir).await, Err(SocketError::NotRunning { .. })));

        // The standard library leaves the socket's file behind, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(dir.socket()).unwrap());
        assert!(matches!(connect(&dir).await, Err(SocketError::NotRunning { .. })));

        let listener = listen(&dir).unwrap();
        assert_eq!(std::fs::metadata(dir.socket()).unwrap().permissions().mode() & 0o777, 0o600);
        connect(&dir).await.unwrap();
        drop(listener);
        assert!(!dir.socket().exists(), "an orderly end leaves no socket");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_no_socket_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = dir(parent.path().to_owned());
        std::fs::write(dir.socket(), "precious").unwrap();
        assert!(matches!(listen(&dir), Err(SocketError::Listen { .. })));
        assert_eq!(std::fs::read_to_string(dir.socket()).unwrap(), "precious");
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused_in_words() {
        let error = check(&dir(PathBuf::from("/").join("x".repeat(100)))).unwrap_err().to_string();
        assert!(error.contains("shorter --state-dir"), "{error}");
    }
}
