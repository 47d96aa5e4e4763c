//! Reads keys and tags of the members, user by user. What cannot be read stays as it was known, with its earlier
//! confirmation.

use std::collections::{BTreeMap, BTreeSet};

use config::Tags;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use listing::{Account, Failure, FailureKind, Key, User, Warning, WarningCode};

use super::directory::{Directory, KeyStore, ListedKey, Who};
use super::failure::{Reason, Refusal, add_consequence, failure, put_together};
use super::request::AccountRequest;
use super::retention;

/// `settled` are the users who were members before, with the names that they had: what is known of them is read again only when
/// it is due. Users who were confirmed longest ago come first, so that runs that end early still reach everyone in time.
pub(super) async fn read<D: Directory>(
    request: &AccountRequest<'_>,
    directory: &D,
    account: &mut Account,
    present: &BTreeSet<String>,
    settled: &BTreeMap<String, String>,
) {
    let Some(store) = directory.key_store() else {
        for user in account.users.iter_mut().filter(|user| present.contains(&user.id)) {
            user.confirmed = Some(request.now);
        }
        return;
    };
    let is_due = |user: &&User| settled.get(&user.id) != Some(&user.name) || request.schedule.has_due(user);
    let members = account.users.iter().filter(|user| present.contains(&user.id));
    let due: Vec<&User> = members.filter(is_due).collect();
    let mut left = Left::default();
    let mut order = left.paused(request, due);
    order.sort_by(|one, other| (one.confirmed, &one.id).cmp(&(other.confirmed, &other.id)));
    request.progress.more(order.len());
    let read: BTreeMap<String, UserRead> = stream::iter(order)
        .map(|user| async move {
            let read = read_user(request.tags, directory, store, user).await;
            request.progress.done();
            (user.id.clone(), read)
        })
        .buffer_unordered(request.concurrency)
        .collect()
        .await;

    let mut gone = BTreeSet::new();
    let mut failures = Vec::new();
    for (id, read) in read {
        failures.extend(left.without(&id, read.failures));
        let Ok(at) = account.users.binary_search_by(|user| user.id.cmp(&id)) else {
            continue;
        };
        match (read.outcome, account.users.get_mut(at)) {
            (Outcome::Keys(keys), Some(user)) => {
                let confirmed = request.schedule.confirmed(user);
                put(user, keys, confirmed);
            }
            (Outcome::Gone, Some(user)) => {
                log::info!("{} was deleted while groups were read", D::words().user(&user.name));
                gone.insert(id);
            }
            (Outcome::Unread, _) | (_, None) => {}
        }
    }
    retention::remove(account, &gone);
    left.report(request, account, &mut failures);
    let mut failures = put_together(failures);
    add_consequence(&mut failures, "kept the known keys with their earlier confirmation");
    account.errors.extend(failures);
}

/// Users whose keys are left for a later fetch, because calls are limited or throttled.
#[derive(Debug, Default)]
struct Left {
    users: BTreeSet<String>,
    /// One of the calls that were not made.
    failure: Option<Failure>,
}

impl Left {
    /// The users whose keys are read during a pause: those of whom nothing is known.
    fn paused<'a>(&mut self, request: &AccountRequest<'_>, due: Vec<&'a User>) -> Vec<&'a User> {
        let Some(until) = request.keys_pause else { return due };
        let (left, new): (Vec<&User>, Vec<&User>) =
            due.into_iter().partition(|user| user.confirmed.is_some());
        self.users.extend(left.into_iter().map(|user| user.id.clone()));
        if !self.users.is_empty() {
            let until = until.strftime("%Y-%m-%dT%H:%MZ");
            let cause = format!(
                "AWS throttled the calls of earlier refreshes, and known keys are not read before {until}"
            );
            let hint = "'nss-iamctl refresh --force' does not wait";
            self.failure = Some(failure("keys", "all users", &cause, hint, FailureKind::Unavailable));
        }
        new
    }

    /// The failures of this user that are of another kind.
    fn without(&mut self, id: &str, failures: Vec<(Reason, Failure)>) -> Vec<(Reason, Failure)> {
        let (left, others): (Vec<_>, Vec<_>) =
            failures.into_iter().partition(|(reason, _)| *reason == Reason::NoCalls);
        if let Some((_, failure)) = left.into_iter().next() {
            self.users.insert(id.to_owned());
            self.failure.get_or_insert(failure);
        }
        others
    }

    /// A warning, and a failure once keys are much older than they should be.
    fn report(
        self,
        request: &AccountRequest<'_>,
        account: &mut Account,
        failures: &mut Vec<(Reason, Failure)>,
    ) {
        let Some(failure) = self.failure else { return };
        let what =
            format!("not all keys that are due were read: {}; later refreshes read the rest", failure.cause);
        account.warnings.push(Warning::new(WarningCode::KeysLeft, what, &failure.hint));
        let late = request.schedule.late();
        let is_late = |user: &&User| {
            self.users.contains(&user.id)
                && user.confirmed.is_some_and(|at| request.now.duration_since(at) > late)
        };
        let users = account.users.iter().filter(is_late).count();
        if users > 0 {
            let minutes = late.as_mins();
            let cause =
                format!("{}; keys of {users} users were read more than {minutes} min ago", failure.cause);
            failures.push((Reason::NoCalls, Failure { cause, ..failure }));
        }
    }
}

/// Updates a user by what was read. Keys that could not be read keep their earlier confirmation.
fn put(user: &mut User, read: KeysRead, confirmed: Timestamp) {
    user.keys = read.keys;
    user.keys.sort_by(|one, other| one.id.cmp(&other.id));
    if let Some(tags) = read.tags {
        user.tags = tags;
    }
    if read.whole {
        user.confirmed = Some(confirmed);
    }
}

struct UserRead {
    outcome: Outcome,
    failures: Vec<(Reason, Failure)>,
}

enum Outcome {
    Gone,
    Unread,
    Keys(KeysRead),
}

/// One user's keys and tags.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeysRead {
    keys: Vec<Key>,
    /// `None`: could not be read.
    tags: Option<BTreeMap<String, String>>,
    /// Whether both are complete.
    whole: bool,
}

async fn read_user<D: Directory>(tags: &Tags, directory: &D, store: &D::Keys, user: &User) -> UserRead {
    let listed = match store.keys(&user.name).await {
        Ok(listed) => listed,
        Err(refusal) => return unread(directory, user, refusal).await,
    };
    let (mut keys, mut failures) = missing_keys(store, user, &listed).await;
    for key in listed {
        let known = user.keys.iter().find(|known| known.id == key.id && !known.body.is_empty());
        let body = match known {
            Some(known) => Ok(known.body.clone()),
            None if key.active => store.key(&user.name, &key.id).await.map(|answer| answer.body),
            None => Ok(String::new()),
        };
        match body {
            Ok(body) => keys.push(Key { id: key.id, active: key.active, body }),
            // It was deleted after it was listed.
            Err(refusal) if refusal.reason == Reason::NotFound => {}
            Err(refusal) => failures.push(of_user(user, refusal)),
        }
    }
    let tags = match read_tags(tags, store, user).await {
        Ok(tags) => Some(tags),
        Err(refusal) if refusal.reason == Reason::NotFound => return unread(directory, user, refusal).await,
        Err(refusal) => {
            failures.push(refusal.with_reason());
            None
        }
    };
    let whole = failures.is_empty();
    UserRead { outcome: Outcome::Keys(KeysRead { keys, tags, whole }), failures }
}

/// For a user of whom nothing could be read. If there is no such user, that contradicts the answer for the group, so another
/// call has to confirm it.
async fn unread<D: Directory>(directory: &D, user: &User, refusal: Refusal) -> UserRead {
    let kept = |failure| UserRead { outcome: Outcome::Unread, failures: vec![failure] };
    if refusal.reason != Reason::NotFound {
        return kept(refusal.with_reason());
    }
    match directory.groups_of(Who { id: &user.id, name: &user.name }).await {
        Err(refusal) if refusal.reason == Reason::NotFound => {
            UserRead { outcome: Outcome::Gone, failures: Vec::new() }
        }
        _ => {
            let Failure { call, cause, .. } = refusal.failure;
            let cause = format!("{cause}; {} still lists the user", D::words().lists());
            let hint = "the next refresh asks again";
            kept((refusal.reason, failure(&call, &user.name, &cause, hint, FailureKind::Held)))
        }
    }
}

/// Known keys that the list lacks and that still exist: the list may be incomplete.
async fn missing_keys(
    store: &impl KeyStore,
    user: &User,
    listed: &[ListedKey],
) -> (Vec<Key>, Vec<(Reason, Failure)>) {
    let (mut keys, mut failures) = (Vec::new(), Vec::new());
    let is_missing =
        |key: &&Key| key.active && !key.body.is_empty() && !listed.iter().any(|other| other.id == key.id);
    for key in user.keys.iter().filter(is_missing) {
        match store.key(&user.name, &key.id).await {
            Ok(answer) => keys.push(Key { active: answer.active, ..key.clone() }),
            // Without this permission the list has to do.
            Err(refusal) if !refusal.is_failure() => {}
            Err(refusal) => {
                keys.push(key.clone());
                failures.push(of_user(user, refusal));
            }
        }
    }
    (keys, failures)
}

/// The refusal is about a key; the message names the user.
fn of_user(user: &User, refusal: Refusal) -> (Reason, Failure) {
    (refusal.reason, Failure { on: user.name.clone(), ..refusal.failure })
}

async fn read_tags(
    tags: &Tags,
    store: &impl KeyStore,
    user: &User,
) -> Result<BTreeMap<String, String>, Refusal> {
    if tags.uses.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut all = store.tags(&user.name).await?;
    // Also those that are not used: a report names them.
    all.retain(|key, _| tags.meant(key).is_some());
    Ok(all)
}
