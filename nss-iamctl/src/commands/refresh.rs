//! `refresh`: what the timer runs. Where systemd runs, it starts the timer's units, which have their own environment and
//! limits, and prints their report. Otherwise this process is replaced by cache-refresher.

use std::io::{IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli;
use crate::edit::settings;
use crate::host::paths::REFRESHER;
use crate::host::{Host, environment, services};
use crate::say::error::Error;
use crate::say::say;

pub(crate) fn run(host: &Host, args: &cli::Refresh, out: &mut dyn Write) -> Result<u8, Error> {
    // cache-refresher has nothing to do on a host that is not set up, and says so.
    let idle = settings::load(host).is_ok_and(|config| !config.names_groups());
    if args.force || args.dry_run || args.json || idle || !services::are_usable(host) {
        return by_hand(host, args);
    }
    let ran = services::run(host)?;
    // cache-refresher asks whether to disable the users who are held.
    if ran.holds_users() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return by_hand(host, args);
    }
    ran.tell(host, args.verbose, out)?;
    Ok(ran.exit)
}

/// Its progress bar, messages and exit status are unchanged.
fn by_hand(host: &Host, args: &cli::Refresh) -> Result<u8, Error> {
    if !args.dry_run {
        services::ask(host);
    }
    let mut command = Command::new(host.path(REFRESHER));
    command.args(args.force.then_some("--force"));
    command.args(args.dry_run.then_some("--dry-run"));
    command.args(args.json.then_some("--json"));
    command.args(args.verbose.then_some("--verbose"));
    match environment::environment(host) {
        Ok(variables) => drop(command.envs(variables)),
        Err(unused) => say(unused),
    }
    // It returns only if it fails.
    let cause = command.exec();
    Err(Error::other(format!("cannot run '{REFRESHER}': {cause}")).hint("reinstall the package nss-iam"))
}
