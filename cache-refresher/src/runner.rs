//! Runs the two halves: the user that each runs as, the fetch half's lock, and what each prints.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use config::{Config, CreateHomes};
use jiff::Timestamp;
use listing::{Failure, Listing};
use message::Message;
use nix::unistd::geteuid;
use status::Fetched;

use crate::apply;
use crate::cli::Cli;
use crate::fetch::{Content, Past, Session};
use crate::handover::{self, DIRECTORY, LISTING};
use crate::known::Known;
use crate::progress::Bar;
use crate::report::{self, Report};
use crate::{calls, child_report, exit, fetch, fetch_child, homes, local, lock};

/// The fetch half. As root, runs it as a child without privileges.
pub(crate) fn fetch(cli: &Cli) -> u8 {
    if geteuid().is_root() {
        return match fetch_as_user(cli, cli.last_good) {
            Ok(fetched) => {
                print_fetched(cli, &fetched);
                log_failures(&fetched);
                fetched.exit
            }
            Err(status) => status,
        };
    }
    // From here on not even a set-user-ID program regains privileges.
    if let Err(cause) = nix::sys::prctl::set_no_new_privs() {
        return failed(exit::OTHER, format!("cannot set no_new_privs: {cause}"));
    }
    let loaded = Loaded::read(cli);
    if let Some(cause) = loaded.broken.as_ref().filter(|_| !cli.last_good) {
        log::error!("{cause}");
    }
    let Some(config) = loaded.config.as_ref() else { return exit::CONFIGURATION };
    fetch_once(cli, config, loaded.broken.is_some())
}

fn fetch_once(cli: &Cli, config: &Config, is_broken: bool) -> u8 {
    let _lock = match lock::of_directory(Path::new(DIRECTORY)) {
        Ok(lock) => lock,
        Err(error) => {
            let message = Message::new(error.to_string()).and("nothing was done").with_hint(error.hint());
            return failed(error.exit(), message);
        }
    };
    let (started, time) = (Instant::now(), now());
    let mut fetched = Fetched { time: Some(time), ..run_fetch(cli, config) };
    fetched.seconds = started.elapsed().as_secs_f64();
    if is_broken {
        fetched.exit = exit::heaviest([fetched.exit, exit::CONFIGURATION]);
    }
    if !cli.dry_run {
        fetched = fetched.after(handover::report().as_ref());
        if let Err(cause) = handover::write_report(&fetched) {
            log::warn!("cannot write '{}': {cause}", handover::REPORT);
        }
    }
    print_fetched(cli, &fetched);
    // The parent of a child logs them.
    if !child_report::is_child() {
        log_failures(&fetched);
    }
    fetched.exit
}

/// The apply half.
pub(crate) fn apply(cli: &Cli) -> u8 {
    run_apply(cli, Loaded::read(cli), None, Instant::now()).status.exit
}

/// Both, one after the other. If the fetch fails, the last listing is applied.
pub(crate) fn both(cli: &Cli) -> u8 {
    if cli.removals_only {
        return apply(cli);
    }
    let loaded = Loaded::read(cli);
    if loaded.broken.is_none() && loaded.config.as_ref().is_some_and(is_idle) {
        return exit::OK;
    }
    if !geteuid().is_root() && !cli.dry_run {
        let message = Message::new("only root can publish; nothing was done");
        return failed(exit::DENIED, message.with_hint("run as root, or run only 'cache-refresher fetch'"));
    }
    let started = Instant::now();
    let fetched = loaded.config.as_ref().map(|_| fetch_as_user(cli, loaded.broken.is_some()));
    let report = run_apply(cli, loaded, fetched, started);
    if !report.held_users.is_empty() && cli.may_ask() && is_confirmed(&report.held_users) {
        // Only these, even if the source lacks more users by then.
        return both(&Cli { release: report.held_users, ..cli.clone() });
    }
    report.status.exit
}

/// How many users a question names.
const SHOWN: usize = 20;

/// Asks on the terminal whether to disable the users who are held.
fn is_confirmed(names: &[String]) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    // In the words of nss-iamctl's questions.
    let _ = write!(io::stderr(), "this disables {} now. Continue? [y/N] ", message::quoted(names, SHOWN));
    let mut answer = String::new();
    // No answer means no.
    let _ = io::stdin().read_line(&mut answer);
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

/// The configuration.
pub(crate) struct Loaded {
    /// The current one, or the last valid one.
    pub(crate) config: Option<Config>,
    texts: Vec<(PathBuf, String)>,
    /// Why the current one cannot be used.
    broken: Option<config::Error>,
}

impl Loaded {
    pub(crate) fn read(cli: &Cli) -> Self {
        let main = cli.main_file();
        let loaded = Config::texts(&main).and_then(|texts| Ok((Config::parse(&texts)?, texts)));
        match loaded {
            Ok((config, texts)) => Self { config: Some(config), texts, broken: None },
            Err(cause) => Self {
                config: Known::read(Path::new(cache::DIRECTORY)).and_then(|known| known.configuration(&main)),
                texts: Vec::new(),
                broken: Some(cause),
            },
        }
    }
}

/// Whether nothing was configured yet: no group is named, and nothing was ever published.
fn is_idle(config: &Config) -> bool {
    let names_none =
        config.groups.is_empty() && config.groups_from_instance_tag.is_none() && config.account.is_empty();
    let source = &config.source;
    let idle = names_none && source.is_directory() && !Path::new(cache::DIRECTORY).join("state.db").exists();
    if idle {
        let group = source.called("group");
        let message = Message::new(format!("nothing to do: the configuration names no {group}"));
        log::warn!("{}", message.with_hint("set groups = [\"…\"] in it"));
    }
    idle
}

/// Applies, reports and prints. `fetched`: the outcome of the fetch half, or the exit status of one that ended before it had
/// an outcome.
fn run_apply(cli: &Cli, loaded: Loaded, fetched: Option<Result<Fetched, u8>>, started: Instant) -> Report {
    let (mut fetched, unfetched) = match fetched {
        Some(Ok(fetched)) => (Some(fetched), exit::OK),
        Some(Err(status)) => (None, status),
        None => (None, exit::OK),
    };
    let began = Instant::now();
    let given = fetched.as_mut().and_then(|fetched| fetched.listing.take());
    let config = loaded.config.as_ref().filter(|_| loaded.broken.is_none());
    let source = loaded.config.as_ref().and_then(|config| config.source.url().split(':').next());
    let source = source.unwrap_or_default().to_owned();
    let creates_homes = config.is_some_and(|config| config.users.create_homes == CreateHomes::Refresh);
    let directory = Path::new(cache::DIRECTORY);
    let mut report = applied(cli, loaded, given);
    let last = report::last(directory);
    if report.status.error.is_some() {
        report.count_published(directory, &last);
    }
    let of_fetch = fetched.as_ref().map(|fetched| fetched.exit);
    report.status.exit = exit::heaviest([report.status.exit, unfetched].into_iter().chain(of_fetch));
    report.has_fetched = fetched.is_some();
    report.status.fetch = fetched.or_else(handover::report);
    report.status.succeeded =
        if report.status.exit == exit::OK { report.status.time } else { last.succeeded };
    report.status.locks = local::locked(directory).map_or(0, |locked| locked.names.len());
    report.status.source = source;
    report.status.seconds = began.elapsed().as_secs_f64();
    report.log(&last);
    // Only disabling users is not a refresh, and leaves the report of the last one.
    let is_refresh = !cli.dry_run && !cli.removals_only && !report.is_shut_out;
    if is_refresh && let Err((file, cause)) = report.write(directory) {
        log::warn!("cannot write '{}/{file}': {cause}", cache::DIRECTORY);
    }
    print(&printed(cli, &report, started));
    if let Some(fetched) = report.status.fetch.as_ref().filter(|_| report.has_fetched) {
        log_failures(fetched);
    }
    if is_refresh && creates_homes {
        homes::begin();
    }
    report
}

/// If the configuration is broken, users who left or are locked are disabled, and nothing else happens.
fn applied(cli: &Cli, loaded: Loaded, given: Option<Listing>) -> Report {
    let is_configured = loaded.config.is_some();
    let config = loaded.config.unwrap_or_default();
    let mut report = apply::apply(
        apply::Request {
            config: &config,
            texts: &loaded.texts,
            is_configured,
            alone: loaded.broken.is_some(),
            removals_only: cli.removals_only || loaded.broken.is_some(),
            force: cli.force,
            release: &cli.release,
            dry_run: cli.dry_run,
            is_last: cli.repeat.is_none(),
            now: now(),
        },
        given,
    );
    if let Some(cause) = loaded.broken {
        report.refuse(&cause);
    }
    report
}

/// What the apply half prints.
fn printed(cli: &Cli, report: &Report, started: Instant) -> String {
    match (cli.json, cli.dry_run) {
        (true, _) => serde_json::to_string_pretty(&report.status).unwrap_or_default(),
        (false, _) if report.status.error.is_some() => String::new(),
        (false, true) => report::shown_diff(report),
        (false, false) if cli.removals_only => report.removals(),
        (false, false) => report.summary(started.elapsed()),
    }
}

fn run_fetch(cli: &Cli, config: &Config) -> Fetched {
    let session = match Session::of(config, None) {
        Ok(session) => session,
        Err(failure) => {
            let exit = exit::of(failure.kind);
            return Fetched { exit, failures: vec![failure], ..Fetched::default() };
        }
    };
    let past = calls::past(Path::new(DIRECTORY));
    let before =
        Before { session: &session, listing: None, past: past.clone(), document: None, refused: None };
    let mut read = read(cli, config, before);
    let fetched = outcome(&read);
    if cli.dry_run {
        return Fetched { listing: Some(read.listing), ..fetched };
    }
    if read.past != past {
        calls::write(Path::new(DIRECTORY), &read.past);
    }
    match hand_over(config, &mut read, now()) {
        Ok(()) => fetched,
        Err((status, message)) => {
            log::error!("{message}");
            Fetched { exit: exit::heaviest([fetched.exit, status]), ..fetched }
        }
    }
}

/// What is known before the source is read.
pub(crate) struct Before<'a> {
    pub(crate) session: &'a Session,
    /// What was read last, if it is newer than the file.
    pub(crate) listing: Option<Listing>,
    pub(crate) past: Past,
    /// The document, if it was read already.
    pub(crate) document: Option<Result<Content, Failure>>,
    /// The document that was read last, if it was refused. It is judged again: the reason may have been the time.
    pub(crate) refused: Option<Content>,
}

/// Reads the source.
pub(crate) fn read(cli: &Cli, config: &Config, before: Before<'_>) -> fetch::Fetched {
    let source = &config.source;
    let (progress, now) = (Arc::new(Bar::start()), now());
    let release = fetch::Release { all: cli.force, names: cli.release.iter().cloned().collect() };
    let request = fetch::Request {
        config,
        previous: before.listing.or_else(|| handover::previous(source)),
        remembered: Known::read(Path::new(cache::DIRECTORY))
            .map(|known| known.accounts_of(source))
            .unwrap_or_default(),
        stored: handover::stored(config),
        kept: before.refused.or_else(|| handover::kept(config)),
        read: before.document,
        force: cli.force,
        release: &release,
        past: before.past,
        asked: asked(),
        now,
        progress: Arc::clone(&progress) as Arc<dyn fetch::Progress>,
    };
    let fetched = fetch::fetch(request, before.session);
    progress.end();
    fetched
}

/// What the report says of it.
pub(crate) fn outcome(read: &fetch::Fetched) -> Fetched {
    let fetch::Fetched { listing, calls, failures, .. } = read;
    Fetched {
        exit: exit::heaviest(failures.iter().map(|failure| exit::of(failure.kind))),
        users: listing.accounts.iter().map(|account| account.users.len()).sum(),
        groups: listing.accounts.iter().map(|account| account.groups.len()).sum(),
        accounts: listing.accounts.len(),
        calls: calls.counts(),
        throttled: calls.throttled(),
        failures: failures.clone(),
        ..Fetched::default()
    }
}

/// Hands the listing over to the apply half.
///
/// # Errors
/// The exit status, and what to say.
pub(crate) fn hand_over(
    config: &Config,
    read: &mut fetch::Fetched,
    now: Timestamp,
) -> Result<(), (u8, String)> {
    let document = read.document.as_ref().filter(|_| config.trust.verifies());
    handover::write(&mut read.listing, document, now).map_err(|cause| {
        (exit::of_io(&cause), format!("cannot write '{LISTING}': {cause}; the previous listing stays"))
    })
}

/// Runs the fetch half as a child, and returns its report. `last_good`: the child uses the last valid configuration.
fn fetch_as_user(cli: &Cli, last_good: bool) -> Result<Fetched, u8> {
    let (json, status) =
        fetch_child::run(cli, last_good).map_err(|(status, message)| failed(status, message))?;
    serde_json::from_str(&json).map(Fetched::checked).map_err(|_| {
        // The child has logged why, or was killed.
        let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|&code| code != exit::OK);
        code.unwrap_or_else(|| {
            failed(exit::OTHER, format!("the fetch half ended without a report: {status}"))
        })
    })
}

/// After the summary, so that what failed comes last.
fn log_failures(fetched: &Fetched) {
    for failure in &fetched.failures {
        log::error!("{}", failure.message());
    }
}

fn print_fetched(cli: &Cli, fetched: &Fetched) {
    let text = match (&fetched.listing, cli.json) {
        (Some(listing), false) => serde_json::to_string_pretty(listing).unwrap_or_default(),
        (_, true) => serde_json::to_string(fetched).unwrap_or_default(),
        (None, false) => report::fetched_summary(fetched),
    };
    print(&text);
}

pub(crate) fn failed(status: u8, message: impl Into<Message>) -> u8 {
    log::error!("{}", message.into());
    status
}

/// Data goes to standard output. An error is ignored: then nobody reads it.
fn print(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
    }
}

/// A file that nss-iamctl replaces when somebody asks for a refresh: only root can write to its directory.
const ASKED: &str = "/run/nss-iam-refresh";

/// When somebody last asked for a refresh of everything since this host started. A listing has whole seconds.
fn asked() -> Option<Timestamp> {
    let found = std::fs::symlink_metadata(ASKED).ok()?;
    Timestamp::from_second(std::os::unix::fs::MetadataExt::mtime(&found)).ok()
}

#[expect(clippy::disallowed_methods, reason = "here the clock is read, and handed down")]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default()
}
