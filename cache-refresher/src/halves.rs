//! The two halves as processes: who runs as whom, under which lock, and what each prints.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use config::Config;
use jiff::Timestamp;
use listing::Listing;
use nix::unistd::geteuid;

use crate::apply::{self, FETCH_USER, LISTING};
use crate::cli::Cli;
use crate::progress::Bar;
use crate::report::{self, Fetched, Last, Report};
use crate::{exit, fetch, lock};

/// The fetch half. Root gives up its power first.
pub(crate) fn fetch(cli: &Cli) -> u8 {
    if geteuid().is_root() {
        return match fetch_as_user(cli) {
            Ok(fetched) => {
                print_fetched(cli, &fetched);
                fetched.exit
            }
            Err(status) => status,
        };
    }
    // From here on not even a set-user-ID program gives power back.
    if let Err(cause) = nix::sys::prctl::set_no_new_privs() {
        return failed(exit::OTHER, &format!("cannot set no_new_privs: {cause}"));
    }
    let Ok(config) = load(cli) else {
        return exit::CONFIGURATION;
    };
    let folder = Path::new(LISTING).parent().unwrap_or(Path::new("/"));
    let _lock = match lock::of_fetch(folder) {
        Ok(lock) => lock,
        Err(error) => return failed(error.exit(), &error.to_string()),
    };
    let started = Instant::now();
    let mut fetched = run_fetch(cli, &config);
    fetched.seconds = started.elapsed().as_secs_f64();
    print_fetched(cli, &fetched);
    fetched.exit
}

/// The apply half.
pub(crate) fn apply(cli: &Cli) -> u8 {
    let Ok(config) = load(cli) else {
        return exit::CONFIGURATION;
    };
    let started = Instant::now();
    match lock::of_apply(Path::new(cache::FOLDER), cli.dry_run) {
        Ok(_lock) => apply_locked(cli, &config, None, started),
        Err(error) => failed(error.exit(), &error.to_string()),
    }
}

/// Both, one after the other. A fetch that failed is no reason not to apply what it has.
pub(crate) fn both(cli: &Cli) -> u8 {
    let Ok(config) = load(cli) else {
        return exit::CONFIGURATION;
    };
    if is_idle(&config) {
        return exit::OK;
    }
    if !geteuid().is_root() && !cli.dry_run {
        let hint = "run as root, or one half: 'cache-refresher fetch'";
        return failed(exit::DENIED, &format!("only root can publish; nothing was done\nhint: {hint}"));
    }
    let started = Instant::now();
    let _lock = match lock::of_apply(Path::new(cache::FOLDER), cli.dry_run) {
        Ok(lock) => lock,
        Err(error) => return failed(error.exit(), &error.to_string()),
    };
    match fetch_as_user(cli) {
        Ok(fetched) => apply_locked(cli, &config, Some(fetched), started),
        Err(status) => status,
    }
}

/// Nothing happens before a group is named. When the last one is taken out again, its members leave.
fn is_idle(config: &Config) -> bool {
    let names_none =
        config.groups.is_empty() && config.groups_from_instance_tag.is_none() && config.account.is_empty();
    let idle =
        names_none && config.source.url == "iam:" && !Path::new(cache::FOLDER).join("state.db").exists();
    if idle {
        log::warn!("nothing to do: the configuration names no IAM group\nhint: set groups = [\"…\"] in it");
    }
    idle
}

fn apply_locked(cli: &Cli, config: &Config, mut fetched: Option<Fetched>, started: Instant) -> u8 {
    let given = fetched.as_mut().and_then(|fetched| fetched.listing.take());
    let now = now();
    let request = apply::Request { config, force: cli.force, dry_run: cli.dry_run, now };
    let mut report = apply::apply(request, given).unwrap_or_else(|error| Report::failed(&error, now));
    report.exit =
        exit::heaviest([report.exit].into_iter().chain(fetched.as_ref().map(|fetched| fetched.exit)));
    report.fetch = fetched;
    report.log(&Last::read(Path::new(cache::FOLDER)));
    if !cli.dry_run
        && let Err(cause) = report.write(Path::new(cache::FOLDER))
    {
        log::warn!("cannot write '{}/status.json': {cause}", cache::FOLDER);
    }
    let text = match (cli.json, cli.dry_run) {
        (true, _) => serde_json::to_string_pretty(&report).unwrap_or_default(),
        (false, _) if report.error.is_some() => String::new(),
        (false, true) => report::shown_diff(&report),
        (false, false) => report.summary(started.elapsed()),
    };
    print(&text);
    report.exit
}

fn run_fetch(cli: &Cli, config: &Config) -> Fetched {
    let previous = previous();
    let progress = Bar::start();
    let request = fetch::Request { config, previous, force: cli.force, now: now(), progress: &progress };
    let fetch::Fetched { listing, calls, failures } = fetch::fetch(request);
    drop(progress);
    for failure in &failures {
        let hint = if failure.hint.is_empty() { String::new() } else { format!("\nhint: {}", failure.hint) };
        log::error!("{} on '{}' failed: {}{hint}", failure.call, failure.on, failure.cause);
    }
    let mut fetched = Fetched {
        exit: exit::heaviest(failures.iter().map(|failure| exit::of(failure.kind))),
        users: listing.accounts.iter().map(|account| account.users.len()).sum(),
        groups: listing.accounts.iter().map(|account| account.groups.len()).sum(),
        accounts: listing.accounts.len(),
        calls: calls.counts(),
        failures,
        ..Fetched::default()
    };
    if cli.dry_run {
        fetched.listing = Some(listing);
        return fetched;
    }
    let written = serde_json::to_vec(&listing).map_err(io::Error::from);
    if let Err(cause) = written.and_then(|json| report::replace(Path::new(LISTING), 0o600, &json)) {
        log::error!("cannot write '{LISTING}': {cause}; the previous listing stays");
        fetched.exit = exit::heaviest([fetched.exit, exit::of_io(&cause)]);
    }
    fetched
}

/// The last listing is the fetch half's memory; without it everything is read anew.
fn previous() -> Option<Listing> {
    let json = match std::fs::read(LISTING) {
        Ok(json) => json,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return None,
        Err(cause) => {
            log::warn!("cannot read '{LISTING}': {cause}; reading everything anew");
            return None;
        }
    };
    Listing::parse(&json)
        .map_err(|cause| log::warn!("'{LISTING}' is unusable: {cause}; reading everything anew"))
        .ok()
}

/// Runs this program's fetch half as [`FETCH_USER`], if root, and takes its report from its standard output.
fn fetch_as_user(cli: &Cli) -> Result<Fetched, u8> {
    let mut command = Command::new("/proc/self/exe");
    // Where we are may be closed to that user.
    let config = std::path::absolute(&cli.config).unwrap_or_else(|_| cli.config.clone());
    command.args(["fetch", "--json", "--config"]).arg(config).current_dir("/");
    command.args(cli.force.then_some("--force")).args(cli.dry_run.then_some("--dry-run"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if geteuid().is_root() {
        // Not through NSS, where another service could hang or crash.
        let files = claims::nss::files().map_err(|cause| {
            failed(exit::OTHER, &format!("cannot read '/etc/passwd': {cause}; nothing was done"))
        })?;
        let (user, group) = (files.users.get(FETCH_USER), files.groups.get(FETCH_USER));
        let (Some(&uid), Some(group)) = (user, group) else {
            let hint = "run 'systemd-sysusers nss-iam.conf'";
            let text = format!("user '{FETCH_USER}' does not exist; nothing was done\nhint: {hint}");
            return Err(failed(exit::CONFIGURATION, &text));
        };
        // The standard library drops the supplementary groups along with the uid.
        command.uid(uid).gid(group.gid);
    }
    let mut run = || {
        let mut child = command.spawn()?;
        let mut json = String::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(listing::MAX_BYTES).read_to_string(&mut json)?;
        }
        io::Result::Ok((json, child.wait()?))
    };
    let (json, status) =
        run().map_err(|cause| failed(exit::OTHER, &format!("cannot run the fetch half: {cause}")))?;
    serde_json::from_str(&json).map_err(|_| {
        // It has said why, or was killed.
        let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|&code| code != exit::OK);
        code.unwrap_or_else(|| {
            failed(exit::OTHER, &format!("the fetch half ended without a report: {status}"))
        })
    })
}

fn print_fetched(cli: &Cli, fetched: &Fetched) {
    let text = match (&fetched.listing, cli.json) {
        (Some(listing), false) => serde_json::to_string_pretty(listing).unwrap_or_default(),
        (_, true) => serde_json::to_string(fetched).unwrap_or_default(),
        (None, false) => fetched.summary(),
    };
    print(&text);
}

fn load(cli: &Cli) -> Result<Config, ()> {
    Config::load(&cli.config).map_err(|error| log::error!("{error}"))
}

fn failed(status: u8, text: &str) -> u8 {
    log::error!("{text}");
    status
}

/// Data goes to standard output; who closed it does not want it.
fn print(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
    }
}

#[expect(clippy::disallowed_methods, reason = "here the clock is read, and handed down")]
fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default()
}
