//! One round of the publisher: reads the present object, then the source, and replaces the object if there is something to
//! say. All that it knows is in the present object.

use std::time::Duration;

use config::{Config, Publish};
use jiff::{SignedDuration, Timestamp};
use listing::signed::{self, Signer};
use listing::{Failure, Listing, Origin};
use message::Message;

use super::ids;
use super::news::is_news;
use crate::exit;
use crate::fetch::Put;

/// How often another publisher may come first in one round.
const ATTEMPTS: usize = 10;

/// If the present listing was issued so much in the future, hosts refuse it.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Where the object is.
pub(super) trait Store {
    /// ETag and content; none if there is no object.
    fn get(&self) -> Result<Option<(String, Vec<u8>)>, Failure>;
    /// Replaces the object that has this ETag.
    fn put(&self, document: Vec<u8>, over: Option<&str>) -> Result<Put, Failure>;
}

/// What a round needs.
pub(super) struct Round<'a, S> {
    pub(super) config: &'a Config,
    pub(super) publish: &'a Publish,
    pub(super) signer: &'a Signer,
    pub(super) store: &'a S,
    /// The highest generation that this process has seen in the object.
    pub(super) seen: Option<u64>,
    pub(super) force: bool,
    pub(super) dry_run: bool,
}

/// What a round did.
#[derive(Debug)]
pub(super) struct Done {
    /// The listing that is there now; with `--dry-run`, the one that would be.
    pub(super) listing: Listing,
    /// Whether it was written.
    pub(super) written: bool,
    /// Why the source could not be read completely.
    pub(super) failures: Vec<Failure>,
    pub(super) warnings: Vec<String>,
}

/// Why nothing was published.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) exit: u8,
    pub(super) message: Message,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { exit: exit::of(failure.kind), message: failure.message() }
    }
}

/// The object that is there.
struct Present {
    etag: String,
    listing: Listing,
}

impl<S: Store> Round<'_, S> {
    /// `read` reads the source, given the last listing of it. After a lost race it is read again: what was read before could
    /// be older than what the other publisher has written.
    pub(super) fn run(
        &self,
        now: impl Fn() -> Timestamp,
        mut read: impl FnMut(Option<Listing>) -> (Listing, Vec<Failure>),
    ) -> Result<Done, Stop> {
        for _ in 0..ATTEMPTS {
            let present = self.present()?;
            let started = now();
            let (read, failures) = read(present.as_ref().map(|present| present.listing.clone()));
            let known = present.as_ref().map(|present| &present.listing);
            let (next, warnings) = self.next(known, read, started);
            if let Some(listing) = known.filter(|known| !self.is_due(known, &next, started)) {
                return Ok(Done { listing: listing.clone(), written: false, failures, warnings });
            }
            if present.is_none() && next.accounts.iter().any(|account| !account.complete) {
                return Err(self.incomplete(&failures));
            }
            if self.dry_run {
                return Ok(Done { listing: next, written: false, failures, warnings });
            }
            let over = present.as_ref().map(|present| present.etag.as_str());
            if self.store.put(self.signed(&next)?, over)? == Put::Written {
                return Ok(Done { listing: next, written: true, failures, warnings });
            }
        }
        let message =
            Message::new(format!("another publisher replaced '{}' {ATTEMPTS} times", self.publish.url));
        Err(Stop { exit: exit::UNAVAILABLE, message: message.and("nothing was published") })
    }

    /// The object, if it was signed by this publisher, or another one that it trusts, for the same fleet.
    fn present(&self) -> Result<Option<Present>, Stop> {
        let url = &self.publish.url;
        let Some((etag, document)) = self.store.get()? else {
            return match self.seen {
                None => Ok(None),
                Some(_) => Err(self.refused(
                    format!("'{url}' was deleted"),
                    "restore it, so that no id is forgotten; to begin with an empty one, restart the publisher",
                )),
            };
        };
        let keys: Vec<String> =
            std::iter::once(self.signer.public()).chain(self.publish.trusted_keys.iter().cloned()).collect();
        let listing = signed::authentic(&document, &keys).map_err(|cause| {
            self.refused(
                format!("'{url}' cannot be verified: {cause}"),
                "if another key of a publisher signed it, add its public key to [publish] trusted_keys; if the object is not \
                 needed, remove it, and all ids that it alone has are forgotten",
            )
        })?;
        if listing.fleet.as_ref() != Some(&self.publish.fleet) {
            let other = listing.fleet.as_deref().unwrap_or_default().escape_default();
            return Err(self.refused(
                format!("'{url}' is for the fleet '{other}', not for '{}'", self.publish.fleet),
                "each fleet needs an object of its own: check [publish] url and fleet",
            ));
        }
        if let Some(seen) = self.seen.filter(|seen| listing.generation.unwrap_or_default() < *seen) {
            return Err(self.refused(
                format!("'{url}' was replaced by an older one: generation {seen} was there before"),
                "restore the newest version, so that no id is forgotten; to go on with this one, restart the publisher",
            ));
        }
        if !self.config.source.has_url(&listing.source) && !self.force {
            return Err(self.refused(
                format!(
                    "'{url}' has the users of '{}', and [source] url is '{}'",
                    listing.source.escape_default(),
                    self.config.source.url()
                ),
                "correct [source] url; if all users of the former source are to leave, run '/usr/libexec/nss-iam/cache-refresher publish --force'",
            ));
        }
        Ok(Some(Present { etag, listing }))
    }

    fn refused(&self, what: String, hint: &str) -> Stop {
        Stop { exit: exit::HELD, message: Message::new(what).and("nothing was published").with_hint(hint) }
    }

    /// A first listing without users of an account would be believed.
    fn incomplete(&self, failures: &[Failure]) -> Stop {
        let Some(failure) = failures.first() else {
            return self.refused("the source was not read completely".to_owned(), "");
        };
        let kinds = failures.iter().map(|failure| exit::of(failure.kind));
        let nothing =
            format!("there is no '{}' yet, and none is published before all can be read", self.publish.url);
        Stop { exit: exit::heaviest(kinds), message: failure.message().and(nothing) }
    }

    /// Whether there is something to publish.
    fn is_due(&self, present: &Listing, next: &Listing, now: Timestamp) -> bool {
        let Some(issued) = present.issued else { return true };
        let age = now.duration_since(issued);
        let again = signed_duration(self.publish.again);
        is_news(present, next) || age >= again || age < -CLOCK_TOLERANCE
    }

    fn next(&self, present: Option<&Listing>, read: Listing, now: Timestamp) -> (Listing, Vec<String>) {
        let before = present.map(|present| present.ids.clone()).unwrap_or_default();
        let ids::Assigned { ids, warnings } = ids::assign(self.config, &read, &before);
        let last = present.and_then(|present| present.generation).unwrap_or_default();
        let read_from = read.fleet.as_ref().zip(read.generation);
        let read_from = read_from.map(|(fleet, generation)| Origin { fleet: fleet.clone(), generation });
        // Also where the source could not be read this time.
        let origin = read_from.or_else(|| present.and_then(|present| present.origin.clone()));
        let clock = u64::try_from(now.as_second()).unwrap_or_default();
        // A listing has whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let next = Listing {
            fleet: Some(self.publish.fleet.clone()),
            generation: Some(last.saturating_add(1).max(clock)),
            origin,
            issued: Some(now),
            expires: now.checked_add(signed_duration(self.publish.valid)).ok().or(Some(Timestamp::MAX)),
            ids,
            ..read
        };
        (next, warnings)
    }

    fn signed(&self, listing: &Listing) -> Result<Vec<u8>, Stop> {
        let failed = |cause: String| Stop {
            exit: exit::OTHER,
            message: Message::new(format!("the listing cannot be signed: {cause}"))
                .and("nothing was published"),
        };
        let json = serde_json::to_vec(listing).map_err(|cause| failed(cause.to_string()))?;
        let document = self.signer.sign(&json).map_err(|cause| failed(cause.to_string()))?;
        if document.len() as u64 > listing::MAX_BYTES {
            return Err(failed(format!(
                "it is larger than {} MiB, which no host reads",
                listing::MAX_BYTES >> 20
            )));
        }
        Ok(document)
    }
}

/// The configuration allows at most a century.
fn signed_duration(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
