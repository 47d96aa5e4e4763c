//! Checks whether a user whom the answer for a group lacks has really left it. Sources are eventually consistent, and a
//! false removal locks people out.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::directory::{Directory, Who, Words};
use super::failure::{Reason, printable};
use super::groups::Asked;
use super::removal::{Doubt, Lost, Verdict};

/// How long to wait before a second question: until then, the answer may come from the same stale copy.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// Asks for every lost user; the order of the result is that of `lost`.
pub(crate) async fn confirm<D: Directory>(
    directory: &D,
    asked: &[Asked],
    lost: Vec<Lost>,
    concurrency: usize,
) -> Vec<(Lost, Vec<Verdict>)> {
    let mut answers = ask_all(directory, asked, lost, concurrency).await;
    let open: BTreeSet<usize> = answers
        .iter()
        .filter(|(_, verdict)| verdict.is_none())
        .flat_map(|(lost, _)| lost.groups.iter().copied())
        .collect();
    let one_answer = |verdict: &Option<Vec<Verdict>>| {
        verdict.iter().flatten().any(|verdict| matches!(verdict, Verdict::Unconfirmed(_)))
    };
    let is_time_left = directory.time_left() > SECOND_LOOK;
    if is_time_left && (!open.is_empty() || answers.iter().any(|(_, verdict)| one_answer(verdict))) {
        log::info!("a removal needs two answers; the second is asked for in {} s", SECOND_LOOK.as_secs());
        tokio::time::sleep(SECOND_LOOK).await;
        let again: Vec<Lost> =
            answers.iter().filter(|(_, verdict)| one_answer(verdict)).map(|(lost, _)| lost.clone()).collect();
        let mut again = ask_all(directory, asked, again, concurrency).await.into_iter();
        for first in answers.iter_mut().filter(|(_, verdict)| one_answer(verdict)) {
            if let Some((lost, Some(second))) = again.next()
                && !second.iter().any(|verdict| matches!(verdict, Verdict::Unknown(_)))
            {
                *first = (lost, Some(second.into_iter().map(Verdict::second).collect()));
            }
        }
    }
    let seen = look_again(directory, asked, open, is_time_left, concurrency).await;
    answers
        .into_iter()
        .map(|(lost, verdict)| {
            let verdicts = verdict.unwrap_or_else(|| second_verdicts(&lost, asked, &seen, D::words()));
            (lost, verdicts)
        })
        .collect()
}

/// One question for each user; `None` if it is denied, or would be about another user.
async fn ask_all<D: Directory>(
    directory: &D,
    asked: &[Asked],
    lost: Vec<Lost>,
    concurrency: usize,
) -> Vec<(Lost, Option<Vec<Verdict>>)> {
    let denied = Cell::new(false);
    stream::iter(lost)
        .map(|mut lost| {
            let denied = &denied;
            async move {
                let verdict = ask(directory, asked, &mut lost, denied).await;
                (lost, verdict)
            }
        })
        .buffered(concurrency)
        .collect()
        .await
}

/// `None` if the call is denied; after the first denial nothing more is asked. `None`, too, if the answer would be about
/// another user. Adds to `lost` the groups that gave no answer and that the user has joined meanwhile.
async fn ask<D: Directory>(
    directory: &D,
    asked: &[Asked],
    lost: &mut Lost,
    denied: &Cell<bool>,
) -> Option<Vec<Verdict>> {
    if denied.get() || lost.is_replaced {
        return None;
    }
    match directory.groups_of(Who { id: &lost.id, name: &lost.name }).await {
        Ok(present) => {
            let is_in = |group: &Asked| present.iter().any(|present| present.id == group.id);
            let others =
                asked.iter().enumerate().filter(|(_, group)| group.members.is_none() && is_in(group));
            let joined: Vec<usize> =
                others.map(|(at, _)| at).filter(|at| !lost.groups.contains(at)).collect();
            lost.groups.extend(joined);
            Some(lost.verdicts(|at| match asked.get(at) {
                Some(group) if is_in(group) => Verdict::In,
                group => out(group, D::words()),
            }))
        }
        Err(refusal) => match refusal.reason {
            // A group that can be read lacks the user as well: the two answers agree that the user was deleted.
            Reason::NotFound
                if lost.groups.iter().filter_map(|at| asked.get(*at)).any(|group| !group.is_unread()) =>
            {
                Some(lost.verdicts(|_| Verdict::Out))
            }
            Reason::NotFound => Some(lost.verdicts(|at| out(asked.get(at), D::words()))),
            Reason::Denied => {
                denied.set(true);
                None
            }
            reason => {
                let doubt = Doubt::new(reason, refusal.failure.cause);
                Some(lost.verdicts(|_| Verdict::Unknown(doubt.clone())))
            }
        },
    }
}

/// The user is not in the group. If the group cannot be read, only one answer says so.
fn out(group: Option<&Asked>, words: Words) -> Verdict {
    match group.filter(|group| group.is_unread()) {
        None => Verdict::Out,
        Some(group) => {
            let (name, lists) = (printable(group.present_name()), words.lists());
            let why = format!("the user is no longer in '{name}', which {lists} cannot confirm");
            Verdict::Unconfirmed(Doubt::new(Reason::OneAnswer, why))
        }
    }
}

/// The members of each group at the second look, or why it could not be read.
type Seen = BTreeMap<usize, Result<BTreeSet<String>, Doubt>>;

async fn look_again<D: Directory>(
    directory: &D,
    asked: &[Asked],
    groups: BTreeSet<usize>,
    is_time_left: bool,
    concurrency: usize,
) -> Seen {
    if !is_time_left {
        let why = format!("no time was left to ask {} again", D::words().lists());
        let why = Doubt::new(Reason::NoTime, why);
        return groups.into_iter().map(|group| (group, Err(why.clone()))).collect();
    }
    stream::iter(groups)
        .map(|at| async move { (at, members(directory, asked.get(at)).await) })
        .buffer_unordered(concurrency)
        .collect()
        .await
}

async fn members<D: Directory>(directory: &D, group: Option<&Asked>) -> Result<BTreeSet<String>, Doubt> {
    let Some(group) = group.filter(|group| !group.unclear) else {
        return Err(Doubt::new(Reason::DeniedAndNotFound, "the group is not found"));
    };
    match directory.group(group.present_name()).await {
        Ok(answer) if answer.id == group.id => {
            Ok(answer.members.into_iter().map(|member| member.id).collect())
        }
        Ok(_) => {
            let why = format!("{} answered for another group", D::words().lists());
            Err(Doubt::new(Reason::Contradiction, why))
        }
        Err(refusal) if refusal.reason == Reason::NotFound => Ok(BTreeSet::new()),
        Err(refusal) => {
            let why = format!("{} failed: {}", D::words().lists(), refusal.failure.cause);
            Err(Doubt::new(refusal.reason, why))
        }
    }
}

/// A user who is in none of the groups that can be read may be in one that cannot be read.
fn second_verdicts(lost: &Lost, asked: &[Asked], seen: &Seen, words: Words) -> Vec<Verdict> {
    let verdicts = lost.verdicts(|group| second_verdict(lost, group, seen));
    let closed = asked.iter().find(|group| group.unclear && !group.unconfigured && group.members.is_none());
    match closed {
        Some(group) if verdicts.iter().all(|verdict| *verdict == Verdict::Out) => {
            let why =
                format!("{}, and {} on '{}' is denied", unasked(lost), words.lists(), group.present_name());
            lost.verdicts(|_| Verdict::Unknown(Doubt::new(Reason::Denied, why.clone())))
        }
        _ => verdicts,
    }
}

fn second_verdict(lost: &Lost, group: usize, seen: &Seen) -> Verdict {
    match seen.get(&group) {
        Some(Ok(members)) if members.contains(&lost.id) => Verdict::In,
        Some(Ok(_)) => Verdict::Out,
        Some(Err(doubt)) => {
            let cause = format!("{}, and {}", unasked(lost), doubt.cause);
            Verdict::Unknown(Doubt { cause, ..doubt.clone() })
        }
        None => Verdict::Unknown(Doubt::new(Reason::Denied, unasked(lost))),
    }
}

/// Why there was no answer about this user.
fn unasked(lost: &Lost) -> &'static str {
    if lost.is_replaced { "another user has this name now" } else { "denied" }
}
