//! The two groups that nss-iam itself adds, and what makes a configuration impossible on this host.

use message::Message;
use policy::{DISABLED_GROUP, Name};

use super::input::Input;
use super::leaving;
use crate::names::Names;

/// The configuration is impossible on this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Impossible(pub Message);

/// The group of all active users, and the group of disabled users.
pub(super) struct OwnGroups {
    pub common: Name,
    pub disabled: Name,
}

impl OwnGroups {
    pub(super) fn names<'a>(input: &Input<'a>) -> impl Iterator<Item = &'a str> {
        [input.config.users.common_group.as_str(), DISABLED_GROUP].into_iter()
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
