//! Which names cannot be assigned on this host, and why.

use std::collections::BTreeSet;

use policy::IamId;
use policy::precedence::Standing;
use policy::reserved::is_reserved;
use status::SkipReason;

use crate::local::Local;

/// Whether the name was refused only because the host could not be checked.
pub(crate) fn is_ignorance(reason: &SkipReason) -> bool {
    matches!(reason, SkipReason::NameUnasked { .. } | SkipReason::NameUnresolved { .. })
}

/// What decides about a name besides the user or group that has it.
pub(crate) struct Names<'a> {
    pub local: &'a Local,
    pub config: &'a config::Names,
    /// Published groups.
    pub own: BTreeSet<String>,
    /// Local groups that the configuration lets users join, whether they exist or not.
    pub targets: BTreeSet<String>,
}

impl Names<'_> {
    /// Whether `name` can be given to `iam_id`.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn check(&self, name: &str, iam_id: &IamId, standing: Standing) -> Result<(), SkipReason> {
        // A local group that is added to the configuration does not take the name from a user who has it.
        if self.own.contains(name) || self.targets.contains(name) && standing != Standing::Present {
            return Err(SkipReason::NameOfOwnGroup { name: name.to_owned() });
        }
        Self::not_of_host(self.local, name)?;
        if standing == Standing::Present {
            return Ok(());
        }
        if let Some((service, why)) = self.local.directory.missing(name) {
            let (service, why) = (service.to_owned(), why.to_owned());
            return Err(SkipReason::NameUnasked { name: name.to_owned(), service, why });
        }
        // What the host granted to the name was granted to this same user.
        if standing == Standing::Former || self.config.allows(name, iam_id.as_str()) {
            return Ok(());
        }
        self.granted(name)
    }

    /// Whether the host has no user or group with this name. Local accounts always win.
    ///
    /// # Errors
    /// [`SkipReason::NameOfUser`] and [`SkipReason::NameOfGroup`].
    pub(crate) fn not_of_host(local: &Local, name: &str) -> Result<(), SkipReason> {
        let Local { files, directory, .. } = local;
        let user = files.users.get(name).map(|&uid| ("files", uid)).or_else(|| directory.user(name));
        if let Some((service, id)) = user {
            return Err(SkipReason::NameOfUser { name: name.to_owned(), id, service: service.to_owned() });
        }
        let group = files.groups.get(name).map(|group| ("files", group.gid));
        if let Some((service, id)) = group.or_else(|| directory.group(name)) {
            return Err(SkipReason::NameOfGroup { name: name.to_owned(), id, service: service.to_owned() });
        }
        Ok(())
    }

    /// Refuses a name to which the host grants something.
    fn granted(&self, name: &str) -> Result<(), SkipReason> {
        let Local { files, directory, uses, .. } = self.local;
        let groups: Vec<String> = files
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains(name))
            .map(|(group, _)| group.clone())
            .collect();
        let of_files = (!groups.is_empty()).then_some(("files", groups));
        let of_directory = || directory.groups_of(name).map(|(service, groups)| (service, groups.to_vec()));
        if let Some((service, groups)) = of_files.or_else(of_directory) {
            return Err(SkipReason::NameInGroups {
                name: name.to_owned(),
                groups,
                service: service.to_owned(),
            });
        }
        if let Some(used) = uses.names.get(name).and_then(BTreeSet::first) {
            return Err(SkipReason::NameUsed { name: name.to_owned(), used: used.clone() });
        }
        if is_reserved(name, &self.config.reserved) {
            return Err(SkipReason::NameReserved { name: name.to_owned() });
        }
        match uses.unresolved.first() {
            None => Ok(()),
            Some(unresolved) => {
                let unresolved = unresolved.clone();
                Err(SkipReason::NameUnresolved { name: name.to_owned(), unresolved })
            }
        }
    }
}
