//! Sources that are one document, which another program has exported. A broken export must not remove everyone.

use jiff::Timestamp;
use listing::{Account, Failure, FailureKind, Listing};

use super::failure::{failure, held};
use super::request::Request;
use super::retention;

/// Where a document comes from.
pub(crate) trait Document {
    /// Its name in messages.
    fn name(&self) -> String;

    /// The whole document, at most [`listing::MAX_BYTES`] long.
    async fn json(&self) -> Result<Vec<u8>, Failure>;
}

/// Reads it, or keeps what was known.
pub(super) async fn read(request: Request<'_>, document: impl Document) -> Listing {
    match document.json().await.and_then(|json| parse(&json, &document.name(), request.now)) {
        Ok(read) => {
            let mut listing = Listing { source: request.config.source.url().to_owned(), ..read };
            let (known, _) = retention::by_name(request.previous, request.remembered);
            let kept =
                known.into_values().map(|account| retention::without_released(account, request.release));
            keep_emptied(&mut listing, kept.collect());
            listing
        }
        Err(failure) => retention::keep_listing(request, failure),
    }
}

/// The listing. Its `source` is still the one that the exporting program wrote.
fn parse(json: &[u8], name: &str, now: Timestamp) -> Result<Listing, Failure> {
    let mut listing = Listing::parse(json)
        .map_err(|error| failure("parse", name, &error.to_string(), listing::FORMAT, FailureKind::Held))?;
    // It is as old as it says. The apply half decides about times in the future.
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
        parse(text.as_bytes(), "users.json", now())
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
