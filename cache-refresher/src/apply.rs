//! The apply half: power, no network. Validates the listing, plans, publishes, ends sessions, reports.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cache::snapshot::{Cache, Keys};
use cache::state::{State, StateFile};
use cache::{publish, schema};
use claims::nss::Files;
use config::Config;
use jiff::Timestamp;
use listing::{Listing, VERSION};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::changes::{self, Published};
use crate::local::Local;
use crate::plan::{self, Plan};
use crate::recover::{self, Sources};
use crate::report::Report;
use crate::{exit, sessions};

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

/// Applies the listing at [`LISTING`], or `given`, which a dry run has instead. Without one that can be believed, what
/// this host decides by itself (whom it locks) still acts; everyone else stays as published.
///
/// # Errors
/// See [`Error`]; the caller holds the lock.
pub(crate) fn apply(request: Request<'_>, given: Option<Listing>) -> Result<Report, Error> {
    let folder = Path::new(cache::FOLDER);
    let local = Local::read(folder)?;
    let (listing, unread) = match given.map_or_else(|| read_listing(&local.files), Ok) {
        Ok(listing) => (listing, None),
        Err(unread) => (
            Listing { version: VERSION, source: String::new(), read: None, accounts: Vec::new() },
            Some(unread),
        ),
    };
    let io_error = |what| move |cause| Error::Io { what, path: folder.to_owned(), cause };
    let state_error = |cause| Error::State { folder: folder.to_owned(), cause };
    let (mut file, mut state) = if request.dry_run && !folder.join("state.db").exists() {
        (None, State::default())
    } else {
        fs::metadata(folder).map_err(io_error("open"))?;
        let file = StateFile::open(folder).map_err(state_error)?;
        let state = file.load().map_err(state_error)?;
        (Some(file), state)
    };
    let (cache, keys) = (Cache::read(&folder.join("cache.db")), Keys::read(&folder.join("keys.db")));
    let lost = remember(request, &mut state, &listing, cache.as_ref().ok(), keys.as_ref().ok());
    let (mut plan, local) = planned(request, &state, &listing, unread.is_some(), local)?;
    let elsewhere = keys.as_ref().ok().filter(|known| are_of_another_machine(known, &plan.keys));
    if let Some(known) = elsewhere {
        plan.keys.machine_id.clone_from(&known.machine_id);
    }
    let elsewhere = elsewhere.is_some();
    // Not through NSS: a service that hangs or crashes is no reason not to publish.
    let group = local.files.groups.get(KEYS_GROUP).map(|group| group.gid);
    // A file that readers would refuse is replaced, whatever it says.
    let differs = (
        cache.as_ref().ok() != Some(&plan.cache) || !publish::is_sound(folder, schema::CACHE, None),
        keys.as_ref().ok() != Some(&plan.keys) || !publish::is_sound(folder, schema::KEYS, group),
    );
    if lost > 0 {
        plan.hold(format!(
            "'{}/state.db' did not know {lost} of the users and groups in cache.db: it was lost, emptied or restored from \
             an older copy; they were put back from cache.db and keys.db\nhint: restore a newer copy of it if there is \
             one; else check with 'nss-iamctl users --all' that nobody is missing",
            folder.display()
        ));
    }
    // When the host was asked is nothing that anyone is told, so it is no change.
    let is_asked = local.directory.failures().next().is_none();
    if let Some(unread) = unread {
        if state.users.is_empty() || lost == 0 && !differs.0 && !differs.1 && plan.state == state {
            return Err(unread.into());
        }
        plan.hold(format!("{unread}; all but the locked stay as published{}", unread.hint()));
    }
    let before = Published { cache: cache.unwrap_or_default(), keys: keys.unwrap_or_default() };
    let after = Published { cache: plan.cache.clone(), keys: plan.keys.clone() };
    let changes = changes::between(&before, &after);
    let mut report = Report::of(&listing, &plan, &changes, request.now);
    if plan.keys.machine_id.is_empty() {
        let text =
            "'/etc/machine-id' is empty, so no key will be offered\nhint: run 'systemd-machine-id-setup'";
        report.warnings.push(text.to_owned());
    }
    if elsewhere {
        let text =
            "the keys were confirmed on another machine, and none is offered before a fetch on this one";
        report.warnings.push(text.to_owned());
    }
    if request.dry_run {
        report.diff = Some(changes::diff(&before, &after));
        return Ok(report);
    }
    let group = group.ok_or(Error::NoGroup)?;
    if is_asked {
        plan.state.asked = request.now.as_second();
    }
    if let Some(file) = &mut file {
        file.save(&plan.state).map_err(state_error)?;
    }
    publish::remove_leftovers(folder)?;
    let first = !folder.join("cache.db").exists();
    // Keys first: who is added finds keys when the name appears, who is removed has none while the name is there.
    if differs.1 {
        publish::keys(folder, &plan.keys, group)?;
    }
    if differs.0 {
        publish::cache(folder, &plan.cache)?;
    }
    for change in &changes {
        log::info!("{}", change.text());
    }
    if differs.0 {
        invalidate_nscd(first);
    }
    if request.config.users.terminate_sessions {
        report.warnings.extend(sessions::end_of_disabled(&plan, &local));
    }
    report.published = differs.0 || !changes.is_empty();
    Ok(report)
}

/// Puts back what a lost memory does not know. Returns of how many users and groups that was.
fn remember(
    request: Request<'_>,
    state: &mut State,
    listing: &Listing,
    cache: Option<&Cache>,
    keys: Option<&Keys>,
) -> usize {
    let sources = Sources::new(listing, request.config, request.now.as_second());
    let nobody = Keys::default();
    let lost = cache.map_or(0, |cache| recover::recover(state, cache, keys.unwrap_or(&nobody), &sources));
    recover::reclaim(state, &sources);
    if lost > 0 {
        state.rebuilt = Some(request.now.as_second());
    }
    lost
}

/// Asks the host what the plan depends on, and makes it. `hold`: without a listing that can be believed.
fn planned(
    request: Request<'_>,
    state: &State,
    listing: &Listing,
    hold: bool,
    mut local: Local,
) -> Result<(Plan, Local), Error> {
    fn input<'a>(
        request: Request<'a>,
        state: &'a State,
        listing: &'a Listing,
        local: &'a Local,
    ) -> plan::Input<'a> {
        let (config, now, force) = (request.config, request.now.as_second(), request.force);
        plan::Input { state, listing, config, local, now, force }
    }
    let questions = plan::questions(&input(request, state, listing, &local), hold);
    local.answer(questions, &request.config.names.exclude)?;
    let input = input(request, state, listing, &local);
    let plan = if hold { plan::hold(input)? } else { plan::plan(input)? };
    Ok((plan, local))
}

/// Whether these keys are still those that an image brought: without a fetch of its own, all that this machine could do is
/// to publish the image's listing once more.
fn are_of_another_machine(known: &Keys, keys: &Keys) -> bool {
    let newest = |keys: &Keys| keys.logins.iter().map(|login| login.confirmed).max();
    !keys.machine_id.is_empty() && known.machine_id != keys.machine_id && newest(keys) <= newest(known)
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

/// How long the module remembers, in nscd as everywhere, that there is no cache.
const ABSENCE: Duration = Duration::from_millis(1100);

/// nscd(8) would go on answering from its own cache.
fn invalidate_nscd(first: bool) {
    if !Path::new("/run/nscd/socket").exists() && !Path::new("/var/run/nscd/socket").exists() {
        return;
    }
    if first {
        std::thread::sleep(ABSENCE);
    }
    for table in ["passwd", "group"] {
        let done = Command::new("nscd")
            .args(["-i", table])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            log::warn!("'nscd -i {table}' failed; its old answers stay until they time out");
        }
    }
}
