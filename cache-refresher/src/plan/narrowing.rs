//! Takes from users who stay: keys that were removed or deactivated at the source, and groups that they left. Used when
//! no plan can be made, so it never adds anything. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cache::snapshot::{Cache, Keys};
use cache::state::State;
use foldhash::{HashMap, HashMapExt as _, HashSet};
use listing::Account;
use policy::{IamId, Id, KeyLine, Name};

use super::candidates::{Candidates, Known, User};
use super::forwarding::{self, Forwarding};
use super::input::Input;
use super::leaving::Leaving;
use super::rows::{self, LocalGroups};
use super::told::Told;

/// The most that each listed user may have, by UserId.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Narrowing(BTreeMap<IamId, Most>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Most {
    /// Keys, and when they were confirmed; none if they were not read.
    keys: Option<(BTreeSet<KeyLine>, i64)>,
    /// None if the groups were not read completely.
    groups: Option<Groups>,
    principals: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Groups {
    of_source: BTreeSet<IamId>,
    /// gids.
    local: BTreeSet<u32>,
    forward_only: bool,
}

impl Groups {
    fn leaves(&self, group: &IamId) -> bool {
        !self.of_source.contains(group)
    }
}

impl Narrowing {
    /// Computes it from the listing. `input.local` needs only files and locks.
    pub(crate) fn of(input: &Input<'_>) -> Self {
        let mut told = Told::default();
        let candidates = Candidates::of(input, &Leaving::default());
        let local = LocalGroups::of(input, &candidates.groups, &mut told);
        let forwarding = Forwarding::of(input, &candidates.groups, &mut told);
        let accounts = input.local.files.users.keys().map(|name| name.to_ascii_lowercase()).collect();
        let rules = Rules { local, forwarding, listed: input.listing.by_name(), accounts };
        let listed = candidates.users.iter().filter(|user| matches!(user.known, Known::Listed { .. }));
        let most = listed.map(|user| (user.iam_id.clone(), most(input, user, &rules, &mut told)));
        Self(most.collect())
    }

    /// Removes what exceeds it, and updates when the remaining keys were confirmed: they would otherwise become too old to
    /// be offered while nothing can be published.
    pub(crate) fn apply(&self, state: &mut State, cache: Option<&mut Cache>, keys: Option<&mut Keys>) {
        let by_id: BTreeMap<Id, &Most> = self
            .0
            .iter()
            .filter_map(|(iam_id, most)| Some((state.identities.get(iam_id)?.id, most)))
            .collect();
        let group_ids: BTreeMap<Id, IamId> = state
            .groups
            .keys()
            .filter_map(|iam_id| Some((state.identities.get(iam_id)?.id, iam_id.clone())))
            .collect();
        if let Some(cache) = cache {
            groups(cache, &by_id, &group_ids);
        }
        for login in keys.into_iter().flat_map(|keys| &mut keys.logins) {
            if let Some((lines, confirmed)) = by_id.get(&login.uid).and_then(|most| most.keys.as_ref()) {
                login.keys.retain(|line| lines.contains(line));
                login.confirmed = login.confirmed.max(*confirmed);
            }
            if let Some(most) = by_id.get(&login.uid) {
                login.principals.retain(|word| most.principals.contains(&**word));
            }
            let groups = by_id.get(&login.uid).and_then(|most| most.groups.as_ref());
            login.forward_only |= groups.is_some_and(|groups| groups.forward_only);
        }
        for (iam_id, user) in &mut state.users {
            let Some(most) = self.0.get(iam_id) else { continue };
            if let Some((lines, confirmed)) = &most.keys {
                user.keys.retain(|line| lines.contains(line));
                user.confirmed = user.confirmed.max(*confirmed);
            }
            if let Some(groups) = &most.groups {
                user.groups.retain(|group| groups.of_source.contains(group));
            }
        }
    }
}

/// What the most of a user depends on.
struct Rules<'a> {
    local: LocalGroups<'a>,
    forwarding: Forwarding<'a>,
    /// See [`listing::Listing::by_name`].
    listed: std::collections::HashMap<&'a str, (usize, &'a Account)>,
    /// The names of local users, in small letters.
    accounts: HashSet<String>,
}

fn most(input: &Input<'_>, user: &User<'_>, rules: &Rules<'_>, told: &mut Told) -> Most {
    let was_read = matches!(user.known, Known::Listed { confirmed: Some(_), .. });
    let keys = was_read.then(|| {
        let (lines, confirmed, _) = rows::keys_of(input, user, told);
        (lines.into_iter().collect(), confirmed)
    });
    let is_whole = rules.listed.get(user.account).is_some_and(|(_, account)| account.complete);
    let groups = is_whole.then(|| Groups {
        of_source: user.groups.iter().cloned().collect(),
        local: rules.local.joined_by(user),
        forward_only: rules.forwarding.only(user),
    });
    let is_local = |word: &str| rules.accounts.contains(&word.to_ascii_lowercase());
    let principals = [user.iam_name, user.iam_id.as_str()].into_iter().filter(|word| !is_local(word));
    Most { keys, groups, principals: principals.map(str::to_owned).collect() }
}

/// Groups that are not from the source, such as the common group, stay.
fn groups(cache: &mut Cache, by_id: &BTreeMap<Id, &Most>, group_ids: &BTreeMap<Id, IamId>) {
    let forward_only = forwarding::gid(&cache.groups);
    let mut known: HashMap<Name, &Groups> = HashMap::new();
    for user in cache.users.iter_mut().filter(|user| user.active) {
        let Some(most) = by_id.get(&user.uid).and_then(|most| most.groups.as_ref()) else {
            continue;
        };
        known.insert(user.name.clone(), most);
        user.groups.retain(|gid| !group_ids.get(gid).is_some_and(|iam_id| most.leaves(iam_id)));
        user.local.retain(|gid| most.local.contains(gid));
        if most.forward_only {
            user.passwd = forwarding::passwd(&user.passwd);
            user.groups.extend(forward_only);
            user.groups.sort_unstable();
            user.groups.dedup();
        }
    }
    for group in &mut cache.groups {
        if let Some(iam_id) = group_ids.get(&group.gid) {
            group.members.retain(|name| !known.get(name).is_some_and(|most| most.leaves(iam_id)));
        }
        if Some(group.gid) == forward_only {
            let joined = known.iter().filter(|(_, most)| most.forward_only).map(|(name, _)| name.clone());
            group.members.extend(joined);
            group.members.sort_unstable();
            group.members.dedup();
        }
    }
}
