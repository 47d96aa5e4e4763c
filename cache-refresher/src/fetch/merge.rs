//! Previous account + answers -> account. Pure: no clock, no network; what an answer lacks is kept or marked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use listing::{Account, Failure, FailureKind, Group, Key, Missing, User};

use super::directory::{GroupAnswer, Member};
use super::failure::{failure, printable, put_together};

/// Refreshes closer together than this are one witness that a user is missing.
const APART: SignedDuration = SignedDuration::from_mins(2);

/// So many witnesses are believed without a confirmation.
const WITNESSES: u32 = 3;

/// A user who was a member and stands in no group's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The configured groups that the user was a member of.
    pub(crate) groups: Vec<String>,
}

/// What was found out about a lost user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Left or deleted.
    Gone,
    /// Still a member of these groups.
    Member(Vec<String>),
    /// Nobody could tell, for this reason.
    Unknown(String),
}

/// One user's keys and tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeysRead {
    pub(crate) keys: Vec<Key>,
    /// None: could not be read.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// Whether nothing is missing in either.
    pub(crate) whole: bool,
}

/// The account as it was known, when it cannot be read.
pub(crate) fn kept(known: Option<Account>, name: &str, failures: Vec<Failure>) -> Account {
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
    account.errors = put_together(failures, &consequence);
    account
}

/// Who was a member of a group that is still configured, and is in no answer now.
///
/// A group that the configuration no longer names takes its members with it at once. So does a name that now
/// belongs to another UserId: IAM has no two users of one name.
pub(crate) fn lost(known: &Account, configured: &[String], answers: &[GroupAnswer]) -> Vec<Lost> {
    let members = || answers.iter().flat_map(|answer| &answer.members);
    let ids: BTreeSet<&str> = members().map(|member| member.id.as_str()).collect();
    let names: BTreeSet<String> = members().map(|member| member.name.to_ascii_lowercase()).collect();
    known
        .users
        .iter()
        .filter(|user| !ids.contains(user.id.as_str()) && !names.contains(&user.name.to_ascii_lowercase()))
        .map(|user| Lost {
            id: user.id.clone(),
            name: user.name.clone(),
            groups: groups_of(known, configured, &user.id),
        })
        .filter(|lost| !lost.groups.is_empty())
        .collect()
}

fn groups_of(known: &Account, configured: &[String], user: &str) -> Vec<String> {
    known
        .groups
        .iter()
        .filter(|group| position(configured, &group.name).is_some())
        .filter(|group| group.members.iter().any(|member| member == user))
        .map(|group| group.name.clone())
        .collect()
}

/// IAM tells names of groups apart without regard to case.
fn position(configured: &[String], name: &str) -> Option<usize> {
    configured.iter().position(|group| group.eq_ignore_ascii_case(name))
}

/// When memberships were read whole: the new users and groups, everyone with the keys that were known.
///
/// Also returns the ids of those who were in an answer. The others were not read, so that their keys age: if
/// GetGroup and ListGroupsForUser contradict each other, the name may already be another user's.
pub(crate) fn memberships(
    known: Account,
    configured: &[String],
    answers: Vec<GroupAnswer>,
    lost: Vec<(Lost, Verdict)>,
    now: Timestamp,
    force: bool,
) -> (Account, BTreeSet<String>) {
    let mut old: BTreeMap<String, User> =
        known.users.into_iter().map(|user| (user.id.clone(), user)).collect();
    let mut users: BTreeMap<String, User> = BTreeMap::new();
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    let mut held = Vec::new();

    for answer in answers {
        let Some(at) = position(configured, &answer.name) else { continue };
        let ids: BTreeSet<String> = answer.members.iter().map(|member| member.id.clone()).collect();
        groups.insert(at, Group { id: answer.id, name: answer.name, members: ids.into_iter().collect() });
        for member in answer.members {
            if !users.contains_key(&member.id) {
                users.insert(member.id.clone(), present(old.remove(&member.id), member));
            }
        }
    }
    let present: BTreeSet<String> = users.keys().cloned().collect();

    for (lost, verdict) in lost {
        let Some(mut user) = old.remove(&lost.id) else {
            continue;
        };
        let (missing, member_of) = match verdict {
            Verdict::Gone => continue,
            Verdict::Member(names) => (None, names),
            Verdict::Unknown(cause) => {
                let missing = missed(user.missing.take(), now);
                if force || missing.times >= WITNESSES {
                    log::warn!("IAM user '{}' taken as removed, unconfirmed: {cause}", printable(&user.name));
                    continue;
                }
                held.push(hold(&user, &missing, &cause));
                (Some(missing), lost.groups)
            }
        };
        user.missing = missing;
        for name in member_of {
            stay(&mut groups, &known.groups, configured, &name, &user.id);
        }
        users.insert(user.id.clone(), user);
    }
    let account = Account {
        name: known.name,
        id: known.id,
        complete: true,
        as_of: Some(now),
        groups: groups.into_values().collect(),
        users: users.into_values().collect(),
        errors: put_together(held, ""),
    };
    (account, present)
}

fn present(old: Option<User>, member: Member) -> User {
    match old {
        Some(user) => {
            User { name: member.name, created: member.created.or(user.created), missing: None, ..user }
        }
        None => User { id: member.id, name: member.name, created: member.created, ..User::default() },
    }
}

fn missed(before: Option<Missing>, now: Timestamp) -> Missing {
    match before {
        None => Missing { last: now, times: 1 },
        Some(missing) if now.duration_since(missing.last) >= APART => {
            Missing { last: now, times: missing.times.saturating_add(1) }
        }
        Some(missing) => missing,
    }
}

fn hold(user: &User, missing: &Missing, cause: &str) -> Failure {
    failure(
        "iam:ListGroupsForUser",
        &user.name,
        &format!(
            "{cause}; GetGroup no longer lists the user, and the removal is held ({} of {WITNESSES} refreshes agree)",
            missing.times
        ),
        "the next refreshes ask again, fastest with iam:ListGroupsForUser allowed; --force removes at once",
        FailureKind::Held,
    )
}

/// Keeps a user in a group, which may be one that just now was not answered for.
fn stay(groups: &mut BTreeMap<usize, Group>, known: &[Group], configured: &[String], name: &str, user: &str) {
    let Some(at) = position(configured, name) else {
        return;
    };
    let group = match groups.get_mut(&at) {
        Some(group) => group,
        None => {
            let Some(old) = known.iter().find(|group| group.name.eq_ignore_ascii_case(name)) else {
                return;
            };
            let empty = Group { id: old.id.clone(), name: old.name.clone(), members: Vec::new() };
            groups.entry(at).or_insert(empty)
        }
    };
    if let Err(place) = group.members.binary_search_by(|member| member.as_str().cmp(user)) {
        group.members.insert(place, user.to_owned());
    }
}

/// Puts what was read of one user in; keys that could not be read stay as they are, at their old age.
pub(crate) fn keys(user: &mut User, read: KeysRead, now: Timestamp) {
    user.keys = read.keys;
    user.keys.sort_by(|one, other| one.id.cmp(&other.id));
    if let Some(tags) = read.tags {
        user.tags = tags;
    }
    if read.whole {
        user.confirmed = Some(now);
    }
}

/// Takes users out who were found deleted after the groups were read.
pub(crate) fn remove(account: &mut Account, gone: &BTreeSet<String>) {
    account.users.retain(|user| !gone.contains(&user.id));
    for group in &mut account.groups {
        group.members.retain(|member| !gone.contains(member));
    }
}

/// An id belongs to the first account that has it, else the whole listing would contradict itself.
///
/// It happens when two accounts of the configuration are one, or were exchanged while one cannot be read.
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
                "{} of its users and groups stand in an account before it, and are left to that",
                twice.len()
            ),
            "give each [[account]] a role in an AWS account of its own",
            FailureKind::Configuration,
        ));
    }
}
