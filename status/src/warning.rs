//! What an administrator should know although nothing failed.

use claims::Use;
use listing::WarningCode;
use message::Message;

use crate::coded::{Told, coded};
use crate::reason::{SkipReason, escaped};
use crate::skip::What;

coded! {
    /// One remark on the host, the configuration or the source.
    pub enum Warning {
        /// A user or group has another name at the source, which is refused.
        KeepsName {
            /// `user` or `group`.
            what: What,
            /// UserId or GroupId.
            iam_id: String,
            /// The name that stays.
            name: String,
            /// What messages call the source.
            source: String,
            /// Why the other one is refused.
            reason: SkipReason,
        } = "keeps-name",
        /// `[ids]` or a tag gives another id than the one that was given.
        KeepsId {
            /// UserId or GroupId.
            iam_id: String,
            /// The id that stays.
            id: u32,
            /// The other one.
            unused: u32,
        } = "keeps-id",
        /// The common group or iam-disabled has no id.
        OwnGroupLeftOut {
            /// The group.
            name: String,
            /// Why.
            reason: SkipReason,
        } = "own-group-left-out",
        /// The listing has times of the future.
        ConfirmedInFuture = "confirmed-in-future",
        /// `[local_groups]` names a group of the source that is not read.
        LocalGroupsUnread {
            /// As the configuration spells it.
            group: String,
        } = "local-groups-unread",
        /// `[local_groups]` names a local group that does not exist.
        LocalGroupMissing {
            /// The local group.
            group: String,
        } = "local-group-missing",
        /// `[local_groups]` names a local group with the gid 0.
        LocalGroupOfRoot {
            /// The local group.
            group: String,
        } = "local-group-of-root",
        /// Another directory has a published name in its groups.
        InGroupsOfDirectory {
            /// What messages call a user or group of the source: "IAM user".
            called: String,
            /// The published name.
            name: String,
            /// UserId or GroupId.
            iam_id: String,
            /// The directory's groups.
            groups: Vec<String>,
            /// Of nsswitch.conf(5).
            service: String,
        } = "in-groups-of-directory",
        /// A unit or an entry of sysusers.d(5) takes a published name for its own account.
        RunsAs {
            /// `user` or `group`.
            what: What,
            /// What messages call one of the source: "IAM user".
            called: String,
            /// The published name.
            name: String,
            /// UserId or GroupId.
            iam_id: String,
            /// What takes it.
            used: Use,
        } = "runs-as",
        /// This host has no machine-id(5).
        NoMachineId = "no-machine-id",
        /// The keys come from an image.
        OtherMachine = "not-fetched-here",
        /// A copy in memory replaces the directory of the cache, which cannot be written.
        InMemory = "folder-in-memory",
        /// No copy in memory can replace it.
        NotInMemory {
            /// Why.
            cause: String,
        } = "folder-not-in-memory",
        /// Processes of a disabled user did not end.
        ProcessesLeft {
            /// The login name.
            name: String,
            /// The uid.
            uid: u32,
        } = "processes-left",
        /// A group has another name at the source, and is followed.
        GroupRenamed {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-renamed",
        /// The same, and it cannot be read by that name.
        GroupRenamedUnread {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-renamed-unread",
        /// A group is not found by its name, and still has members.
        GroupNotFound {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-not-found",
        /// A group no longer exists.
        GroupGone {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-gone",
        /// Whether a group still exists cannot be found out.
        GroupUnclear {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-unclear",
        /// What a source says in a listing of an earlier release.
        Source {
            /// The account's name in the configuration.
            account: String,
            /// What it says.
            said: Message,
        } = "source-warning",
    }
}

impl Warning {
    /// What the source of an account says.
    #[must_use]
    pub fn of_source(account: &str, warning: listing::Warning) -> Self {
        let (account, said) = (escaped(account), warning.message);
        match warning.code {
            Some(WarningCode::GroupRenamed) => Self::GroupRenamed { account, said },
            Some(WarningCode::GroupRenamedUnread) => Self::GroupRenamedUnread { account, said },
            Some(WarningCode::GroupNotFound) => Self::GroupNotFound { account, said },
            Some(WarningCode::GroupGone) => Self::GroupGone { account, said },
            Some(WarningCode::GroupUnclear) => Self::GroupUnclear { account, said },
            None => Self::Source { account, said },
        }
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> Message {
        let own_name = |iam_id: &str, name: &str| {
            format!(
                "if this is intended: names.allow.{iam_id} = \"{name}\" in a file of /etc/nss-iam/config.d"
            )
        };
        match self {
            Self::KeepsName { iam_id, name, source, reason, .. } => Message::new(format!(
                "'{iam_id}' keeps the name '{name}', because its name in {source} is refused: {reason}"
            )),
            Self::KeepsId { iam_id, id, unused } => {
                Message::new(format!("'{iam_id}' keeps id {id}, assigned earlier; {unused} is not used"))
                    .with_hint("an id never changes on a host; see nss-iamctl(8), adopt")
            }
            Self::OwnGroupLeftOut { name, reason } => {
                Message::new(format!("group '{name}' left out: {reason}"))
            }
            Self::ConfirmedInFuture => Message::new(
                "the listing has confirmations of keys that are dated in the future, which do not count: the clock of this \
                 host, or of the host that wrote the listing, is or was wrong",
            )
            .with_hint("set the clock and refresh"),
            Self::LocalGroupsUnread { group } => Message::new(format!(
                "[local_groups] '{group}' has no effect: no group of this name is read"
            ))
            .with_hint("spell it as in `groups`"),
            Self::LocalGroupMissing { group } => {
                Message::new(format!("[local_groups] '{group}' left out: there is no such group in /etc/group"))
            }
            Self::LocalGroupOfRoot { group } => Message::new(format!(
                "[local_groups] '{group}' left out: its gid is 0, which is never granted"
            )),
            Self::InGroupsOfDirectory { called, name, iam_id, groups, service } => Message::new(format!(
                "{called} '{name}' is a member of '{}' in service '{service}' of nsswitch.conf, and so is in these \
                 groups on this host",
                groups.join("', '")
            ))
            .with_hint(format!(
                "rename the {called}, or remove the name there; {}",
                own_name(iam_id, name)
            )),
            Self::RunsAs { what, called, name, iam_id, used } => Message::new(format!(
                "{called} '{name}' is {used} on this host: what runs there can use this {what}'s files and keys, and \
                 vice versa"
            ))
            .with_hint(format!(
                "give the unit a different user, or rename the {called}; {}",
                own_name(iam_id, name)
            )),
            Self::NoMachineId => Message::new("'/etc/machine-id' is empty, so no key will be offered")
                .with_hint("run 'systemd-machine-id-setup'"),
            Self::OtherMachine => Message::new(
                "the keys were confirmed on another machine, so they are not offered until this one fetches them",
            ),
            Self::InMemory => Message::new(
                "'/var/lib/nss-iam' cannot be written, so a copy in memory is mounted over it: locks and removals take \
                 effect, but are lost when this host restarts",
            )
            .with_hint(
                "repair the file system; then run 'umount -l /var/lib/nss-iam', lock the same users again, and run \
                 'nss-iamctl refresh'",
            ),
            Self::NotInMemory { cause } => {
                Message::new(format!("cannot mount a copy in memory over '/var/lib/nss-iam': {cause}"))
            }
            Self::ProcessesLeft { name, uid } => {
                Message::new(format!("cannot end all processes of '{name}' ({uid})"))
            }
            Self::GroupRenamed { account, said }
            | Self::GroupRenamedUnread { account, said }
            | Self::GroupNotFound { account, said }
            | Self::GroupGone { account, said }
            | Self::GroupUnclear { account, said }
            | Self::Source { account, said } => of_account(account, said),
        }
    }

    /// The user or group that it is about.
    #[must_use]
    pub fn iam_id(&self) -> Option<&str> {
        match self {
            Self::KeepsName { iam_id, .. }
            | Self::KeepsId { iam_id, .. }
            | Self::InGroupsOfDirectory { iam_id, .. }
            | Self::RunsAs { iam_id, .. } => Some(iam_id),
            Self::OwnGroupLeftOut { .. }
            | Self::ConfirmedInFuture
            | Self::LocalGroupsUnread { .. }
            | Self::LocalGroupMissing { .. }
            | Self::LocalGroupOfRoot { .. }
            | Self::NoMachineId
            | Self::OtherMachine
            | Self::InMemory
            | Self::NotInMemory { .. }
            | Self::ProcessesLeft { .. }
            | Self::GroupRenamed { .. }
            | Self::GroupRenamedUnread { .. }
            | Self::GroupNotFound { .. }
            | Self::GroupGone { .. }
            | Self::GroupUnclear { .. }
            | Self::Source { .. } => None,
        }
    }
}

fn of_account(account: &str, said: &Message) -> Message {
    let what = match account {
        "" => said.what().to_owned(),
        name => format!("account '{name}': {}", said.what()),
    };
    Message::new(what).with_hint(said.hint().unwrap_or_default())
}

impl From<Warning> for Told<Warning> {
    fn from(warning: Warning) -> Self {
        let message = warning.message();
        Self::new(warning, message)
    }
}
