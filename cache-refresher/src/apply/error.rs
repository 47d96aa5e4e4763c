//! What can stop the apply half: the message, what to do about it, and the exit status.

use std::io;
use std::path::PathBuf;

use message::Message;
use status::Stop;

use crate::handover::Unread;
use crate::{exit, local, lock, plan};

/// What stopped the apply half.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {what} '{}': {cause}", path.display())]
    Io { what: &'static str, path: PathBuf, cause: io::Error },
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error(transparent)]
    Local(#[from] local::Unreadable),
    #[error(transparent)]
    Impossible(#[from] plan::Impossible),
    #[error("cannot use '{}/state.db': {cause}", directory.display())]
    State { directory: PathBuf, cause: cache::state::Error },
    #[error(transparent)]
    Publish(#[from] cache::publish::Error),
    #[error("group '{0}' does not exist")]
    NoGroup(&'static str),
    #[error(
        "other refreshers changed the data to publish {0} times while this host was asked who uses the names"
    )]
    Overtaken(u32),
    #[error("the configuration was changed while this host was asked who uses the names")]
    Outdated,
}

impl Error {
    /// Its exit status.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Io { cause, .. } | Self::Unread(Unread::Io { cause, .. }) => exit::of_io(cause),
            Self::Local(unreadable) => exit::of_io(&unreadable.cause),
            Self::State { cause, .. } => cause.io().map_or(exit::OTHER, exit::of_io),
            Self::Publish(cause) if cause.is_denied() => exit::DENIED,
            Self::Lock(cause) => cause.exit(),
            Self::Overtaken(_) | Self::Outdated => exit::UNAVAILABLE,
            Self::Unread(Unread::Untrusted { .. } | Unread::Form(_) | Unread::Refused(_)) => exit::HELD,
            Self::Impossible(_) | Self::NoGroup(_) => exit::CONFIGURATION,
            Self::Unread(Unread::Missing(_)) | Self::Publish(_) => exit::OTHER,
        }
    }

    /// Whether the disk is full, or cannot be written.
    pub(super) fn is_of_disk(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Publish(_) => true,
            Self::State { cause, .. } => {
                !cause.is_damage() && !matches!(cause, cache::state::Error::Later { .. })
            }
            Self::Lock(cause) => matches!(cause, lock::Error::Io(..)),
            _ => false,
        }
    }

    /// Its code in `status.json`.
    pub(crate) fn stop(&self) -> Stop {
        match self {
            Self::Io { .. } | Self::Lock(lock::Error::Io(..)) => Stop::DirectoryUnusable,
            Self::Lock(lock::Error::Busy(_)) => Stop::Busy,
            Self::Unread(Unread::Missing(_)) => Stop::ListingMissing,
            Self::Unread(Unread::Io { .. }) => Stop::ListingUnreadable,
            Self::Unread(Unread::Untrusted { .. }) => Stop::ListingUntrusted,
            Self::Unread(Unread::Form(_)) => Stop::ListingForm,
            Self::Unread(Unread::Refused(_)) => Stop::ListingRefused,
            Self::Local(_) => Stop::HostUnreadable,
            Self::Impossible(_) => Stop::ConfigImpossible,
            Self::State { cause: cache::state::Error::Later { .. }, .. } => Stop::StateLater,
            Self::State { .. } => Stop::StateUnusable,
            Self::Publish(_) => Stop::NotPublished,
            Self::NoGroup(_) => Stop::NoKeysGroup,
            Self::Overtaken(_) => Stop::Overtaken,
            Self::Outdated => Stop::ConfigChanged,
        }
    }

    /// What happened, and what to do about it.
    pub(crate) fn message(&self) -> Message {
        match self {
            Self::Impossible(plan::Impossible(message)) => message.clone(),
            _ => Message::new(self.to_string()).with_hint(self.hint()),
        }
    }

    /// One line, or empty.
    fn hint(&self) -> &str {
        match self {
            Self::Unread(Unread::Missing(_)) => "run 'nss-iamctl refresh'",
            Self::Unread(Unread::Form(_)) => listing::FORMAT,
            Self::Unread(Unread::Refused(failure)) => &failure.hint,
            Self::State { cause, .. } => cause.hint(),
            Self::Lock(cause) => cause.hint(),
            Self::NoGroup(_) => "run 'systemd-sysusers nss-iam.conf'",
            Self::Outdated => "run 'nss-iamctl refresh'",
            _ => "",
        }
    }
}
