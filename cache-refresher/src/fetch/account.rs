//! Refreshes one account: memberships first, then the users who are missing, then keys.

use std::collections::{BTreeMap, BTreeSet};

use listing::{Account, WarningCode};

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
    if is_recent(request, &before) {
        let mut account = Account { name: request.name.to_owned(), id: id.to_owned(), ..before };
        // What is left of keys is found out again.
        account.warnings.retain(|warning| warning.code != Some(WarningCode::KeysLeft));
        let (present, settled) =
            (account.users.iter().map(|user| user.id.clone()).collect(), settled(&account));
        // Where there are no keys, only an answer about a group confirms its members.
        if directory.key_store().is_some() {
            keys::read(request, directory, &mut account, &present, &settled).await;
        }
        return account;
    }
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
    let settled = settled(&known);
    let (mut account, present) = merge::memberships(known, groups, verdicts, Rules::of(request, D::words()));
    account.warnings.extend(directory.warning());
    // If nothing was known, it is unknown which users a mistake in `groups` leaves out.
    account.complete = remembers || !unresolved || request.release.all;
    keys::read(request, directory, &mut account, &present, &settled).await;
    account
}

/// The users of whom what is known may still hold, and the names that they have.
fn settled(known: &Account) -> BTreeMap<String, String> {
    let users = known.users.iter().filter(|user| user.missing.is_none());
    users.map(|user| (user.id.clone(), user.name.clone())).collect()
}

fn says_nothing_of_members(warning: Option<WarningCode>) -> bool {
    matches!(warning, Some(WarningCode::KeysLeft | WarningCode::DetailsDenied))
}

/// Whether the memberships of these groups were read so recently, and without a doubt, that they are not read again.
fn is_recent(request: &AccountRequest<'_>, known: &Account) -> bool {
    let has = |name: &String| {
        known.groups.iter().any(|group| request.source.is_group(name, &group.id, &group.name))
    };
    let is_certain = known.complete
        && known.errors.is_empty()
        && known.warnings.iter().all(|warning| says_nothing_of_members(warning.code))
        && known.users.iter().all(|user| user.missing.is_none())
        && request.unresolved.is_empty();
    let ids: BTreeSet<&str> = known.groups.iter().map(|group| group.id.as_str()).collect();
    is_certain
        && request.members.is_recent(known.as_of)
        && ids.len() == request.groups.len()
        && known.groups.iter().all(|group| !group.unconfigured && group.renamed.is_none())
        && request.groups.iter().all(has)
}
