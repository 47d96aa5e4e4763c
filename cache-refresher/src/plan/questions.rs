//! What must be checked on the host before a plan can be made: who has the names that would be assigned, and who owns
//! the directories that would become homes. Pure.

use std::collections::BTreeSet;

use config::TagUse;
use foldhash::HashSet;
use policy::precedence::Standing;
use policy::{IamId, Id, Name};

use super::candidates::{Candidates, Known, User};
use super::homes;
use super::input::Input;
use super::naming::Holders;
use super::own_groups::OwnGroups;
use super::principals::{self, NamesAtSource};
use crate::local::Questions;

/// Assigned names are checked again within this time, in seconds, so that a later conflict is found within a day,
/// however often refreshes run.
const ROUND: i64 = 12 * 60 * 60;

/// Computes the questions of [`super::plan`]. `input.local` needs only the facts of [`crate::local::Local::read`].
pub(crate) fn questions(input: &Input<'_>) -> Questions {
    let mut asked = Questions::default();
    let candidates = Candidates::of(input, &input.leaving());
    let holders = Holders::of(input);
    let at_source = NamesAtSource::of(input);
    for user in &candidates.users {
        let candidate = Candidate {
            user,
            due: is_due(input, &user.iam_id),
            mapped: input.config.users.mapping().user(user.iam_name).ok(),
        };
        ask_for(&mut asked, input, &candidate, &holders);
        asked.nss.names.extend(principal(input, &candidate, &at_source));
    }
    for group in &candidates.groups {
        let present = group.present();
        let wanted = input.config.users.mapping().group(group.iam_name).ok();
        let is_new = wanted.as_ref().is_some_and(|name| holders.of_group(group, name) != Standing::Present);
        if is_new || is_due(input, &group.iam_id) {
            asked.newcomers |= is_new;
            asked.nss.names.extend(wanted.iter().chain(present).map(Name::to_string));
            asked.nss.ids.extend(ids(input, &group.iam_id, None));
        }
    }
    if !asked.directories.owners.is_empty() {
        // A home that was assigned to another user can be the same directory under another path.
        let owners = asked.directories.owners.iter().map(String::as_str);
        let homes = input.state.homes.keys().map(AsRef::as_ref).chain(owners);
        let places: HashSet<&str> = homes.map(homes::parent).collect();
        asked.directories.places = places.into_iter().map(str::to_owned).collect();
    }
    // These two always: then each refresh asks every service something, and notices one that does not answer.
    asked.nss.names.extend(OwnGroups::names(input).map(str::to_owned));
    asked
}

/// A user, and what several questions depend on.
struct Candidate<'a> {
    user: &'a User<'a>,
    /// See [`is_due`].
    due: bool,
    /// The login name that the name at the source becomes.
    mapped: Option<Name>,
}

fn ask_for(asked: &mut Questions, input: &Input<'_>, candidate: &Candidate<'_>, holders: &Holders<'_>) {
    let &Candidate { user, due, .. } = candidate;
    let names = possible_names(input, candidate);
    let new: Vec<&Name> =
        names.iter().filter(|name| holders.of_user(user, name) != Standing::Present).collect();
    let is_settled = user.previous.is_some_and(|known| homes::is_settled(input, &user.iam_id, known));
    if is_settled && new.is_empty() && !due {
        return;
    }
    let tag = user.tag(input, TagUse::Uid).and_then(|tag| Id::pinned(tag.parse().ok()?).ok());
    let ids = ids(input, &user.iam_id, tag);
    if !is_settled {
        for id in ids.iter().filter_map(|&id| Id::pinned(id).ok()) {
            let owners = &mut asked.directories.owners;
            owners.extend(homes::directories(input, (user.iam_name, user.account), &names, id));
            owners.extend(user.previous.into_iter().flat_map(|user| homes::kept(&user.passwd.home, id)));
        }
    }
    if !new.is_empty() || due {
        asked.newcomers |= !new.is_empty();
        asked.nss.ids.extend(ids);
        let old = names.iter().filter(|_| due);
        asked.nss.names.extend(new.into_iter().chain(old).map(Name::to_string));
    }
}

/// The name at the source, if this plan could make it a principal. One that is published is asked for when the user is due.
fn principal(
    input: &Input<'_>,
    candidate: &Candidate<'_>,
    at_source: &NamesAtSource<'_>,
) -> BTreeSet<String> {
    let Candidate { user, due, mapped } = candidate;
    let is_possible = |login: &Name| {
        principals::is_possible(user.iam_name, login) && !input.local.locked.contains(login.as_str())
    };
    let is_asked = mapped.as_ref().is_some_and(is_possible)
        && (*due || !at_source.is_published(&user.iam_id, user.iam_name));
    if is_asked { principals::spellings(user.iam_name) } else { BTreeSet::new() }
}

/// All names that this plan could assign to the user, some twice.
fn possible_names(input: &Input<'_>, candidate: &Candidate<'_>) -> Vec<Name> {
    let user = candidate.user;
    let mut names: Vec<Name> = user.previous.map(|user| user.name.clone()).into_iter().collect();
    if let Known::Listed { .. } = user.known {
        names.extend(candidate.mapped.clone().filter(|name| !names.contains(name)));
        names.extend(user.tag(input, TagUse::Name).and_then(|tag| Name::new(tag).ok()));
    }
    names
}

/// All ids that this plan could assign.
fn ids(input: &Input<'_>, iam_id: &IamId, tag: Option<Id>) -> BTreeSet<u32> {
    match input.state.identities.get(iam_id) {
        Some(identity) => [identity.id.get()].into(),
        None => {
            let configured = input.config.ids.get(iam_id.as_str()).copied();
            let computed = Id::computed(iam_id).get();
            configured.into_iter().chain(tag.map(Id::get)).chain([computed]).collect()
        }
    }
}

/// Whether this user or group is due since the host was last asked. A hash spreads the turns over the round.
fn is_due(input: &Input<'_>, iam_id: &IamId) -> bool {
    let since = input.now.saturating_sub(input.state.asked);
    // After a jump of the clock, all are due.
    if input.state.asked <= 0 || !(0..ROUND).contains(&since) {
        return true;
    }
    let turn = i64::from(Id::computed(iam_id).get()) % ROUND;
    (input.now - turn).rem_euclid(ROUND) < since
}

#[cfg(test)]
mod tests {
    use super::super::tests::World;
    use super::*;

    #[test]
    fn a_newcomer_is_asked_for_with_every_name_and_id_that_could_be_given() {
        let mut world = World::of(&["ana"]).uses(&[TagUse::Name, TagUse::Uid]);
        world.tag("U-ana", "name", "anna");
        world.tag("U-ana", "uid", "1003");
        let asked = questions(&world.input());
        let names: Vec<&str> = asked.nss.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["ana", "anna", "iam-disabled", "iam-users", "ops"]);
        assert!(asked.nss.ids.contains(&1003) && asked.newcomers);
        let uid = Id::computed(&IamId::new("U-ana"));
        for directory in ["/home", "/home/anna", &format!("/home/ana-{uid}"), "/home/anna-1003"] {
            assert!(asked.directories.owners.contains(directory), "{directory}");
        }
    }

    #[test]
    fn those_who_have_their_names_are_asked_for_once_in_a_round_and_not_all_at_once() {
        let names: Vec<String> = (0..200).map(|number| format!("user{number}")).collect();
        let mut world = World::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        world.run();
        world.state.asked = world.now;
        let (mut asked, mut most) = (BTreeSet::new(), 0);
        for _ in 0..12 {
            world.now += ROUND / 12;
            let now = questions(&world.input());
            assert!(!now.newcomers);
            most = most.max(now.nss.names.len());
            asked.extend(now.nss.names);
            world.state.asked = world.now;
        }
        assert_eq!(asked.len(), 200 + 3);
        assert!(most < 40, "{most} at once");
        world.state.asked = world.now + 5;
        assert_eq!(questions(&world.input()).nss.names.len(), 203, "after a jump of the clock");
    }
}
