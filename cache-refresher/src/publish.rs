//! The publisher: reads the configured source as a host does, gives ids, and writes one signed listing for many hosts. It needs
//! neither root nor files of its own; where it has a directory, that remembers what it did to AWS.

mod ids;
mod news;
mod recent;
mod round;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Config, Publish};
use listing::regular::{self, Links, Unread};
use listing::signed::Signer;
use listing::{Failure, Listing};
use message::Message;
use serde::Serialize;

use crate::cli::Cli;
use crate::fetch::{self, Calls, Past, Published, Put, Release, Session};
use crate::progress::Bar;
use crate::renew::renew;
use crate::runner::now;
use crate::{calls, exit, fetch::Progress, lock};
use recent::Recent;
use round::{Done, Round, Stop, Store};

/// The largest file of a private key that is read, in bytes.
const LARGEST_KEY: u64 = 64 << 10;

/// The report, for `--json`.
#[derive(Debug, Default, Serialize)]
struct Report {
    exit: u8,
    url: String,
    written: bool,
    generation: Option<u64>,
    users: usize,
    groups: usize,
    calls: BTreeMap<String, u64>,
    failures: Vec<Failure>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What one process remembers of its rounds.
#[derive(Default)]
struct Memory {
    /// Where it leaves `past` for the next process, if anywhere.
    directory: Option<PathBuf>,
    /// The highest generation that was seen at each URL.
    seen: BTreeMap<String, u64>,
    /// What its rounds say of the calls that they made.
    past: Past,
    session: Option<Session>,
    recent: Recent,
    /// The object as it was read last, and its URL.
    object: Option<(String, (String, Vec<u8>))>,
    /// What it logged last: a failure that lasts is logged once.
    logged: Vec<String>,
}

/// Publishes once, or with `--loop` until the process is ended.
pub(crate) fn run(cli: &Cli) -> u8 {
    if let Err(cause) = nix::sys::prctl::set_no_new_privs() {
        log::error!("cannot set no_new_privs: {cause}");
        return exit::OTHER;
    }
    let mut memory = Memory::of(cli.state.clone().or_else(state_directory));
    loop {
        let status = once(cli, &mut memory);
        match cli.repeat {
            Some(pause) => match &memory.session {
                Some(session) => session.sleep(pause),
                None => std::thread::sleep(pause),
            },
            None => return status,
        }
        // Not before it has published: otherwise it might do nothing else. And not if it refuses what is there: the next one would not know
        // what was there before.
        if status != exit::HELD {
            renew();
        }
    }
}

impl Memory {
    fn of(directory: Option<PathBuf>) -> Self {
        let past = directory.as_deref().map(calls::past).unwrap_or_default();
        let recent = directory.as_deref().map(Recent::read).unwrap_or_default();
        Self { directory, past, recent, ..Self::default() }
    }

    /// Keeps what the next round has to know, and leaves it to the next process, as soon as it is known: this one can be killed before
    /// it has published. A publisher that stays counts its calls and knows its times itself, and writes only when a pause begins
    /// or ends.
    fn keep(&mut self, cli: &Cli, refresh: &config::Refresh, past: Past) {
        let is_news = past.pauses() != self.past.pauses() || cli.repeat.is_none() && past != self.past;
        let has_times = refresh.keys_every.or(refresh.members_every).is_some();
        let recent = Some(&self.recent).filter(|_| has_times && cli.repeat.is_none());
        self.past = past;
        let has_to = is_news || recent.is_some();
        let Some(directory) = self.directory.as_deref().filter(|_| has_to && !cli.dry_run) else { return };
        // Another publisher may have the same directory.
        match lock::of_directory(directory) {
            Ok(_lock) => {
                if is_news {
                    calls::write(directory, &self.past);
                }
                recent.into_iter().for_each(|recent| recent.write(directory));
            }
            Err(cause) => {
                let message = Message::new(cause.to_string());
                let message = message
                    .and("the next process does not know when AWS throttled this one, or what it read");
                log::warn!(
                    "{}",
                    message.with_hint("give the publisher's user a directory of its own for '--state'")
                );
            }
        }
    }
}

/// systemd.exec(5), RUNTIME DIRECTORIES AND CREDENTIALS: the first is the one of the unit; a drop-in can add others.
#[expect(clippy::disallowed_methods, reason = "systemd names the directory in the environment")]
fn state_directory() -> Option<PathBuf> {
    let directories = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&directories).next().filter(|path| path.is_absolute())
}

fn once(cli: &Cli, memory: &mut Memory) -> u8 {
    let stopped = |exit, message: Message| Err(Stop { exit, message });
    let (url, outcome) = match Config::load(&cli.main_file()) {
        Err(cause) => (String::new(), stopped(exit::CONFIGURATION, Message::of_lines(&cause.to_string()))),
        Ok(config) => match &config.publish {
            Some(publish) => (publish.url.clone(), publish_once(cli, &config, publish, memory)),
            None => {
                let message =
                    Message::new("the configuration does not say where to publish; nothing was done");
                (
                    String::new(),
                    stopped(exit::CONFIGURATION, message.with_hint("set url, fleet and key in [publish]")),
                )
            }
        },
    };
    let (report, listing, messages) = told(url, outcome);
    if let Some(generation) = report.generation {
        let seen = memory.seen.entry(report.url.clone()).or_default();
        *seen = generation.max(*seen);
    }
    if messages != memory.logged {
        report.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        messages.iter().skip(report.warnings.len()).for_each(|message| log::error!("{message}"));
        memory.logged = messages;
    }
    print(cli, &report, listing.as_ref());
    report.exit
}

/// The report, the listing, and what is logged: warnings, then errors.
fn told(
    url: String,
    outcome: Result<(Done, BTreeMap<String, u64>), Stop>,
) -> (Report, Option<Listing>, Vec<String>) {
    match outcome {
        Ok((Done { listing, written, failures, warnings }, calls)) => {
            let errors = failures.iter().map(|failure| failure.message().to_string());
            let messages = warnings.iter().cloned().chain(errors).collect();
            let report = Report {
                exit: exit::heaviest(failures.iter().map(|failure| exit::of(failure.kind))),
                url,
                written,
                generation: listing.generation,
                users: listing.accounts.iter().map(|account| account.users.len()).sum(),
                groups: listing.accounts.iter().map(|account| account.groups.len()).sum(),
                calls,
                failures,
                warnings,
                error: None,
            };
            (report, Some(listing), messages)
        }
        Err(Stop { exit, message }) => {
            let error = for_publisher(&message.to_string());
            (Report { exit, url, error: Some(error.clone()), ..Report::default() }, None, vec![error])
        }
    }
}

/// What a host does about a held removal, a publisher does by its own command.
fn for_publisher(text: &str) -> String {
    text.replace("nss-iamctl refresh --force", "/usr/libexec/nss-iam/cache-refresher publish --force")
}

fn print(cli: &Cli, report: &Report, listing: Option<&Listing>) {
    let text = match listing {
        _ if cli.json => serde_json::to_string(report).unwrap_or_default(),
        Some(listing) if cli.dry_run => serde_json::to_string_pretty(listing).unwrap_or_default(),
        // A publisher that repeats says nothing while nothing changes.
        Some(_) if report.written || cli.repeat.is_none() => {
            let Report { url, users, groups, generation, .. } = report;
            let done = if report.written { "published" } else { "unchanged" };
            let generation = generation.unwrap_or_default();
            let calls: u64 = report.calls.values().sum();
            format!("{done} '{url}': {users} users, {groups} groups, generation {generation}, {calls} calls")
        }
        _ => return,
    };
    // An error is ignored: then nobody reads it.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn publish_once(
    cli: &Cli,
    config: &Config,
    publish: &Publish,
    memory: &mut Memory,
) -> Result<(Done, BTreeMap<String, u64>), Stop> {
    if !config.names_groups() {
        let message = Message::new("the configuration names no group; nothing was published");
        return Err(Stop {
            exit: exit::CONFIGURATION,
            message: message.with_hint("set groups = [\"…\"] in it"),
        });
    }
    let signer = signer(&publish.key)?;
    let bar = Arc::new(Bar::start());
    let progress = Arc::clone(&bar) as Arc<dyn Progress>;
    let calls = Calls::default();
    let session = Session::of(config, memory.session.take())?;
    let store = Published {
        config,
        session: &session,
        bucket: &publish.bucket,
        key: &publish.object,
        calls: calls.clone(),
        progress: Arc::clone(&progress),
        kept: RefCell::new(memory.object.take().filter(|(url, _)| *url == publish.url).map(|(_, kept)| kept)),
    };
    let (force, dry_run, seen) = (cli.force, cli.dry_run, memory.seen.get(&publish.url).copied());
    let round = Round { config, publish, signer: &signer, store: &store, seen, force, dry_run };
    let mut counts = BTreeMap::new();
    let release = Release { all: force, ..Release::default() };
    let done = round.run(now, |previous| {
        let (progress, now) = (Arc::clone(&progress), now());
        let of = previous.as_ref().map(recent::digest);
        let stored = previous.as_ref().and_then(|published| of_source(published, config));
        let request = fetch::Request {
            config,
            previous: memory.recent.over(of.as_deref(), previous),
            remembered: Vec::new(),
            force,
            release: &release,
            stored,
            kept: None,
            read: None,
            past: memory.past.clone(),
            asked: None,
            now,
            progress,
        };
        let mut fetched = fetch::fetch(request, &session);
        let told = fetched.listing.accounts.iter_mut().flat_map(|account| &mut account.errors);
        told.chain(&mut fetched.failures).for_each(|failure| failure.hint = for_publisher(&failure.hint));
        memory.recent.keep(of, &fetched.listing);
        memory.keep(cli, &config.refresh, fetched.past);
        add(&mut counts, fetched.calls.counts());
        (fetched.listing, fetched.failures)
    });
    bar.end();
    add(&mut counts, calls.counts());
    memory.object = store.kept.into_inner().map(|kept| (publish.url.clone(), kept));
    memory.session = Some(session);
    done.map(|done| (done, counts))
}

/// The signed listing from which a published one was made, if it was of the fleet that is read now: none older than it is read.
fn of_source(published: &Listing, config: &Config) -> Option<Listing> {
    let origin = published.origin.as_ref().filter(|origin| origin.fleet == config.trust.fleet)?;
    Some(Listing { generation: Some(origin.generation), ..Listing::default() })
}

fn add(counts: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    for (action, count) in more {
        *counts.entry(action).or_default() += count;
    }
}

impl Store for Published<'_> {
    fn get(&self) -> Result<Option<(String, Vec<u8>)>, Failure> {
        Published::get(self)
    }

    fn put(&self, document: Vec<u8>, over: Option<&str>) -> Result<Put, Failure> {
        Published::put(self, document, over)
    }
}

/// systemd.exec(5), CREDENTIALS: what the unit passes under the name of the file is read instead of it.
#[expect(clippy::disallowed_methods, reason = "systemd names the directory in the environment")]
fn credential(key: &Path) -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let passed = Path::new(&directory).join(key.file_name()?);
    passed.exists().then_some(passed)
}

/// The private key. ssh(1) refuses one that others can read, too. systemd gives a credential to the unit's user alone, where it can
/// by an ACL, which the mode shows as permissions of the group.
fn signer(path: &Path) -> Result<Signer, Stop> {
    let stop = |exit, why: String, hint: &str| Stop {
        exit,
        message: Message::new(format!("cannot use the key '{}': {why}", path.display()))
            .and("nothing was published")
            .with_hint(hint),
    };
    let (configured, passed) = (path, credential(path));
    let path = passed.as_deref().unwrap_or(path);
    let file = regular::read(path, LARGEST_KEY, Links::Follow).map_err(|unread| match unread {
        Unread::Open(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            let hint = "create it: ssh-keygen -t ed25519 -N '' -f KEY; hosts need its public half in [source] trusted_keys";
            stop(exit::CONFIGURATION, cause.to_string(), hint)
        }
        Unread::Open(cause) => stop(exit::of_io(&cause), cause.to_string(), ""),
        unread => stop(exit::CONFIGURATION, unread.to_string(), ""),
    })?;
    // Of a credential, the file that systemd has read.
    let about = if passed.is_some() { std::fs::metadata(configured).ok() } else { Some(file.about) };
    if let Some(mode) = about.map(|about| about.mode() & 0o7777).filter(|mode| mode & 0o077 != 0) {
        return Err(stop(exit::DENIED, format!("others can read it (mode {mode:04o})"), "chmod 600 KEY"));
    }
    let hint = "it must be a private key of OpenSSH without a passphrase, of type ed25519 or ecdsa; one in 256 of ecdsa \
                cannot be read here, since its number begins with a zero byte: make another";
    Signer::read(&file.bytes).map_err(|cause| stop(exit::CONFIGURATION, cause.to_string(), hint))
}
