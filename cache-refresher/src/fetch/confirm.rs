//! Whether a user whom GetGroup no longer lists has really left. IAM is eventually consistent, and a removal is
//! the one mistake that locks people out.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::directory::Directory;
use super::failure::What;
use super::merge::{Lost, Verdict};

/// GetGroup may answer out of one stale copy for a while; so long is waited before it is asked again.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// Asks for every lost user; the order of the result is that of `lost`.
pub(crate) async fn confirm<D: Directory>(
    directory: &D,
    configured: &[String],
    lost: Vec<Lost>,
    concurrency: usize,
) -> Vec<(Lost, Verdict)> {
    let denied = Cell::new(false);
    let mut answers: Vec<(usize, Lost, Option<Verdict>)> = stream::iter(lost.into_iter().enumerate())
        .map(|(at, lost)| {
            let denied = &denied;
            async move {
                let verdict = ask(directory, configured, &lost, denied).await;
                (at, lost, verdict)
            }
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    answers.sort_by_key(|(at, ..)| *at);

    let open: BTreeSet<String> = answers
        .iter()
        .filter(|(.., verdict)| verdict.is_none())
        .flat_map(|(_, lost, _)| lost.groups.iter().cloned())
        .collect();
    let seen = if open.is_empty() { BTreeMap::new() } else { look_again(directory, open, concurrency).await };
    answers
        .into_iter()
        .map(|(_, lost, verdict)| {
            let verdict = verdict.unwrap_or_else(|| second_verdict(&lost, &seen));
            (lost, verdict)
        })
        .collect()
}

/// None where the call is denied; one denial is enough to stop asking.
async fn ask<D: Directory>(
    directory: &D,
    configured: &[String],
    lost: &Lost,
    denied: &Cell<bool>,
) -> Option<Verdict> {
    if denied.get() {
        return None;
    }
    match directory.groups_of(&lost.name).await {
        Ok(mut groups) => {
            groups.retain(|group| configured.iter().any(|name| name.eq_ignore_ascii_case(group)));
            Some(if groups.is_empty() { Verdict::Gone } else { Verdict::Member(groups) })
        }
        Err(refusal) => match refusal.what {
            What::NotFound => Some(Verdict::Gone),
            What::Denied => {
                denied.set(true);
                None
            }
            What::Failed => Some(Verdict::Unknown(refusal.failure.cause)),
        },
    }
}

/// The members of each group at the second look, or why there was none.
type Seen = BTreeMap<String, Result<BTreeSet<String>, String>>;

async fn look_again<D: Directory>(directory: &D, groups: BTreeSet<String>, concurrency: usize) -> Seen {
    if directory.time_left() <= SECOND_LOOK {
        let why = "denied, and no time was left to ask GetGroup again";
        return groups.into_iter().map(|group| (group, Err(why.to_owned()))).collect();
    }
    log::info!("iam:ListGroupsForUser is denied; GetGroup is asked again in {} s", SECOND_LOOK.as_secs());
    tokio::time::sleep(SECOND_LOOK).await;
    stream::iter(groups)
        .map(|group| async move {
            let members = match directory.group(&group).await {
                Ok(answer) => Ok(answer.members.into_iter().map(|member| member.id).collect()),
                Err(refusal) if refusal.what == What::NotFound => Ok(BTreeSet::new()),
                Err(refusal) => Err(format!("denied, and GetGroup failed: {}", refusal.failure.cause)),
            };
            (group, members)
        })
        .buffer_unordered(concurrency)
        .collect()
        .await
}

fn second_verdict(lost: &Lost, seen: &Seen) -> Verdict {
    let mut member_of = Vec::new();
    let mut unknown = None;
    for group in &lost.groups {
        match seen.get(group) {
            Some(Ok(members)) if members.contains(&lost.id) => member_of.push(group.clone()),
            Some(Ok(_)) => {}
            Some(Err(cause)) => unknown = Some(cause.clone()),
            None => unknown = Some("denied".to_owned()),
        }
    }
    match unknown {
        _ if !member_of.is_empty() => Verdict::Member(member_of),
        Some(cause) => Verdict::Unknown(cause),
        None => Verdict::Gone,
    }
}
