//! Replaces a file that this half of the refresher alone writes.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use cache::replace::{self, Attributes, New};

/// Replaces the file at `path`; the new one has this content, this mode and, if given, this group. The caller holds the lock
/// of its half, so that temporary files of a refresher that was killed can be removed.
///
/// # Errors
/// Of the operating system. The old file is then unchanged.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32, gid: Option<u32>) -> io::Result<()> {
    replace_by(path, mode, gid, |file| file.write_all(bytes))
}

/// The same, with the content that `write` writes.
///
/// # Errors
/// Of the operating system, or of `write`. The old file is then unchanged.
pub(crate) fn replace_by(
    path: &Path,
    mode: u32,
    gid: Option<u32>,
    write: impl Fn(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    replace::remove_leftovers(path)?;
    let new = New::beside(path)?;
    let mut file = BufWriter::new(new.file());
    write(&mut file)?;
    file.flush()?;
    drop(file);
    Attributes::of_mode(mode).owned_by(None, gid).give(new.file())?;
    new.place()
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
