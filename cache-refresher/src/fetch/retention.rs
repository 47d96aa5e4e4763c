//! What is kept of earlier listings if a source or an account cannot be read, or is no longer configured. Pure.

use std::collections::{BTreeMap, BTreeSet};

use listing::{Account, Failure, FailureKind, Listing};

use super::failure::{add_consequence, failure};
use super::request::{Release, Request};

/// The previous listing, if the source as a whole cannot be read. The first account gets the failure.
pub(super) fn keep_listing(mut request: Request<'_>, failure: Failure) -> Listing {
    let mut accounts =
        request.previous.take().map(|listing| listing.accounts).unwrap_or_default().into_iter();
    let mut kept = vec![keep_account(accounts.next(), "", vec![failure])];
    kept.extend(accounts.map(|account| Account { errors: Vec::new(), ..account }));
    request.listing(kept)
}

/// The account as it was known, if it cannot be read.
pub(crate) fn keep_account(known: Option<Account>, name: &str, failures: Vec<Failure>) -> Account {
    let mut account =
        known.unwrap_or_else(|| Account { name: name.to_owned(), complete: false, ..Account::default() });
    let consequence = match account.as_of {
        Some(as_of) => format!(
            "kept the listing of {} ({} users)",
            as_of.strftime("%Y-%m-%dT%H:%MZ"),
            account.users.len()
        ),
        None => "nothing is known of this account yet".to_owned(),
    };
    account.errors = failures;
    add_consequence(&mut account.errors, &consequence);
    account
}

/// The known accounts by name; and those besides that a name stood for before.
pub(super) fn by_name(
    previous: Option<Listing>,
    remembered: Vec<Account>,
) -> (BTreeMap<String, Account>, Vec<Account>) {
    let mut known: BTreeMap<String, Account> = BTreeMap::new();
    let mut rest = Vec::new();
    for account in previous.into_iter().flat_map(|listing| listing.accounts).chain(remembered) {
        match known.get(&account.name) {
            None => drop(known.insert(account.name.clone(), account)),
            Some(other) if other.id == account.id => {}
            Some(_) => rest.push(account),
        }
    }
    (known, rest)
}

/// The account without the users who may be removed.
pub(super) fn without_released(mut account: Account, release: &Release) -> Account {
    let released = account.users.iter().filter(|user| release.lets_go(user));
    let gone = released.map(|user| user.id.clone()).collect();
    remove(&mut account, &gone);
    account
}

/// Removes these users from the account and its groups.
pub(crate) fn remove(account: &mut Account, gone: &BTreeSet<String>) {
    account.users.retain(|user| !gone.contains(&user.id));
    for group in &mut account.groups {
        group.members.retain(|member| !gone.contains(member));
    }
}

/// Adds what `kept` accounts have and the others lack. Accounts without users are left out.
pub(crate) fn add_rest(accounts: &mut Vec<Account>, kept: impl IntoIterator<Item = Account>) {
    for mut account in kept {
        let others = accounts.iter().flat_map(|account| {
            account.users.iter().map(|user| &user.id).chain(account.groups.iter().map(|group| &group.id))
        });
        let taken: BTreeSet<String> = others.cloned().collect();
        remove(&mut account, &taken);
        account.groups.retain(|group| !taken.contains(&group.id));
        if !account.users.is_empty() {
            accounts.push(account);
        }
    }
}

/// Leaves each id to the first account that has it: a listing with an id twice would be refused.
///
/// That happens if two configured accounts are the same one, or were exchanged while one cannot be read.
pub(crate) fn each_id_once(accounts: &mut [Account]) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for account in accounts {
        let mut twice = BTreeSet::new();
        let groups = account.groups.iter().map(|group| &group.id);
        for id in account.users.iter().map(|user| &user.id).chain(groups) {
            if !seen.insert(id.clone()) {
                twice.insert(id.clone());
            }
        }
        if twice.is_empty() {
            continue;
        }
        remove(account, &twice);
        account.groups.retain(|group| !twice.contains(&group.id));
        account.errors.push(failure(
            "merge",
            &account.name,
            &format!(
                "{} of its users and groups are also in an earlier account, which keeps them",
                twice.len()
            ),
            "give each [[account]] another AWS account, or another identity store",
            FailureKind::Configuration,
        ));
    }
}
