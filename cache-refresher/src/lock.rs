//! One refresher at a time. The locks are on files that no other user can open: flock(2) needs no write permission, so any
//! user of the host could block refreshes with a file that everyone can read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use cache::schema::STATE;

use crate::exit;

/// How long a second refresher waits.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Held until dropped; the kernel drops it with the process.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "what is locked is the open file")] File);

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("another refresher still holds '{0}' after 30 s")]
    Busy(String),
    #[error("cannot lock '{0}': {1}")]
    Io(String, io::Error),
}

impl Error {
    /// Its exit status.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Busy(_) => exit::UNAVAILABLE,
            Self::Io(_, cause) => exit::of_io(cause),
        }
    }

    /// What to do about it; may be empty.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Io(_, cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                "run as root, or as the user that owns it"
            }
            Self::Io(_, cause) if cause.kind() == io::ErrorKind::NotFound => {
                "run 'systemd-tmpfiles --create nss-iam.conf'"
            }
            _ => "",
        }
    }
}

/// For the apply half: locks `state.db` in `directory`, which is never replaced. Creates it if it is missing, except in a
/// dry run, which then has nothing to wait for.
pub(crate) fn of_apply(directory: &Path, dry_run: bool) -> Result<Option<Lock>, Error> {
    let path = directory.join(STATE.name);
    let opened = OpenOptions::new().read(true).append(!dry_run).create(!dry_run).mode(STATE.mode).open(&path);
    match opened {
        Err(cause) if dry_run && cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(Error::Io(path.display().to_string(), cause))
        }
        // It is a directory, or on a read-only file system. It can be locked anyway.
        opened => wait(&path, opened.or_else(|cause| File::open(&path).map_err(|_| cause))).map(Some),
    }
}

/// For the fetch half and the publisher: locks its own directory, which other users cannot open.
pub(crate) fn of_directory(directory: &Path) -> Result<Lock, Error> {
    wait(directory, File::open(directory))
}

/// Waits up to 30 s for the lock.
fn wait(path: &Path, opened: io::Result<File>) -> Result<Lock, Error> {
    let name = || path.display().to_string();
    let file = opened.map_err(|cause| Error::Io(name(), cause))?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                std::thread::sleep(POLL);
                waited += POLL;
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(name())),
            Err(TryLockError::Error(cause)) => return Err(Error::Io(name(), cause)),
        }
    }
}
