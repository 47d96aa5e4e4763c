//! The apply half: privileges, no network. First it disables users who left or are locked, which needs only the published
//! files, the listing and the list of locks. Then it asks the host, plans, publishes and reports.

mod on_disk;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cache::{rescue, reserve};
use claims::nss::Files;
use config::Config;
use jiff::Timestamp;
use listing::Listing;
use message::Message;
use status::{Locked, Stop, Told, Warning};

use crate::changes::{self, Change, Published};
use crate::handover::{self, FETCH_USER, Unread};
use crate::known::Known;
use crate::local::{self, Local};
use crate::plan::narrowing::Narrowing;
use crate::plan::taking::Away;
use crate::plan::{self, Plan, leaving};
use crate::report::Report;
use crate::{exit, lock, nscd, sessions};
use on_disk::{Memory, OnDisk};

/// The group that may read `keys.db`.
const KEYS_GROUP: &str = "nss-iam";

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
    #[error("cannot use '{}/state.db': {cause}", folder.display())]
    State { folder: PathBuf, cause: cache::state::Error },
    #[error(transparent)]
    Publish(#[from] cache::publish::Error),
    #[error("group '{KEYS_GROUP}' does not exist")]
    NoGroup,
    #[error(
        "other refreshers changed the data to publish {ROUNDS} times while this host was asked who uses the names"
    )]
    Overtaken,
    #[error("the configuration was changed while this host was asked who uses the names")]
    Outdated,
}

impl Error {
    /// The exit status for it.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Io { cause, .. } | Self::Unread(Unread::Io { cause, .. }) => exit::of_io(cause),
            Self::Local(unreadable) => exit::of_io(&unreadable.cause),
            Self::State { cause, .. } => cause.io().map_or(exit::OTHER, exit::of_io),
            Self::Publish(cause) if cause.is_denied() => exit::DENIED,
            Self::Lock(cause) => cause.exit(),
            Self::Overtaken | Self::Outdated => exit::UNAVAILABLE,
            Self::Unread(Unread::Untrusted(_) | Unread::Form(_)) => exit::HELD,
            Self::Impossible(_) | Self::NoGroup => exit::CONFIGURATION,
            Self::Unread(Unread::Missing) | Self::Publish(_) => exit::OTHER,
        }
    }
}

impl Error {
    /// Whether it is a matter of room, or of what can be written.
    fn is_of_disk(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Publish(_) => true,
            Self::State { cause, .. } => {
                !cause.is_damage() && !matches!(cause, cache::state::Error::Later { .. })
            }
            Self::Lock(cause) => matches!(cause, lock::Error::Io(..)),
            _ => false,
        }
    }

    /// What kind of obstacle it is.
    pub(crate) fn stop(&self) -> Stop {
        match self {
            Self::Io { .. } | Self::Lock(lock::Error::Io(..)) => Stop::FolderUnusable,
            Self::Lock(lock::Error::Busy(_)) => Stop::Busy,
            Self::Unread(Unread::Missing) => Stop::ListingMissing,
            Self::Unread(Unread::Io { .. }) => Stop::ListingUnreadable,
            Self::Unread(Unread::Untrusted(_)) => Stop::ListingUntrusted,
            Self::Unread(Unread::Form(_)) => Stop::ListingForm,
            Self::Local(_) => Stop::HostUnreadable,
            Self::Impossible(_) => Stop::ConfigImpossible,
            Self::State { cause: cache::state::Error::Later { .. }, .. } => Stop::StateLater,
            Self::State { .. } => Stop::StateUnusable,
            Self::Publish(_) => Stop::NotPublished,
            Self::NoGroup => Stop::NoKeysGroup,
            Self::Overtaken => Stop::Overtaken,
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

    /// Empty, or a line.
    fn hint(&self) -> &str {
        match self {
            Self::Unread(Unread::Missing) => "run 'cache-refresher fetch' first",
            Self::Unread(Unread::Form(_)) => "docs/reference/listing.md describes the format",
            Self::State { cause, .. } => cause.hint(),
            Self::Lock(cause) => cause.hint(),
            Self::NoGroup => "run 'systemd-sysusers nss-iam.conf'",
            Self::Outdated => "run 'nss-iamctl refresh'",
            _ => "",
        }
    }
}

/// What the caller decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The present configuration, or the last one that was right.
    pub config: &'a Config,
    /// Its files as they were read.
    pub texts: &'a [(PathBuf, String)],
    /// Whether `config` is more than the defaults.
    pub is_configured: bool,
    /// No plan will be made: keys and groups are taken away, too, and those that stay are confirmed.
    pub alone: bool,
    /// Only take away: those who left, and those who are locked.
    pub removals_only: bool,
    pub force: bool,
    /// Disable these, whatever holds them.
    pub release: &'a [String],
    /// Only say what would be published.
    pub dry_run: bool,
    pub now: Timestamp,
}

/// How often the host is asked again because another refresher has meanwhile changed the questions.
const ROUNDS: usize = 3;

/// Applies the listing at [`handover::LISTING`], or `given`, which a dry run has instead. Those who left and those who are locked are
/// taken away first, whatever fails after that.
pub(crate) fn apply(request: Request<'_>, given: Option<Listing>) -> Report {
    let mut taken = if request.dry_run { Taken::default() } else { take_away(request) };
    let done = match taken.error {
        Some(error) if request.removals_only || matches!(error, Error::Lock(_)) => Err(error),
        _ if request.removals_only => Ok(Report::of_changes(&taken.changes, request.now)),
        // What else went wrong comes up again here.
        _ => publish(request, given, &taken.changes),
    };
    let mut report = done.unwrap_or_else(|error| {
        if !request.dry_run && !request.alone && !matches!(error, Error::Lock(_)) {
            taken.changes.extend(attempt(Request { alone: true, ..request }).changes);
        }
        Report::failed(&error, &taken.changes, request.now)
    });
    report.status.published |= !taken.changes.is_empty();
    report.status.warnings.extend(taken.warnings.into_iter().map(Told::from));
    report
}

/// What was taken away, and what went wrong.
#[derive(Default)]
struct Taken {
    changes: Vec<Change>,
    warnings: Vec<Warning>,
    error: Option<Error>,
}

/// Also where the disk is full, or cannot be written any more.
fn take_away(request: Request<'_>) -> Taken {
    let folder = Path::new(cache::FOLDER);
    let first = attempt(request);
    // A lock may have given it up for its list. New files are no larger than the old ones, so there is room again.
    keep_reserve(folder);
    if !first.error.as_ref().is_some_and(Error::is_of_disk) {
        return first;
    }
    let mut warnings = Vec::new();
    if !reserve::give_up(folder) {
        if !rescue::is_needed(folder) {
            return first;
        }
        match rescue::rescue(folder) {
            Ok(()) => warnings.push(Warning::InMemory),
            Err(cause) => {
                let warning = Warning::NotInMemory { cause: cause.to_string() };
                return Taken { warnings: vec![warning], ..first };
            }
        }
    }
    let mut again = attempt(request);
    keep_reserve(folder);
    again.changes.splice(..0, first.changes);
    again.warnings.splice(..0, warnings);
    again
}

fn attempt(request: Request<'_>) -> Taken {
    let folder = Path::new(cache::FOLDER);
    let lock = match lock::of_apply(folder, false) {
        Ok(lock) => lock,
        Err(error) => return Taken { error: Some(error.into()), ..Taken::default() },
    };
    let (files, locked) = (local::files(), local::locked(folder));
    // Without a memory no id can be given, and none is given here.
    let memory = Memory::read(folder, false);
    let (memory, forgotten) =
        memory.map_or_else(|error| (Memory::none(), Some(error)), |found| (found, None));
    // Where that user cannot be found out: whom root gave the folder to.
    let fetcher = files.as_ref().ok().and_then(handover::fetcher).or_else(handover::owner);
    let listing = handover::read(fetcher).ok();
    let mut disk = OnDisk::read(folder, memory, listing.as_ref(), request.config, request.now.as_second());
    let (locked, unreadable) =
        locked.map_or_else(|error| (Locked::default(), Some(error)), |locked| (locked, None));
    let leaving = leaving::leaving(leaving::Facts {
        state: &disk.state,
        listing: listing.as_ref(),
        locked: &locked,
        max_removed_percent: request.config.safety.max_removed_percent,
        force: request.force,
        release: request.release,
    });
    let (files, unread) = files.map_or_else(|error| (None, Some(error)), |files| (Some(files), None));
    let group = files.as_ref().and_then(keys_group).or_else(|| group_of(&folder.join("keys.db")));
    let local = files.map(|files| Local::of(files, locked.clone()));
    let narrowing = match (&listing, &local) {
        (Some(listing), Some(local)) if request.is_configured && request.alone => {
            Narrowing::of(&disk.input(request, listing, local))
        }
        _ => Narrowing::default(),
    };
    let away = Away { leaving: &leaving, locked: &locked, narrowing: &narrowing };
    let (done, saved) = disk.take(away, group.unwrap_or(0));
    drop(lock);
    let mut warnings = Vec::new();
    if done.renamed {
        nscd::invalidate(false);
    }
    if request.config.users.terminate_sessions && (done.published || request.removals_only) {
        warnings = sessions::end_of_disabled(&disk.state, disk.cache.as_ref().ok(), local.as_ref());
    }
    log_changes(&done.changes);
    let unreadable = unreadable.or(unread).map(Error::from);
    Taken { changes: done.changes, warnings, error: saved.err().or(forgotten).or(unreadable) }
}

/// Publishes everything. Other directories, which may take their time, are asked while nothing is locked.
fn publish(request: Request<'_>, given: Option<Listing>, taken: &[Change]) -> Result<Report, Error> {
    let folder = Path::new(cache::FOLDER);
    let now = request.now.as_second();
    let mut asked: Option<(local::Questions, Local)> = None;
    for _ in 0..=ROUNDS {
        let lock = lock::of_apply(folder, request.dry_run)?;
        let mut local = Local::read(local::files()?, local::locked(folder)?)?;
        let listing = given.clone().map_or_else(|| handover::read(handover::fetcher(&local.files)), Ok)?;
        let mut disk =
            OnDisk::read(folder, Memory::read(folder, request.dry_run)?, Some(&listing), request.config, now);
        let questions = plan::questions(&disk.input(request, &listing, &local));
        if let Some((known, answered)) = &asked
            && questions.are_in(known)
        {
            if !is_current(request.texts) {
                return Err(Error::Outdated);
            }
            local.take_answers(answered);
            let plan = disk.plan(disk.input(request, &listing, &local))?;
            if request.dry_run {
                return Ok(compared(&disk, &plan, &listing, request.now));
            }
            return carry_out(request, &mut disk, plan, &listing, &local, lock, taken);
        }
        drop(lock);
        local.answer(&questions, &request.config.names.exclude)?;
        asked = Some((questions, local));
    }
    Err(Error::Overtaken)
}

/// A plan by what was taken out of the configuration meanwhile would give it back.
fn is_current(texts: &[(PathBuf, String)]) -> bool {
    let main = texts.first().map(|(path, _)| path);
    main.is_none_or(|main| Config::texts(main).is_ok_and(|now| now == texts))
}

fn compared(disk: &OnDisk<'_>, plan: &Plan, listing: &Listing, now: Timestamp) -> Report {
    let (before, after) = (disk.published(), Published::of(plan));
    let mut report = Report::of(listing, plan, &changes::between(&before, &after), now);
    report.diff = Some(changes::diff(&before, &after));
    report
}

fn carry_out(
    request: Request<'_>,
    disk: &mut OnDisk<'_>,
    mut plan: Plan,
    listing: &Listing,
    local: &Local,
    lock: Option<lock::Lock>,
    taken: &[Change],
) -> Result<Report, Error> {
    if local.directory.failures().next().is_none() {
        plan.state.asked = request.now.as_second();
    }
    let folder = Path::new(cache::FOLDER);
    let done = disk.publish(&plan, keys_group(&local.files).ok_or(Error::NoGroup)?)?;
    if rescue::is_done(folder) {
        plan.warnings.push(Warning::InMemory);
    }
    let present = plan.state.users.iter().filter(|(_, user)| leaving::is_in(user, &local.locked));
    let published = present.map(|(iam_id, _)| iam_id.as_str()).collect();
    let known = Known::new(request.texts.to_owned(), listing, Known::read(folder), &published);
    let gid = local.files.groups.get(FETCH_USER).map(|group| group.gid);
    let known = known.write(folder, gid);
    drop(lock);
    if done.renamed {
        nscd::invalidate(done.first);
    }
    log_changes(&done.changes);
    if let Err(cause) = known {
        log::warn!("cannot write '{}/known.json': {cause}", cache::FOLDER);
    }
    keep_reserve(folder);
    let changes: Vec<Change> = taken.iter().cloned().chain(done.changes).collect();
    let mut report = Report::of(listing, &plan, &changes, request.now);
    report.status.published = done.published;
    if request.config.users.terminate_sessions {
        let ended = sessions::end_of_disabled(&plan.state, Some(&plan.cache), Some(local));
        report.status.warnings.extend(ended.into_iter().map(Told::from));
    }
    Ok(report)
}

/// Called while nothing is locked: the reader of standard error may have stopped.
fn log_changes(changes: &[Change]) {
    for change in changes {
        log::info!("{}", change.text());
    }
}

/// Reserves the size of the files that a removal replaces, and of the journal of `state.db`.
fn keep_reserve(folder: &Path) {
    let size = |name: &str| fs::metadata(folder.join(name)).map_or(0, |found| found.len());
    let bytes = size("cache.db") + size("keys.db") + 2 * size("state.db");
    if let Err(cause) = reserve::keep(folder, bytes) {
        log::warn!("cannot reserve space for removals in '{}': {cause}", folder.display());
    }
}

/// Not through NSS: a service that hangs or crashes is no reason not to publish.
fn keys_group(files: &Files) -> Option<u32> {
    files.groups.get(KEYS_GROUP).map(|group| group.gid)
}

fn group_of(file: &Path) -> Option<u32> {
    fs::symlink_metadata(file).ok().map(|found| found.gid())
}
