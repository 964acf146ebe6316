//! Files that are read whole: regular ones of bounded length, so that none is waited for and none fills the memory.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// A file that is open for reading.
#[derive(Debug)]
pub(crate) struct RegularFile {
    file: File,
    metadata: Metadata,
    longest: u64,
}

impl RegularFile {
    /// Opens a file, also where a symbolic link leads to it; `None` if there is none. It may have `longest` bytes.
    ///
    /// # Errors
    /// Something else is there, or a link to nothing, it is longer, or the system says no.
    pub(crate) fn open(path: &Path, longest: u64) -> Result<Option<Self>, Refused> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => {}
            // To open a pipe would wait for somebody who writes into it.
            Ok(_) => return Err(Refused::NoFile),
            // Whoever took it for no file would make another one in its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let dead_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
                return if dead_link { Err(Refused::DeadLink) } else { Ok(None) };
            }
            Err(error) => return Err(Refused::Io(error)),
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // Something else may have come in its place meanwhile.
        if !metadata.is_file() {
            return Err(Refused::NoFile);
        }
        if metadata.len() > longest {
            return Err(Refused::TooLong);
        }
        Ok(Some(Self { file, metadata, longest }))
    }

    /// What the system knows of the file.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The whole file, which may hold secrets.
    ///
    /// # Errors
    /// It has grown longer than it may be, or the system says no.
    pub(crate) fn read(self) -> Result<Zeroizing<Vec<u8>>, Refused> {
        // Room for all of it at once: what a growing vector leaves behind is not wiped.
        let length = usize::try_from(self.metadata.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
        self.file.take(self.longest + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|read| read <= self.longest) {
            Ok(bytes)
        } else {
            Err(Refused::TooLong)
        }
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A directory, a device, a pipe.
    NoFile,
    /// A symbolic link, and nothing where it leads to.
    DeadLink,
    /// Longer than it may be.
    TooLong,
    /// The system said no.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_at_most_its_longest_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(RegularFile::open(&path, 3).unwrap().is_none());
        fs::write(&path, "123").unwrap();
        assert_eq!(RegularFile::open(&path, 3).unwrap().unwrap().read().unwrap().as_slice(), b"123");
        assert!(matches!(RegularFile::open(&path, 2), Err(Refused::TooLong)));

        let growing = RegularFile::open(&path, 3).unwrap().unwrap();
        fs::write(&path, "1234").unwrap();
        assert!(matches!(growing.read(), Err(Refused::TooLong)));
    }

    #[test]
    fn a_folder_is_an_error_not_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(RegularFile::open(dir.path(), 3), Err(Refused::NoFile)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_a_device_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, device] = ["file", "link", "device"].map(|name| dir.path().join(name));
        fs::write(&file, "123").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        assert_eq!(RegularFile::open(&link, 3).unwrap().unwrap().read().unwrap().as_slice(), b"123");
        assert!(matches!(RegularFile::open(&device, 3), Err(Refused::NoFile)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_an_error_not_a_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("unmounted/file"), &link).unwrap();
        assert!(matches!(RegularFile::open(&link, 3), Err(Refused::DeadLink)));
    }
}
