//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Reads IAM (or another source) and publishes its users, groups and SSH keys to this host.
///
/// With no subcommand, both halves run: the fetch half, which has network and no power (as root it runs as the user
/// nss-iam-fetch), then the apply half, which has power and needs no network.
#[derive(Debug, Clone, Parser)]
#[command(name = "cache-refresher", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// Only this half
    #[arg(value_enum)]
    pub half: Option<Half>,

    /// Configuration; the files of the folder config.d beside it are merged in name order
    #[arg(long, value_name = "FILE", default_value = "/etc/nss-iam/config.toml")]
    pub config: PathBuf,

    /// Change nothing; print what would be published as a diff (with 'fetch': the listing)
    #[arg(long)]
    pub dry_run: bool,

    /// Disable everyone whom the source lacks, whatever holds it: a removal that is not confirmed, a group or account that is no
    /// longer configured, another source, max_removed_percent
    #[arg(long)]
    pub force: bool,

    /// Only disable users who left or are locked: nothing is read or asked for it, and nothing else changes
    #[arg(long, conflicts_with_all = ["dry_run", "repeat"])]
    pub removals_only: bool,

    /// Let these users go whom a change of the configuration, its limits, or an export that lists nobody holds
    #[arg(long, hide = true, value_name = "NAMES", value_delimiter = '\n')]
    pub release: Vec<String>,

    /// Use the last configuration that was right, and say nothing of the present one
    #[arg(long, hide = true)]
    pub last_good: bool,

    /// Print the report as JSON in place of the summary line
    #[arg(long)]
    pub json: bool,

    /// Stay, and refresh again this long after each refresh; for containers without systemd
    #[arg(long = "loop", value_name = "TIME", value_parser = time, conflicts_with_all = ["dry_run", "half"])]
    pub repeat: Option<Duration>,
}

impl Cli {
    /// Whether a question on the terminal is in place.
    pub(crate) fn may_ask(&self) -> bool {
        !self.force
            && self.release.is_empty()
            && !self.dry_run
            && !self.json
            && !self.removals_only
            && self.repeat.is_none()
    }
}

/// One of the two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Half {
    /// Read the source, write the listing
    Fetch,
    /// Validate the listing, publish it
    Apply,
}

const EXIT_STATUS: &str = "Exit status: 0 published or unchanged, 65 something held or refused, 75 AWS unreachable or \
throttled, or another refresher at work, 77 denied by AWS or by file modes, 78 configuration, 70 anything else.";

fn time(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).ok_or_else(|| "expected a length of time such as 90s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn subcommands_and_flags_are_understood_and_others_refused() {
        let cli = Cli::try_parse_from([
            "cache-refresher",
            "apply",
            "--config",
            "/c",
            "--dry-run",
            "--force",
            "--json",
        ])
        .unwrap();
        assert_eq!((cli.half, cli.dry_run, cli.force, cli.json), (Some(Half::Apply), true, true, true));
        let cli = Cli::try_parse_from(["cache-refresher", "--loop", "5m"]).unwrap();
        assert_eq!((cli.half, cli.repeat), (None, Some(Duration::from_secs(300))));
        for wrong in [&["--loop", "soon"][..], &["--loop", "5m", "fetch"], &["publish"]] {
            assert!(Cli::try_parse_from([&["cache-refresher"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}
