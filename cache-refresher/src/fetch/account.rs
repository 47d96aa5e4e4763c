//! Refreshes one account: memberships first, then the users who are missing, then keys.

use std::collections::BTreeMap;

use listing::Account;

use super::confirm::confirm;
use super::directory::Directory;
use super::failure::{Refusal, put_together};
use super::removal::{self, Rules};
use super::request::AccountRequest;
use super::{groups, keys, merge, retention};

/// Never fails: what cannot be read is kept from `known`, and `errors` say why.
pub(crate) async fn refresh<D: Directory>(
    request: &AccountRequest<'_>,
    directory: &D,
    id: &str,
    known: Option<Account>,
) -> Account {
    // The name may have stood for another account before.
    let known = known.filter(|known| known.id.is_empty() || known.id == id);
    let remembers = known.is_some();
    let before = known.clone().unwrap_or_default();
    let groups = match groups::read(request, directory, &before).await {
        Ok(groups) => groups,
        Err(refusals) => {
            let failures = put_together(refusals.into_iter().map(Refusal::with_reason).collect());
            return retention::keep_account(known, request.name, failures);
        }
    };
    let unresolved = !groups.unresolved.is_empty();
    let known = Account { name: request.name.to_owned(), id: id.to_owned(), ..before };
    let lost = removal::lost::<D>(&known, &groups);
    let verdicts = confirm(directory, &groups.asked, lost, request.concurrency).await;
    let settled: BTreeMap<String, String> = known
        .users
        .iter()
        .filter(|user| user.missing.is_none())
        .map(|user| (user.id.clone(), user.name.clone()))
        .collect();
    let (mut account, present) = merge::memberships(known, groups, verdicts, Rules::of(request, D::words()));
    // If nothing was known, it is unknown which users a mistake in `groups` leaves out.
    account.complete = remembers || !unresolved || request.release.all;
    keys::read(request, directory, &mut account, &present, &settled).await;
    account
}
