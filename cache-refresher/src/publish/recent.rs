//! What a publisher has read last. The published listing is replaced only if there is news, so its times of reading are older: by
//! them, the same keys and memberships would be due again in each round. One that does not stay leaves it in its directory.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use listing::Listing;
use listing::regular::{self, Links};

use crate::replace::replace;

/// The name of the file: the issue and the listing.
const NAME: &str = "read.json";

/// Tells a published listing from those before and after it.
type Issue = (Option<u64>, Option<Timestamp>);

/// What was read last, and what was published then.
#[derive(Debug, Default)]
pub(super) struct Recent(Option<(Issue, Listing)>);

impl Recent {
    /// What the last process left in this directory; nothing if the file is missing or damaged.
    pub(super) fn read(directory: &Path) -> Self {
        let path = directory.join(NAME);
        let file = regular::read(&path, listing::MAX_BYTES, Links::Refuse).map_err(io::Error::from);
        match file.and_then(|file| Ok(serde_json::from_slice(&file.bytes)?)) {
            Ok(read) => Self(Some(read)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(cause) => {
                log::warn!("cannot use '{}': {cause}; what is published says what is due", path.display());
                Self::default()
            }
        }
    }

    /// Leaves it to the next process; the caller holds the lock of the directory.
    pub(super) fn write(&self, directory: &Path) {
        let Some(read) = &self.0 else { return };
        let (path, json) = (directory.join(NAME), serde_json::to_vec(read).unwrap_or_default());
        if let Err(cause) = replace(&path, &json, 0o600, None) {
            log::warn!("cannot write '{}': {cause}", path.display());
        }
    }

    /// What was read last, if it was read over this published listing; otherwise the published one, which may be another
    /// publisher's.
    pub(super) fn over(&mut self, published: Option<Listing>) -> Option<Listing> {
        let published = published?;
        match self.0.take() {
            Some((of, read)) if of == issue(&published) => Some(read),
            _ => Some(published),
        }
    }

    /// Keeps what was read over this published listing.
    pub(super) fn keep(&mut self, of: Option<Issue>, read: &Listing) {
        self.0 = of.map(|of| (of, read.clone()));
    }
}

pub(super) fn issue(listing: &Listing) -> Issue {
    (listing.generation, listing.issued)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(generation: u64, issued: i64, read: i64) -> Listing {
        let at = |seconds| Timestamp::from_second(seconds).ok();
        Listing { generation: Some(generation), issued: at(issued), read: at(read), ..Listing::default() }
    }

    #[test]
    fn what_was_read_last_is_left_to_the_next_process_and_a_damaged_file_is_as_good_as_none() {
        let (published, read) = (listing(5, 100, 100), listing(5, 100, 120));
        let directory = tempfile::tempdir().unwrap();
        let over = || Recent::read(directory.path()).over(Some(published.clone()));
        Recent::default().write(directory.path());
        assert_eq!(over(), Some(published.clone()));
        let mut recent = Recent::default();
        recent.keep(Some(issue(&published)), &read);
        recent.write(directory.path());
        assert_eq!(over(), Some(read));
        let path = directory.path().join(NAME);
        for damaged in [&b""[..], b"[", b"{}", b"\xff", &std::fs::read(&path).unwrap()[1..]] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(over(), Some(published.clone()));
        }
    }

    #[test]
    fn what_was_read_last_counts_as_long_as_the_published_listing_is_the_same() {
        let published = listing(5, 100, 100);
        let read = listing(5, 100, 120);
        let over = |present: Option<Listing>| {
            let mut recent = Recent::default();
            recent.keep(Some(issue(&published)), &read);
            recent.over(present)
        };
        assert_eq!(over(Some(published.clone())), Some(read.clone()));
        for other in [listing(6, 100, 130), listing(5, 101, 90)] {
            assert_eq!(over(Some(other.clone())), Some(other));
        }
        assert_eq!(over(None), None);
        assert_eq!(Recent::default().over(Some(published.clone())), Some(published));
    }
}
