//! The groups that nss-iam itself adds, and what makes a configuration impossible on this host.

use cache::state::Identity;
use message::Message;
use policy::{DISABLED_GROUP, FORWARD_ONLY_GROUP, Name};

use super::input::Input;
use super::leaving;
use crate::names::Names;

/// The configuration is impossible on this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Impossible(pub Message);

/// The group of all active users, that of disabled users, and that of users who may only forward connections.
pub(super) struct OwnGroups {
    pub common: Name,
    pub disabled: Name,
    /// Published only with `[users] forward_only`, but never anybody's name: sshd's configuration always has it.
    pub forward_only: Name,
}

/// The ids of these groups; none if a group is not published.
pub(super) struct OwnIds {
    pub common: Option<Identity>,
    pub disabled: Option<Identity>,
    pub forward_only: Option<Identity>,
}

impl OwnGroups {
    /// The names of those that are published.
    pub(super) fn names<'a>(input: &Input<'a>) -> impl Iterator<Item = &'a str> {
        let users = &input.config.users;
        let forward_only = users.forward_only.then_some(FORWARD_ONLY_GROUP);
        [users.common_group.as_str(), DISABLED_GROUP].into_iter().chain(forward_only)
    }

    /// Checks the configuration against the host.
    ///
    /// # Errors
    /// If the host already has one of the names, or lacks the shell of the configuration.
    pub(super) fn check(input: &Input<'_>) -> Result<Self, Impossible> {
        let users = &input.config.users;
        let impossible = |what: String, hint: &str| Impossible(Message::new(what).with_hint(hint));
        let name =
            |text: &str| Name::new(text).map_err(|cause| impossible(format!("group '{text}': {cause}"), ""));
        let own = Self {
            common: name(&users.common_group)?,
            disabled: name(DISABLED_GROUP)?,
            forward_only: name(FORWARD_ONLY_GROUP)?,
        };
        let forward_only = users.forward_only.then_some((&own.forward_only, "rename it"));
        for (name, way_out) in
            [(&own.common, "choose another [users] common_group"), (&own.disabled, "rename it")]
                .into_iter()
                .chain(forward_only)
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

    /// All three.
    pub(super) fn all(&self) -> [&Name; 3] {
        [&self.common, &self.disabled, &self.forward_only]
    }
}
