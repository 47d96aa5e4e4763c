//! `refresh`: what the timer runs. Where systemd runs, it starts the timer's units, which have their own environment and
//! limits, and prints their report. Otherwise this process is replaced by cache-refresher.

mod report;
pub(crate) mod units;

use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli;
use crate::edit::settings;
use crate::host::Host;
use crate::host::paths::REFRESHER;
use crate::say::error::{self, Error};
use crate::say::finding::written;
use crate::say::say;

pub(crate) fn run(host: &Host, args: &cli::Refresh, out: &mut dyn Write) -> Result<u8, Error> {
    // cache-refresher has nothing to do on a host that is not set up, and says so.
    let idle = settings::load(host).is_ok_and(|config| !config.names_groups());
    if args.force || args.dry_run || args.json || idle || !units::are_usable(host) {
        return by_hand(host, args);
    }
    let ran = units::run(host)?;
    let Some(status) = ran.report(host) else {
        say(ran.complaint(host));
        return Ok(ran.exit);
    };
    // cache-refresher asks whether to disable the users who are held.
    let may_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if may_ask && report::holds_users(&status) {
        return by_hand(host, args);
    }
    let lines = report::lines(&status, args.verbose);
    lines.notes.into_iter().for_each(say);
    written(writeln!(out, "{}", lines.summary))?;
    if lines.errors.is_empty() && ran.exit != error::OK {
        say(ran.complaint(host));
    }
    lines.errors.into_iter().for_each(say);
    Ok(ran.exit)
}

/// Its progress bar, messages and exit status are unchanged.
fn by_hand(host: &Host, args: &cli::Refresh) -> Result<u8, Error> {
    let mut command = Command::new(host.path(REFRESHER));
    command.args(args.force.then_some("--force"));
    command.args(args.dry_run.then_some("--dry-run"));
    command.args(args.json.then_some("--json"));
    command.args(args.verbose.then_some("--verbose"));
    if units::are_usable(host) {
        command.envs(units::environment(host));
    }
    // It returns only if it fails.
    let cause = command.exec();
    Err(Error::other(format!("cannot run '{REFRESHER}': {cause}")).hint("reinstall the package nss-iam"))
}
