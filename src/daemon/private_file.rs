//! Files that only the node's user may read, and that a crash or a full disk never leaves half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::daemon::regular_file::{Refused, RegularFile};
use crate::daemon::write_access;

/// No file of a node is longer: a full member list with history stays below a tenth of it.
const MAX_LEN: u64 = 16 << 20;

/// Reads a file that may hold secrets; `None` if there is none.
///
/// # Errors
/// It cannot be read, is not text, or others may read it.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, ReadError> {
    let refused = |refused| match refused {
        Refused::NoFile => ReadError::NoFile { path: path.to_owned() },
        Refused::DeadLink => ReadError::DeadLink { path: path.to_owned() },
        Refused::TooLong => ReadError::TooLong { path: path.to_owned() },
        Refused::Io(source) => ReadError::Io { path: path.to_owned(), source },
    };
    let Some(file) = RegularFile::open(path, MAX_LEN).map_err(refused)? else { return Ok(None) };
    refuse_open_permissions(path, file.metadata())?;
    let bytes = file.read().map_err(refused)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| ReadError::NoText { path: path.to_owned() })?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// Writes a file whole or not at all: into a new file beside it, synced, then renamed over it. Only the user may read
/// the result. A symbolic link there becomes a file, and what it led to stays as it was.
///
/// # Errors
/// Something cannot be written; the old content is still there. (Where only the folder cannot be synced the new content
/// is, and a power cut may bring the old one back.)
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError::Unchanged { path: path.to_owned(), source };
    let new = beside(path);
    let written = write_synced(&new, content).and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        // The error worth telling is the one that came first.
        let _ = fs::remove_file(&new);
        return Err(failed(error));
    }
    sync_folder(path).map_err(|source| WriteError::Unsynced { path: path.to_owned(), source })
}

/// The name of the new file until it is renamed. One writer holds the state directory, so one name is enough, and what
/// a crash leaves behind is overwritten by the next write.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A rename is lasting once its folder is synced; Windows has no such call and needs none.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(unix)]
fn refuse_open_permissions(path: &Path, metadata: &fs::Metadata) -> Result<(), ReadError> {
    use std::os::unix::fs::MetadataExt;

    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ReadError::Open { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Elsewhere the state directory lies in the user's profile, which other users cannot read.
#[cfg(not(unix))]
fn refuse_open_permissions(_: &Path, _: &fs::Metadata) -> Result<(), ReadError> {
    Ok(())
}

/// Why a private file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The system said no.
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The content is not UTF-8. Whoever knows what should be in the file knows what to do, too.
    #[error("{} is no text", path.display())]
    NoText { path: PathBuf },
    /// A directory, a device, a pipe.
    #[error("{} is not a regular file: move it away", path.display())]
    NoFile { path: PathBuf },
    /// What should be there may come back, and is not to be replaced.
    #[error("{} is a link to nothing: mount what it leads to, or remove the link", path.display())]
    DeadLink { path: PathBuf },
    /// Longer than any file of a node.
    #[error("{} is longer than 16 MiB, so it is no file of dddns: move it away", path.display())]
    TooLong { path: PathBuf },
    /// Other users may read or write it.
    #[cfg(unix)]
    #[error("{} is open to other users (mode {mode:04o}): run  chmod 600 {}", path.display(), path.display())]
    Open { path: PathBuf, mode: u32 },
}

/// Why a file was not written, or not for good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Its old content, if it had any, is still there.
    #[error(
        "cannot write {}: {source}; no file was changed: {}",
        path.display(),
        write_access::remedy(folder(path), source)
    )]
    Unchanged { path: PathBuf, source: io::Error },
    /// The new content is there, and a power cut may bring the old one back.
    #[error("wrote {}, but cannot sync its folder: {source}: a power cut may undo it", path.display())]
    Unsynced { path: PathBuf, source: io::Error },
}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let (WriteError::Unchanged { source, .. } | WriteError::Unsynced { source, .. }) = &error;
        Self::new(source.kind(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(read(&path).unwrap().is_none());
        replace(&path, b"one, and a long one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the file is left");
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"old").unwrap();
        // A folder in the place of the new file makes the write fail even for root.
        fs::create_dir(beside(&path)).unwrap();
        let error = replace(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("no file was changed"), "{error}");
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "old");
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_told_apart_from_a_failed_write() {
        let source = || io::Error::from(io::ErrorKind::PermissionDenied);
        let unsynced = WriteError::Unsynced { path: "/x/file".into(), source: source() };
        assert!(!unsynced.to_string().contains("no file was changed"), "{unsynced}");
        assert_eq!(io::Error::from(unsynced).kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn what_a_crash_left_behind_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(beside(&path), b"torn").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_folder_is_an_error_not_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(ReadError::NoFile { .. })));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_from_a_file_that_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"text, and then \xff").unwrap();
        assert!(matches!(read(&path), Err(ReadError::NoText { .. })));
    }
}
