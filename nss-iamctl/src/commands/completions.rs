//! `completions`: prints the completion script of a shell. `make release` runs it; it is not in `--help`.

use std::io::Write;

use clap::{Command, CommandFactory};

use crate::cli::{self, Cli};
use crate::say::error::{self, Error};
use crate::say::finding::written;

pub(crate) fn run(args: &cli::Completions, out: &mut dyn Write) -> Result<u8, Error> {
    // clap_complete panics if it cannot write, which it always can to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut documented(&Cli::command()), "nss-iamctl", &mut script);
    written(out.write_all(&script))?;
    Ok(error::OK)
}

/// The command line without what `--help` hides, which clap_complete would offer.
fn documented(all: &Command) -> Command {
    Command::new("nss-iamctl")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(all.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
}
