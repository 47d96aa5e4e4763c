//! Which names nobody gets on this host, and why.

use std::collections::BTreeSet;

use policy::IamId;
use policy::precedence::Standing;
use policy::reserved::is_reserved;

use crate::local::Local;

/// Why a name is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("'{name}' is a user of {} (uid {id})", place(service, "/etc/passwd"))]
    User { name: String, id: u32, service: String },
    #[error("'{name}' is a group of {} (gid {id})", place(service, "/etc/group"))]
    Group { name: String, id: u32, service: String },
    #[error("'{0}' is the name of a group that is published or joined")]
    Own(String),
    #[error("'{name}' is a member of '{}' in {}", groups.join("', '"), place(service, "/etc/group"))]
    Member { name: String, groups: Vec<String>, service: String },
    #[error("'{name}' is {used} on this host")]
    Used { name: String, used: claims::Use },
    #[error("'{0}' is reserved for the system")]
    Reserved(String),
    #[error("'{name}' cannot be given: service '{service}' cannot be asked whose it is: {why}")]
    Unasked { name: String, service: String, why: String },
    #[error("'{name}' cannot be given: {unresolved}")]
    Unresolved { name: String, unresolved: String },
}

/// What an administrator knows the service by.
fn place(service: &str, file: &str) -> String {
    if service == "files" { file.to_owned() } else { format!("service '{service}' of nsswitch.conf") }
}

impl Refusal {
    /// Whether it may be different as soon as the host can be asked.
    pub(crate) fn is_ignorance(&self) -> bool {
        matches!(self, Self::Unasked { .. } | Self::Unresolved { .. })
    }
}

/// What decides about a name besides its holder.
pub(crate) struct Names<'a> {
    pub local: &'a Local,
    pub config: &'a config::Names,
    /// Groups that are published.
    pub own: BTreeSet<String>,
    /// Local groups that the configuration lets users join, whether they exist or not.
    pub targets: BTreeSet<String>,
}

impl Names<'_> {
    /// Whether `name` can be given to `iam_id`.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, name: &str, iam_id: &IamId, standing: Standing) -> Result<(), Refusal> {
        // A name in the configuration takes nothing from a user who has it.
        if self.own.contains(name) || self.targets.contains(name) && standing != Standing::Present {
            return Err(Refusal::Own(name.to_owned()));
        }
        Self::not_of_host(self.local, name)?;
        if standing == Standing::Present {
            return Ok(());
        }
        if let Some((service, why)) = self.local.directory.missing(name) {
            let (service, why) = (service.to_owned(), why.to_owned());
            return Err(Refusal::Unasked { name: name.to_owned(), service, why });
        }
        // What a name was granted while this very user had it, stays granted to the same user.
        if standing == Standing::Former || self.config.allows(name, iam_id.as_str()) {
            return Ok(());
        }
        self.granted(name)
    }

    /// Whether the host has no user or group of this name: they always win.
    ///
    /// # Errors
    /// [`Refusal::User`] and [`Refusal::Group`].
    pub(crate) fn not_of_host(local: &Local, name: &str) -> Result<(), Refusal> {
        let Local { files, directory, .. } = local;
        let user = files.users.get(name).map(|&uid| ("files", uid)).or_else(|| directory.user(name));
        if let Some((service, id)) = user {
            return Err(Refusal::User { name: name.to_owned(), id, service: service.to_owned() });
        }
        let group = files.groups.get(name).map(|group| ("files", group.gid));
        if let Some((service, id)) = group.or_else(|| directory.group(name)) {
            return Err(Refusal::Group { name: name.to_owned(), id, service: service.to_owned() });
        }
        Ok(())
    }

    /// What the host gives to whoever has this name.
    fn granted(&self, name: &str) -> Result<(), Refusal> {
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
            return Err(Refusal::Member { name: name.to_owned(), groups, service: service.to_owned() });
        }
        if let Some(used) = uses.names.get(name).and_then(BTreeSet::first) {
            return Err(Refusal::Used { name: name.to_owned(), used: used.clone() });
        }
        if is_reserved(name, &self.config.reserved) {
            return Err(Refusal::Reserved(name.to_owned()));
        }
        match uses.unresolved.first() {
            None => Ok(()),
            Some(unresolved) => {
                Err(Refusal::Unresolved { name: name.to_owned(), unresolved: unresolved.to_string() })
            }
        }
    }
}
