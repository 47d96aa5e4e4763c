//! The file `confirmed`: see [`policy::confirmed`]. It is replaced as a whole.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use policy::confirmed::{MAX_SIZE, NAME, Record};
use rustix::fs::OFlags;

use crate::replace::{self, Attributes};

/// Readable by the same users as `keys.db`.
const MODE: u32 = 0o640;

/// The record in the directory `directory`. One that is missing, damaged or writable by others says nothing: then the times
/// in the files count, which are older.
#[must_use]
pub fn read(directory: &Path) -> Record {
    text(&directory.join(NAME)).ok().and_then(|text| Record::parse(&text)).unwrap_or_default()
}

fn text(path: &Path) -> io::Result<String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw() || found.uid() == 0;
    if !found.is_file() || !is_ours || found.mode() & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut text = String::new();
    file.take(MAX_SIZE).read_to_string(&mut text)?;
    Ok(text)
}

/// Replaces the record if it differs; `gid` is the group that reads it. The caller holds the lock.
///
/// # Errors
/// An error of the operating system. The old record is then still there.
pub fn write(directory: &Path, record: &Record, gid: u32) -> io::Result<()> {
    let path = directory.join(NAME);
    replace::remove_leftovers(&path)?;
    if read(directory) == *record {
        return Ok(());
    }
    let attributes = Attributes::of_mode(MODE).owned_by(None, Some(gid)).labelled_as(&path);
    replace::replace(&path, record.to_string().as_bytes(), &attributes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use policy::confirmed::{Entry, Moves};

    use super::*;

    #[test]
    fn a_record_is_read_back_unless_others_could_have_written_it() {
        let directory = tempfile::tempdir().unwrap();
        let entry = Entry { digest: "0".repeat(64), asked: 7, moves: Moves::between([(1, 2)]).unwrap() };
        let record = Record { keys: Some(entry.clone()), state: vec![entry] };
        assert_eq!(read(directory.path()), Record::default());
        write(directory.path(), &record, rustix::process::getgid().as_raw()).unwrap();
        let path = directory.path().join(NAME);
        let found = fs::metadata(&path).unwrap();
        assert_eq!((read(directory.path()), found.mode() & 0o7777), (record.clone(), 0o640));
        write(directory.path(), &record, rustix::process::getgid().as_raw()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), found.ino(), "an equal record is not written again");
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert_eq!(read(directory.path()), Record::default());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(read(directory.path()), Record::default());
    }
}
