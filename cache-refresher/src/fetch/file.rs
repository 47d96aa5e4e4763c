//! The source `file:///…`: a listing that something else has written.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use listing::{Failure, FailureKind, Listing, MAX_BYTES};

use super::failure::failure;

/// Reads the listing; its `source` is still what its writer says.
pub(crate) fn read(path: &Path, now: Timestamp) -> Result<Listing, Failure> {
    let bytes = bytes(path)?;
    let mut listing = Listing::parse(&bytes).map_err(|error| {
        let hint = "docs/reference/listing.md shows the form";
        failure("parse", &path.to_string_lossy(), &error.to_string(), hint, FailureKind::Held)
    })?;
    // As old as its writer says. What is said to be from the future is for the apply half to judge.
    let written = listing.read.unwrap_or(now);
    for account in &mut listing.accounts {
        account.as_of = Some(account.as_of.unwrap_or(written).min(now));
        account.errors.clear();
        account.warnings.clear();
        for user in &mut account.users {
            user.confirmed = Some(user.confirmed.unwrap_or(written));
            user.missing = None;
        }
    }
    listing.read = Some(now);
    Ok(listing)
}

fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
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
fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T18:00:00Z".parse().unwrap()
    }

    fn read_text(text: &str) -> Result<Listing, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), now())
    }

    #[test]
    fn a_file_that_says_nothing_of_its_age_is_as_old_as_the_reading() {
        let listing = read_text(
            r#"{"version": 1, "source": "other", "accounts": [{"users": [{"id": "1", "name": "ana"}]}]}"#,
        )
        .unwrap();
        assert_eq!(listing.accounts[0].as_of, Some(now()));
        assert_eq!(listing.accounts[0].users[0].confirmed, Some(now()));
    }

    #[test]
    fn a_file_is_as_old_as_it_says_and_one_from_the_future_is_not_made_new() {
        let listing = read_text(
            r#"{"version": 1, "read": "2026-11-20T00:00:00Z", "accounts": [{"users": [
                {"id": "1", "name": "ana"}, {"id": "2", "name": "bob", "confirmed": "2030-01-01T00:00:00Z"}]}]}"#,
        )
        .unwrap();
        let users = &listing.accounts[0].users;
        assert_eq!(users[0].confirmed, Some("2026-11-20T00:00:00Z".parse().unwrap()));
        assert_eq!(users[1].confirmed, Some("2030-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_is_no_listing_is_refused_with_its_call_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let of = |path: &Path| {
            let refused = read(path, now()).unwrap_err();
            (refused.call, refused.kind)
        };
        assert_eq!(of(&fifo), ("read".to_owned(), FailureKind::Held));
        assert_eq!(of(folder.path()), ("read".to_owned(), FailureKind::Held));
        assert_eq!(of(&folder.path().join("none")), ("open".to_owned(), FailureKind::Configuration));
        let cut = read_text("{\"version\": 1").unwrap_err();
        assert_eq!((cut.call.as_str(), cut.kind), ("parse", FailureKind::Held));
    }
}
