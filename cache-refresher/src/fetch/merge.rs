//! Previous account + answers -> account. Pure: no clock, no network. What an answer lacks is kept or marked.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet};
use listing::{Account, Failure, FailureKind, Group, User};
use message::quoted;

use super::directory::{Member, Words};
use super::failure::{failure, held, put_together};
use super::groups::{Asked, Groups};
use super::removal::{self, Lost, Rules, Verdict};

/// The new users and groups, for memberships that were read completely. Users have the keys that were known.
///
/// Also returns the ids of those who were in an answer. Keys of the others are not read, and age: if the answers for a group
/// and for its member contradict each other, the name may already belong to another user.
pub(crate) fn memberships(
    known: Account,
    groups: Groups,
    lost: Vec<(Lost, Vec<Verdict>)>,
    rules: Rules<'_>,
) -> (Account, BTreeSet<String>) {
    let Groups { asked, unresolved, warnings } = groups;
    let mut members: Vec<BTreeSet<String>> = asked.iter().map(|asked| listed(&known, asked)).collect();
    let present: BTreeSet<String> = members.iter().flatten().cloned().collect();
    let mut users: BTreeMap<String, User> =
        known.users.iter().map(|user| (user.id.clone(), user.clone())).collect();
    let all_lost: HashSet<&str> = lost.iter().map(|(lost, _)| lost.id.as_str()).collect();
    for user in users.values_mut().filter(|user| !all_lost.contains(user.id.as_str())) {
        // A user whom a listing of an earlier release marks as missing was missing from all groups.
        user.missing = None;
    }
    let mut held = Vec::new();
    for (lost, verdicts) in lost {
        if let Some(user) = users.get_mut(&lost.id) {
            held.extend(removal::decide(user, &lost, verdicts, &asked, &mut members, rules));
        }
    }
    let released: BTreeSet<&str> =
        known.users.iter().filter(|user| rules.release.lets_go(user)).map(|user| user.id.as_str()).collect();
    for (_, members) in asked.iter().zip(&mut members).filter(|(asked, _)| asked.unconfigured) {
        members.retain(|id| !released.contains(id.as_str()));
    }
    let mut errors = put_together(held);
    errors.extend(unconfigured(&asked, &mut members, &known, !unresolved.is_empty()));
    errors.extend(unread(&asked, &members, &known, rules.words));
    errors.extend(unresolved);
    let account = Account {
        name: known.name,
        id: known.id,
        complete: true,
        as_of: Some(rules.now),
        users: members_of_any(users, &asked, &members),
        groups: asked.into_iter().zip(members).filter_map(group).collect(),
        errors,
        warnings,
    };
    (account, present)
}

/// Everyone who is in a group, by id, updated from the answers.
fn members_of_any(
    mut known: BTreeMap<String, User>,
    asked: &[Asked],
    members: &[BTreeSet<String>],
) -> Vec<User> {
    let ids: BTreeSet<&String> = members.iter().flatten().collect();
    known.retain(|id, _| ids.contains(id));
    let answers = asked.iter().filter_map(|asked| asked.members.as_ref()).flatten();
    for member in answers.filter(|member| ids.contains(&member.id)) {
        let old = known.remove(&member.id);
        known.insert(member.id.clone(), read(old, member));
    }
    known.into_values().collect()
}

/// The members in an answer. Nobody joins a group that the configuration does not name.
fn listed(known: &Account, asked: &Asked) -> BTreeSet<String> {
    let members = asked.members.iter().flatten().map(|member| &member.id);
    if !asked.unconfigured {
        return members.cloned().collect();
    }
    let before: HashSet<&String> = asked.before(known).into_iter().flat_map(|group| &group.members).collect();
    members.filter(|id| before.contains(id)).cloned().collect()
}

/// In groups that are no longer configured, only those users stay who would be disabled otherwise. If the configuration
/// names a group that does not exist, all stay: it is probably the same group, misspelled.
fn unconfigured(
    asked: &[Asked],
    members: &mut [BTreeSet<String>],
    known: &Account,
    is_unresolved: bool,
) -> Vec<Failure> {
    let configured: BTreeSet<String> = asked
        .iter()
        .zip(members.iter())
        .filter(|(asked, _)| !asked.unconfigured)
        .flat_map(|(_, members)| members.iter().cloned())
        .collect();
    let names = names_by_id(known);
    let mut failures = Vec::new();
    for (group, members) in asked.iter().zip(members).filter(|(asked, _)| asked.unconfigured) {
        let is_replaced =
            asked.iter().any(|other| !other.unconfigured && other.name.eq_ignore_ascii_case(&group.name));
        if !is_unresolved && !is_replaced {
            members.retain(|id| !configured.contains(id));
        }
        let names_of = |wanted: &dyn Fn(&String) -> bool| -> Vec<&str> {
            let of_members = members.iter().filter(|id| wanted(id)).filter_map(|id| names.get(id.as_str()));
            let mut names: Vec<&str> = of_members.copied().collect();
            names.sort_unstable();
            names
        };
        let leaving = names_of(&|_| true);
        if leaving.is_empty() {
            continue;
        }
        let why = match (is_replaced, &group.renamed) {
            (true, Some(now)) => format!("whose name another group now has, and which is now called '{now}'"),
            (true, None) => "whose name another group now has".to_owned(),
            (false, _) => "which `groups` no longer names".to_owned(),
        };
        let disabled = names_of(&|id| !configured.contains(id));
        failures.push(held(
            "configuration",
            &group.name,
            &format!("{} would leave the group, {why}; they stay", quoted(&leaving, 10)),
            "correct `groups`; if the removal is intended, run 'nss-iamctl refresh --force'",
            &disabled,
        ));
    }
    failures
}

/// Groups that gave no answer, and the users who stay in them for that reason.
fn unread(asked: &[Asked], members: &[BTreeSet<String>], known: &Account, words: Words) -> Vec<Failure> {
    let unread = asked.iter().zip(members).filter(|(asked, _)| asked.unclear && !asked.unconfigured);
    let names = names_by_id(known);
    let hold = |(group, members): (&Asked, &BTreeSet<String>)| {
        let names: Vec<&str> = members.iter().filter_map(|id| names.get(id.as_str())).copied().collect();
        (!names.is_empty()).then(|| {
            let cause = format!(
                "the group cannot be read; {} stay in it, and keys of those who are in no other group are not confirmed",
                quoted(&names, 10)
            );
            failure(words.members, &group.name, &cause, "see the other messages about this group", FailureKind::Held)
        })
    };
    unread.filter_map(hold).collect()
}

fn names_by_id(known: &Account) -> HashMap<&str, &str> {
    known.users.iter().map(|user| (user.id.as_str(), user.name.as_str())).collect()
}

/// An empty group is still a group. One that gave no answer is kept as long as it has members.
fn group((asked, members): (Asked, BTreeSet<String>)) -> Option<Group> {
    let exists = asked.members.is_some() || asked.unclear;
    let stays = !members.is_empty() || exists && !asked.unconfigured;
    stays.then(|| Group {
        id: asked.id,
        name: asked.name,
        members: members.into_iter().collect(),
        renamed: asked.renamed,
        unconfigured: asked.unconfigured,
    })
}

/// A user, updated from an answer.
fn read(old: Option<User>, member: &Member) -> User {
    let Member { id, name, created } = member.clone();
    match old {
        Some(user) => User { name, created: created.or(user.created), ..user },
        None => User { id, name, created, ..User::default() },
    }
}
