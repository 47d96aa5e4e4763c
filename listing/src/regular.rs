//! Reads a file that somebody may have replaced by something else: opening a FIFO would block, and /dev/zero never
//! ends.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Whether the path may be a symbolic link. In a directory that another user can write to, a link could point
/// anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It may.
    Follow,
    /// It may not, but the directories above it may.
    Refuse,
}

/// A regular file.
#[derive(Debug)]
pub struct Regular {
    /// The whole content.
    pub bytes: Vec<u8>,
    /// Owner and mode of the file that was opened and read.
    pub about: Metadata,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It could not be opened.
    #[error("{0}")]
    Open(io::Error),
    /// It could not be read.
    #[error("{0}")]
    Read(io::Error),
    /// It is a directory, a FIFO, a device, a socket, or a link that is not followed.
    #[error("not a regular file")]
    NotRegular,
    /// It is larger than this, in bytes.
    #[error("larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

impl From<Unread> for io::Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Open(cause) | Unread::Read(cause) => cause,
            Unread::NotRegular | Unread::TooLarge(_) => Self::other(unread.to_string()),
        }
    }
}

/// Reads a file of at most `max` bytes. Never blocks on a FIFO.
///
/// # Errors
/// See [`Unread`].
pub fn read(path: &Path, max: u64, links: Links) -> Result<Regular, Unread> {
    let nofollow = if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 };
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK | nofollow).open(path);
    let file = opened.map_err(|cause| match cause.raw_os_error() {
        // open(2): ELOOP for a symbolic link, ENXIO for a socket.
        Some(libc::ELOOP) if links == Links::Refuse => Unread::NotRegular,
        Some(libc::ENXIO) => Unread::NotRegular,
        _ => Unread::Open(cause),
    })?;
    let about = file.metadata().map_err(Unread::Read)?;
    if !about.is_file() {
        return Err(Unread::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(Unread::Read)?;
    if bytes.len() as u64 > max {
        return Err(Unread::TooLarge(max));
    }
    Ok(Regular { bytes, about })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    fn told(path: &Path, max: u64, links: Links) -> Result<Vec<u8>, String> {
        read(path, max, links).map(|file| file.bytes).map_err(|unread| unread.to_string())
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (fifo, socket) = (directory.path().join("fifo"), directory.path().join("socket"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert!(fifo.metadata().unwrap().file_type().is_fifo());
        let _listener = UnixListener::bind(&socket).unwrap();
        for other in [&fifo, &socket, directory.path(), Path::new("/dev/zero")] {
            for links in [Links::Follow, Links::Refuse] {
                assert_eq!(told(other, 9, links), Err("not a regular file".to_owned()), "{other:?}");
            }
        }
    }

    #[test]
    fn a_file_is_read_up_to_the_very_byte() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(told(&file, 4, Links::Refuse), Ok(b"text".to_vec()));
        assert!(matches!(read(&file, 3, Links::Refuse), Err(Unread::TooLarge(3))));
        assert_eq!(told(&link, 4, Links::Follow), Ok(b"text".to_vec()));
        assert_eq!(told(&link, 4, Links::Refuse), Err("not a regular file".to_owned()));
        let missing = read(&directory.path().join("none"), 4, Links::Refuse).map(drop).unwrap_err();
        assert_eq!(io::Error::from(missing).kind(), io::ErrorKind::NotFound);
    }
}
