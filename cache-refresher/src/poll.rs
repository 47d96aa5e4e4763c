//! The fetch half that stays: `fetch --poll`. It keeps its connection, and while nothing changes it writes, logs and starts
//! nothing. The apply half runs when something was written for it.

mod apply;
mod content;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::Config;
use foldhash::HashSet;
use jiff::{SignedDuration, Timestamp};
use listing::{Failure, FailureKind, Listing};
use message::Message;
use nix::unistd::geteuid;
use status::Fetched;

use crate::cli::Cli;
use crate::fetch::{self, Calls, Content, Look, Looked, Past, Session};
use crate::handover::{self, DIRECTORY, Which};
use crate::notify::Systemd;
use crate::progress::Bar;
use crate::renew::renew;
use crate::runner::{self, Before, Loaded, now};
use crate::{calls, exit, lock, report};
use apply::Apply;
use content::Digest;

/// How long what was written stays although times of confirmation are new. Alerts are for twice this time.
const CONFIRM: SignedDuration = SignedDuration::from_mins(15);

/// How often the source is read if the configuration no longer says it: as by the timer.
const TIMER: Duration = Duration::from_secs(5 * 60);

const UNSET: &str =
    "the configuration no longer says how often to read the source, so it is read every 5 minutes";

/// The largest refused document that stays in memory, in bytes: 50 000 users with a few keys each have less. A larger one is transferred each time.
const LARGEST_REFUSED: usize = 64 << 20;

/// The longest time without a sign of life to systemd.
const SIGN: Duration = Duration::from_secs(60);

/// What stays from one round to the next.
#[derive(Default)]
struct Poll {
    session: Option<Session>,
    settled: Option<Settled>,
    written: Option<Written>,
    /// What was read of accounts last, and the file that was the listing then.
    last: Option<(Listing, Option<Which>)>,
    past: Past,
    /// The document that was read last and refused, so that it is not transferred again.
    refused: Option<Content>,
    /// Calls that no report has yet.
    calls: Counts,
    throttled: Counts,
    /// What failed in the last round that was not the same as the one before.
    failures: Vec<Told>,
    /// What was logged last: a failure that lasts is logged once.
    logged: Vec<Told>,
    apply: Apply,
}

type Counts = BTreeMap<String, u64>;

/// The document that was read last, and the time in which what was made of it holds.
struct Settled {
    tag: String,
    from: Timestamp,
    until: Timestamp,
    /// Why it could not be read again since.
    failing: Option<Cause>,
}

/// The same cause may be told of another object, or in other words, the next time.
type Cause = (String, Option<FailureKind>);

/// A failure, and its message.
#[derive(Clone)]
struct Told(Cause, String);

impl Told {
    fn of(failure: &Failure) -> Self {
        Self(cause(failure), failure.message().to_string())
    }

    fn other(message: String) -> Self {
        Self((message.clone(), None), message)
    }
}

/// What was written last.
struct Written {
    digest: Digest,
    at: Timestamp,
    file: Option<Which>,
}

/// Runs the fetch half once, or, if the configuration says how often, until it is ended. For systemd, it is ready after the first
/// time.
pub(crate) fn fetch(cli: &Cli) -> u8 {
    if geteuid().is_root() {
        let message = Message::new("'--poll' does not run as root; nothing was done");
        let hint = format!("run it as the user '{}'", handover::FETCH_USER);
        return runner::failed(exit::CONFIGURATION, message.with_hint(hint));
    }
    let config = Loaded::read(cli).config.filter(|config| config.refresh.every.is_some());
    let systemd = Systemd::listening();
    if let Some(config) = config {
        return stay(cli, config, systemd);
    }
    let status = runner::fetch(cli);
    if status == exit::OK
        && let Some(systemd) = systemd
    {
        systemd.ready("");
    }
    status
}

/// The configuration is read again each time.
fn stay(cli: &Cli, mut config: Config, systemd: Option<Systemd>) -> u8 {
    // Not even a set-user-ID program regains privileges.
    if let Err(cause) = nix::sys::prctl::set_no_new_privs() {
        return runner::failed(exit::OTHER, format!("cannot set no_new_privs: {cause}"));
    }
    let mut poll = Poll { past: calls::past(Path::new(DIRECTORY)), ..Poll::default() };
    loop {
        let began = Instant::now();
        let broken = match Config::load(&cli.main_file()) {
            Ok(read) => {
                config = read;
                None
            }
            Err(cause) => Some(cause.to_string()),
        };
        // Whoever removed it has yet to switch on the timer; until then, removals must take effect.
        let unset = Message::new(UNSET).with_hint("nss-iamctl enable");
        let unset = config.refresh.every.is_none().then(|| unset.to_string());
        let every = config.refresh.every.unwrap_or(TIMER);
        poll.round(cli, &config);
        poll.log(broken.into_iter().chain(unset));
        let told = poll.logged.first().map(|Told(_, message)| message.clone());
        let told = told.unwrap_or_else(|| format!("read at {:.0}", now()));
        if let Some(systemd) = &systemd {
            systemd.ready(&format!("WATCHDOG=1\nSTATUS={}", message::printable(&told)));
        }
        // A source that answers slowly gets a rest.
        let left = every.saturating_sub(began.elapsed()).max(every / 2);
        poll.rest(left, systemd.as_ref());
        // Not before it has read something: otherwise it might do nothing else.
        renew();
    }
}

impl Poll {
    /// Reads the source once.
    fn round(&mut self, cli: &Cli, config: &Config) {
        let kept = self.session.take();
        if !kept.as_ref().is_some_and(|kept| kept.is_of(config)) {
            // What was made of a document holds only for the configuration by which it was made.
            self.settled = None;
            self.written = None;
            self.refused = None;
        }
        match Session::of(config, kept) {
            Ok(session) => {
                self.read(cli, config, &session);
                self.session = Some(session);
            }
            Err(failure) => self.failures = vec![Told::of(&failure)],
        }
        self.apply.remind(now());
    }

    fn read(&mut self, cli: &Cli, config: &Config, session: &Session) {
        let document = match self.look(config, session) {
            Looked::Unchanged => return,
            Looked::Read(document) => Some(document),
            Looked::Unknown => None,
        };
        let _lock = match lock::of_directory(Path::new(DIRECTORY)) {
            Ok(lock) => lock,
            Err(error) => {
                // What was found out is not written.
                self.settled = None;
                self.failures = vec![Told::other(error.to_string())];
                return;
            }
        };
        let (began, time) = (Instant::now(), now());
        let file = handover::which();
        let listing = self.last.take().filter(|(_, of)| *of == file).map(|(listing, _)| listing);
        let (past, refused) = (self.past.clone(), self.refused.take());
        let before = Before { session, listing, past, document, refused };
        let mut read = runner::read(cli, config, before);
        self.refused = read.refused.take().filter(|refused| refused.bytes.len() <= LARGEST_REFUSED);
        let seconds = began.elapsed().as_secs_f64();
        let fetched = Fetched { time: Some(time), seconds, ..runner::outcome(&read) };
        if read.past.pauses() != self.past.pauses() {
            calls::write(Path::new(DIRECTORY), &read.past);
        }
        self.past = read.past.clone();
        self.settle(&read, time, confirm(config));
        self.failures = read.failures.iter().map(Told::of).collect();
        self.write(config, &mut read, fetched, (time, file));
        if config.source.is_directory() {
            self.last = Some((read.listing, handover::which()));
        }
    }

    /// Asks whether the document has changed, as long as what was made of it holds.
    fn look(&mut self, config: &Config, session: &Session) -> Looked {
        let now = now();
        let is_there = self.written.as_ref().is_some_and(|written| written.file == handover::which());
        let holds = |settled: &&mut Settled| is_there && (settled.from..settled.until).contains(&now);
        let Some(settled) = self.settled.as_mut().filter(holds) else { return Looked::Unknown };
        let calls = Calls::default();
        let look = Look {
            config,
            session,
            known: &settled.tag,
            calls: calls.clone(),
            past: self.past.clone(),
            now,
            progress: Arc::new(Bar::start()),
        };
        let (looked, past) = fetch::look(look);
        self.past = past;
        add(&mut self.calls, calls.counts());
        add(&mut self.throttled, calls.throttled());
        let failing = match &looked {
            Looked::Read(Err(failure)) => Some(cause(failure)),
            _ => None,
        };
        let is_known = failing == settled.failing;
        settled.failing = failing;
        match looked {
            // The failure is told already.
            Looked::Read(Err(_)) if is_known => Looked::Unchanged,
            // It can be read again.
            Looked::Unchanged if !is_known => Looked::Unknown,
            looked => looked,
        }
    }

    fn settle(&mut self, read: &fetch::Fetched, now: Timestamp, confirm: SignedDuration) {
        let until = now.checked_add(confirm).unwrap_or(now);
        let until = read.listing.expires.map_or(until, |expires| expires.min(until));
        let known = self.settled.take().filter(|settled| settled.failing.is_some());
        self.settled = match &read.document {
            Some(document) => {
                document.etag.clone().map(|tag| Settled { tag, from: now, until, failing: None })
            }
            // It could not be read again; what was made of the one before still holds.
            None => known.map(|settled| Settled { from: now, until, ..settled }),
        };
    }

    /// Writes what was read if it says something else than what was written last, or if that was long ago.
    fn write(
        &mut self,
        config: &Config,
        read: &mut fetch::Fetched,
        mut fetched: Fetched,
        (now, file): (Timestamp, Option<Which>),
    ) {
        add(&mut self.calls, std::mem::take(&mut fetched.calls));
        add(&mut self.throttled, std::mem::take(&mut fetched.throttled));
        let digest = content::of(&read.listing, read.document.as_ref());
        let stays =
            self.written.as_ref().filter(|written| written.file == file && !is_due(written.at, now, config));
        let is_same = stays.is_some_and(|written| written.digest == digest);
        if is_same {
            return;
        }
        let is_news = self.written.as_ref().is_none_or(|written| written.digest != digest);
        fetched.calls = std::mem::take(&mut self.calls);
        fetched.throttled = std::mem::take(&mut self.throttled);
        let handed_over = runner::hand_over(config, read, now);
        if let Err((status, _)) = &handed_over {
            fetched.exit = exit::heaviest([fetched.exit, *status]);
        }
        let fetched = fetched.after(handover::report().as_ref());
        if let Err(cause) = handover::write_report(&fetched) {
            log::warn!("cannot write '{}': {cause}", handover::REPORT);
        }
        // It is tried again the next time.
        self.written = None;
        match handed_over {
            Ok(()) => {
                if is_news {
                    log::info!("{}", report::fetched_summary(&fetched));
                }
                self.written = Some(Written { digest, at: now, file: handover::which() });
                self.apply.call(runner::now());
            }
            Err((_, message)) => {
                self.settled = None;
                self.failures.push(Told::other(message));
            }
        }
    }

    fn log(&mut self, of_config: impl Iterator<Item = String>) {
        let told: Vec<Told> = of_config.map(Told::other).chain(self.failures.iter().cloned()).collect();
        let logged: HashSet<&Cause> = self.logged.iter().map(|Told(cause, _)| cause).collect();
        let is_new = |Told(cause, _): &&Told| !logged.contains(cause);
        told.iter().filter(is_new).for_each(|Told(_, message)| log::error!("{message}"));
        self.logged = told;
    }

    /// Waits for the next round, and sees to it that the apply half runs meanwhile.
    fn rest(&mut self, time: Duration, systemd: Option<&Systemd>) {
        let mut left = time;
        while !left.is_zero() {
            let part = left.min(if self.apply.has_to_run() { apply::PATIENCE } else { SIGN });
            match &self.session {
                Some(session) => session.sleep(part),
                None => std::thread::sleep(part),
            }
            left -= part;
            self.apply.remind(now());
            if let Some(systemd) = systemd {
                systemd.tell("WATCHDOG=1");
            }
        }
    }
}

/// How long what was written may stay: keys must not be too old to be offered before.
fn confirm(config: &Config) -> SignedDuration {
    let max_age = config.keys.max_age.and_then(|max_age| SignedDuration::try_from(max_age / 4).ok());
    max_age.map_or(CONFIRM, |max_age| max_age.min(CONFIRM))
}

/// Whether times of confirmation are to be written again.
fn is_due(written: Timestamp, now: Timestamp, config: &Config) -> bool {
    let age = now.duration_since(written);
    age.is_negative() || age >= confirm(config)
}

fn cause(failure: &Failure) -> Cause {
    (failure.call.clone(), Some(failure.kind))
}

fn add(counts: &mut Counts, more: Counts) {
    for (action, count) in more {
        *counts.entry(action).or_default() += count;
    }
}
