//! Who gets which uid or gid. An id once given stays; a collision is told, never resolved by who came first here.

use std::collections::{BTreeMap, BTreeSet};

use cache::model::{IamId, Id};
use cache::state::Identity;

use super::{Input, OwnGroups, Told};

/// The ids given so far.
pub(super) struct Ids<'a> {
    input: &'a Input<'a>,
    given: BTreeMap<IamId, Identity>,
    holders: BTreeMap<Id, IamId>,
    /// Who asked in this plan.
    asked: BTreeSet<IamId>,
}

impl<'a> Ids<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let given = input.state.identities.clone();
        let holders = given.iter().map(|(iam_id, identity)| (identity.id, iam_id.clone())).collect();
        Self { input, given, holders, asked: BTreeSet::new() }
    }

    /// Whether the id that was given before, if any, still can be.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn usable(&self, iam_id: &IamId) -> Result<(), String> {
        self.given.get(iam_id).map_or(Ok(()), |present| self.not_of_host(present.id))
    }

    fn not_of_host(&self, id: Id) -> Result<(), String> {
        if self.input.local.has_id(id.get()) {
            return Err(format!("its id {id} is that of a local user or group"));
        }
        Ok(())
    }

    /// The id of `iam_id`: the one that it has, else `tagged` or the one in `[ids]`, else the computed one.
    ///
    /// # Errors
    /// Why there is none; nothing then was given.
    pub(super) fn give(
        &mut self,
        iam_id: &IamId,
        tagged: Option<Id>,
        told: &mut Told,
    ) -> Result<Identity, String> {
        // The listing has each id once, but the state may remember a group by what now is a user's id.
        if !self.asked.insert(iam_id.clone()) {
            return Err(format!("'{iam_id}' is also the id of a group"));
        }
        let configured = self.input.config.ids.get(iam_id.as_str()).and_then(|&id| Id::pinned(id).ok());
        let pinned = configured.or(tagged);
        let wanted = match self.given.get(iam_id) {
            Some(present) => {
                if let Some(pinned) = pinned.filter(|&pinned| pinned != present.id) {
                    told.warnings.insert(format!(
                        "'{iam_id}' keeps id {}, which it was given; {pinned} is not used\nhint: an id never \
                         changes on a host; see nss-iamctl(8), adopt",
                        present.id
                    ));
                }
                Identity { id: present.id, pinned: present.pinned || pinned == Some(present.id) }
            }
            None => Identity { id: pinned.unwrap_or_else(|| Id::computed(iam_id)), pinned: pinned.is_some() },
        };
        self.not_of_host(wanted.id)?;
        if let Some(holder) = self.holders.get(&wanted.id).filter(|&holder| holder != iam_id) {
            return Err(format!(
                "its id {} is that of '{holder}'; give one of them another in [ids], the same on every host",
                wanted.id
            ));
        }
        self.holders.insert(wanted.id, iam_id.clone());
        self.given.insert(iam_id.clone(), wanted);
        Ok(wanted)
    }

    /// The ids of `common_group` and `iam-disabled`; a group whose id is taken is left out, which is told.
    pub(super) fn own_groups(&mut self, own: &OwnGroups, told: &mut Told) -> [Option<Identity>; 2] {
        [&own.common, &own.disabled].map(|name| {
            let iam_id = IamId::of_own_group(name);
            self.give(&iam_id, None, told)
                .map_err(|reason| told.warnings.insert(format!("group '{name}' left out: {reason}")))
                .ok()
        })
    }

    /// All of them.
    pub(super) fn given(self) -> BTreeMap<IamId, Identity> {
        self.given
    }
}
