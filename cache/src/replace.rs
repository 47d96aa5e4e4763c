//! Replaces files atomically: a reader, or a crash at any instant, sees either the old file or the new one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr, lgetxattr};
use rustix::io::Errno;

/// The part of a new file's name between the name of the old file and the process id.
const NEW: &str = ".new-";
/// How many names are tried: leftovers of earlier processes with the same process id may exist.
const NAMES: u32 = 100;
/// xattr(7): `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
const LARGEST: usize = 64 << 10;
const SELINUX: &[u8] = b"security.selinux";

/// A new file that will replace another one. If it does not, it is removed when this value is dropped.
#[derive(Debug)]
pub struct New {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl New {
    /// Creates an empty file in the directory of `target` that only its owner can open. Its name begins with a dot
    /// and ends differently from the name of `target`, so programs that read a directory of drop-ins (sudo, sshd,
    /// cron, nss-iam) skip it.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or(ErrorKind::InvalidInput)?;
        let mut attempt = 0;
        loop {
            let mut fresh = OsString::from(".");
            fresh.push(name);
            fresh.push(format!("{NEW}{}-{attempt}", std::process::id()));
            let path = target.with_file_name(fresh);
            // O_EXCL does not follow links either (open(2)).
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Self { file, path, target: target.to_owned() }),
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists && attempt < NAMES => attempt += 1,
                Err(cause) => return Err(cause),
            }
        }
    }

    /// The file, open for writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its path until it replaces the target.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs it to disk, and renames it to the target.
    ///
    /// # Errors
    /// An error of the operating system. The old file is then still there, unless only the directory could not be
    /// synced.
    pub fn place(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        sync_directory(&self.target)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // After `place`, no file has this name. If removing fails, the leftover does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// A file's mode, owner and extended attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    mode: u32,
    uid: Option<u32>,
    gid: Option<u32>,
    /// xattr(7): the SELinux label, access control lists, capabilities.
    extended: Vec<(OsString, Vec<u8>)>,
}

impl Attributes {
    /// Only permission bits: owner and label stay as the file was created.
    #[must_use]
    pub fn of_mode(mode: u32) -> Self {
        Self { mode, uid: None, gid: None, extended: Vec::new() }
    }

    /// All attributes of a file.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        let mode = found.mode() & 0o7777;
        Ok(Self { mode, uid: Some(found.uid()), gid: Some(found.gid()), extended: extended(file)? })
    }

    /// Adds an owner and a group; `None` leaves it as it is.
    #[must_use]
    pub fn owned_by(self, uid: Option<u32>, gid: Option<u32>) -> Self {
        Self { uid, gid, ..self }
    }

    /// Adds the SELinux label of the file at `path`, which an administrator or the policy set. If it has none, the
    /// directory's default applies.
    #[must_use]
    pub fn labelled_as(mut self, path: &Path) -> Self {
        let mut label = vec![0; LARGEST];
        if let Ok(length) = lgetxattr(path, OsStr::from_bytes(SELINUX), &mut label) {
            label.truncate(length);
            self.extended.push((OsStr::from_bytes(SELINUX).to_owned(), label));
        }
        self
    }

    /// Sets all attributes on a file. The mode comes last: it may let others open the file, and a change of owner
    /// clears set-id bits (chown(2)).
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn give(&self, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        let (uid, gid) =
            (self.uid.filter(|uid| *uid != found.uid()), self.gid.filter(|gid| *gid != found.gid()));
        if (uid, gid) != (None, None) {
            fchown(file, uid, gid)?;
        }
        for (name, value) in &self.extended {
            // A confined process may not be allowed to set a label, so it is not set again if it is already right.
            if self::value(file, name).ok().as_ref() != Some(value) {
                fsetxattr(file, name, value, XattrFlags::empty())?;
            }
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }
}

fn extended(file: &File) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let mut list = vec![0; LARGEST];
    let size = match flistxattr(file, &mut list) {
        // The file system has no extended attributes.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        size => size?,
    };
    let names = list.get(..size).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(OsStr::from_bytes).map(|name| Ok((name.to_owned(), value(file, name)?))).collect()
}

fn value(file: &File, name: &OsStr) -> io::Result<Vec<u8>> {
    let mut value = vec![0; LARGEST];
    let size = fgetxattr(file, name, &mut value)?;
    value.truncate(size);
    Ok(value)
}

/// Replaces the file at `path` by one with this content.
///
/// # Errors
/// An error of the operating system. The old file is then still there.
pub fn replace(path: &Path, bytes: &[u8], attributes: &Attributes) -> io::Result<()> {
    let new = New::beside(path)?;
    new.file().write_all(bytes)?;
    attributes.give(new.file())?;
    new.place()
}

/// Removes the new files that killed processes left beside `path`. The caller must hold a lock: files of running
/// processes look the same.
///
/// # Errors
/// An error of the operating system.
pub fn remove_leftovers(path: &Path) -> io::Result<()> {
    let (Some(directory), Some(file)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let start = [file.as_bytes(), NEW.as_bytes()].concat();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_bytes();
        // A prefix also matches SQLite's journals. Anything but a regular file was not created here and does no
        // harm.
        let is_ours = name.strip_prefix(b".").unwrap_or(name).starts_with(&start);
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Syncs the directory of `path`, so that a file that was created, renamed or removed there stays so after a crash.
///
/// # Errors
/// An error of the operating system.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().ok_or(ErrorKind::InvalidInput)?)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        fs::write(&path, "old").unwrap();
        let held = File::open(&path).unwrap();
        replace(&path, b"{}", &Attributes::of_mode(0o640)).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"{}".to_vec(), 0o640));
        assert_eq!(io::read_to_string(held).unwrap(), "old", "who has the old one open keeps it");
        assert_eq!(names(directory.path()), ["status.json"]);
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_hidden_until_it_has_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nss-iam.conf");
        let (one, two) = (New::beside(&path).unwrap(), New::beside(&path).unwrap());
        assert_ne!(one.path(), two.path());
        assert_eq!(mode(one.path()), 0o600);
        let name = one.path().file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(".nss-iam.conf.new-") && !name.ends_with(".conf"), "{name}");
        drop((one, two));
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_failure_leaves_the_present_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::create_dir(&path).unwrap();
        assert!(
            replace(&path, b"new", &Attributes::of_mode(0o644)).is_err(),
            "no file takes a directory's place"
        );
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn attributes_are_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| directory.path().join(name));
        let file = File::create(&old).unwrap();
        file.set_permissions(Permissions::from_mode(0o2751)).unwrap();
        let is_marked = fsetxattr(&file, "user.mark", b"kept", XattrFlags::empty()).is_ok();
        if rustix::process::geteuid().is_root() {
            fchown(&file, Some(7), Some(9)).unwrap();
            file.set_permissions(Permissions::from_mode(0o2751)).unwrap();
        }
        let attributes = Attributes::of(&file).unwrap();
        assert_eq!(attributes.extended.iter().any(|(name, _)| name == "user.mark"), is_marked);
        replace(&new, b"", &attributes).unwrap();
        assert_eq!(Attributes::of(&File::open(&new).unwrap()).unwrap(), attributes);
    }

    #[test]
    fn leftovers_go_with_their_journals_and_what_is_not_ours_stays() {
        let directory = tempfile::tempdir().unwrap();
        for name in [".a.db.new-1-0", ".a.db.new-1-0-journal", "a.db.new-77-wal", ".b.db.new-1-0", "a.db"] {
            fs::write(directory.path().join(name), "half").unwrap();
        }
        fs::create_dir(directory.path().join(".a.db.new-directory")).unwrap();
        remove_leftovers(&directory.path().join("a.db")).unwrap();
        let mut left = names(directory.path());
        left.sort();
        assert_eq!(left, [".a.db.new-directory", ".b.db.new-1-0", "a.db"]);
        assert!(remove_leftovers(&directory.path().join("none/a.db")).is_err());
    }
}
