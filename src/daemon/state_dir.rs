//! The state directory: where it is, what lies in it, and that one node uses it at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::daemon::write_access;
use crate::wire::id::ClusterId;

/// A node's directory. It holds `node.key`, `cluster.key`, perhaps `cluster.key.ID` of earlier clusters, `state.json`,
/// `dddns.toml`, `lock` and, while the node runs, `control.sock`.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The directory that was asked for, else systemd's, else the platform's usual place.
    ///
    /// # Errors
    /// Nothing names one, as there is no home directory, or what is there is no directory.
    pub(crate) fn locate(asked: Option<PathBuf>) -> Result<Self, StateDirError> {
        let asked = asked.filter(|path| !path.as_os_str().is_empty());
        let path = asked.or_else(from_systemd).or_else(usual_place).ok_or(StateDirError::NoHome)?;
        // Every error further on would say something else of it.
        match fs::metadata(&path) {
            Ok(found) if !found.is_dir() => Err(StateDirError::NoFolder { path }),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(StateDirError::NoFolder { path }),
            Ok(_) | Err(_) => Ok(Self { path }),
        }
    }

    /// Makes the directory if there is none; only its user may enter it. One that is there must be in no other user's
    /// power, who could replace every file in it.
    ///
    /// # Errors
    /// It cannot be made, something else is in its place, it belongs to another user, or others may write into it.
    pub(crate) fn create(&self) -> Result<(), StateDirError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path).map_err(|source| StateDirError::Create { path: self.path.clone(), source })?;
        self.refuse_other_writers()
    }

    /// Sees to it that no other user but root may write into the directory, or let others, if there is one.
    ///
    /// # Errors
    /// It belongs to another user, or others may write into it.
    #[cfg(unix)]
    pub(crate) fn refuse_other_writers(&self) -> Result<(), StateDirError> {
        use std::os::unix::fs::MetadataExt;

        let Ok(found) = fs::metadata(&self.path) else { return Ok(()) };
        let (owner, mode) = (found.uid(), found.mode() & 0o777);
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(StateDirError::Foreign { path: self.path.clone(), owner });
        }
        if mode & 0o022 == 0 { Ok(()) } else { Err(StateDirError::Open { path: self.path.clone(), mode }) }
    }

    /// Elsewhere the directory lies in the user's profile, which other users cannot write to.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub(crate) fn refuse_other_writers(&self) -> Result<(), StateDirError> {
        Ok(())
    }

    /// Keeps every other process that would write here away until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// Another process has it, something else than a file is in its place, or the file system cannot lock.
    pub(crate) fn lock(&self) -> Result<Lock, StateDirError> {
        let path = self.path.join("lock");
        match lock_file(&path) {
            Ok(Some(file)) => Ok(Lock { _file: file }),
            Ok(None) => Err(StateDirError::Locked { path: self.path.clone() }),
            Err(_) if path.symlink_metadata().is_ok_and(|found| !found.is_file()) => {
                Err(StateDirError::NoLockFile { path })
            }
            Err(source) => Err(StateDirError::Lock { path, source }),
        }
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The node's secret key.
    pub(crate) fn node_key(&self) -> PathBuf {
        self.path.join("node.key")
    }

    /// The cluster's ID and key.
    pub(crate) fn cluster_key(&self) -> PathBuf {
        self.path.join("cluster.key")
    }

    /// What was the cluster's ID and key before the node joined another cluster. Each has its own, so that none replaces
    /// another one.
    pub(crate) fn kept_cluster_key(&self, cluster: ClusterId) -> PathBuf {
        self.path.join(format!("cluster.key.{cluster}"))
    }

    /// Members, addresses and invites.
    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// The configuration, unless another file is named.
    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("dddns.toml")
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }
}

/// The right to write into a state directory.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// Neither a flag nor the environment names one.
    #[error("there is no home directory to keep the node's files in: give one with --state-dir")]
    NoHome,
    /// A file is in its place, or in that of a folder that leads to it.
    #[error("{} is no folder: name the one that holds the node's files with --state-dir", path.display())]
    NoFolder { path: PathBuf },
    /// It cannot be made.
    #[error("cannot make the state directory {}: {source}: give another with --state-dir", path.display())]
    Create { path: PathBuf, source: io::Error },
    /// It belongs to another user, who may replace every file in it.
    #[cfg(unix)]
    #[error(
        "the state directory {} belongs to another user (ID {owner}), so it is no place for keys: run this as that user, or \
         give another directory with --state-dir",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32 },
    /// Other users may write into it.
    #[cfg(unix)]
    #[error(
        "other users may write into the state directory {} (mode {mode:04o}), so it is no place for keys: run  chmod 700 {}",
        path.display(),
        path.display()
    )]
    Open { path: PathBuf, mode: u32 },
    /// It is in use.
    #[error("another dddns is using {}: stop it first, or give another directory with --state-dir", path.display())]
    Locked { path: PathBuf },
    /// A directory, a device, a pipe, a link.
    #[error("{} is not a regular file: move it away", path.display())]
    NoLockFile { path: PathBuf },
    /// It cannot be locked.
    #[error(
        "cannot lock {}: {source}: {}, or give another directory with --state-dir",
        path.display(),
        write_access::remedy(obstacle(path), source)
    )]
    Lock { path: PathBuf, source: io::Error },
}

/// What is in the way of whoever cannot open a lock: the file, or the directory in which there is none yet.
fn obstacle(lock: &Path) -> &Path {
    if lock.exists() { lock } else { lock.parent().unwrap_or(lock) }
}

/// Opens the lock file and locks it; `None` if another process has it.
#[cfg(unix)]
fn lock_file(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, Mode, OFlags, flock};

    // A pipe is not waited for, and a link makes no file elsewhere.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens the lock file so that nobody else can; `None` if another process has it.
#[cfg(windows)]
fn lock_file(path: &Path) -> io::Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;

    const ERROR_SHARING_VIOLATION: i32 = 32;
    match fs::OpenOptions::new().write(true).create(true).truncate(false).share_mode(0).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The directory that systemd made for the unit; the first, if it made several.
fn from_systemd() -> Option<PathBuf> {
    let all = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&all).next().filter(|path| path.is_absolute())
}

#[cfg(all(unix, not(target_os = "macos")))]
fn usual_place() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/dddns"));
    }
    absolute_from("XDG_STATE_HOME")
        .or_else(|| Some(absolute_from("HOME")?.join(".local/state")))
        .map(|p| p.join("dddns"))
}

#[cfg(target_os = "macos")]
fn usual_place() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/dddns"));
    }
    Some(absolute_from("HOME")?.join("Library/Application Support/dddns"))
}

#[cfg(windows)]
fn usual_place() -> Option<PathBuf> {
    Some(absolute_from("LOCALAPPDATA")?.join("dddns"))
}

fn absolute_from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_wins_and_an_empty_name_asks_for_nothing() {
        let asked = StateDir::locate(Some(PathBuf::from("/some/where"))).unwrap();
        assert_eq!(asked.path(), Path::new("/some/where"));
        let usual = StateDir::locate(None).ok().map(|dir| dir.path);
        assert_eq!(StateDir::locate(Some(PathBuf::new())).ok().map(|dir| dir.path), usual);
    }

    #[test]
    fn a_directory_has_one_user_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().join("a/b"))).unwrap();
        dir.create().unwrap();
        dir.create().unwrap();
        let lock = dir.lock().unwrap();
        assert!(matches!(dir.lock(), Err(StateDirError::Locked { .. })));
        drop(lock);
        dir.lock().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_may_enter() {
        use std::os::unix::fs::PermissionsExt;

        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().join("state"))).unwrap();
        dir.create().unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
        for mode in [0o770, 0o707, 0o722] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = dir.create().unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 700"), "{error}");
        }
        // As systemd makes it: others may enter, and find files that only the user may read.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        dir.create().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a directory to another user");
            return;
        }
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().join("state"))).unwrap();
        dir.create().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(7), None).unwrap();
        for refused in [dir.create(), dir.refuse_other_writers()] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("another user (ID 7)") && error.contains("run this as that user"), "{error}");
        }
    }

    #[test]
    fn a_file_in_its_place_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        for path in [path.clone(), path.join("below")] {
            let dir = StateDir::locate(Some(path.clone()));
            let error = dir.and_then(|dir| dir.create()).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
