//! What a refresh held back: removals that may be a mistake, and new names and homes while the host cannot be checked.
//! Also whether `state.db` was lost.

use claims::Unresolved;
use message::{Message, quoted};

use crate::coded::{Told, coded};

/// How many users a message names.
const SHOWN: usize = 10;

coded! {
    /// A cause.
    pub enum Held {
        /// The configuration no longer names a group of the first account.
        NoGroups {
            /// Login names of the users who stay.
            users: Vec<String>,
        } = "held-no-groups",
        /// The configuration no longer has this account.
        AccountGone {
            /// Its name.
            account: String,
            /// Login names of the users who stay.
            users: Vec<String>,
        } = "held-account-gone",
        /// The configuration names another source.
        SourceChanged {
            /// The source in the configuration.
            source: String,
            /// The source that the users came from.
            before: String,
            /// Login names of the users who stay.
            users: Vec<String>,
        } = "held-source-changed",
        /// More users would be removed than `max_removed_percent` allows.
        TooMany {
            /// Login names of the users who stay.
            users: Vec<String>,
            /// The number of users who were active.
            of: usize,
            /// `max_removed_percent`
            percent: usize,
        } = "held-too-many",
        /// A service of nsswitch.conf(5) does not answer.
        ServiceUnasked {
            /// Its name.
            service: String,
            /// What happened instead, such as a timeout.
            why: String,
        } = "held-service-unasked",
        /// It is not known to which names the host grants something.
        RulesUnresolved {
            /// The file that could name anyone.
            unresolved: Unresolved,
        } = "held-rules-unresolved",
        /// The directories that could become homes cannot be checked.
        HomesUnseen {
            /// The reason.
            why: String,
        } = "held-homes-unseen",
        /// `state.db` knew less than `cache.db`, and was rebuilt.
        StateLost {
            /// The number of users and groups that it did not know.
            unknown: usize,
        } = "state-lost",
        /// `state.db` is older than `keys.db`.
        StateOlder = "state-older",
    }
}

impl Held {
    /// Login names of the users who stay because of it.
    #[must_use]
    pub fn users(&self) -> &[String] {
        match self {
            Self::NoGroups { users }
            | Self::AccountGone { users, .. }
            | Self::SourceChanged { users, .. }
            | Self::TooMany { users, .. } => users,
            Self::ServiceUnasked { .. }
            | Self::RulesUnresolved { .. }
            | Self::HomesUnseen { .. }
            | Self::StateLost { .. }
            | Self::StateOlder => &[],
        }
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> Message {
        let disabled = |why: &str, users: &[String]| {
            Message::new(format!("{why}, which would disable {}; they stay", quoted(users, SHOWN))).with_hint(
                "correct the configuration; if the removal is intended, run 'nss-iamctl refresh --force'",
            )
        };
        let lost = |what: &str| {
            Message::new(format!(
                "'/var/lib/nss-iam/state.db' {what}: it was lost, emptied or restored from an older copy, and was rebuilt \
                 from cache.db and keys.db"
            ))
            .with_hint(
                "restore a newer copy if there is one; otherwise check with 'nss-iamctl users --all' that nobody is missing",
            )
        };
        match self {
            Self::NoGroups { users } => disabled("the configuration no longer names a group", users),
            Self::AccountGone { account, users } => {
                disabled(&format!("account '{account}' is no longer configured"), users)
            }
            Self::SourceChanged { source, before, users } => {
                disabled(&format!("the source is '{source}' now and was '{before}'"), users)
            }
            Self::TooMany { users, of, percent } => Message::new(format!(
                "{} of {of} active users would be disabled, more than max_removed_percent = {percent}: {}; they stay",
                users.len(),
                quoted(users, SHOWN)
            ))
            .with_hint("if the removal is intended, run 'nss-iamctl refresh --force'"),
            Self::ServiceUnasked { service, why } => Message::new(format!(
                "service '{service}' of nsswitch.conf cannot be asked: {why}; nobody new gets a name"
            ))
            .with_hint(format!("repair it, or {}", left_out(service))),
            Self::RulesUnresolved { unresolved } => {
                Message::new(format!("{unresolved}; nobody new gets a name")).with_hint(format!(
                    "write it so that it can be resolved, or {}",
                    left_out(unresolved.kind.word().unwrap_or_default())
                ))
            }
            Self::HomesUnseen { why } => Message::new(format!(
                "the directories that could become homes cannot be checked: {why}; nobody gets a new home"
            ))
            .with_hint("repair the file system, or choose another place in [users] home"),
            Self::StateLost { unknown } => {
                lost(&format!("lacked {unknown} of the users and groups in cache.db"))
            }
            Self::StateOlder => lost("is older than keys.db"),
        }
    }
}

fn left_out(part: &str) -> String {
    format!("exclude it: nss-iamctl enable --exclude {part}")
}

impl From<Held> for Told<Held> {
    fn from(held: Held) -> Self {
        let message = held.message();
        Self::new(held, message)
    }
}
