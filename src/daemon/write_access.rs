//! What a person can do where the system does not let a node write.

use std::io;
use std::path::Path;

/// The remedy, where an error came up as something at this path was written: a file, or the directory of a new one.
pub(crate) fn remedy(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return format!("the node needs to write to {}", path.display());
    }
    match other_owner(path) {
        Some(owner) => format!("{} belongs to another user (ID {owner}): run this as that user", path.display()),
        None => give_access(path),
    }
}

/// Who else than this process's user has what is there.
#[cfg(unix)]
fn other_owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    let owner = std::fs::metadata(path).ok()?.uid();
    (owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

/// Elsewhere owners have no numbers.
#[cfg(not(unix))]
fn other_owner(_: &Path) -> Option<u32> {
    None
}

#[cfg(unix)]
fn give_access(path: &Path) -> String {
    format!("make it writable: run  chmod u+rwX {}", path.display())
}

#[cfg(not(unix))]
fn give_access(path: &Path) -> String {
    format!("make {} writable", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_owns_it_is_not_sent_to_another_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let own = remedy(dir.path(), &io::ErrorKind::PermissionDenied.into());
        assert!(own.contains("writable") && own.contains(&path) && !own.contains("another user"), "{own}");
        let full = remedy(dir.path(), &io::ErrorKind::StorageFull.into());
        assert_eq!(full, format!("the node needs to write to {path}"));
    }

    #[cfg(unix)]
    #[test]
    fn whoever_does_not_own_it_is_told_who_does() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a directory to another user");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(7), None).unwrap();
        let foreign = remedy(dir.path(), &io::ErrorKind::PermissionDenied.into());
        assert!(foreign.contains("another user (ID 7): run this as that user"), "{foreign}");
    }
}
