//! Users whom the answers for their groups lack: they are removed once that is confirmed, and held until then. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};
use listing::{Account, Failure, Missing, User};

use super::directory::{Directory, Words};
use super::failure::{Reason, held};
use super::groups::{Asked, Groups};
use super::request::{AccountRequest, Release};

/// Refreshes that are closer together than this count as one.
const APART: SignedDuration = SignedDuration::from_mins(2);

/// How many refreshes have to miss a user before the removal counts without a confirmation.
const WITNESSES: u32 = 3;

/// A user who was a member of groups whose answers now lack them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) id: String,
    /// The current one, if an answer has the user.
    pub(crate) name: String,
    /// Whether a question about this name would be about another user, who has it now.
    pub(crate) is_replaced: bool,
    /// Indices into the groups that were asked for.
    pub(crate) groups: Vec<usize>,
}

impl Lost {
    /// One verdict for each group.
    pub(crate) fn verdicts(&self, of: impl Fn(usize) -> Verdict) -> Vec<Verdict> {
        self.groups.iter().map(|&group| of(group)).collect()
    }
}

/// What was found out about a lost user in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They left the group, or were deleted.
    Out,
    /// They still are a member.
    In,
    /// They left the group, but only one call says so: the group itself cannot be read.
    Unconfirmed(Doubt),
    /// No call could tell.
    Unknown(Doubt),
}

impl Verdict {
    /// Of a second question, some time after the first: the two answers agree.
    pub(crate) fn second(self) -> Self {
        match self {
            Self::Unconfirmed(_) => Self::Out,
            verdict => verdict,
        }
    }
}

/// Why a removal is not certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) reason: Reason,
    pub(crate) cause: String,
}

impl Doubt {
    pub(crate) fn new(reason: Reason, cause: impl Into<String>) -> Self {
        Self { reason, cause: cause.into() }
    }
}

/// When removals count, and how messages name them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(super) now: Timestamp,
    /// Even those that could not be confirmed.
    pub(super) force: bool,
    pub(super) release: &'a Release,
    pub(super) words: Words,
}

impl<'a> Rules<'a> {
    pub(crate) fn of(request: &AccountRequest<'a>, words: Words) -> Self {
        Self { now: request.now, force: request.force, release: request.release, words }
    }
}

/// The UserIds of the members of a group who are not in its answer now.
fn left<'a>(asked: &Asked, known: &'a Account) -> HashSet<&'a str> {
    let now: HashSet<&str> = asked.members.iter().flatten().map(|member| member.id.as_str()).collect();
    let before = asked.before(known).into_iter().flat_map(|group| &group.members);
    before.map(String::as_str).filter(|id| !now.contains(id)).collect()
}

/// The users who were members of a group and are not in its answer now.
pub(crate) fn lost<D: Directory>(known: &Account, groups: &Groups) -> Vec<Lost> {
    let members = || groups.asked.iter().filter_map(|asked| asked.members.as_ref()).flatten();
    let names: BTreeMap<&str, &str> =
        members().map(|member| (member.id.as_str(), member.name.as_str())).collect();
    let owners: BTreeSet<(String, &str)> =
        names.iter().map(|(id, name)| (name.to_ascii_lowercase(), *id)).collect();
    let is_replaced = |id: &str, name: &str| {
        let name = name.to_ascii_lowercase();
        let same = owners.range((name.clone(), "")..).take_while(|(owned, _)| *owned == name);
        same.into_iter().any(|(_, owner)| *owner != id)
    };
    let left: Vec<HashSet<&str>> = groups.asked.iter().map(|asked| left(asked, known)).collect();
    let of = |user: &User| -> Vec<usize> {
        let groups = left.iter().enumerate();
        groups.filter(|(_, left)| left.contains(user.id.as_str())).map(|(at, _)| at).collect()
    };
    let lost = known.users.iter().map(|user| {
        let name = names.get(user.id.as_str()).copied().unwrap_or(&user.name);
        Lost {
            id: user.id.clone(),
            name: name.to_owned(),
            is_replaced: !D::ASKS_BY_ID && is_replaced(&user.id, name),
            groups: of(user),
        }
    });
    lost.filter(|lost| !lost.groups.is_empty()).collect()
}

/// Removes a user from groups that they left, and keeps them in the others. If no call could tell, the user stays until
/// enough refreshes agree, and the failure says so.
pub(super) fn decide(
    user: &mut User,
    lost: &Lost,
    verdicts: Vec<Verdict>,
    asked: &[Asked],
    members: &mut [BTreeSet<String>],
    rules: Rules<'_>,
) -> Option<(Reason, Failure)> {
    let mut unconfirmed = Vec::new();
    let mut doubt = None;
    for (at, verdict) in lost.groups.iter().copied().zip(verdicts) {
        let (Some(asked), Some(members)) = (asked.get(at), members.get_mut(at)) else { continue };
        match verdict {
            Verdict::Out => continue,
            Verdict::In => {}
            // They stay until the configuration is corrected, or the removal is forced.
            Verdict::Unknown(_) if asked.unclear && !rules.force => {}
            Verdict::Unknown(why) | Verdict::Unconfirmed(why) => {
                doubt = Some(why);
                unconfirmed.push((at, asked.id.clone()));
            }
        }
        members.insert(lost.id.clone());
    }
    let before = user.missing.take();
    let doubt = doubt?;
    let missing = missed(before, unconfirmed.iter().map(|(_, id)| id.clone()).collect(), rules.now);
    if rules.force || missing.times >= WITNESSES {
        for (at, _) in &unconfirmed {
            members.get_mut(*at).map(|members| members.remove(&lost.id));
        }
        log::warn!(
            "{} treated as removed without confirmation: {}",
            rules.words.user(&user.name),
            doubt.cause
        );
        return None;
    }
    let others = members.iter().enumerate().filter(|(at, _)| !unconfirmed.iter().any(|(lost, _)| lost == at));
    let is_in_another = others.into_iter().any(|(_, members)| members.contains(&lost.id));
    let failure = hold(user, &missing, &doubt, !is_in_another, rules.words);
    user.missing = Some(missing);
    Some((doubt.reason, failure))
}

/// Counts one more refresh that missed the user in these groups. For other groups, the count starts again.
fn missed(before: Option<Missing>, mut groups: Vec<String>, now: Timestamp) -> Missing {
    groups.sort();
    match before.filter(|missing| missing.groups.is_empty() || missing.groups == groups) {
        None => Missing { last: now, times: 1, groups },
        Some(missing) if now.duration_since(missing.last) >= APART => {
            Missing { last: now, times: missing.times.saturating_add(1), groups }
        }
        Some(missing) => Missing { groups, ..missing },
    }
}

fn hold(user: &User, missing: &Missing, doubt: &Doubt, is_all: bool, words: Words) -> Failure {
    let name = user.name.as_str();
    let (cause, allow) = match doubt.reason {
        Reason::OneAnswer => (doubt.cause.clone(), words.members),
        _ => (format!("{}; {} no longer lists the user", doubt.cause, words.lists()), words.groups),
    };
    held(
        words.groups,
        &user.name,
        &format!("{cause}, and the removal is held ({} of {WITNESSES} refreshes agree)", missing.times),
        &format!("allow {allow}, or wait for the next refreshes; 'nss-iamctl refresh --force' does not wait"),
        if is_all { std::slice::from_ref(&name) } else { &[] },
    )
}
