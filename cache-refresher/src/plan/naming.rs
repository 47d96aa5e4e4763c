//! Which names and ids the candidates get. Groups come before users: a user must never be called like a group.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use cache::model::{ID_COUNT, ID_FIRST, IamId, Id, Name};
use cache::state::Identity;
use config::TagUse;

use super::candidates::{self, Candidates, Known};
use super::ids::Ids;
use super::{Input, OwnGroups, Told};
use crate::names;

/// The end of the computed ids; `config` takes none above it either.
const ID_LAST: u32 = ID_FIRST + ID_COUNT - 1;

/// An IAM group that is published.
pub(super) struct Group<'a> {
    pub iam_id: &'a IamId,
    pub identity: Identity,
    pub account: &'a str,
    pub name: Name,
}

/// A user who is published as a member of something.
pub(super) struct Member<'a> {
    pub candidate: &'a candidates::User<'a>,
    pub identity: Identity,
    pub name: Name,
}

pub(super) fn groups<'a>(
    input: &Input<'_>,
    own: &OwnGroups,
    candidates: &'a Candidates<'a>,
    ids: &mut Ids<'_>,
    told: &mut Told,
) -> Vec<Group<'a>> {
    let reserved = reserved(input, own);
    let mut sorted: Vec<_> =
        candidates.groups.iter().map(|group| (group, group_name(input, group, &reserved))).collect();
    // The present holder, then the order of the accounts, then GroupId.
    sorted.sort_by_key(|(group, name)| {
        let held = input.state.groups.get(&group.iam_id).map(|group| &group.name);
        (held != name.as_ref().ok(), group.rank, &group.iam_id)
    });
    let mut taken: BTreeMap<Name, &str> = BTreeMap::new();
    let mut published = Vec::new();
    for (group, name) in sorted {
        let named = name.and_then(|name| match taken.get(&name) {
            Some(holder) => Err(already(&name, "group", holder)),
            None => Ok(name),
        });
        match named.and_then(|name| Ok((name, ids.give(&group.iam_id, None, told)?))) {
            Ok((name, identity)) => {
                taken.insert(name.clone(), group.iam_name);
                published.push(Group { iam_id: &group.iam_id, identity, account: group.account, name });
            }
            Err(reason) => told.skip(group.account, "group", group.iam_name, &group.iam_id, reason),
        }
    }
    published
}

fn group_name(
    input: &Input<'_>,
    group: &candidates::Group<'_>,
    reserved: &BTreeSet<String>,
) -> Result<Name, String> {
    if input.state.users.contains_key(&group.iam_id) {
        return Err(format!("'{}' was the id of a user", group.iam_id));
    }
    let name = names::of_group(group.iam_name, &input.config.users).map_err(|cause| cause.to_string())?;
    allowed(input, name, reserved)
}

fn allowed(input: &Input<'_>, name: Name, reserved: &BTreeSet<String>) -> Result<Name, String> {
    match names::refusal(name.as_str(), input.local, reserved) {
        Some(refusal) => Err(format!("'{name}' {refusal}")),
        None => Ok(name),
    }
}

/// `holder` is as IAM spells it, or worse.
fn already(name: &Name, what: &str, holder: &str) -> String {
    format!("'{name}' is already the name of IAM {what} '{}'", holder.escape_default())
}

pub(super) fn users<'a>(
    input: &Input<'_>,
    own: &OwnGroups,
    candidates: &'a Candidates<'a>,
    groups: &[Group<'_>],
    ids: &mut Ids<'_>,
    told: &mut Told,
) -> Vec<Member<'a>> {
    let mut reserved = reserved(input, own);
    reserved.extend(groups.iter().map(|group| group.name.to_string()));
    let holders = holders(input);
    let mut claims = Vec::new();
    for user in &candidates.users {
        match ids.usable(&user.iam_id).and_then(|()| claim(input, user, &holders, &reserved, told)) {
            Ok(claim) => claims.push(claim),
            Err(reason) => told.skip(user.account, "user", user.iam_name, &user.iam_id, reason),
        }
    }
    // An untagged name, the present holder, the order of the accounts, CreateDate, UserId.
    claims.sort_by_key(|claim| (claim.tagged, !claim.held, claim.user.rank, claim.user.age()));
    let mut taken: BTreeMap<Name, &str> = BTreeMap::new();
    let mut named = Vec::new();
    for claim in claims {
        if let Some(holder) = taken.get(&claim.name) {
            let reason = already(&claim.name, "user", holder);
            told.skip(claim.user.account, "user", claim.user.iam_name, &claim.user.iam_id, reason);
        } else {
            taken.insert(claim.name.clone(), claim.user.iam_name);
            named.push(claim);
        }
    }
    with_ids(input, named, ids, told)
}

fn with_ids<'a>(
    input: &Input<'_>,
    named: Vec<Claim<'a>>,
    ids: &mut Ids<'_>,
    told: &mut Told,
) -> Vec<Member<'a>> {
    let mut sorted: Vec<_> = named
        .into_iter()
        .map(|claim| {
            let configured = input.config.ids.contains_key(claim.user.iam_id.as_str());
            let tagged = tagged_id(input, claim.user, told);
            (claim, configured, tagged)
        })
        .collect();
    // A tag is in the hands of whoever may tag: it never takes an id from one who has no tag.
    sorted.sort_by(|(a, a_configured, a_tag), (b, b_configured, b_tag)| {
        (!a_configured, a_tag.is_some(), a.user.age()).cmp(&(!b_configured, b_tag.is_some(), b.user.age()))
    });
    let mut members = Vec::new();
    for (claim, _, tagged) in sorted {
        match ids.give(&claim.user.iam_id, tagged, told) {
            Ok(identity) => members.push(Member { candidate: claim.user, identity, name: claim.name }),
            Err(reason) => {
                told.skip(claim.user.account, "user", claim.user.iam_name, &claim.user.iam_id, reason);
            }
        }
    }
    members
}

/// Whose each login name is now, or was last.
fn holders<'a>(input: &Input<'a>) -> BTreeMap<&'a Name, &'a IamId> {
    let mut users: Vec<_> = input.state.users.iter().collect();
    // The last one counts.
    users.sort_by_key(|(iam_id, user)| (user.disabled.is_none(), user.disabled, Reverse(*iam_id)));
    users.into_iter().map(|(iam_id, user)| (&user.name, iam_id)).collect()
}

/// A name that a user asks for.
struct Claim<'a> {
    user: &'a candidates::User<'a>,
    name: Name,
    tagged: bool,
    held: bool,
}

fn claim<'a>(
    input: &Input<'_>,
    user: &'a candidates::User<'a>,
    holders: &BTreeMap<&Name, &IamId>,
    reserved: &BTreeSet<String>,
    told: &mut Told,
) -> Result<Claim<'a>, String> {
    let holds = |name: &Name| holders.get(name) == Some(&&user.iam_id);
    let natural = names::of_user(user.iam_name, &input.config.users).map_err(|cause| cause.to_string());
    let previous = input.state.users.get(&user.iam_id).map(|user| &user.name);
    let locked = previous.filter(|name| holds(name) && input.local.locked.contains(name.as_str()));
    let name = match (locked, &user.known) {
        // Who is locked here keeps the name: another one in IAM must not undo the lock.
        (Some(name), _) => name.clone(),
        (None, Known::Kept(kept)) => kept.name.clone(),
        (None, Known::Listed { .. }) => match tagged_name(input, user, reserved, told) {
            Some(name) => name,
            None => natural.clone()?,
        },
    };
    let name = allowed(input, name, reserved)?;
    let tagged = locked.is_none() && natural.as_ref() != Ok(&name);
    Ok(Claim { user, tagged, held: holds(&name), name })
}

fn tagged_name(
    input: &Input<'_>,
    user: &candidates::User<'_>,
    reserved: &BTreeSet<String>,
    told: &mut Told,
) -> Option<Name> {
    let tag = user.tag(input, TagUse::Name, "name")?;
    Name::new(tag)
        .map_err(|cause| cause.to_string())
        .and_then(|name| allowed(input, name, reserved))
        .map_err(|reason| {
            told.skip(user.account, "tag", user.iam_name, &user.iam_id, format!("tag 'name': {reason}"));
        })
        .ok()
}

fn tagged_id(input: &Input<'_>, user: &candidates::User<'_>, told: &mut Told) -> Option<Id> {
    let tag = user.tag(input, TagUse::Uid, "uid")?;
    let id = tag.parse().map_err(|_| "not a number".to_owned());
    id.and_then(|id: u32| Id::pinned(id).map_err(|cause| cause.to_string()))
        .and_then(|id| match id.get() {
            ..=ID_LAST => Ok(id),
            _ => Err(format!("{id} is above {ID_LAST}")),
        })
        .map_err(|cause| {
            told.skip(user.account, "tag", user.iam_name, &user.iam_id, format!("tag 'uid': {cause}"))
        })
        .ok()
}

/// Names that neither a group of IAM nor a user gets, besides those of the host.
pub(super) fn reserved(input: &Input<'_>, own: &OwnGroups) -> BTreeSet<String> {
    let config = input.config;
    let targets = std::iter::once(&config.local_groups)
        .chain(config.account.iter().map(|account| &account.local_groups))
        .flat_map(|map| map.values().flatten().cloned());
    targets.chain([own.common.to_string(), own.disabled.to_string()]).collect()
}
