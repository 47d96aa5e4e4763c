//! Assigns names and ids to the candidates. Groups come first: a user must never have the name of a group.

use std::collections::BTreeMap;

use cache::state::{self, Identity, State};
use config::TagUse;
use foldhash::{HashMap, HashMapExt, HashSet};
use policy::precedence::{GroupClaim, IdClaim, LastHolder, Standing, UserClaim};
use policy::{IamId, Id, Name};
use status::{Part, SkipReason, Warning, What, escaped};

use super::candidates::{self, Candidates, Known};
use super::ids::Ids;
use super::input::Input;
use super::own_groups::OwnGroups;
use super::told::Told;
use crate::names::{Names, is_ignorance};

/// A published group of the source.
pub(super) struct Group<'a> {
    pub iam_id: IamId,
    pub identity: Identity,
    pub account: &'a str,
    pub name: Name,
}

/// A published user.
pub(super) struct Member<'a> {
    pub candidate: &'a candidates::User<'a>,
    pub identity: Identity,
    pub name: Name,
}

pub(super) fn groups<'a>(
    input: &Input<'_>,
    own: &OwnGroups,
    candidates: &Candidates<'a>,
    holders: &Holders<'_>,
    ids: &mut Ids<'_>,
    told: &mut Told,
) -> Vec<Group<'a>> {
    let names = names_of(input, own);
    let all = candidates.groups.iter();
    let named: Vec<_> = all.map(|group| (group, group_name(input, group, holders, &names, told))).collect();
    let users = users_called(candidates, named.iter().filter_map(|(_, name)| name.as_ref().ok()).collect());
    let of_group = |name| not_of_user(input, name, &users, holders, &names, ids);
    let mut sorted: Vec<_> =
        named.into_iter().map(|(group, name)| (group, name.and_then(of_group))).collect();
    sorted.sort_by_key(|(group, name)| GroupClaim {
        newcomer: group.present() != name.as_ref().ok(),
        account: group.rank,
        iam_id: &group.iam_id,
    });
    let mut taken: HashMap<Name, &str> = HashMap::new();
    let mut published = Vec::new();
    for (group, name) in sorted {
        let named = name.and_then(|name| {
            let Some(holder) = taken.get(&name) else { return Ok(name) };
            let reason = already(input, &name, "group", holder);
            let present = group.present().filter(|present| !taken.contains_key(*present));
            keep(input, &names, present, (What::Group, &group.iam_id), &reason, told).ok_or(reason)
        });
        match named.and_then(|name| Ok((name, ids.give(&group.iam_id, None, told)?))) {
            Ok((name, identity)) => {
                taken.insert(name.clone(), group.iam_name);
                published.push(Group {
                    iam_id: group.iam_id.clone(),
                    identity,
                    account: group.account,
                    name,
                });
            }
            Err(reason) => told.skip(group.account, Part::Group, group.iam_name, &group.iam_id, reason),
        }
    }
    published
}

/// The users who had one of these names.
type Called<'c> = HashMap<&'c Name, Vec<&'c candidates::User<'c>>>;

fn users_called<'c>(candidates: &'c Candidates<'_>, names: HashSet<&Name>) -> Called<'c> {
    let mut users = Called::new();
    for user in &candidates.users {
        if let Some(known) = user.previous.filter(|known| names.contains(&known.name)) {
            users.entry(&known.name).or_default().push(user);
        }
    }
    users
}

/// Refuses a group's name that a user has: a group that is configured later disables nobody.
fn not_of_user(
    input: &Input<'_>,
    name: Name,
    users: &Called<'_>,
    holders: &Holders<'_>,
    names: &Names<'_>,
    ids: &Ids<'_>,
) -> Result<Name, SkipReason> {
    let keeps_it = |user: &&&candidates::User<'_>| {
        holders.present(user) == Some(&name)
            && ids.usable(&user.iam_id).is_ok()
            && names.check(name.as_str(), &user.iam_id, Standing::Present).is_ok()
    };
    let holder = users.get(&name).into_iter().flatten().find(keeps_it);
    holder.map_or_else(|| Ok(name.clone()), |user| Err(already(input, &name, "user", user.iam_name)))
}

fn group_name(
    input: &Input<'_>,
    group: &candidates::Group<'_>,
    holders: &Holders<'_>,
    names: &Names<'_>,
    told: &mut Told,
) -> Result<Name, SkipReason> {
    if input.state.users.contains_key(&group.iam_id) {
        return Err(SkipReason::IdOfUser { iam_id: group.iam_id.to_string() });
    }
    let wanted = input.config.users.mapping().group(group.iam_name).map_err(SkipReason::from);
    let named = wanted.and_then(|name| {
        let standing = holders.of_group(group, &name);
        allowed(names, name, &group.iam_id, standing, told)
    });
    named.or_else(|reason| {
        keep(input, names, group.present(), (What::Group, &group.iam_id), &reason, told).ok_or(reason)
    })
}

fn allowed(
    names: &Names<'_>,
    name: Name,
    iam_id: &IamId,
    standing: Standing,
    told: &mut Told,
) -> Result<Name, SkipReason> {
    let checked = names.check(name.as_str(), iam_id, standing);
    told.ignorant |= checked.as_ref().is_err_and(is_ignorance);
    checked.map(|()| name)
}

/// The present name, if the new one is refused: nobody loses access because of a mistake in a name.
fn keep(
    input: &Input<'_>,
    names: &Names<'_>,
    present: Option<&Name>,
    (what, iam_id): (What, &IamId),
    reason: &SkipReason,
    told: &mut Told,
) -> Option<Name> {
    let present = present.filter(|name| names.check(name.as_str(), iam_id, Standing::Present).is_ok())?;
    told.warnings.insert(Warning::KeepsName {
        what,
        iam_id: iam_id.to_string(),
        name: present.to_string(),
        source: input.noun().to_owned(),
        reason: reason.clone(),
    });
    Some(present.clone())
}

/// `holder` is untrusted text from the source.
fn already(input: &Input<'_>, name: &Name, what: &str, holder: &str) -> SkipReason {
    SkipReason::NameTaken { name: name.to_string(), called: input.called(what), holder: escaped(holder) }
}

pub(super) fn users<'a>(
    input: &Input<'_>,
    own: &OwnGroups,
    candidates: &'a Candidates<'a>,
    (groups, holders): (&[Group<'_>], &Holders<'_>),
    ids: &mut Ids<'_>,
    told: &mut Told,
) -> Vec<Member<'a>> {
    let mut names = names_of(input, own);
    names.own.extend(groups.iter().map(|group| group.name.to_string()));
    let mut claims = Vec::new();
    for user in &candidates.users {
        match ids.usable(&user.iam_id).and_then(|()| claim(input, user, holders, &names, told)) {
            Ok(claim) => claims.push(claim),
            Err(reason) => told.skip(user.account, Part::User, user.iam_name, &user.iam_id, reason),
        }
    }
    claims.sort_by_key(Claim::precedence);
    let mut taken: HashMap<Name, &str> = HashMap::new();
    let mut named = Vec::new();
    for mut claim in claims {
        let iam_id = &claim.user.iam_id;
        if let Some(holder) = taken.get(&claim.name) {
            let reason = already(input, &claim.name, "user", holder);
            let present = holders.present(claim.user).filter(|present| !taken.contains_key(*present));
            let Some(kept) = keep(input, &names, present, (What::User, iam_id), &reason, told) else {
                told.skip(claim.user.account, Part::User, claim.user.iam_name, iam_id, reason);
                continue;
            };
            claim.name = kept;
        }
        taken.insert(claim.name.clone(), claim.user.iam_name);
        named.push(claim);
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
            let tagged = tagged_id(input, claim.user, ids, told);
            (claim, configured, tagged)
        })
        .collect();
    sorted.sort_by_key(|(claim, configured, tagged)| IdClaim {
        unconfigured: !configured,
        tagged: tagged.is_some(),
        age: claim.user.age(),
    });
    let mut members = Vec::new();
    for (claim, _, tagged) in sorted {
        match ids.give(&claim.user.iam_id, tagged, told) {
            Ok(identity) => members.push(Member { candidate: claim.user, identity, name: claim.name }),
            Err(reason) => {
                told.skip(claim.user.account, Part::User, claim.user.iam_name, &claim.user.iam_id, reason);
            }
        }
    }
    members
}

/// Who has each name now, or had it last.
pub(super) struct Holders<'a> {
    input: &'a Input<'a>,
    last: LastHolders<'a>,
}

/// Who had each name last. A state of an earlier release has only the last name of each user.
pub(super) struct LastHolders<'a> {
    names: &'a BTreeMap<Name, IamId>,
    groups: HashMap<&'a Name, &'a IamId>,
    /// Only users: a lock stays with the user even if a group has the name now.
    users: HashMap<&'a Name, (&'a IamId, &'a state::User)>,
}

impl<'a> LastHolders<'a> {
    pub(super) fn of(state: &'a State) -> Self {
        let mut users = HashMap::with_capacity(state.users.len());
        for (iam_id, user) in &state.users {
            let rank = |(iam_id, user): (&'a IamId, &'a state::User)| LastHolder::new(user.disabled, iam_id);
            let holder = users.entry(&user.name).or_insert((iam_id, user));
            if rank((iam_id, user)) < rank(*holder) {
                *holder = (iam_id, user);
            }
        }
        Self {
            names: &state.names,
            groups: state.groups.iter().map(|(iam_id, group)| (&group.name, iam_id)).collect(),
            users,
        }
    }

    fn user(&self, name: &Name) -> Option<&'a IamId> {
        self.users.get(name).map(|(iam_id, _)| *iam_id)
    }

    pub(super) fn get(&self, name: &Name) -> Option<&'a IamId> {
        let groups = || self.groups.get(name).copied().or_else(|| self.user(name));
        self.names.get(name).or_else(groups)
    }

    /// Those whom [`State::names`] lacks.
    pub(super) fn others(&self) -> impl Iterator<Item = (&'a Name, &'a IamId)> + '_ {
        let names =
            self.groups.keys().chain(self.users.keys()).filter(|name| !self.names.contains_key(**name));
        names.filter_map(|name| Some((*name, self.get(name)?)))
    }
}

impl<'a> Holders<'a> {
    pub(super) fn of(input: &'a Input<'a>) -> Self {
        Self { input, last: LastHolders::of(input.state) }
    }

    pub(super) fn of_user(&self, user: &candidates::User<'_>, name: &Name) -> Standing {
        self.standing(&user.iam_id, self.present(user), name)
    }

    pub(super) fn of_group(&self, group: &candidates::Group<'_>, name: &Name) -> Standing {
        self.standing(&group.iam_id, group.present(), name)
    }

    fn standing(&self, iam_id: &IamId, present: Option<&Name>, name: &Name) -> Standing {
        if present == Some(name) {
            Standing::Present
        } else if self.last.get(name) == Some(iam_id) {
            Standing::Former
        } else {
            Standing::New
        }
    }

    /// The name that a user has at present, active or locked.
    fn present<'u>(&self, user: &candidates::User<'u>) -> Option<&'u Name> {
        let known = user.previous?;
        let holder = || self.last.user(&known.name);
        let has_it = candidates::is_in(self.input, known) && holder() == Some(&user.iam_id);
        has_it.then_some(&known.name)
    }
}

/// A user's claim to a name.
struct Claim<'a> {
    user: &'a candidates::User<'a>,
    name: Name,
    tagged: bool,
    held: bool,
}

impl<'a> Claim<'a> {
    fn precedence(&self) -> UserClaim<'a> {
        UserClaim { tagged: self.tagged, newcomer: !self.held, account: self.user.rank, age: self.user.age() }
    }
}

fn claim<'a>(
    input: &Input<'_>,
    user: &'a candidates::User<'a>,
    holders: &Holders<'_>,
    names: &Names<'_>,
    told: &mut Told,
) -> Result<Claim<'a>, SkipReason> {
    let present = holders.present(user);
    let locked = present.filter(|name| input.local.locked.contains(name.as_str()));
    let give = |name: Name, told: &mut Told| {
        let standing = holders.of_user(user, &name);
        allowed(names, name, &user.iam_id, standing, told)
    };
    let named = match (locked, &user.known) {
        // A locked user keeps the name: a new name at the source must not undo the lock.
        (Some(name), _) => give(name.clone(), told),
        (None, Known::Kept(kept)) => give(kept.name.clone(), told),
        (None, Known::Listed { tags, .. }) => {
            let login = input.config.login(user.iam_name, tags, |name| give(name?, told));
            if let Some(reason) = login.refused_tag {
                told.skip(user.account, Part::Tag("name"), user.iam_name, &user.iam_id, reason);
            }
            login.name
        }
    };
    let is_mapped = |name: &Name| input.config.users.mapping().user(user.iam_name).as_ref() == Ok(name);
    let named = named.map(|name| {
        // Without a tag, the name at the source decided.
        let is_of_source =
            matches!(user.known, Known::Listed { .. }) && user.tag(input, TagUse::Name).is_none();
        let tagged = locked.is_none() && !is_of_source && !is_mapped(&name);
        (name, tagged)
    });
    let (name, tagged) = named.or_else(|reason| {
        keep(input, names, present, (What::User, &user.iam_id), &reason, told)
            .map(|name| (name, false))
            .ok_or(reason)
    })?;
    let held = holders.of_user(user, &name) != Standing::New;
    Ok(Claim { user, name, tagged, held })
}

fn tagged_id(input: &Input<'_>, user: &candidates::User<'_>, ids: &Ids<'_>, told: &mut Told) -> Option<Id> {
    let tag = user.tag(input, TagUse::Uid)?;
    ids.tagged(tag, &user.iam_id)
        .map_err(|reason| {
            told.skip(user.account, Part::Tag("uid"), user.iam_name, &user.iam_id, reason);
        })
        .ok()
}

/// The rules for names, with the two groups of nss-iam; the caller adds the published groups of the source.
pub(super) fn names_of<'a>(input: &Input<'a>, own: &OwnGroups) -> Names<'a> {
    let config = input.config;
    let targets = std::iter::once(&config.local_groups)
        .chain(config.account.iter().map(|account| &account.local_groups))
        .flat_map(|map| map.values().flatten().cloned());
    let own = own.all().map(Name::to_string).into();
    Names { local: input.local, config: &config.names, own, targets: targets.collect() }
}
