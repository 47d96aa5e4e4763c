//! Assigns a home to each user: one that no other user has, had, or owns.
//!
//! A user keeps an assigned home even if the template or the name changes. A new user gets the home of the template, or
//! `<home>-<uid>` if that was ever assigned to another user, or exists and belongs to another uid.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use cache::state;
use foldhash::{HashMap, HashMapExt, HashSet};
use policy::home::{self, Placeholders, normal, with_id};
use policy::id::COMPUTED;
use policy::{FORWARD_ONLY_HOME, Field, IamId, Id, Name};
use smol_str::SmolStr;
use status::{SkipReason, escaped};

use super::candidates;
use super::input::Input;
use super::naming::Member;

/// The user of each home that was ever assigned; homes are distinguished by [`place`].
pub(super) struct Homes<'a> {
    input: &'a Input<'a>,
    members: &'a [Member<'a>],
    given: HashMap<String, IamId>,
    /// See [`Self::is_reserved`].
    reserved: OnceCell<HashSet<String>>,
}

impl<'a> Homes<'a> {
    pub(super) fn of(input: &'a Input<'a>, members: &'a [Member<'a>]) -> Self {
        let mut given = HashMap::with_capacity(input.state.homes.len());
        let of_users = homes_of(&input.state.users);
        let homes = input.state.homes.iter().map(|(home, iam_id)| (Cow::Borrowed(&**home), iam_id));
        for (home, iam_id) in homes.chain(of_users) {
            given.entry(place(input, &home).into_owned()).or_insert_with(|| iam_id.clone());
        }
        Self { input, members, given, reserved: OnceCell::new() }
    }

    /// Whether a member could be assigned `home` as `<home>-<uid>`.
    fn is_reserved(&self, home: &str) -> bool {
        let of_member = |member: &Member<'_>| {
            let (candidate, id) = (member.candidate, member.identity.id);
            let home = template(self.input, candidate.iam_name, candidate.account, &member.name, id)?;
            Some(with_id(&home, id))
        };
        self.reserved.get_or_init(|| self.members.iter().filter_map(of_member).collect()).contains(home)
    }

    /// Assigns a home to a member.
    ///
    /// # Errors
    /// Why none can be assigned.
    pub(super) fn give(&mut self, member: &Member<'a>) -> Result<Field, SkipReason> {
        let candidate = member.candidate;
        let (iam_id, id) = (&candidate.iam_id, member.identity.id);
        let kept = candidate.previous.and_then(own);
        if let Some(kept) = kept.filter(|home| self.is_free(home, iam_id) && self.is_usable(home, id, true)) {
            return self.take(&kept, iam_id);
        }
        let home = template(self.input, candidate.iam_name, candidate.account, &member.name, id)
            .ok_or(SkipReason::HomePath)?;
        let shared = home::is_shared(&self.input.config.users.home);
        if !shared
            && self.is_free(&home, iam_id)
            && !self.is_reserved(&home)
            && self.is_usable(&home, id, false)
        {
            return self.take(&home, iam_id);
        }
        let own = with_id(&home, id);
        if self.is_free(&own, iam_id) && self.is_usable(&own, id, false) {
            return self.take(&own, iam_id);
        }
        if let Some(user) = candidate.previous.filter(|user| is_settled(self.input, iam_id, user)) {
            // Through a link it is the same directory as another user's, and no other directory was checked.
            return Ok(user.passwd.home.clone());
        }
        if let Err(why) = &self.input.local.directories {
            return Err(SkipReason::HomeUnseen { why: why.clone() });
        }
        Err(SkipReason::HomeTaken { home: escaped(&home), own: escaped(&own) })
    }

    fn take(&mut self, home: &str, iam_id: &IamId) -> Result<Field, SkipReason> {
        let field = Field::new(home).map_err(|_| SkipReason::HomePath)?;
        self.given.insert(place(self.input, home).into_owned(), iam_id.clone());
        Ok(field)
    }

    fn is_free(&self, home: &str, iam_id: &IamId) -> bool {
        self.given.get(&*place(self.input, home)).is_none_or(|holder| holder == iam_id)
    }

    /// Whether `home` belongs to the user or does not exist. A home that the user already has may also belong to root:
    /// sftp's chroot(2) requires that, and pam_mkhomedir(8) changes the owner last.
    fn is_usable(&self, home: &str, id: Id, kept: bool) -> bool {
        let unseen = BTreeMap::new();
        let directories =
            self.input.local.directories.as_ref().map_or(&unseen, |directories| &directories.owners);
        let fits = match directories.get(home) {
            Some(None) => true,
            Some(&Some(owner)) => owner == id.get() || kept && owner == 0,
            // A directory that was not checked can be kept, but not newly assigned.
            None => kept,
        };
        fits && (kept
            || above(home)
                .all(|directory| !directories.get(directory).is_some_and(|owner| is_of_user(*owner, id))))
    }
}

/// Whether a directory belongs to another user of nss-iam, who could replace everything in it.
fn is_of_user(owner: Option<u32>, id: Id) -> bool {
    owner.is_some_and(|owner| owner != id.get() && COMPUTED.contains(&owner))
}

/// The directories above `home`, except `/`.
fn above(home: &str) -> impl Iterator<Item = &str> {
    home.match_indices('/').skip(1).filter_map(|(at, _)| home.get(..at))
}

/// The directory that contains a home.
pub(super) fn parent(home: &str) -> &str {
    home.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The path of a home with the links above it resolved: one directory can have two paths.
fn place<'h>(input: &Input<'_>, home: &'h str) -> Cow<'h, str> {
    let links = input.local.directories.as_ref().ok().map(|directories| &directories.links);
    match links.and_then(|links| links.get(parent(home))) {
        Some(real) => format!("{real}{}", home.strip_prefix(parent(home)).unwrap_or_default()).into(),
        None => home.into(),
    }
}

/// Whether the user is published and the home is known to be theirs: it then stays and is not checked.
pub(super) fn is_settled(input: &Input<'_>, iam_id: &IamId, user: &state::User) -> bool {
    let holder = || input.state.homes.get(&*normal(user.passwd.home.as_str()));
    candidates::is_in(input, user) && holder() == Some(iam_id)
}

/// The home that a user was assigned. The state of one who may only forward connections lacks it after it was lost, since
/// the cache does not have it.
fn own(user: &state::User) -> Option<Cow<'_, str>> {
    let home = user.passwd.home.as_str();
    (home != FORWARD_ONLY_HOME).then(|| normal(home))
}

/// All homes that were ever assigned, with their users. If an earlier release gave one home to two users, the active one
/// keeps it.
pub(super) fn memory(
    homes: &BTreeMap<SmolStr, IamId>,
    users: &BTreeMap<IamId, state::User>,
) -> BTreeMap<SmolStr, IamId> {
    let known: HashSet<&str> = homes.keys().map(AsRef::as_ref).collect();
    let mut given = homes.clone();
    for (home, iam_id) in homes_of(users).filter(|(home, _)| !known.contains(&**home)) {
        given.entry(home.into()).or_insert_with(|| iam_id.clone());
    }
    given
}

/// The home of each user; those of active users first.
fn homes_of(users: &BTreeMap<IamId, state::User>) -> impl Iterator<Item = (Cow<'_, str>, &IamId)> {
    let (active, disabled): (Vec<_>, Vec<_>) = users.iter().partition(|(_, user)| user.disabled.is_none());
    let users = active.into_iter().chain(disabled);
    users.filter_map(|(iam_id, user)| Some((own(user)?, iam_id)))
}

/// The directories that [`Homes::give`] needs to know about for a user who could get these names and this id.
pub(super) fn directories(
    input: &Input<'_>,
    (iam_name, account): (&str, &str),
    names: &[Name],
    id: Id,
) -> BTreeSet<String> {
    let mut directories = BTreeSet::new();
    for name in names {
        let Some(home) = template(input, iam_name, account, name, id) else { continue };
        directories.extend(above(&home).map(str::to_owned));
        directories.insert(with_id(&home, id));
        directories.insert(home);
    }
    directories
}

/// The directories that decide whether a user keeps a home.
pub(super) fn kept(home: &Field, id: Id) -> [String; 2] {
    let home = normal(home.as_str());
    [with_id(&home, id), home.into_owned()]
}

/// The home that the template yields; none if a value in it contains a path.
fn template(input: &Input<'_>, iam_name: &str, account: &str, name: &Name, id: Id) -> Option<String> {
    home::of_template(&input.config.users.home, Placeholders { name, id, iam_name, account })
}
