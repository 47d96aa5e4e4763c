//! Who gets which uid or gid. An id once given stays; a collision is told, never resolved by who came first here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use cache::state::Identity;
use policy::id::COMPUTED;
use policy::{IamId, Id};

use super::{Input, OwnGroups, Told};

/// Ids that others give: systemd's "Users, Groups, UIDs and GIDs on systemd Systems" has all of them.
const RANGES: [(RangeInclusive<u32>, &str); 5] = [
    (60_001..=60_513, "of systemd-homed"),
    (60_514..=60_577, "of host users that are mapped into containers"),
    (61_184..=65_519, "of systemd's DynamicUser="),
    (524_288..=0x6fff_ffff, "of containers"),
    (COMPUTED, "of computed ids, of which each belongs to one UserId or GroupId"),
];

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

    /// Whether this very id was given to `iam_id` before.
    pub(super) fn has(&self, iam_id: &IamId, id: Id) -> bool {
        self.given.get(iam_id).is_some_and(|identity| identity.id == id)
    }

    /// Whether the id that was given before, if any, still can be.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn usable(&self, iam_id: &IamId) -> Result<(), String> {
        self.given.get(iam_id).map_or(Ok(()), |present| self.not_of_host(present.id))
    }

    fn not_of_host(&self, id: Id) -> Result<(), String> {
        match self.input.local.holder_of(id.get()) {
            Some((name, service)) => {
                Err(format!("its id {id} is that of '{name}' on this host (service '{service}')"))
            }
            None => Ok(()),
        }
    }

    /// Whether `[ids]` or a tag may give an id: nobody else has it, or will come to have it. One that was given stays.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_be_pinned(&self, id: Id, iam_id: &IamId) -> Result<(), String> {
        let number = id.get();
        if Id::computed(iam_id) == id {
            return Ok(());
        }
        let ranges = RANGES.iter().map(|(range, whose)| (range, *whose));
        let subordinate =
            self.input.local.sub_ids.iter().map(|range| (range, "of /etc/subuid or /etc/subgid"));
        match ranges.chain(subordinate).find(|(range, _)| range.contains(&number)) {
            Some((range, whose)) => {
                Err(format!("{id} is in the range {}-{} {whose}", range.start(), range.end()))
            }
            None => self.not_of_host(id),
        }
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
        let tagged = tagged.filter(|_| configured.is_none());
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
            None => {
                if let Some(pinned) = configured {
                    self.may_be_pinned(pinned, iam_id).map_err(|why| format!("[ids]: {why}"))?;
                }
                Identity { id: pinned.unwrap_or_else(|| Id::computed(iam_id)), pinned: pinned.is_some() }
            }
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
