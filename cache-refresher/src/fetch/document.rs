//! Sources that are one document, which another program has exported. A broken export must not remove everyone.

mod selected;

use std::collections::BTreeMap;

use config::Config;
use jiff::Timestamp;
use listing::signed::{self, Expected, Parts, Refused};
use listing::{Account, Failure, FailureKind, Listing};

use super::failure::{failure, held};
use super::request::{Content, Release, Request};
use super::retention;

/// Where a document comes from.
pub(crate) trait Document {
    /// Its name in messages.
    fn name(&self) -> String;

    /// The whole document, at most [`listing::MAX_BYTES`] long.
    async fn content(self) -> Result<Content, Failure>;
}

/// By what a document is judged. The fetch half does it so that no bad document replaces a good one, and the apply half again,
/// because only that counts.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a Config,
    /// The generation of the last signed listing of this fleet.
    pub(crate) generation: Option<u64>,
    /// Whether a listing of this source with a signature was accepted before.
    pub(crate) was_signed: bool,
    /// What is known of its accounts.
    pub(crate) known: Vec<Account>,
    pub(crate) release: &'a Release,
    pub(crate) now: Timestamp,
}

/// A document that was read; neither if it could not be read.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) accepted: Option<Content>,
    pub(super) refused: Option<Content>,
}

/// Reads it, or keeps what was known. Also returns the document, and whether it was accepted.
pub(super) async fn read(mut request: Request<'_>, document: impl Document) -> (Listing, Judged) {
    let (known, _) = retention::by_name(request.previous.clone(), request.remembered.clone());
    let judge = Judge {
        config: request.config,
        generation: request.stored.as_ref().and_then(|stored| stored.generation),
        was_signed: request.stored.is_some(),
        known: known.into_values().collect(),
        release: request.release,
        now: request.now,
    };
    let name = document.name();
    let read = match request.read.take() {
        Some(read) => read,
        None => document.content().await,
    };
    let content = match read {
        Ok(content) => content,
        Err(failure) => return (retention::keep_listing(request, failure), Judged::default()),
    };
    match judge.accept(&content.bytes, &name) {
        Ok(listing) => (listing, Judged { accepted: Some(content), refused: None }),
        Err(failure) => {
            let judged = Judged { accepted: None, refused: Some(content) };
            (retention::keep_listing(request, failure), judged)
        }
    }
}

impl Judge<'_> {
    /// The listing in a document, with what this host selects of it.
    ///
    /// # Errors
    /// Why it is refused as a whole. `name` says where it was read.
    pub(crate) fn accept(self, document: &[u8], name: &str) -> Result<Listing, Failure> {
        let mut listing = self.parsed(document, name)?;
        self.config.source.url().clone_into(&mut listing.source);
        let known: Vec<Account> = self
            .known
            .into_iter()
            .map(|account| retention::without_released(account, self.release))
            .collect();
        keep_emptied(&mut listing, known.clone());
        selected::select(&mut listing, self.config, &known, self.release);
        Ok(listing)
    }

    fn parsed(&self, document: &[u8], name: &str) -> Result<Listing, Failure> {
        let refused =
            |call: &str, cause: &str, hint: &str| failure(call, name, cause, hint, FailureKind::Held);
        let unsigned = |json: &[u8]| {
            Listing::parse(json).map_err(|cause| refused("parse", &cause.to_string(), listing::FORMAT))
        };
        let trust = &self.config.trust;
        let expected =
            Expected { keys: &trust.keys, fleet: &trust.fleet, generation: self.generation, now: self.now };
        let is_signed = !matches!(signed::split(document), Ok(Parts { signature: None, .. }));
        let accepts_unsigned = !trust.verifies() || trust.unsigned && !self.was_signed;
        let listing = match is_signed {
            true if trust.verifies() => signed::verify(document, expected)
                .map_err(|cause| refused("verify", &cause.to_string(), cause.hint()))?,
            true => {
                let hint = "set [source] fleet and trusted_keys, the public keys of those who sign it";
                return Err(refused("verify", "it is signed, and no key is trusted", hint));
            }
            false if accepts_unsigned => {
                Listing { fleet: None, generation: None, ids: BTreeMap::new(), ..unsigned(document)? }
            }
            false => return Err(refused("verify", &Refused::Unsigned.to_string(), Refused::Unsigned.hint())),
        };
        Ok(times(listing, is_signed, self.now))
    }
}

/// It is as old as it says. The apply half decides about times in the future; those of a signed listing are at most as far in
/// the future as its publisher's clock may be, and do not count as such.
fn times(mut listing: Listing, is_signed: bool, now: Timestamp) -> Listing {
    let written = listing.read.or(listing.issued).unwrap_or(now);
    let latest = listing.issued.filter(|_| is_signed).map(|issued| issued.min(now));
    for account in &mut listing.accounts {
        account.as_of = Some(account.as_of.unwrap_or(written).min(now));
        if is_signed {
            account.errors.iter_mut().for_each(of_publisher);
        } else {
            account.errors.clear();
        }
        account.warnings.clear();
        for user in &mut account.users {
            let confirmed = user.confirmed.unwrap_or(written);
            user.confirmed = Some(latest.map_or(confirmed, |latest| confirmed.min(latest)));
            user.missing = None;
        }
    }
    listing.read = Some(now);
    listing
}

/// Marks a failure as the publisher's: nothing on this host can solve it.
fn of_publisher(failure: &mut Failure) {
    failure.cause.insert_str(0, "at the publisher: ");
    failure.hint = match failure.hint.as_str() {
        "" => "see the log of the publisher".to_owned(),
        hint => format!("on the publisher: {hint}"),
    };
    failure.code = None;
    failure.users.clear();
}

/// Restores accounts that had users and now have none: a broken export is more likely than that everyone left.
fn keep_emptied(listing: &mut Listing, previous: Vec<Account>) {
    let mut kept = Vec::new();
    for known in previous.into_iter().filter(|account| !account.users.is_empty()) {
        let now = listing.accounts.iter().find(|account| account.name == known.name);
        if now.is_some_and(|account| !account.users.is_empty() || !account.complete) {
            continue;
        }
        listing.accounts.retain(|account| account.name != known.name);
        let of = if known.name.is_empty() { String::new() } else { format!(" of account '{}'", known.name) };
        let names: Vec<&str> = known.users.iter().map(|user| user.name.as_str()).collect();
        let refused = held(
            "read",
            &listing.source,
            &format!("it lists no user{of}, and had {}; they stay", known.users.len()),
            "check whether the export failed; if the removal is intended, run 'nss-iamctl refresh --force'",
            &names,
        );
        kept.push(Account { errors: vec![refused], ..known });
    }
    retention::add_rest(&mut listing.accounts, kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T18:00:00Z".parse().unwrap()
    }

    fn parsed(text: &str) -> Result<Listing, Failure> {
        let (config, release) = (Config::default(), Release::default());
        let judge = Judge {
            config: &config,
            generation: None,
            was_signed: false,
            known: Vec::new(),
            release: &release,
            now: now(),
        };
        judge.accept(text.as_bytes(), "users.json")
    }

    #[test]
    fn a_document_that_says_nothing_of_its_age_is_as_old_as_the_reading() {
        let listing = parsed(
            r#"{"version": 1, "source": "other", "accounts": [{"users": [{"id": "1", "name": "ana"}]}]}"#,
        )
        .unwrap();
        assert_eq!(listing.accounts[0].as_of, Some(now()));
        assert_eq!(listing.accounts[0].users[0].confirmed, Some(now()));
    }

    #[test]
    fn a_document_is_as_old_as_it_says_and_one_from_the_future_is_not_made_new() {
        let listing = parsed(
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
        let cut = parsed("{\"version\": 1").unwrap_err();
        assert_eq!(
            (cut.call.as_str(), cut.on.as_str(), cut.kind),
            ("parse", "users.json", FailureKind::Held)
        );
    }
}
