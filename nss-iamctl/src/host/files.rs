//! Files of the host: read as bytes, and replaced as a whole, so that no program ever reads half of one.
//!
//! The encoding of a comment or a full name is unknown. Files that are written back are kept as bytes; files that are only
//! searched for ASCII words are read with [`read_lossy`]. Only our own files must be UTF-8.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache::replace::Attributes;

use crate::say::error::Error;

/// The bytes of a file; `None` if it is missing.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(cause) => Err(Error::io("read", path, &cause)),
    }
}

/// The text of a file that is searched and never written back. Invalid UTF-8 is replaced by U+FFFD.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_lossy(path: &Path) -> Result<Option<String>, Error> {
    Ok(read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The text of one of our own files, which are TOML, and so UTF-8.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub(crate) fn read_utf8(path: &Path) -> Result<Option<String>, Error> {
    read(path)?.map(String::from_utf8).transpose().map_err(|_| {
        let message = format!("cannot read '{}': it is not UTF-8", path.display());
        Error::configuration(message).hint("save it as UTF-8, or remove its special characters")
    })
}

/// The names in a directory, sorted by their bytes; none if the directory is missing.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn names(directory: &Path) -> Result<Vec<OsString>, Error> {
    let failed = |cause: &io::Error| Error::io("read", directory, cause);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(cause) => return Err(failed(&cause)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|cause| failed(&cause))?.file_name());
    }
    names.sort();
    Ok(names)
}

/// The permission bits of a file; `None` if it is missing.
pub(crate) fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|meta| meta.permissions().mode() & 0o7777)
}

/// Replaces the file at `path`. The new file gets the mode, owner and extended attributes (SELinux label, access lists) of
/// the old one; if there was none, it gets `mode`. If `path` is a symbolic link, its target is replaced.
///
/// # Errors
/// When that fails; the old file is then unchanged.
pub(crate) fn replace(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> Result<(), Error> {
    let target = target(path)?;
    let attributes = attributes(&target).map_err(|cause| Error::io("write", &target, &cause))?;
    put(&target, text.as_ref(), &attributes.unwrap_or(Attributes::of_mode(mode)))
}

/// The saved content and attributes of a file, to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    bytes: Vec<u8>,
    attributes: Attributes,
}

impl Saved {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The content of a file, with its mode, owner and extended attributes; `None` if it is missing.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn save(path: &Path) -> Result<Option<Saved>, Error> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let attributes = attributes(path).map_err(|cause| Error::io("read", path, &cause))?;
    Ok(attributes.map(|attributes| Saved { bytes, attributes }))
}

/// Restores a saved file at `path`.
///
/// # Errors
/// When that fails; the file at `path` is then unchanged.
pub(crate) fn restore(path: &Path, saved: &Saved) -> Result<(), Error> {
    put(&target(path)?, &saved.bytes, &saved.attributes)
}

/// Removes a file, unless it is missing already.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = fs::remove_file(path).and_then(|()| cache::replace::sync_directory(path));
    match removed {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, &cause)),
        _ => Ok(()),
    }
}

fn target(path: &Path) -> Result<PathBuf, Error> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            fs::canonicalize(path).map_err(|cause| Error::io("follow", path, &cause))
        }
        _ => Ok(path.to_owned()),
    }
}

/// `None` if the file does not exist.
fn attributes(path: &Path) -> io::Result<Option<Attributes>> {
    match File::open(path) {
        Ok(file) => Attributes::of(&file).map(Some),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

fn put(path: &Path, bytes: &[u8], attributes: &Attributes) -> Result<(), Error> {
    cache::replace::replace(path, bytes, attributes).map_err(|cause| Error::io("write", path, &cause))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_replaced_file_keeps_mode_and_attributes_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sudoers");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        let marked = rustix::fs::setxattr(&path, "user.mark", b"kept", flags).is_ok();
        replace(&path, "new", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(mode(&path), Some(0o440));
        if marked {
            let mut value = [0; 8];
            assert_eq!(rustix::fs::getxattr(&path, "user.mark", &mut value).unwrap(), 4);
        }
        assert_eq!(names(directory.path()).unwrap(), ["sudoers"]);
    }

    #[test]
    fn what_a_link_names_is_replaced_and_the_link_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, "new", 0o644).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn a_missing_file_is_not_an_unreadable_one() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(&directory.path().join("none")), Ok(None));
        assert!(read(directory.path()).is_err());
    }

    #[test]
    fn a_name_that_is_not_utf8_is_listed_too() {
        let directory = tempfile::tempdir().unwrap();
        let name = OsString::from_vec(b"caf\xe9".to_vec());
        fs::write(directory.path().join(&name), "").unwrap();
        assert_eq!(names(directory.path()).unwrap(), [name]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_an_error_in_our_own_files_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("latin1");
        fs::write(&path, b"caf\xe9").unwrap();
        assert_eq!(read(&path), Ok(Some(b"caf\xe9".to_vec())));
        assert_eq!(read_lossy(&path), Ok(Some("caf\u{fffd}".to_owned())));
        assert_eq!(read_utf8(&path).unwrap_err().status(), crate::say::error::CONFIGURATION);
    }
}
