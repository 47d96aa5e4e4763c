//! Reads a file that may have been replaced by anything: a FIFO would be waited for, and /dev/zero has no end.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

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
