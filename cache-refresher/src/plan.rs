//! The plan: a function from the previous state, the listing, the configuration, the host and the time to the next
//! state, the data to publish and the report. Pure: it reads and writes nothing, and planning twice changes nothing.

mod adopted;
mod candidates;
mod forwarding;
pub(crate) mod homes;
mod ids;
mod input;
pub(crate) mod leaving;
mod naming;
pub(crate) mod narrowing;
mod own_groups;
mod passwd;
mod principals;
mod questions;
mod rows;
mod settings;
pub(crate) mod taking;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;

use cache::Accepted;
use cache::snapshot::{Cache, Keys};
use cache::state::{self, Identity, State};
use foldhash::HashMap;
use policy::{IamId, Name};
use status::{Held, Skip, Warning};

use candidates::Candidates;
use ids::Ids;
pub(crate) use input::Input;
use leaving::Leaving;
use naming::LastHolders;
pub(crate) use own_groups::Impossible;
use own_groups::OwnGroups;
pub(crate) use questions::questions;
use told::Told;

/// The result: what to save, publish and report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub state: State,
    pub cache: Cache,
    pub keys: Keys,
    /// Sorted.
    pub skips: Vec<Skip>,
    /// Warnings about the host and the configuration.
    pub warnings: Vec<Warning>,
    /// Removals and new names or homes that are held back.
    pub held: Vec<Held>,
    /// Login names of users who stay and whom `--force` would disable.
    pub held_users: Vec<String>,
}

/// Makes the plan.
///
/// # Errors
/// If the configuration is impossible on this host. Nothing changes in this case.
pub(crate) fn plan(input: Input<'_>) -> Result<Plan, Impossible> {
    let own = OwnGroups::check(&input)?;
    let mut leaving = input.leaving();
    let mut plan = attempt(&input, &own, &leaving);
    let stays = |iam_id: &IamId| plan.state.users.get(iam_id).is_some_and(|user| user.disabled.is_none());
    if let Some(reconsidered) = leaving.reconsidered(stays) {
        leaving = reconsidered;
        plan = attempt(&input, &own, &leaving);
    }
    plan.state.held = leaving.excess.as_ref().map(|excess| excess.of);
    plan.held_users = leaving.users();
    plan.held.extend(leaving.held());
    Ok(plan)
}

fn attempt(input: &Input<'_>, own: &OwnGroups, leaving: &Leaving) -> Plan {
    let mut told = Told::default();
    let candidates = Candidates::of(input, leaving);
    let mut ids = Ids::new(input);
    let fixed = ids.own_groups(own, &mut told);
    let holders = naming::Holders::of(input);
    let groups = naming::groups(input, own, &candidates, &holders, &mut ids, &mut told);
    let members = naming::users(input, own, &candidates, (&groups, &holders), &mut ids, &mut told);
    // Dropped early: of many users, each of these and the members and candidates below takes several megabytes.
    drop(holders);
    let identities = ids.given();
    let (users, rows) = rows::users(input, &candidates.groups, &members, &mut told);
    drop(members);
    drop(candidates);
    let state = next_state(input, &groups, rows, identities);
    let (cache, keys) = rows::snapshots(input, own, &fixed, &groups, &users, &state);
    adopted::warn(input, &groups, &state, &mut told);
    settings::warn(input, &mut told);
    let held = unasked(input, &told);
    told.skips.sort();
    told.skips.dedup();
    let warnings = told.warnings.into_iter().collect();
    Plan { state, cache, keys, skips: told.skips, warnings, held, held_users: Vec::new() }
}

/// What could not be checked on the host, so that nobody gets a new name or home.
fn unasked(input: &Input<'_>, told: &Told) -> Vec<Held> {
    let local = input.local;
    let services = local.directory.failures();
    let services = services
        .map(|(service, why)| Held::ServiceUnasked { service: service.to_owned(), why: why.to_owned() });
    let unresolved = local.uses.unresolved.iter().filter(|_| told.ignorant);
    let unresolved = unresolved.map(|unresolved| Held::RulesUnresolved { unresolved: unresolved.clone() });
    let homes = local.directories.as_ref().err().map(|why| Held::HomesUnseen { why: why.clone() });
    services.chain(unresolved).chain(homes).collect()
}

fn next_state(
    input: &Input<'_>,
    groups: &[naming::Group<'_>],
    present: BTreeMap<IamId, state::User>,
    identities: BTreeMap<IamId, Identity>,
) -> State {
    let keep = i64::try_from(input.config.users.removed_keep.as_secs()).unwrap_or(i64::MAX);
    let hide = input.config.users.removed == config::Removed::Hide;
    let is_hidden = |iam_id: &IamId, disabled: Option<i64>, left: bool| {
        let over = disabled.is_some_and(|since| left && hide || input.now.saturating_sub(since) > keep);
        let pinned = identities.get(iam_id).is_some_and(|identity| identity.pinned);
        over && !pinned
    };
    let others = input.state.users.iter().filter(|(iam_id, _)| !present.contains_key(iam_id));
    let others: Vec<_> = others
        .map(|(iam_id, user)| {
            let disabled = user.disabled.or(Some(input.now));
            let hidden = is_hidden(iam_id, disabled, true);
            (iam_id.clone(), state::User { disabled, hidden, ..user.clone() })
        })
        .collect();
    let mut users = present;
    for (iam_id, user) in users.iter_mut().filter(|(_, user)| user.disabled.is_some()) {
        user.hidden = is_hidden(iam_id, user.disabled, false);
    }
    users.extend(others);
    let mut next = State { identities, users, ..State::default() };
    for group in groups {
        next.groups.insert(
            group.iam_id.clone(),
            state::Group { account: group.account.to_owned(), name: group.name.clone() },
        );
    }
    next.names = names(input.state, &next);
    next.homes = homes::memory(&input.state.homes, &next.users);
    (next.asked, next.rebuilt) = (input.state.asked, input.state.rebuilt);
    next.accepted = accepted(input);
    next
}

/// The signed listing that counts from now on. One without a signature changes nothing.
fn accepted(input: &Input<'_>) -> Accepted {
    let listing = input.listing;
    match (&listing.fleet, listing.generation) {
        (Some(fleet), Some(generation)) => {
            Accepted { fleet: fleet.clone(), generation, listing: listing.source.clone() }
        }
        _ if input.state.accepted == Accepted::default() => input.offered.accepted.clone(),
        _ => input.state.accepted.clone(),
    }
}

/// Who had each name last: the present holder, or else the one that the previous state remembers.
fn names(before: &State, next: &State) -> BTreeMap<Name, IamId> {
    let mut names = before.names.clone();
    let groups = before.groups.values().map(|group| &group.name);
    // Tens of thousands of searches take less time in it.
    let known: HashMap<&Name, &IamId> = before.names.iter().collect();
    let is_unknown = |name: &Name| !known.contains_key(name);
    // In a state of an earlier release.
    if before.users.values().map(|user| &user.name).chain(groups).any(is_unknown) {
        names.extend(copies(LastHolders::of(before).others()));
    }
    let users = next.users.iter().filter(|(_, user)| user.disabled.is_none());
    let users = users.map(|(iam_id, user)| (&user.name, iam_id));
    let present = users.chain(next.groups.iter().map(|(iam_id, group)| (&group.name, iam_id)));
    for (name, iam_id) in present {
        if known.get(name).copied() != Some(iam_id) {
            names.insert(name.clone(), iam_id.clone());
        }
    }
    // A user who was already locked when first listed.
    let mut disabled = next.users.values().filter(|user| user.disabled.is_some());
    if disabled.any(|user| !names.contains_key(&user.name)) {
        let last = LastHolders::of(next);
        let others: Vec<_> = copies(last.others().filter(|(name, _)| !names.contains_key(*name))).collect();
        names.extend(others);
    }
    names
}

fn copies<'a>(holders: impl Iterator<Item = (&'a Name, &'a IamId)>) -> impl Iterator<Item = (Name, IamId)> {
    holders.map(|(name, iam_id)| (name.clone(), iam_id.clone()))
}
