//! The source `file:///…`: a listing in a file of this host.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use listing::{Failure, FailureKind, MAX_BYTES};

use super::document::Document;
use super::failure::failure;

/// The file at this path.
pub(super) struct File<'a>(pub(super) &'a Path);

impl Document for File<'_> {
    fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    async fn json(&self) -> Result<Vec<u8>, Failure> {
        read(self.0)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = open(path).map_err(|error| {
        let kind = match error.kind() {
            ErrorKind::NotFound => FailureKind::Configuration,
            ErrorKind::PermissionDenied => FailureKind::Denied,
            _ => FailureKind::Other,
        };
        let hint = "the file of [source] url has to be there, and readable for the user nss-iam-fetch";
        failure("open", &path.to_string_lossy(), &error.to_string(), hint, kind)
    })?;
    let refused = |cause: &str| failure("read", &path.to_string_lossy(), cause, "", FailureKind::Held);
    let about = file.metadata().map_err(|error| refused(&error.to_string()))?;
    if !about.is_file() {
        return Err(refused("not a regular file"));
    }
    let mut bytes = Vec::new();
    let read =
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refused(&error.to_string()))?;
    if read as u64 > MAX_BYTES {
        return Err(refused(&format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

/// A FIFO must not make the refresher wait for a writer.
fn open(path: &Path) -> std::io::Result<std::fs::File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_with_its_call_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let of = |path: &Path| {
            let refused = read(path).unwrap_err();
            (refused.call, refused.kind)
        };
        assert_eq!(of(&fifo), ("read".to_owned(), FailureKind::Held));
        assert_eq!(of(folder.path()), ("read".to_owned(), FailureKind::Held));
        assert_eq!(of(&folder.path().join("none")), ("open".to_owned(), FailureKind::Configuration));
    }
}
