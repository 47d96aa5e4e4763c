//! The refresher's files on this host: the published files, for root its state, its last report, and the listing. Each
//! is read in the same way as by the program that uses it, and every problem with it is reported.

use std::ffi::CString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cache::schema::{CACHE, KEYS, STATE, Schema};
use cache::snapshot::{Cache, Keys};
use cache::state::{self, State};
use jiff::Timestamp;
use listing::regular::{Links, Unread};
use listing::{Failure, Listing};
use message::Message;
use status::{Locked, Status};

use crate::host::Host;
use crate::host::paths::{LISTING, LOCKED, STATUS};

/// Why something cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("it is missing")]
    Missing,
    #[error("permission denied")]
    Denied,
    #[error("{0}")]
    Unusable(String),
    /// Written by another release; the file itself is fine.
    #[error("{}", .0.what())]
    Later(Message),
}

impl From<state::Error> for Trouble {
    fn from(cause: state::Error) -> Self {
        match cause {
            state::Error::Later { .. } => {
                Self::Later(Message::new(cause.to_string()).with_hint(cause.hint()))
            }
            cause => unusable(cause),
        }
    }
}

impl From<&io::Error> for Trouble {
    fn from(cause: &io::Error) -> Self {
        match cause.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
            ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Unusable(cause.to_string()),
        }
    }
}

/// All files.
#[derive(Debug)]
pub(crate) struct Published {
    pub cache: Result<Cache, Trouble>,
    /// Readable by root and sshd's helper.
    pub keys: Result<Keys, Trouble>,
    /// Readable by root.
    pub state: Result<State, Trouble>,
    pub status: Result<Status, Trouble>,
    /// Readable by root.
    pub listing: Result<Listing, Trouble>,
    /// Readable by root.
    pub locked: Result<Locked, Trouble>,
}

impl Published {
    pub(crate) fn read(host: &Host) -> Self {
        let directory = host.path(cache::DIRECTORY);
        let state = match fs::File::open(directory.join(STATE.name)) {
            Err(cause) => Err(Trouble::from(&cause)),
            Ok(_) => State::read(&directory).map_err(Trouble::from),
        };
        let locked = Locked::read(&host.path(LOCKED)).map_err(|cause| Trouble::from(&cause));
        Self {
            cache: published(&directory, CACHE)
                .and_then(|()| Cache::read(&directory.join(CACHE.name)).map_err(unusable)),
            keys: published(&directory, KEYS).and_then(|()| Keys::published(&directory).map_err(unusable)),
            state,
            status: Status::read(&host.path(STATUS)).map_err(|cause| Trouble::from(&cause)),
            listing: read_listing(&host.path(LISTING)),
            locked,
        }
    }

    /// What the last fetch could not read, by account. If the halves run separately, the listing can be newer than the report.
    pub(crate) fn failures(&self) -> Vec<(String, Failure)> {
        if let Ok(listing) = &self.listing {
            let accounts = listing.accounts.iter();
            let failures = accounts
                .map(|account| account.errors.iter().map(|error| (account.id.clone(), error.clone())));
            return failures.flatten().collect();
        }
        let accounts = self.status.iter().flat_map(|status| &status.accounts);
        accounts
            .flat_map(|account| account.errors.iter().map(|error| (account.id.clone(), error.clone())))
            .collect()
    }

    /// When what is published was last confirmed by its sources: the oldest of the accounts' memberships.
    pub(crate) fn as_of(&self) -> Option<i64> {
        let status = self.status.as_ref().ok()?;
        status.accounts.iter().map(|account| account.as_of.map_or(0, Timestamp::as_second)).min()
    }
}

fn unusable(cause: impl std::fmt::Display) -> Trouble {
    Trouble::Unusable(cause.to_string())
}

/// Uses the readers' checks: they refuse a file that others could have written, and one of another release.
fn published(directory: &Path, schema: Schema) -> Result<(), Trouble> {
    let path = CString::new(directory.join(schema.name).as_os_str().as_bytes()).map_err(unusable)?;
    let told = |cause| match cause {
        reader::Error::System(errno) => Trouble::from(&io::Error::from_raw_os_error(errno)),
        other => unusable(other),
    };
    match schema.name {
        name if name == KEYS.name => {
            reader::Map::open(&path).and_then(|map| reader::Keys::of(&map).map(drop))
        }
        _ => reader::Snapshot::open(&path).map(drop),
    }
    .map_err(told)?;
    cache::publish::read_to_end(&directory.join(schema.name)).map_err(|cause| Trouble::from(&cause))
}

/// The directory belongs to an unprivileged user, who could have put anything there. No command uses a time of the listing, so the
/// record about these is not read.
fn read_listing(path: &Path) -> Result<Listing, Trouble> {
    let file = listing::read(path, Links::Refuse).map_err(|unread| match unread {
        Unread::Open(cause) | Unread::Read(cause) => Trouble::from(&cause),
        Unread::NotRegular | Unread::TooLarge(_) => Trouble::Unusable(format!("it is {unread}")),
    })?;
    Listing::parse(&file.bytes).map_err(unusable)
}
