//! Reads the groups that the configuration names, even if they were renamed at the source, and those that it named before,
//! since a mistake in it must disable nobody.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;
use listing::{Account, Failure, FailureKind, Group, Warning, WarningCode};

use super::directory::{Directory, GroupAnswer, Member, Who};
use super::failure::{Reason, Refusal, failure, printable};
use super::request::AccountRequest;

/// If a group is not found, so many of its members are asked for its new name.
const ASKED: usize = 3;

/// A group that is configured, or was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) id: String,
    /// As the configuration spells it.
    pub(crate) name: String,
    /// As the source spells it, if the group was renamed there.
    pub(crate) renamed: Option<String>,
    /// `None`: no answer. The group was deleted or cannot be read, and its members are asked for one by one.
    pub(crate) members: Option<Vec<Member>>,
    /// Whether it is unknown if the group still exists. Members whose groups cannot be asked for then stay.
    pub(crate) unclear: bool,
    /// The configuration no longer names it.
    pub(crate) unconfigured: bool,
}

impl Asked {
    /// The name by which the source knows it.
    pub(crate) fn present_name(&self) -> &str {
        self.renamed.as_deref().unwrap_or(&self.name)
    }

    /// Whether the group may still exist, and its members could not be read.
    pub(crate) fn is_unread(&self) -> bool {
        self.unclear && self.members.is_none()
    }

    /// The group as it was known: by its id, or by its name if another group has the name now.
    pub(crate) fn before<'a>(&self, known: &'a Account) -> Option<&'a Group> {
        let by_id = known.groups.iter().find(|group| group.id == self.id);
        by_id.or_else(|| known.groups.iter().find(|group| group.name.eq_ignore_ascii_case(&self.name)))
    }
}

/// The groups that were read.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// In the order of the configuration, each once.
    pub(crate) asked: Vec<Asked>,
    /// Names in the configuration that never were a group on this host.
    pub(crate) unresolved: Vec<Failure>,
    pub(crate) warnings: Vec<Warning>,
}

/// Reads them, or fails with every refusal that leaves the memberships unknown.
pub(crate) async fn read<D: Directory>(
    request: &AccountRequest<'_>,
    directory: &D,
    known: &Account,
) -> Result<Groups, Vec<Refusal>> {
    let names: BTreeMap<&str, &str> =
        known.users.iter().map(|user| (user.id.as_str(), user.name.as_str())).collect();
    let replies = replies(request, directory).await;
    let mut groups = Groups { unresolved: request.unresolved.to_owned(), ..Groups::default() };
    let mut refusals = Vec::new();
    let named = |name: &String| {
        known.groups.iter().find(|group| request.source.is_group(name, &group.id, &group.name))
    };
    // Everything is denied, and a mistake in a name would not explain it.
    let is_shut_out =
        replies.iter().all(|reply| reply.as_ref().is_err_and(|refusal| refusal.reason == Reason::Denied))
            && (known.groups.is_empty() || request.groups.iter().all(|name| named(name).is_some()));
    for (name, reply) in request.groups.iter().zip(replies) {
        match (reply, named(name)) {
            (Ok(answer), _) => groups.add(Asked::answered(answer, None)),
            (Err(refusal), Some(before)) if refusal.reason == Reason::NotFound => {
                refusals.extend(groups.follow(directory, before, &names).await.err());
            }
            // A group that the policy does not name is denied, whether it exists or not.
            (Err(refusal), None) if !refusal.is_failure() && !is_shut_out => {
                groups.unresolved.push(never_was(refusal))
            }
            (Err(refusal), Some(before)) if refusal.reason == Reason::Denied && !is_shut_out => {
                groups.unresolved.push(refusal.failure);
                groups.add(Asked { unclear: true, ..Asked::unanswered(before) });
            }
            (Err(refusal), _) => refusals.push(refusal),
        }
    }
    if !request.release.all && refusals.is_empty() {
        for before in &known.groups {
            refusals.extend(groups.former(directory, before, &names).await.err());
        }
    }
    if refusals.is_empty() { Ok(groups) } else { Err(refusals) }
}

/// The reply for each group that the configuration names, in the same order.
async fn replies<D: Directory>(
    request: &AccountRequest<'_>,
    directory: &D,
) -> Vec<Result<GroupAnswer, Refusal>> {
    request.progress.more(request.groups.len());
    let replies = stream::iter(request.groups).map(|name| async move {
        let reply = directory.group(name).await;
        request.progress.done();
        reply
    });
    replies.buffered(request.concurrency).collect().await
}

fn never_was(refusal: Refusal) -> Failure {
    let Refusal { reason, failure } = refusal;
    match reason {
        Reason::NotFound => {
            Failure { cause: format!("{}; the other groups were read", failure.cause), ..failure }
        }
        _ => failure,
    }
}

impl Asked {
    fn answered(answer: GroupAnswer, known: Option<&Group>) -> Self {
        let name = known.map_or_else(|| answer.name.clone(), |known| known.name.clone());
        let renamed = Some(answer.name).filter(|now| !now.eq_ignore_ascii_case(&name));
        Self { id: answer.id, name, renamed, members: Some(answer.members), ..Self::default() }
    }

    fn unanswered(known: &Group) -> Self {
        Self {
            id: known.id.clone(),
            name: known.name.clone(),
            renamed: known.renamed.clone(),
            ..Self::default()
        }
    }
}

impl Groups {
    fn add(&mut self, asked: Asked) {
        if !self.asked.iter().any(|other| other.id == asked.id) {
            self.asked.push(asked);
        }
    }

    /// A group that was known, and is not found by its name. A temporary failure is an error, since the group is then
    /// unknown.
    async fn follow<D: Directory>(
        &mut self,
        directory: &D,
        known: &Group,
        names: &BTreeMap<&str, &str>,
    ) -> Result<(), Refusal> {
        let group = D::words().group(&known.name);
        let asked = match find(directory, known, names).await {
            Found::As(now) if now.eq_ignore_ascii_case(&known.name) => {
                self.not_renamed(directory, known, &now).await?
            }
            Found::As(now) => self.renamed(directory, known, now).await?,
            Found::Nowhere => {
                let what = format!("{group} no longer exists; treated as empty");
                self.warnings.push(Warning::new(WarningCode::GroupGone, what, "remove it from `groups`"));
                Asked::unanswered(known)
            }
            Found::Unknown(refusal) if refusal.is_failure() => return Err(refusal),
            Found::Unknown(refusal) => {
                let why = refusal.failure.cause;
                let what = format!(
                    "{group} was deleted or renamed, and no call can tell which: {why}; its members stay"
                );
                let hint =
                    "write its current name in `groups`; if it was deleted, run 'nss-iamctl refresh --force'";
                self.warnings.push(Warning::new(WarningCode::GroupUnclear, what, hint));
                Asked { unclear: true, ..Asked::unanswered(known) }
            }
        };
        self.add(asked);
        Ok(())
    }

    /// Its members are listed under its old name: one of the two answers is out of date.
    async fn not_renamed<D: Directory>(
        &mut self,
        directory: &D,
        known: &Group,
        name: &str,
    ) -> Result<Asked, Refusal> {
        match directory.group(name).await {
            Ok(answer) if answer.id == known.id => Ok(Asked::answered(answer, Some(known))),
            Err(refusal) if refusal.is_failure() => Err(refusal),
            _ => {
                let what = format!(
                    "{} is not found, and {} lists members of '{}' with the same GroupId '{}'; they stay, but nobody can \
                     join",
                    D::words().group(&known.name),
                    D::words().noun,
                    printable(&known.name),
                    known.id
                );
                let hint = "the next refresh asks again";
                self.warnings.push(Warning::new(WarningCode::GroupNotFound, what, hint));
                Ok(Asked { renamed: None, unclear: true, ..Asked::unanswered(known) })
            }
        }
    }

    async fn renamed<D: Directory>(
        &mut self,
        directory: &D,
        known: &Group,
        now: String,
    ) -> Result<Asked, Refusal> {
        let text = format!(
            "{} is called '{}' now, and is followed by its GroupId '{}'",
            D::words().group(&known.name),
            printable(&now),
            known.id
        );
        let hint = format!("write \"{}\" in `groups` and [local_groups]", printable(&now));
        let why = match directory.group(&now).await {
            Ok(answer) if answer.id == known.id => {
                self.warnings.push(Warning::new(WarningCode::GroupRenamed, text, hint));
                return Ok(Asked::answered(answer, Some(known)));
            }
            Ok(_) => "answered for another group".to_owned(),
            Err(refusal) if refusal.is_failure() => return Err(refusal),
            Err(refusal) => format!("failed: {}", refusal.failure.cause),
        };
        let what = format!("{text}; its members stay, but nobody can join: {} {why}", D::words().members);
        let hint = format!("{hint}, and in {}", D::words().policy);
        self.warnings.push(Warning::new(WarningCode::GroupRenamedUnread, what, hint));
        Ok(Asked { renamed: Some(now), unclear: true, ..Asked::unanswered(known) })
    }

    /// A group that was known. It is read if the configuration names it neither by its old nor by a new name.
    async fn former<D: Directory>(
        &mut self,
        directory: &D,
        known: &Group,
        names: &BTreeMap<&str, &str>,
    ) -> Result<(), Refusal> {
        // By its id, since another group may have its name now.
        if known.members.is_empty() || self.asked.iter().any(|asked| asked.id == known.id) {
            return Ok(());
        }
        let mut asked = Asked::unanswered(known);
        let reply = match directory.group(asked.present_name()).await {
            Ok(answer) if answer.id != known.id => elsewhere(directory, known, names, None).await,
            Err(refusal) if refusal.reason == Reason::NotFound => {
                elsewhere(directory, known, names, Some(refusal)).await
            }
            reply => reply,
        };
        match reply {
            Ok(answer) if answer.id == known.id => asked = Asked::answered(answer, Some(known)),
            Ok(_) => {}
            Err(refusal) if refusal.is_failure() => return Err(refusal),
            Err(refusal) => asked.unclear = refusal.reason != Reason::NotFound,
        }
        asked.unconfigured = true;
        self.add(asked);
        Ok(())
    }
}

/// The answer for a group whose name another group has, or none.
async fn elsewhere<D: Directory>(
    directory: &D,
    known: &Group,
    names: &BTreeMap<&str, &str>,
    refusal: Option<Refusal>,
) -> Result<GroupAnswer, Refusal> {
    match find(directory, known, names).await {
        Found::As(now) => directory.group(&now).await,
        Found::Nowhere => Err(refusal.unwrap_or_else(|| Refusal {
            reason: Reason::NotFound,
            failure: failure(
                D::words().members,
                &known.name,
                "another group has this name",
                "",
                FailureKind::Held,
            ),
        })),
        Found::Unknown(why) => Err(why),
    }
}

/// Where a group is that is not found by its name.
enum Found {
    As(String),
    Nowhere,
    /// No call could tell.
    Unknown(Refusal),
}

async fn find<D: Directory>(directory: &D, known: &Group, names: &BTreeMap<&str, &str>) -> Found {
    if let Some(name) = &known.renamed
        && directory.group(name).await.is_ok_and(|answer| answer.id == known.id)
    {
        return Found::As(name.clone());
    }
    // Whether only a question for the group itself can tell.
    let mut refused = known.members.is_empty();
    let members = known.members.iter().filter_map(|id| Some(Who { id, name: names.get(id.as_str())? }));
    for member in members.take(ASKED) {
        match directory.groups_of(member).await {
            Ok(groups) => match groups.into_iter().find(|group| group.id == known.id).map(|group| group.name)
            {
                Some(Some(name)) => return Found::As(name),
                Some(None) => refused = true,
                None => {}
            },
            Err(refusal) => refused |= refusal.reason != Reason::NotFound,
        }
    }
    if !refused {
        return Found::Nowhere;
    }
    match directory.group_called(&known.id).await {
        Ok(Some(name)) => Found::As(name),
        Ok(None) => Found::Nowhere,
        Err(_) if known.members.is_empty() => Found::Nowhere,
        Err(refusal) => Found::Unknown(refusal),
    }
}
