//! The plan: previous state, listing, configuration, host and time in; the next state, what is published and what
//! is reported out. Pure: it reads and writes nothing, and planning twice changes nothing.

mod adopted;
mod candidates;
pub(crate) mod homes;
mod ids;
pub(crate) mod leaving;
mod naming;
pub(crate) mod narrowing;
mod questions;
mod rows;
pub(crate) mod taking;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use cache::snapshot::{Cache, Keys};
use cache::state::{self, State};
use config::{Config, Source};
use listing::Listing;
use message::Message;
use policy::{DISABLED_GROUP, Field, IamId, Name};
use status::{Held, Part, Skip, SkipReason, Warning};

use crate::local::Local;
use crate::names::Names;
use candidates::Candidates;
use ids::Ids;
use leaving::Leaving;
pub(crate) use questions::questions;

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub state: &'a State,
    pub listing: &'a Listing,
    pub config: &'a Config,
    pub local: &'a Local,
    /// What is published.
    pub published: &'a Cache,
    /// Seconds since 1970.
    pub now: i64,
    /// Disable everyone whom the listing lacks.
    pub force: bool,
    /// Or these, by login name or as the source spells it.
    pub release: &'a [String],
}

impl<'a> Input<'a> {
    /// The source of the listing; none: one that this release does not know.
    fn source(&self) -> Option<Source> {
        Source::of_listing(&self.listing.source)
    }

    /// What messages call a `user` or `group` of it.
    fn called(&self, what: &str) -> String {
        self.source().map_or_else(|| what.to_owned(), |source| source.called(what))
    }

    /// What messages call the source itself.
    fn noun(&self) -> &'static str {
        self.source().map_or("the source", |source| source.noun())
    }

    /// Who leaves.
    pub(crate) fn leaving(&self) -> Leaving {
        leaving::leaving(leaving::Facts {
            state: self.state,
            listing: Some(self.listing),
            locked: &self.local.locked,
            max_removed_percent: self.config.safety.max_removed_percent,
            force: self.force,
            release: self.release,
        })
    }
}

/// What is to be done and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub state: State,
    pub cache: Cache,
    pub keys: Keys,
    /// Sorted.
    pub skips: Vec<Skip>,
    /// About the host and the configuration.
    pub warnings: Vec<Warning>,
    /// What was refused as a whole.
    pub held: Vec<Held>,
    /// Login names of users who stay, and whom `--force` would disable.
    pub held_users: Vec<String>,
}

/// A configuration that this host cannot carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Impossible(pub Message);

/// Makes the plan.
///
/// # Errors
/// When the configuration cannot be carried out on this host; nothing then changes.
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

/// The two groups that no listing knows.
struct OwnGroups {
    common: Name,
    disabled: Name,
}

impl OwnGroups {
    fn names<'a>(input: &Input<'a>) -> impl Iterator<Item = &'a str> {
        [input.config.users.common_group.as_str(), DISABLED_GROUP].into_iter()
    }

    fn check(input: &Input<'_>) -> Result<Self, Impossible> {
        let users = &input.config.users;
        let impossible = |what: String, hint: &str| Impossible(Message::new(what).with_hint(hint));
        let name =
            |text: &str| Name::new(text).map_err(|cause| impossible(format!("group '{text}': {cause}"), ""));
        let own = Self { common: name(&users.common_group)?, disabled: name(DISABLED_GROUP)? };
        for (name, way_out) in
            [(&own.common, "choose another [users] common_group"), (&own.disabled, "rename it")]
        {
            if let Err(refusal) = Names::not_of_host(input.local, name.as_str()) {
                return Err(impossible(
                    format!("{refusal}, which would take precedence over nss-iam's group"),
                    way_out,
                ));
            }
        }
        let holder = input
            .state
            .users
            .values()
            .find(|user| leaving::is_in(user, &input.local.locked) && user.name == own.common);
        if let Some(holder) = holder {
            let what = format!(
                "[users] common_group '{}' is already the name of a user of {} on this host",
                holder.name,
                input.noun()
            );
            return Err(impossible(what, "choose another name"));
        }
        if !input.local.has_shell(&users.shell) {
            let what = format!("[users] shell '{}' is not in /etc/shells", users.shell);
            return Err(impossible(what, "add it there, or choose another"));
        }
        Ok(own)
    }
}

fn attempt(input: &Input<'_>, own: &OwnGroups, leaving: &Leaving) -> Plan {
    let mut told = Told::default();
    let candidates = Candidates::of(input, leaving);
    let mut ids = Ids::new(input);
    let fixed = ids.own_groups(own, &mut told);
    let groups = naming::groups(input, own, &candidates, &mut ids, &mut told);
    let members = naming::users(input, own, &candidates, &groups, &mut ids, &mut told);
    let users = rows::users(input, &candidates.groups, &members, &mut told);
    let state = next_state(input, &groups, &users, ids);
    let (cache, keys) = rows::snapshots(input, own, fixed, &groups, &users, &state);
    adopted::warn(input, &groups, &users, &mut told);
    let held = unasked(input, &told);
    told.skips.sort();
    told.skips.dedup();
    let warnings = told.warnings.into_iter().collect();
    Plan { state, cache, keys, skips: told.skips, warnings, held, held_users: Vec::new() }
}

/// What an administrator has to hear.
#[derive(Debug, Default)]
struct Told {
    skips: Vec<Skip>,
    warnings: BTreeSet<Warning>,
    /// Whether somebody got no name because the host could not be asked.
    ignorant: bool,
}

impl Told {
    fn skip(&mut self, account: &str, part: Part<'_>, name: &str, id: &IamId, reason: SkipReason) {
        self.skips.push(Skip::new(account, part, name, id.as_str(), reason));
    }
}

/// What of the host could not be asked, so that nobody new gets a name or a home.
fn unasked(input: &Input<'_>, told: &Told) -> Vec<Held> {
    let local = input.local;
    let services = local.directory.failures();
    let services = services
        .map(|(service, why)| Held::ServiceUnasked { service: service.to_owned(), why: why.to_owned() });
    let unresolved = local.uses.unresolved.iter().filter(|_| told.ignorant);
    let unresolved = unresolved.map(|unresolved| Held::RulesUnresolved { unresolved: unresolved.clone() });
    let homes = local.folders.as_ref().err().map(|why| Held::HomesUnseen { why: why.clone() });
    services.chain(unresolved).chain(homes).collect()
}

fn next_state(
    input: &Input<'_>,
    groups: &[naming::Group<'_>],
    users: &[rows::User<'_>],
    ids: Ids<'_>,
) -> State {
    let mut next = State { identities: ids.given(), users: input.state.users.clone(), ..State::default() };
    for user in users {
        let previous = input.state.users.get(user.iam_id);
        let disabled = user.locked.then(|| previous.and_then(|user| user.disabled).unwrap_or(input.now));
        next.users.insert(
            user.iam_id.clone(),
            state::User {
                account: user.account.to_owned(),
                iam_name: user.iam_name.to_owned(),
                created: user.created.map(|date| date.to_string()).unwrap_or_default(),
                name: user.name.clone(),
                passwd: user.passwd.clone(),
                groups: user.groups.clone(),
                disabled,
                hidden: false,
                keys: user.keys.clone(),
                confirmed: user.confirmed,
                source: user.source.clone(),
            },
        );
    }
    let present: BTreeSet<&IamId> = users.iter().map(|user| user.iam_id).collect();
    let keep = i64::try_from(input.config.users.removed_keep.as_secs()).unwrap_or(i64::MAX);
    let hide = input.config.users.removed == config::Removed::Hide;
    for (iam_id, user) in &mut next.users {
        let left = !present.contains(iam_id);
        if left {
            user.disabled.get_or_insert(input.now);
        }
        let over = user.disabled.is_some_and(|since| left && hide || input.now.saturating_sub(since) > keep);
        let pinned = next.identities.get(iam_id).is_some_and(|identity| identity.pinned);
        user.hidden = over && !pinned;
    }
    for group in groups {
        next.groups.insert(
            group.iam_id.clone(),
            state::Group { account: group.account.to_owned(), name: group.name.clone() },
        );
    }
    next.names = names(input.state, &next);
    next.homes = input.state.homes.clone();
    next.homes = homes::memory(&next);
    (next.asked, next.rebuilt) = (input.state.asked, input.state.rebuilt);
    next
}

/// Who had each name last: those who have one now, and of the others those who were known before.
fn names(before: &State, next: &State) -> BTreeMap<Name, IamId> {
    let own = |pairs: BTreeMap<&Name, &IamId>| -> BTreeMap<Name, IamId> {
        pairs.into_iter().map(|(name, iam_id)| (name.clone(), iam_id.clone())).collect()
    };
    let mut names = own(naming::last_holders(before));
    let users = next.users.iter().filter(|(_, user)| user.disabled.is_none());
    names.extend(users.map(|(iam_id, user)| (user.name.clone(), iam_id.clone())));
    names.extend(next.groups.iter().map(|(iam_id, group)| (group.name.clone(), iam_id.clone())));
    // One who is locked from the beginning.
    for (name, iam_id) in own(naming::last_holders(next)) {
        names.entry(name).or_insert(iam_id);
    }
    names
}

/// A field of passwd(5) from the source, or none and a word about it.
fn field(told: &mut Told, user: &candidates::User<'_>, tag: &str, text: &str) -> Option<Field> {
    match Field::new(text) {
        Ok(field) => Some(field),
        Err(cause) => {
            told.skip(user.account, Part::Tag(tag), user.iam_name, &user.iam_id, cause.into());
            None
        }
    }
}
