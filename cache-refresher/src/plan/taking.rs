//! Removals that take effect at once, even if everything else on this host is broken: users who left or are locked are
//! disabled in the published files, and users who stay lose what was removed at the source. Nothing else changes, and no
//! service is asked. Pure.

use std::collections::BTreeSet;

use cache::snapshot::{Cache, Keys};
use cache::state::{State, User};
use policy::{DISABLED_GROUP, Field, IamId, Id, Name};
use status::Locked;

use super::leaving::Leaving;
use super::narrowing::Narrowing;
use crate::local::NOLOGIN;

/// The state and the published files, as far as they can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub state: State,
    pub cache: Option<Cache>,
    pub keys: Option<Keys>,
}

/// What must be taken away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Away<'a> {
    pub leaving: &'a Leaving,
    pub locked: &'a Locked,
    /// From users who stay.
    pub narrowing: &'a Narrowing,
}

impl Away<'_> {
    /// Whether nothing of it would change these, so that they need not be copied.
    pub(crate) fn is_done(&self, state: &State, cache: Option<&Cache>, keys: Option<&Keys>) -> bool {
        let Self { leaving, locked, narrowing } = self;
        let ids = disabled_ids(state);
        let is_out = |id: &Id, name: &Name| ids.contains(id) || locked.contains(name.as_str());
        let leaves = |(iam_id, user): (&IamId, &User)| {
            user.disabled.is_none() && (leaving.gone.contains(iam_id) || locked.contains(user.name.as_str()))
        };
        let mut users = cache.into_iter().flat_map(|cache| &cache.users);
        let mut logins = keys.into_iter().flat_map(|keys| &keys.logins);
        **narrowing == Narrowing::default()
            && !state.users.iter().any(leaves)
            && !users.any(|user| user.active && is_out(&user.uid, &user.name))
            && !logins.any(|login| is_out(&login.uid, &login.name))
    }
}

/// Includes users who are disabled in the state but still active in a file, after an interrupted run.
fn disabled_ids(state: &State) -> BTreeSet<Id> {
    let disabled = state.users.iter().filter(|(_, user)| user.disabled.is_some());
    disabled.filter_map(|(iam_id, _)| state.identities.get(iam_id)).map(|identity| identity.id).collect()
}

impl Taken {
    /// Takes it away. Returns whether anything changed.
    pub(crate) fn take(&mut self, away: Away<'_>, now: i64) -> bool {
        let Away { leaving, locked, narrowing } = away;
        let before = self.clone();
        narrowing.apply(&mut self.state, self.cache.as_mut(), self.keys.as_mut());
        let out: BTreeSet<IamId> = self
            .state
            .users
            .iter()
            .filter(|(iam_id, user)| {
                user.disabled.is_none()
                    && (leaving.gone.contains(*iam_id) || locked.contains(user.name.as_str()))
            })
            .map(|(iam_id, _)| iam_id.clone())
            .collect();
        for (_, user) in self.state.users.iter_mut().filter(|(iam_id, _)| out.contains(iam_id)) {
            user.disabled = Some(now);
        }
        let ids = disabled_ids(&self.state);
        if let Some(cache) = &mut self.cache {
            disable(cache, &ids, locked);
        }
        if let Some(keys) = &mut self.keys {
            keys.logins.retain(|login| !ids.contains(&login.uid) && !locked.contains(login.name.as_str()));
        }
        *self != before
    }
}

/// Disables users in the same way as [`super::rows`].
fn disable(cache: &mut Cache, ids: &BTreeSet<Id>, locked: &Locked) {
    let group =
        cache.groups.iter().find(|group| group.name.as_str() == DISABLED_GROUP).map(|group| group.gid);
    let mut names: BTreeSet<Name> = BTreeSet::new();
    let mut private: BTreeSet<Id> = BTreeSet::new();
    let Ok(nologin) = Field::new(NOLOGIN) else { return };
    for user in &mut cache.users {
        if user.active && (ids.contains(&user.uid) || locked.contains(user.name.as_str())) {
            user.active = false;
            user.passwd.shell = nologin.clone();
            user.groups = group.into_iter().collect();
            user.local.clear();
            names.insert(user.name.clone());
            private.insert(user.uid);
        }
    }
    cache.groups.retain(|group| !private.contains(&group.gid));
    for group in &mut cache.groups {
        group.members.retain(|name| !names.contains(name));
    }
}
