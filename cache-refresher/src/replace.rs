//! Replaces a file that this half of the refresher alone writes.

use std::io;
use std::path::Path;

use cache::replace::{self, Attributes};

/// Replaces the file at `path`; the new one has this content, this mode and, if given, this group. The caller holds the lock
/// of its half, so that temporary files of a refresher that was killed can be removed.
///
/// # Errors
/// Of the operating system. The old file is then unchanged.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32, gid: Option<u32>) -> io::Result<()> {
    replace::remove_leftovers(path)?;
    replace::replace(path, bytes, &Attributes::of_mode(mode).owned_by(None, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_what_a_killed_process_left_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        std::fs::write(directory.path().join(".status.json.new-1-0"), "half").unwrap();
        replace(&path, b"{}", 0o644, None).unwrap();
        let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["status.json"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o644);
    }
}
