//! What a publisher has read last. The published listing is replaced only if there is news, so its times of reading are older: by
//! them, the same keys and memberships would be due again in each round. One that does not stay leaves it in its directory.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use listing::Listing;
use listing::regular::{self, Links};
use nix::unistd::geteuid;
use policy::confirmed;

use crate::memo;

/// The name of the file: the digest and the listing.
const NAME: &str = "read.json";

/// What was read last, and the [`digest`] of what was published then.
#[derive(Debug, Default)]
pub(super) struct Recent(Option<(String, Listing)>);

impl Recent {
    /// What the last process left in this directory; nothing if the file is missing or damaged.
    pub(super) fn read(directory: &Path) -> Self {
        let path = directory.join(NAME);
        Self(memo::read(&path, own(&path), "this run reads everything that is due by the published listing"))
    }

    /// Leaves it to the next process; the caller holds the lock of the directory.
    pub(super) fn write(&self, directory: &Path) {
        if self.0.is_some() {
            memo::write(&directory.join(NAME), &self.0);
        }
    }

    /// What was read last, if it was read over this published listing; otherwise the published one, which may be another
    /// publisher's.
    pub(super) fn over(&mut self, digest: Option<&str>, published: Option<Listing>) -> Option<Listing> {
        match self.0.take() {
            Some((of, read)) if digest == Some(&of) => Some(read),
            _ => published,
        }
    }

    /// Keeps what was read over this published listing.
    pub(super) fn keep(&mut self, of: Option<String>, read: &Listing) {
        self.0 = of.map(|of| (of, read.clone()));
    }
}

/// Tells a published listing from all others: also from another fleet's, and from one that was put in its place.
pub(super) fn digest(published: &Listing) -> String {
    confirmed::digest(&serde_json::to_vec(published).unwrap_or_default())
}

/// The content of a file that nobody else can have written: what is in it will be signed.
fn own(path: &Path) -> io::Result<Vec<u8>> {
    let file = regular::read(path, listing::MAX_BYTES, Links::Refuse)?;
    if file.about.uid() != geteuid().as_raw() || file.about.mode() & 0o022 != 0 {
        return Err(io::Error::other("others could have written it"));
    }
    Ok(file.bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::Timestamp;

    use super::*;

    fn listing(fleet: &str, issued: i64, read: i64) -> Listing {
        let at = |seconds| Timestamp::from_second(seconds).ok();
        Listing { fleet: Some(fleet.to_owned()), issued: at(issued), read: at(read), ..Listing::default() }
    }

    /// After this was read over this published listing.
    fn recent(published: &Listing, read: &Listing) -> Recent {
        let mut recent = Recent::default();
        recent.keep(Some(digest(published)), read);
        recent
    }

    #[test]
    fn what_was_read_last_counts_as_long_as_the_published_listing_is_the_same() {
        let (published, read) = (listing("a", 100, 100), listing("", 0, 120));
        let over = |present: Option<Listing>| {
            let digest = present.as_ref().map(digest);
            recent(&published, &read).over(digest.as_deref(), present)
        };
        assert_eq!(over(Some(published.clone())), Some(read.clone()));
        for other in [listing("b", 100, 100), listing("a", 101, 100), listing("a", 100, 90)] {
            assert_eq!(over(Some(other.clone())), Some(other));
        }
        assert_eq!(over(None), None);
    }

    #[test]
    fn it_is_left_to_the_next_process_and_a_file_that_is_damaged_or_of_others_is_as_good_as_none() {
        let (published, read) = (listing("a", 100, 100), listing("", 0, 120));
        let directory = tempfile::tempdir().unwrap();
        let over = || {
            let mut left = Recent::read(directory.path());
            left.over(Some(&digest(&published)), Some(published.clone()))
        };
        Recent::default().write(directory.path());
        assert_eq!(over(), Some(published.clone()));
        recent(&published, &read).write(directory.path());
        assert_eq!(over(), Some(read.clone()));
        let path = directory.path().join(NAME);
        fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
        assert_eq!(over(), Some(published.clone()));
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(over(), Some(read));
        for damaged in [&b""[..], b"[", b"{}", b"\xff", &fs::read(&path).unwrap()[1..]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(over(), Some(published.clone()));
        }
    }
}
