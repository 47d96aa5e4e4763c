//! Which home each user gets: one that nobody else has, had, or owns.
//!
//! A user keeps the home that was given, whatever the template and the name become. Another one gets the template's;
//! `<home>-<uid>` if that was ever given to somebody else, or exists and belongs to another.

use std::collections::{BTreeMap, BTreeSet};

use cache::state::State;
use policy::home::{self, Placeholders, normal, with_id};
use policy::id::COMPUTED;
use policy::{Field, IamId, Id, Name};
use status::{SkipReason, escaped};

use super::candidates;
use super::input::Input;
use super::naming::Member;

/// The user of each home that was ever assigned; homes are distinguished by [`place`].
pub(super) struct Homes<'a> {
    input: &'a Input<'a>,
    given: BTreeMap<String, &'a IamId>,
    /// The homes `<home>-<uid>` that members could come to have.
    reserved: BTreeSet<String>,
}

impl<'a> Homes<'a> {
    pub(super) fn of(input: &'a Input<'a>, members: &[Member<'_>]) -> Self {
        let template = |member: &Member<'_>| {
            let candidate = member.candidate;
            let home =
                template(input, candidate.iam_name, candidate.account, &member.name, member.identity.id)?;
            Some(with_id(&home, member.identity.id))
        };
        let mut given = BTreeMap::new();
        for (home, iam_id) in remembered(input.state) {
            given.entry(place(input, &home)).or_insert(iam_id);
        }
        Self { input, given, reserved: members.iter().filter_map(template).collect() }
    }

    /// Gives a member a home.
    ///
    /// # Errors
    /// Why there is none that could be given.
    pub(super) fn give(&mut self, member: &Member<'a>) -> Result<Field, SkipReason> {
        let candidate = member.candidate;
        let (iam_id, id) = (&candidate.iam_id, member.identity.id);
        let kept = self.input.state.users.get(iam_id).map(|user| normal(user.passwd.home.as_str()));
        if let Some(kept) = kept.filter(|home| self.is_free(home, iam_id) && self.is_usable(home, id, true)) {
            return self.take(kept, iam_id);
        }
        let home = template(self.input, candidate.iam_name, candidate.account, &member.name, id)
            .ok_or(SkipReason::HomePath)?;
        let shared = home::is_shared(&self.input.config.users.home);
        if !shared
            && self.is_free(&home, iam_id)
            && !self.reserved.contains(&home)
            && self.is_usable(&home, id, false)
        {
            return self.take(home, iam_id);
        }
        let own = with_id(&home, id);
        if self.is_free(&own, iam_id) && self.is_usable(&own, id, false) {
            return self.take(own, iam_id);
        }
        if is_settled(self.input, iam_id)
            && let Some(user) = self.input.state.users.get(iam_id)
        {
            // A link makes it the same folder as another user's, and nobody has looked for another one.
            return Ok(user.passwd.home.clone());
        }
        if let Err(why) = &self.input.local.folders {
            return Err(SkipReason::HomeUnseen { why: why.clone() });
        }
        Err(SkipReason::HomeTaken { home: escaped(&home), own: escaped(&own) })
    }

    fn take(&mut self, home: String, iam_id: &'a IamId) -> Result<Field, SkipReason> {
        let field = Field::new(&home).map_err(|_| SkipReason::HomePath)?;
        self.given.insert(place(self.input, &home), iam_id);
        Ok(field)
    }

    fn is_free(&self, home: &str, iam_id: &IamId) -> bool {
        self.given.get(&place(self.input, home)).is_none_or(|&holder| holder == iam_id)
    }

    /// Whether what is at `home` is the user's own, or nothing. A home that the user has already may have become
    /// root's: chroot(2) of sftp asks for that, and pam_mkhomedir(8) changes the owner last.
    fn is_usable(&self, home: &str, id: Id, kept: bool) -> bool {
        let unseen = BTreeMap::new();
        let folders = self.input.local.folders.as_ref().map_or(&unseen, |folders| &folders.owners);
        let fits = match folders.get(home) {
            Some(None) => true,
            Some(&Some(owner)) => owner == id.get() || kept && owner == 0,
            // Nobody loses a home because it was not looked at, and nobody gets one so.
            None => kept,
        };
        fits && (kept
            || above(home).all(|folder| !folders.get(folder).is_some_and(|owner| is_of_user(*owner, id))))
    }
}

/// Whether a folder belongs to another user of ours, who could put anything in place of what is in it.
fn is_of_user(owner: Option<u32>, id: Id) -> bool {
    owner.is_some_and(|owner| owner != id.get() && COMPUTED.contains(&owner))
}

/// The folders above `home`, `/` left out.
fn above(home: &str) -> impl Iterator<Item = &str> {
    home.match_indices('/').skip(1).filter_map(|(at, _)| home.get(..at))
}

/// The folder that a home is in.
pub(super) fn parent(home: &str) -> &str {
    home.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Where a home is, links above it followed: one folder can have two paths.
fn place(input: &Input<'_>, home: &str) -> String {
    let links = input.local.folders.as_ref().ok().map(|folders| &folders.links);
    match links.and_then(|links| links.get(parent(home))) {
        Some(real) => format!("{real}{}", home.strip_prefix(parent(home)).unwrap_or_default()),
        None => home.to_owned(),
    }
}

/// Whether a user is published with a home that is known as that user's: it stays, and is not looked at.
pub(super) fn is_settled(input: &Input<'_>, iam_id: &IamId) -> bool {
    let user = input.state.users.get(iam_id).filter(|user| candidates::is_in(input, user));
    user.is_some_and(|user| input.state.homes.get(&normal(user.passwd.home.as_str())) == Some(iam_id))
}

/// Every home that was given, and to whom; of two users of an earlier release who have the same, the active one keeps it.
fn remembered(state: &State) -> BTreeMap<String, &IamId> {
    let mut given: BTreeMap<String, &IamId> =
        state.homes.iter().map(|(home, iam_id)| (home.clone(), iam_id)).collect();
    let mut users: Vec<_> = state.users.iter().collect();
    users.sort_by_key(|(iam_id, user)| (user.disabled.is_some(), *iam_id));
    for (iam_id, user) in users {
        given.entry(normal(user.passwd.home.as_str())).or_insert(iam_id);
    }
    given
}

/// All of it, for the next state.
pub(super) fn memory(state: &State) -> BTreeMap<String, IamId> {
    remembered(state).into_iter().map(|(home, iam_id)| (home, iam_id.clone())).collect()
}

/// The folders that [`Homes::give`] will ask about for a user who could get these names and this id.
pub(super) fn folders(
    input: &Input<'_>,
    (iam_name, account): (&str, &str),
    names: &BTreeSet<Name>,
    id: Id,
) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for name in names {
        let Some(home) = template(input, iam_name, account, name, id) else { continue };
        folders.extend(above(&home).map(str::to_owned));
        folders.insert(with_id(&home, id));
        folders.insert(home);
    }
    folders
}

/// The folders that decide whether a user keeps a home.
pub(super) fn kept(home: &Field, id: Id) -> [String; 2] {
    let home = normal(home.as_str());
    [with_id(&home, id), home]
}

/// The home by the template; none if it would lead anywhere else.
fn template(input: &Input<'_>, iam_name: &str, account: &str, name: &Name, id: Id) -> Option<String> {
    home::of_template(&input.config.users.home, Placeholders { name, id, iam_name, account })
}
