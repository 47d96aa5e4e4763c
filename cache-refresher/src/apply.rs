//! The apply half: power, no network. Validates the listing, asks the host, plans, publishes, reports.

mod here;

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use claims::nss::Files;
use config::Config;
use jiff::Timestamp;
use listing::{Listing, VERSION};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::changes::{self, Published};
use crate::local::Local;
use crate::report::Report;
use crate::{exit, plan};
use here::{Done, Here};

/// Where the fetch half leaves its listing.
pub(crate) const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
/// The user of the fetch half.
pub(crate) const FETCH_USER: &str = "nss-iam-fetch";
/// The group that may read `keys.db`.
const KEYS_GROUP: &str = "nss-iam";

/// What stopped the apply half. Nothing then was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {what} '{}': {cause}; nothing was changed", path.display())]
    Io { what: &'static str, path: PathBuf, cause: io::Error },
    #[error("{0}; nothing was changed{hint}", hint = .0.hint())]
    Unread(#[from] Unread),
    #[error("{0}; nothing was changed")]
    Local(#[from] crate::local::Unreadable),
    #[error("{0}")]
    Impossible(#[from] plan::Impossible),
    #[error("cannot use '{}/state.db': {cause}; nothing was changed{}", folder.display(), hint(cause))]
    State { folder: PathBuf, cause: cache::state::Error },
    #[error("{0}; the present file stays")]
    Publish(#[from] cache::publish::Error),
    #[error(
        "group '{KEYS_GROUP}' does not exist; nothing was changed\nhint: run 'systemd-sysusers nss-iam.conf'"
    )]
    NoGroup,
}

impl Error {
    /// The exit status that it stands for.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Io { cause, .. } | Self::Unread(Unread::Io { cause, .. }) => exit::of_io(cause),
            Self::Local(unreadable) => exit::of_io(&unreadable.cause),
            Self::State { cause: cache::state::Error::Io(cause), .. } => exit::of_io(cause),
            Self::Publish(cause) if cause.is_denied() => exit::DENIED,
            Self::Unread(Unread::Untrusted(_) | Unread::Form(_)) => exit::HELD,
            Self::Impossible(_) | Self::NoGroup => exit::CONFIGURATION,
            Self::Unread(Unread::Missing) | Self::State { .. } | Self::Publish(_) => exit::OTHER,
        }
    }
}

/// Why there is no listing that could be believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("cannot {what} '{LISTING}': {cause}")]
    Io { what: &'static str, cause: io::Error },
    #[error("there is no listing '{LISTING}' yet")]
    Missing,
    #[error("listing '{LISTING}' refused: {0}")]
    Untrusted(String),
    #[error("listing '{LISTING}' refused: {0}")]
    Form(#[from] listing::Error),
}

impl Unread {
    fn hint(&self) -> &'static str {
        match self {
            Self::Missing => "\nhint: run 'cache-refresher fetch' first",
            Self::Form(_) => "\nhint: docs/listing.md describes the form",
            Self::Io { .. } | Self::Untrusted(_) => "",
        }
    }
}

/// Only a file that is damaged, or not ours, is a case for a backup.
fn hint(cause: &cache::state::Error) -> &'static str {
    if cause.is_damage() { "\nhint: it holds the ids that were given; restore it from a backup" } else { "" }
}

/// What the caller decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub config: &'a Config,
    pub force: bool,
    /// Only say what would be published.
    pub dry_run: bool,
    pub now: Timestamp,
}

/// How long other directories may take before those who leave go first.
const SOON: Duration = Duration::from_millis(300);

/// Applies the listing at [`LISTING`], or `given`, which a dry run has instead. Without one that can be believed, what
/// this host decides by itself (whom it locks) still acts; everyone else stays as published.
///
/// # Errors
/// See [`Error`]; the caller holds the lock.
pub(crate) fn apply(request: Request<'_>, given: Option<Listing>) -> Result<Report, Error> {
    let mut local = Local::read(Path::new(cache::FOLDER))?;
    let (listing, unread) = match given.map_or_else(|| read_listing(&local.files), Ok) {
        Ok(listing) => (listing, None),
        Err(unread) => (
            Listing { version: VERSION, source: String::new(), read: None, accounts: Vec::new() },
            Some(unread),
        ),
    };
    let mut here = Here::read(request, Path::new(cache::FOLDER), &listing)?;
    let questions = plan::questions(&here.input(&listing, &local), unread.is_some());
    let mut asking = local.answer(questions, &request.config.names.exclude)?;
    let mut early = Done::default();
    if !request.dry_run && !asking.is_done_within(SOON) {
        // A lock, or somebody who left, does not wait for a directory that takes its time.
        local.directory = asking.unanswered();
        let plan = here.plan(&listing, &local, unread.as_ref())?;
        if here.disables(&plan) {
            early = here.publish(&plan, &local)?;
        }
    }
    local.directory = asking.answers();
    let mut plan = here.plan(&listing, &local, unread.as_ref())?;
    if let Some(unread) = unread
        && !early.published
        && here.is_as_planned(&plan, &local)
    {
        return Err(unread.into());
    }
    if request.dry_run {
        let (before, after) = (here.published(), Published::of(&plan));
        let mut report = Report::of(&listing, &plan, &changes::between(&before, &after), request.now);
        report.diff = Some(changes::diff(&before, &after));
        return Ok(report);
    }
    if local.directory.failures().next().is_none() {
        plan.state.asked = request.now.as_second();
    }
    let mut done = here.publish(&plan, &local)?;
    done.changes.splice(..0, early.changes);
    let mut report = Report::of(&listing, &plan, &done.changes, request.now);
    report.warnings.extend(early.warnings.into_iter().chain(done.warnings));
    report.published = early.published || done.published;
    Ok(report)
}

/// Reads what the fetch half left: a file of that user or of root, which nobody else can write.
fn read_listing(files: &Files) -> Result<Listing, Unread> {
    let io_error = |what| move |cause| Unread::Io { what, cause };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file =
        fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(LISTING).map_err(|cause| {
            match cause.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT) => Unread::Missing,
                // open(2): a symbolic link, and a socket.
                Some(Errno::ELOOP | Errno::ENXIO) => Unread::Untrusted("it is not a regular file".to_owned()),
                _ => io_error("open")(cause),
            }
        })?;
    let found = file.metadata().map_err(io_error("read"))?;
    let fetcher = files.users.get(FETCH_USER).copied();
    let refused = |cause: String| Err(Unread::Untrusted(cause));
    if !found.is_file() {
        return refused("it is not a regular file".to_owned());
    }
    if found.uid() != 0 && Some(found.uid()) != fetcher {
        return refused(format!("it belongs to uid {}, not to '{FETCH_USER}' or root", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return refused("others than its owner may write it".to_owned());
    }
    let mut json = Vec::new();
    file.take(listing::MAX_BYTES + 1).read_to_end(&mut json).map_err(io_error("read"))?;
    if json.len() as u64 > listing::MAX_BYTES {
        return refused(format!("it is larger than {} MiB", listing::MAX_BYTES >> 20));
    }
    Ok(Listing::parse(&json)?)
}
