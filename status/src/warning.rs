//! Warnings: what an administrator should know although nothing failed.

use claims::Use;
use listing::WarningCode;
use message::Message;

use crate::coded::{Told, coded};
use crate::reason::{SkipReason, escaped};
use crate::skip::What;

coded! {
    /// A warning about the host, the configuration or the source.
    pub enum Warning {
        /// A user or group was renamed at the source, and the new name is refused.
        KeepsName {
            /// `user` or `group`.
            what: What,
            /// UserId or GroupId.
            iam_id: String,
            /// The name that it keeps.
            name: String,
            /// What messages call the source.
            source: String,
            /// Why the new name is refused.
            reason: SkipReason,
        } = "keeps-name",
        /// `[ids]` or a tag has an id that differs from the assigned one.
        KeepsId {
            /// UserId or GroupId.
            iam_id: String,
            /// The assigned id, which stays.
            id: u32,
            /// The id in `[ids]` or the tag.
            unused: u32,
        } = "keeps-id",
        /// The common group or iam-disabled has no id.
        OwnGroupLeftOut {
            /// The group.
            name: String,
            /// The reason.
            reason: SkipReason,
        } = "own-group-left-out",
        /// The listing contains times in the future.
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
        /// `shell_groups` names a group that does not count.
        ShellGroupUnused {
            /// As the configuration spells it.
            group: String,
            /// Whether `[users] forward_only` is set: if so, the group is not read.
            forward_only: bool,
        } = "shell-group-unused",
        /// An `[[account]]` names no group.
        AccountWithoutGroups {
            /// The account's name in the configuration.
            account: String,
        } = "account-without-groups",
        /// Keys are too old to be offered before the timer confirms them again.
        MaxAgeShort {
            /// `[keys] max_age`, in seconds.
            seconds: u64,
        } = "max-age-short",
        /// Users have a tag that `[tags] use` does not list.
        TagUnused {
            /// The tag's key: `nss-iam:name`.
            tag: String,
            /// How many users have it.
            users: u64,
            /// One of them, by the name at the source.
            example: String,
            /// What `[tags] use` calls it.
            usage: String,
        } = "tag-unused",
        /// Another directory lists a published name as a member of its groups.
        InGroupsOfDirectory {
            /// What messages call a user or group of the source: "IAM user".
            called: String,
            /// The published name.
            name: String,
            /// UserId or GroupId.
            iam_id: String,
            /// The directory's groups.
            groups: Vec<String>,
            /// The service of nsswitch.conf(5).
            service: String,
        } = "in-groups-of-directory",
        /// A unit or an entry of sysusers.d(5) uses a published name as its own account.
        RunsAs {
            /// `user` or `group`.
            what: What,
            /// What messages call one of the source: "IAM user".
            called: String,
            /// The published name.
            name: String,
            /// UserId or GroupId.
            iam_id: String,
            /// The use.
            used: Use,
        } = "runs-as",
        /// This host has no machine-id(5).
        NoMachineId = "no-machine-id",
        /// The keys come from an image.
        OtherMachine = "not-fetched-here",
        /// The disk does not return all of a published file, which this refresh replaces.
        Unreadable {
            /// Its path.
            path: String,
            /// The reason.
            cause: String,
        } = "file-unreadable",
        /// The directory of the cache is read-only, and a copy in memory is mounted over it.
        InMemory = "directory-in-memory",
        /// The directory is read-only, and no copy could be mounted.
        NotInMemory {
            /// The reason.
            cause: String,
        } = "directory-not-in-memory",
        /// Processes of a disabled user did not end.
        ProcessesLeft {
            /// The login name.
            name: String,
            /// The uid.
            uid: u32,
        } = "processes-left",
        /// A group was renamed at the source; it is read by its id.
        GroupRenamed {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-renamed",
        /// A group was renamed at the source, and cannot be read by the new name.
        GroupRenamedUnread {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-renamed-unread",
        /// A group is not found by its name, but still has members.
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
        /// It is not known whether a group still exists.
        GroupUnclear {
            /// The account's name in the configuration.
            account: String,
            /// What the source says.
            said: Message,
        } = "group-unclear",
        /// Not all keys that were due were read, so as to make fewer calls.
        KeysLeft {
            /// The account's name in the configuration.
            account: String,
            /// What the fetch half says.
            said: Message,
        } = "keys-left",
        /// The call that reads all memberships at once is denied.
        DetailsDenied {
            /// The account's name in the configuration.
            account: String,
            /// What the fetch half says.
            said: Message,
        } = "details-denied",
        /// A warning about a source in a listing of an earlier release.
        Source {
            /// The account's name in the configuration.
            account: String,
            /// What it says.
            said: Message,
        } = "source-warning",
    }
}

impl Warning {
    /// A warning about the source of an account.
    #[must_use]
    pub fn of_source(account: &str, warning: listing::Warning) -> Self {
        let (account, said) = (escaped(account), warning.message);
        match warning.code {
            Some(WarningCode::GroupRenamed) => Self::GroupRenamed { account, said },
            Some(WarningCode::GroupRenamedUnread) => Self::GroupRenamedUnread { account, said },
            Some(WarningCode::GroupNotFound) => Self::GroupNotFound { account, said },
            Some(WarningCode::GroupGone) => Self::GroupGone { account, said },
            Some(WarningCode::GroupUnclear) => Self::GroupUnclear { account, said },
            Some(WarningCode::KeysLeft) => Self::KeysLeft { account, said },
            Some(WarningCode::DetailsDenied) => Self::DetailsDenied { account, said },
            None => Self::Source { account, said },
        }
    }

    /// The message for people.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one row for each warning")]
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
            .with_hint("spell it as in `groups`, or add it there"),
            Self::LocalGroupMissing { group } => {
                Message::new(format!("[local_groups] '{group}' left out: there is no such group in /etc/group"))
                    .with_hint(format!("groupadd {group} && nss-iamctl refresh; or remove it from [local_groups]"))
            }
            Self::LocalGroupOfRoot { group } => Message::new(format!(
                "[local_groups] '{group}' left out: its gid is 0, which is never granted"
            ))
            .with_hint("remove it from [local_groups], or give the group another gid"),
            Self::ShellGroupUnused { group, forward_only: true } => Message::new(format!(
                "shell_groups '{group}' has no effect: no group of this name is read, so its members may only forward \
                 connections"
            ))
            .with_hint("spell it as in `groups`"),
            Self::ShellGroupUnused { group, forward_only: false } => Message::new(format!(
                "shell_groups '{group}' has no effect: every user may run commands"
            ))
            .with_hint("set forward_only = true in [users], or remove shell_groups"),
            Self::AccountWithoutGroups { account } => {
                Message::new(format!("[[account]] '{account}' names no group, so none of its users come to this host"))
                    .with_hint("add groups = [\"GROUP\"] to it, or remove it")
            }
            Self::MaxAgeShort { seconds } => Message::new(format!(
                "[keys] max_age is {seconds} s, and refreshes are up to 10 min apart: between them, keys are too old to be \
                 offered"
            ))
            .with_hint("set max_age to several times that, such as \"1d\""),
            Self::TagUnused { tag, users, example, usage } => Message::new(format!(
                "{users} {} a tag '{tag}' that has no effect, because [tags] use does not list it: '{example}'{}",
                if *users == 1 { "user has" } else { "users have" },
                if *users == 1 { String::new() } else { format!(" and {} more", users.saturating_sub(1)) }
            ))
            .with_hint(format!(
                "if it should have one: nss-iamctl enable --use-tag {usage}; anyone who may tag users at the source decides its \
                 value"
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
            Self::Unreadable { path, cause } => {
                Message::new(format!("cannot read '{path}': {cause}; the refresh replaces it"))
                    .with_hint("look for errors of the disk: journalctl --dmesg --priority err")
            }
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
            | Self::KeysLeft { account, said }
            | Self::DetailsDenied { account, said }
            | Self::Source { account, said } => of_account(account, said),
        }
    }

    /// The id of the user or group that it is about, if any.
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
            | Self::ShellGroupUnused { .. }
            | Self::AccountWithoutGroups { .. }
            | Self::MaxAgeShort { .. }
            | Self::TagUnused { .. }
            | Self::NoMachineId
            | Self::OtherMachine
            | Self::Unreadable { .. }
            | Self::InMemory
            | Self::NotInMemory { .. }
            | Self::ProcessesLeft { .. }
            | Self::GroupRenamed { .. }
            | Self::GroupRenamedUnread { .. }
            | Self::GroupNotFound { .. }
            | Self::GroupGone { .. }
            | Self::GroupUnclear { .. }
            | Self::KeysLeft { .. }
            | Self::DetailsDenied { .. }
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
