//! Files of the host: read as bytes, and replaced as a whole, so that no program ever reads half of one.
//!
//! Nothing says in which encoding a comment or a full name was written. What is written back is kept as bytes; what is
//! only searched for ASCII words is read with [`read_lossy`]; UTF-8 is demanded of our own files alone.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache::replace::Attributes;

use crate::say::error::Error;

/// The bytes of a file; none if there is no such file.
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

/// The text of a file that is searched and never written back: what is not UTF-8 in it is replaced by U+FFFD.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_lossy(path: &Path) -> Result<Option<String>, Error> {
    Ok(read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The text of a file of our own, which is in TOML and so in UTF-8.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub(crate) fn read_utf8(path: &Path) -> Result<Option<String>, Error> {
    read(path)?.map(String::from_utf8).transpose().map_err(|_| {
        let message = format!("cannot read '{}': it is not UTF-8", path.display());
        Error::configuration(message).hint("save it as UTF-8, or remove its special characters")
    })
}

/// Names of what is in a folder, sorted by their bytes; none if there is no such folder.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn names(folder: &Path) -> Result<Vec<OsString>, Error> {
    let failed = |cause: &io::Error| Error::io("read", folder, cause);
    let entries = match fs::read_dir(folder) {
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

/// The permission bits of a file; none if it is not there.
pub(crate) fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|meta| meta.permissions().mode() & 0o7777)
}

/// Puts a new file in the place of `path`. It gets mode, owner and extended attributes (SELinux's label, access lists) of
/// the old one; a file that was not there gets `mode`. What a symbolic link names is replaced, not the link.
///
/// # Errors
/// When that fails; the old file then is as it was.
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

/// The content of a file, with its mode, owner and extended attributes; none if there is no such file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn save(path: &Path) -> Result<Option<Saved>, Error> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let attributes = attributes(path).map_err(|cause| Error::io("read", path, &cause))?;
    Ok(attributes.map(|attributes| Saved { bytes, attributes }))
}

/// Puts a file that was saved in the place of `path`.
///
/// # Errors
/// When that fails; what was at `path` then is as it was.
pub(crate) fn restore(path: &Path, saved: &Saved) -> Result<(), Error> {
    put(&target(path)?, &saved.bytes, &saved.attributes)
}

/// Removes a file that may be gone already.
///
/// # Errors
/// When it is still there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = fs::remove_file(path).and_then(|()| cache::replace::sync_folder(path));
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sudoers");
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
        assert_eq!(names(folder.path()).unwrap(), ["sudoers"]);
    }

    #[test]
    fn what_a_link_names_is_replaced_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, "new", 0o644).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn a_missing_file_is_not_an_unreadable_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none")), Ok(None));
        assert!(read(folder.path()).is_err());
    }

    #[test]
    fn a_name_that_is_not_utf8_is_listed_too() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsString::from_vec(b"caf\xe9".to_vec());
        fs::write(folder.path().join(&name), "").unwrap();
        assert_eq!(names(folder.path()).unwrap(), [name]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_an_error_in_our_own_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latin1");
        fs::write(&path, b"caf\xe9").unwrap();
        assert_eq!(read(&path), Ok(Some(b"caf\xe9".to_vec())));
        assert_eq!(read_lossy(&path), Ok(Some("caf\u{fffd}".to_owned())));
        assert_eq!(read_utf8(&path).unwrap_err().status(), crate::say::error::CONFIGURATION);
    }
}
