//! nss-iamctl: the administrator's command. This file maps subcommands to modules, and reports failures.
//!
//! It changes nothing at the source and never calls AWS; for that it runs cache-refresher.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod edit;
#[cfg(test)]
mod fixtures;
mod host;
mod inspect;
mod say;

use std::io::Write;
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::Parser;

use cli::{Cli, Color, Command, mistake};
use commands::{
    adopt, clean, completions, disable, doctor, enable, keys, listing, lock, logins, policy, refresh,
    restore, status, users, why,
};
use host::Host;
use say::error::{self, Error};
use say::look::Look;
use say::{say, show};

fn main() -> ExitCode {
    let served = claims::nss::serve(std::env::args_os()).or_else(|| claims::pam::serve(std::env::args_os()));
    if let Some(done) = served {
        return ExitCode::from(if done.is_ok() { error::OK } else { error::OTHER });
    }
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) if mistake::is_help(&refused) => {
            // If the output is closed, this failure cannot be reported either.
            let _ = refused.print();
            return ExitCode::from(if refused.use_stderr() { error::CONFIGURATION } else { error::OK });
        }
        Err(refused) => {
            say(mistake::explained(&words, &refused));
            return ExitCode::from(error::CONFIGURATION);
        }
    };
    Look::set(match cli.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let host = Host::this();
    let out = &mut std::io::stdout().lock();
    let done = allowed(&cli.command, &words).and_then(|()| dispatch(&host, &cli.command, out));
    ExitCode::from(done.unwrap_or_else(|failed: Error| {
        let status = failed.status();
        say(failed);
        status
    }))
}

/// # Errors
/// If the command needs root; `words` is the whole command line, without the name of the program.
fn allowed(command: &Command, words: &[String]) -> Result<(), Error> {
    match needed(command) {
        Power::Root(name) => error::require_root(name, &show::command(words)),
        Power::Anyone => Ok(()),
    }
}

fn dispatch(host: &Host, command: &Command, out: &mut dyn Write) -> Result<u8, Error> {
    match command {
        Command::Enable(args) => enable::run(host, args, now(), out),
        Command::Disable(args) => disable::run(host, args, out),
        Command::Status(args) => status::run(host, args, now(), out),
        Command::Users(args) => users::run(host, args, out),
        Command::Keys(args) => keys::run(host, args, now(), out),
        Command::Uid(args) => users::uid(host, args, out),
        Command::Why(args) => why::run(host, args, now(), out),
        Command::Doctor(args) => doctor::run(host, args, now(), out),
        Command::Logins(args) => logins::run(host, args, out),
        Command::Refresh(args) => refresh::run(host, args, out),
        Command::Lock(args) => lock::lock(host, args, now(), out),
        Command::Unlock(args) => lock::unlock(host, args, out),
        Command::Policy(args) => policy::run(host, args, out),
        Command::Adopt(args) => adopt::run(host, args, now(), out),
        Command::Clean(args) => clean::run(host, args, out),
        Command::Restore(args) => restore::run(host, args, out),
        Command::Listing(args) => listing::run(args, out),
        Command::Completions(args) => completions::run(args, out),
    }
}

/// The privileges that a command needs.
enum Power {
    /// It changes this host, or reads what only root may; with the name of the command.
    Root(&'static str),
    /// It only reports, and reports less without root.
    Anyone,
}

/// Each command is named here, so that a new command does not compile until this is decided.
fn needed(command: &Command) -> Power {
    match command {
        Command::Enable(_) => Power::Root("enable"),
        Command::Disable(_) => Power::Root("disable"),
        Command::Logins(_) => Power::Root("logins"),
        Command::Refresh(_) => Power::Root("refresh"),
        Command::Lock(_) => Power::Root("lock"),
        Command::Unlock(_) => Power::Root("unlock"),
        Command::Adopt(_) => Power::Root("adopt"),
        Command::Clean(_) => Power::Root("clean"),
        Command::Restore(_) => Power::Root("restore"),
        Command::Status(_)
        | Command::Users(_)
        | Command::Keys(_)
        | Command::Uid(_)
        | Command::Why(_)
        | Command::Doctor(_)
        | Command::Policy(_)
        | Command::Listing(_)
        | Command::Completions(_) => Power::Anyone,
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the clock is read here, and passed down")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
