//! One account's refresh: memberships, then those who are missing, then keys. All or nothing per phase.

use std::collections::{BTreeMap, BTreeSet};

use config::{TagUse, Tags};
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use listing::{Account, Failure, FailureKind, Key, User};

use super::Progress;
use super::confirm::confirm;
use super::directory::{Directory, GroupAnswer};
use super::failure::{Refusal, What, failure, printable, put_together};
use super::merge::{self, KeysRead};

/// What to read, and by which rules.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) groups: &'a [String],
    pub(crate) tags: &'a Tags,
    /// Calls at once; IAM limits the rate of each account by itself.
    pub(crate) concurrency: usize,
    pub(crate) force: bool,
    pub(crate) now: Timestamp,
    pub(crate) progress: &'a dyn Progress,
}

/// Never fails: what cannot be read is as `known` has it, and `errors` say why.
pub(crate) async fn refresh<D: Directory>(
    plan: &Plan<'_>,
    directory: &D,
    id: &str,
    known: Option<Account>,
) -> Account {
    let (answers, mut missing_groups) = match read_groups(plan, directory, known.as_ref()).await {
        Ok(read) => read,
        Err(failures) => return merge::kept(known, plan.name, failures),
    };
    let known = Account { name: plan.name.to_owned(), id: id.to_owned(), ..known.unwrap_or_default() };
    let lost = merge::lost(&known, plan.groups, &answers);
    let verdicts = confirm(directory, plan.groups, lost, plan.concurrency).await;
    let (mut account, present) =
        merge::memberships(known, plan.groups, answers, verdicts, plan.now, plan.force);
    account.errors.append(&mut missing_groups);
    read_users(plan, directory, &mut account, &present).await;
    account
}

/// Every group that exists, or the failures that leave the memberships unknown. A group that was known and is
/// deleted is empty; one that never was is a mistake in the configuration, which the other groups outlive.
async fn read_groups<D: Directory>(
    plan: &Plan<'_>,
    directory: &D,
    known: Option<&Account>,
) -> Result<(Vec<GroupAnswer>, Vec<Failure>), Vec<Failure>> {
    plan.progress.more(plan.groups.len());
    let replies: Vec<Result<GroupAnswer, Refusal>> = stream::iter(plan.groups)
        .map(|name| async move {
            let reply = directory.group(name).await;
            plan.progress.done();
            reply
        })
        .buffered(plan.concurrency)
        .collect()
        .await;

    let mut answers: Vec<GroupAnswer> = Vec::new();
    let mut absent = Vec::new();
    let mut failures = Vec::new();
    for (name, reply) in plan.groups.iter().zip(replies) {
        match reply {
            Ok(answer) if answers.iter().any(|other| other.id == answer.id) => {}
            Ok(answer) => answers.push(answer),
            Err(refusal) if refusal.what == What::NotFound => {
                let was_known = |account: &Account| {
                    account.groups.iter().any(|group| group.name.eq_ignore_ascii_case(name))
                };
                if known.is_some_and(was_known) {
                    log::warn!("IAM group '{name}' no longer exists; taken as empty");
                } else {
                    absent.push(no_such_group(name));
                }
            }
            Err(refusal) => failures.push(refusal.failure),
        }
    }
    if failures.is_empty() { Ok((answers, absent)) } else { Err(failures) }
}

fn no_such_group(name: &str) -> Failure {
    failure(
        "iam:GetGroup",
        name,
        "NoSuchEntity: the group does not exist in this account; the other groups were read",
        "create the group in IAM, or correct its name in `groups`",
        FailureKind::Configuration,
    )
}

/// Those confirmed longest ago come first, so that runs that are cut short get round to everyone.
async fn read_users<D: Directory>(
    plan: &Plan<'_>,
    directory: &D,
    account: &mut Account,
    present: &BTreeSet<String>,
) {
    let mut order: Vec<&User> = account.users.iter().filter(|user| present.contains(&user.id)).collect();
    order.sort_by(|one, other| (one.confirmed, &one.id).cmp(&(other.confirmed, &other.id)));
    plan.progress.more(order.len());
    let read: BTreeMap<String, UserRead> = stream::iter(order)
        .map(|user| async move {
            let read = read_user(plan.tags, directory, user).await;
            plan.progress.done();
            (user.id.clone(), read)
        })
        .buffer_unordered(plan.concurrency)
        .collect()
        .await;

    let mut gone = BTreeSet::new();
    let mut failures = Vec::new();
    for (id, read) in read {
        failures.extend(read.failures);
        let Ok(at) = account.users.binary_search_by(|user| user.id.cmp(&id)) else {
            continue;
        };
        match (read.outcome, account.users.get_mut(at)) {
            (Outcome::Keys(keys), Some(user)) => merge::keys(user, keys, plan.now),
            (Outcome::Gone, Some(user)) => {
                log::info!("IAM user '{}' was deleted while groups were read", printable(&user.name));
                gone.insert(id);
            }
            (Outcome::Unread, _) | (_, None) => {}
        }
    }
    merge::remove(account, &gone);
    account.errors.extend(put_together(failures, "kept the keys that were known, at their age"));
}

struct UserRead {
    outcome: Outcome,
    failures: Vec<Failure>,
}

enum Outcome {
    Gone,
    Unread,
    Keys(KeysRead),
}

async fn read_user<D: Directory>(tags: &Tags, directory: &D, user: &User) -> UserRead {
    let listed = match directory.keys(&user.name).await {
        Ok(listed) => listed,
        Err(refusal) => return refusal.into(),
    };
    let mut keys: Vec<Key> = Vec::new();
    let mut failures = Vec::new();
    for key in listed {
        let known = user.keys.iter().find(|known| known.id == key.id && !known.body.is_empty());
        let body = match known {
            Some(known) => Ok(known.body.clone()),
            None if key.active => directory.key(&user.name, &key.id).await,
            None => Ok(String::new()),
        };
        match body {
            Ok(body) => keys.push(Key { id: key.id, active: key.active, body }),
            // Deleted since it was listed.
            Err(refusal) if refusal.what == What::NotFound => {}
            Err(refusal) => failures.push(Failure { on: user.name.clone(), ..refusal.failure }),
        }
    }
    let tags = match read_tags(tags, directory, user).await {
        Ok(tags) => Some(tags),
        Err(refusal) if refusal.what == What::NotFound => return refusal.into(),
        Err(refusal) => {
            failures.push(refusal.failure);
            None
        }
    };
    let whole = failures.is_empty();
    UserRead { outcome: Outcome::Keys(KeysRead { keys, tags, whole }), failures }
}

impl From<Refusal> for UserRead {
    fn from(refusal: Refusal) -> Self {
        match refusal.what {
            What::NotFound => Self { outcome: Outcome::Gone, failures: Vec::new() },
            What::Denied | What::Failed => Self { outcome: Outcome::Unread, failures: vec![refusal.failure] },
        }
    }
}

async fn read_tags<D: Directory>(
    tags: &Tags,
    directory: &D,
    user: &User,
) -> Result<BTreeMap<String, String>, Refusal> {
    if tags.uses.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut all = directory.tags(&user.name).await?;
    all.retain(|key, _| key.strip_prefix(&tags.prefix).is_some_and(|word| is_used(&tags.uses, word)));
    Ok(all)
}

fn is_used(uses: &[TagUse], word: &str) -> bool {
    uses.iter().any(|tag| match tag {
        TagUse::SshKey => word == "ssh-key" || word.starts_with("ssh-key-"),
        TagUse::Name => word == "name",
        TagUse::Uid => word == "uid",
        TagUse::Shell => word == "shell",
        TagUse::Gecos => word == "gecos",
    })
}
