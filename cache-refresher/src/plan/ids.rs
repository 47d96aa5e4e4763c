//! Assigns uids and gids. An assigned id never changes. A collision is reported, and the order of arrival on this host
//! never resolves it.

use std::collections::BTreeMap;

use cache::state::Identity;
use foldhash::{HashMap, HashSet, HashSetExt};
use policy::id::{BadTag, COMPUTED, LAST};
use policy::{IamId, Id, Name};
use status::{SkipReason, Warning};

use super::input::Input;
use super::own_groups::{OwnGroups, OwnIds};
use super::told::Told;
use crate::local;

/// The ids assigned so far.
pub(super) struct Ids<'a> {
    input: &'a Input<'a>,
    given: BTreeMap<IamId, Identity>,
    holders: HashMap<Id, IamId>,
    of_host: local::Holders<'a>,
    /// The users and groups that asked for an id in this plan.
    asked: HashSet<IamId>,
}

impl<'a> Ids<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let given = input.state.identities.clone();
        let holders = given.iter().map(|(iam_id, identity)| (identity.id, iam_id.clone())).collect();
        Self { input, given, holders, of_host: input.local.holders(), asked: HashSet::new() }
    }

    /// Whether the id that was assigned before, if any, can still be used.
    ///
    /// # Errors
    /// The reason why not.
    pub(super) fn usable(&self, iam_id: &IamId) -> Result<(), SkipReason> {
        self.given.get(iam_id).map_or(Ok(()), |present| self.not_of_host(present.id, false))
    }

    fn not_of_host(&self, id: Id, configured: bool) -> Result<(), SkipReason> {
        let id = id.get();
        self.of_host.of(id).map_or(Ok(()), |(name, service)| {
            let (name, service) = (name.to_owned(), service.to_owned());
            Err(SkipReason::IdOfHost { id, name, service, configured })
        })
    }

    /// Whether `[ids]` or a tag may assign an id: nobody else has it or will get it. An id that was assigned before stays.
    ///
    /// # Errors
    /// The reason why not.
    fn may_be_pinned(&self, id: Id, iam_id: &IamId, configured: bool) -> Result<(), SkipReason> {
        id.may_be_pinned(iam_id, &self.input.local.sub_ids)
            .map_err(|foreign| SkipReason::of_foreign(foreign, configured))?;
        if Id::computed(iam_id) == id { Ok(()) } else { self.not_of_host(id, configured) }
    }

    /// The id in a tag.
    ///
    /// # Errors
    /// Why the tag is not used.
    pub(super) fn tagged(&self, tag: &str, iam_id: &IamId) -> Result<Id, SkipReason> {
        let given = self.given.get(iam_id).map(|identity| identity.id);
        let id = Id::of_tag(tag, iam_id, given, &self.input.local.sub_ids)?;
        // An id that was assigned before needs no check.
        if given != Some(id) {
            self.may_be_pinned(id, iam_id, false)?;
        }
        Ok(id)
    }

    /// The id that the publisher of a signed listing has assigned, for all hosts. One in the range of computed ids is not the
    /// computed one if that was taken.
    ///
    /// # Errors
    /// The reason why it cannot be used here.
    fn listed(&self, iam_id: &IamId) -> Result<Option<Id>, SkipReason> {
        let Some(&id) = self.input.listing.ids.get(iam_id.as_str()) else { return Ok(None) };
        let id = Id::pinned(id).map_err(BadTag::Invalid)?;
        if id.get() > LAST {
            return Err(BadTag::High(id).into());
        }
        if !COMPUTED.contains(&id.get()) && !self.given.contains_key(iam_id) {
            self.may_be_pinned(id, iam_id, false)?;
        }
        Ok(Some(id))
    }

    /// The id of `iam_id`: the one that it has, else the one in `[ids]`, else the one in a signed listing, else `tagged`, else the
    /// computed one.
    ///
    /// # Errors
    /// Why there is none. Nothing is assigned in this case.
    pub(super) fn give(
        &mut self,
        iam_id: &IamId,
        tagged: Option<Id>,
        told: &mut Told,
    ) -> Result<Identity, SkipReason> {
        // The listing has each id only once, but the state may have a group with what is now a user's id.
        if !self.asked.insert(iam_id.clone()) {
            return Err(SkipReason::IdOfGroup { iam_id: iam_id.to_string() });
        }
        let configured = self.input.config.ids.get(iam_id.as_str()).and_then(|&id| Id::pinned(id).ok());
        let listed = self.listed(iam_id)?;
        let tagged = listed.or(tagged);
        let pin = configured.or(tagged);
        let present = self.given.get(iam_id).copied();
        let id = Id::decided(iam_id, present.map(|present| present.id), configured, tagged);
        match (present, pin) {
            (Some(_), Some(pin)) if pin != id => {
                told.warnings.insert(Warning::KeepsId {
                    iam_id: iam_id.to_string(),
                    id: id.get(),
                    unused: pin.get(),
                });
            }
            (None, Some(pin)) if configured.is_some() => self.may_be_pinned(pin, iam_id, true)?,
            _ => {}
        }
        let is_of_range = configured.is_none() && listed == Some(id) && COMPUTED.contains(&id.get());
        let pinned = present.is_some_and(|present| present.pinned) || pin == Some(id) && !is_of_range;
        let wanted = Identity { id, pinned };
        self.not_of_host(wanted.id, false)?;
        if let Some(holder) = self.holders.get(&wanted.id).filter(|&holder| holder != iam_id) {
            return Err(SkipReason::IdTaken { id: wanted.id.get(), holder: holder.to_string() });
        }
        if present != Some(wanted) {
            self.holders.insert(wanted.id, iam_id.clone());
            self.given.insert(iam_id.clone(), wanted);
        }
        Ok(wanted)
    }

    /// The ids of our own groups. A group whose id is taken is skipped and reported.
    pub(super) fn own_groups(&mut self, own: &OwnGroups, told: &mut Told) -> OwnIds {
        let forward_only = self.input.config.users.forward_only;
        let mut give = |name: &Name| {
            self.give(&IamId::of_own_group(name), None, told)
                .map_err(|reason| {
                    told.warnings.insert(Warning::OwnGroupLeftOut { name: name.to_string(), reason })
                })
                .ok()
        };
        OwnIds {
            common: give(&own.common),
            disabled: give(&own.disabled),
            forward_only: forward_only.then(|| give(&own.forward_only)).flatten(),
        }
    }

    /// All assigned ids.
    pub(super) fn given(self) -> BTreeMap<IamId, Identity> {
        self.given
    }
}
