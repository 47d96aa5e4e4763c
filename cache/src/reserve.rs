//! Reserved disk space for removals and locks: a file that is deleted when the disk is full, so that the new cache
//! without the removed and locked users can still be written.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The file's name in the directory.
pub const NAME: &str = "reserve";

/// For journals and the directory itself, in bytes.
const SMALL: u64 = 64 << 10;

/// Reserves `bytes` and some more, or as much of that as is available if the file system can preallocate.
///
/// # Errors
/// An error of the operating system, if not even half is available.
pub fn keep(directory: &Path, bytes: u64) -> io::Result<()> {
    let path = directory.join(NAME);
    let wanted = bytes.saturating_add(SMALL);
    // A sparse file would not reserve space.
    let is_kept = |found: fs::Metadata| found.is_file() && found.blocks() * 512 >= wanted;
    if fs::symlink_metadata(&path).is_ok_and(is_kept) {
        return Ok(());
    }
    let _ = give_up(directory);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let mut size = wanted;
    loop {
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size) {
            // The file system cannot preallocate.
            Err(rustix::io::Errno::NOTSUP) => {
                let written = io::copy(&mut io::repeat(1).take(size), &mut &file);
                // What fills the disk helps nobody.
                if written.is_err() {
                    let _ = give_up(directory);
                }
                return written.map(drop);
            }
            Err(_) if size > wanted / 2 => size -= wanted / 16,
            Err(cause) => {
                let _ = give_up(directory);
                return Err(cause.into());
            }
            Ok(()) => return Ok(()),
        }
    }
}

/// Runs `work`, and if it fails, runs it once more without the reserve.
///
/// # Errors
/// The error of the last attempt.
pub fn with<T, E>(directory: &Path, mut work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    match work() {
        Err(_) if give_up(directory) => work(),
        done => done,
    }
}

/// Deletes the reserve. Returns whether there was one.
#[must_use]
pub fn give_up(directory: &Path) -> bool {
    fs::remove_file(directory.join(NAME)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_deleted_for_work_that_fails_and_kept_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        keep(directory.path(), 1 << 20).unwrap();
        let size = fs::metadata(&path).unwrap().len();
        assert!(size > 1 << 20);
        keep(directory.path(), 1000).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), size, "it does not shrink");
        assert_eq!(with(directory.path(), || Ok::<_, ()>(1)), Ok(1));
        assert!(path.exists());
        let done = with(directory.path(), || if path.exists() { Err("full") } else { Ok(2) });
        assert_eq!((done, path.exists()), (Ok(2), false));
        assert_eq!(with(directory.path(), || Err::<(), _>("full")), Err("full"));
    }
}
