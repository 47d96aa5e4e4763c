//! What a publisher that repeats has read last. The published listing is replaced only if there is news, so its times of
//! reading are older: by them, the same keys and memberships would be due again in each round.

use jiff::Timestamp;
use listing::Listing;

/// Tells a published listing from those before and after it.
type Issue = (Option<u64>, Option<Timestamp>);

/// What was read last, and what was published then.
#[derive(Debug, Default)]
pub(super) struct Recent(Option<(Issue, Listing)>);

impl Recent {
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
