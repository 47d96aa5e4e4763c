//! What is read as one document that something else has written: an export that broke must not remove everybody.

use std::path::Path;

use listing::{Account, Listing};

use super::failure::held;
use super::{Request, file, kept, memory, merge};

/// Reads it, or is left with what was known.
pub(super) fn read(request: Request<'_>, path: &Path) -> Listing {
    match file::read(path, request.now) {
        Ok(read) => {
            let mut listing = Listing { source: request.config.source.url().to_owned(), ..read };
            let (known, _) = memory(request.previous, request.remembered);
            let kept = known.into_values().map(|account| request.release.rest_of(account));
            keep_emptied(&mut listing, kept.collect());
            listing
        }
        Err(failure) => kept(request, failure),
    }
}

/// Puts accounts back that had users and now have none: an export that broke is more likely than that everybody left.
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
            "look whether its export went wrong; if everybody is to leave, run 'nss-iamctl refresh --force'",
            &names,
        );
        kept.push(Account { errors: vec![refused], ..known });
    }
    merge::add_rest(&mut listing.accounts, kept);
}
