//! The source `file:///…`: a listing in a file of this host.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use listing::regular::{Links, Regular, Unread};
use listing::{Failure, FailureKind};

use super::document::Document;
use super::failure::failure;
use super::request::Content;

/// The file at this path.
pub(super) struct File<'a>(pub(super) &'a Path);

impl Document for File<'_> {
    fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    async fn content(self) -> Result<Content, Failure> {
        let file = read(self.0)?;
        Ok(Content { etag: Some(tag(&file.about)), bytes: file.bytes })
    }
}

/// Whether the file is the one with this tag, and was not written to since.
pub(super) fn is_unchanged(path: &Path, known: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|about| tag(&about) == known)
}

fn tag(about: &Metadata) -> String {
    let (changed, modified) = ((about.ctime(), about.ctime_nsec()), (about.mtime(), about.mtime_nsec()));
    format!("{:?}", (about.dev(), about.ino(), about.size(), changed, modified))
}

fn read(path: &Path) -> Result<Regular, Failure> {
    let refused = |cause: &str| failure("read", &path.to_string_lossy(), cause, "", FailureKind::Held);
    match listing::read(path, Links::Follow) {
        Ok(file) => Ok(file),
        Err(Unread::Open(cause)) => {
            let kind = match cause.kind() {
                ErrorKind::NotFound => FailureKind::Configuration,
                ErrorKind::PermissionDenied => FailureKind::Denied,
                _ => FailureKind::Other,
            };
            let hint = "[source] url must name an existing file that the user nss-iam-fetch can read";
            Err(failure("open", &path.to_string_lossy(), &cause.to_string(), hint, kind))
        }
        Err(unread) => Err(refused(&unread.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_with_its_call_and_kind() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let of = |path: &Path| {
            let refused = read(path).unwrap_err();
            (refused.call, refused.kind)
        };
        assert_eq!(of(&fifo), ("read".to_owned(), FailureKind::Held));
        assert_eq!(of(directory.path()), ("read".to_owned(), FailureKind::Held));
        assert_eq!(of(&directory.path().join("none")), ("open".to_owned(), FailureKind::Configuration));
    }
}
