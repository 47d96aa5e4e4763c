//! `refresh`: replaces this process by cache-refresher, so that its progress bar, messages and exit status are unchanged.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli;
use crate::host::Host;
use crate::host::paths::REFRESHER;
use crate::say::error::Error;

pub(crate) fn run(host: &Host, args: &cli::Refresh) -> Result<u8, Error> {
    let mut command = Command::new(host.path(REFRESHER));
    command.args(args.force.then_some("--force"));
    command.args(args.dry_run.then_some("--dry-run"));
    command.args(args.json.then_some("--json"));
    // It returns only if it fails.
    let cause = command.exec();
    Err(Error::other(format!("cannot run '{REFRESHER}': {cause}")).hint("reinstall the package nss-iam"))
}
