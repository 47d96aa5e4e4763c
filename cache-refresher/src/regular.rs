//! Reads a file that may have been replaced by anything: a FIFO would be waited for, and /dev/zero has no end. Replaces one
//! that this process alone writes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cache::replace::{self, Attributes};
use nix::fcntl::OFlag;

/// Its first `max` bytes.
///
/// # Errors
/// Of the operating system, or where it is no regular file.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a file with that content, that mode and, where one is given, that group in the place of what is at `path`. The
/// lock of this half of the refresher keeps others away, so that what a killed one left can go.
///
/// # Errors
/// Of the operating system; what was at `path` then still is there.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32, gid: Option<u32>) -> io::Result<()> {
    replace::remove_leftovers(path)?;
    replace::replace(path, bytes, &Attributes::of_mode(mode).owned_by(None, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_what_a_killed_process_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        std::fs::write(folder.path().join(".status.json.new-1-0"), "half").unwrap();
        replace(&path, b"{}", 0o644, None).unwrap();
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["status.json"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o644);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for_and_no_more_is_read_than_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, file) = (folder.path().join("fifo"), folder.path().join("file"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(&file, "text").unwrap();
        for other in [&fifo, folder.path()] {
            assert_eq!(read(other, 9).unwrap_err().to_string(), "not a regular file");
        }
        assert_eq!((read(&file, 9).unwrap(), read(&file, 2).unwrap()), (b"text".to_vec(), b"te".to_vec()));
    }
}
