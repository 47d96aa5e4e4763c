//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};

/// Reads IAM (or another source) and publishes its users, groups and SSH keys to this host.
///
/// With no subcommand, both halves run: first fetch, which uses the network and has no privileges (started by root, it runs
/// as the user nss-iam-fetch), then apply, which needs root privileges, but no network.
#[derive(Debug, Clone, Parser)]
#[command(name = "cache-refresher", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// Run only this half; with 'homes' and 'publish', neither
    #[arg(value_enum)]
    pub half: Option<Half>,

    /// Configuration; the files *.toml in the directory config.d next to it are applied on top, in the order of their names
    #[arg(long, value_name = "FILE", default_value = "/etc/nss-iam/config.toml")]
    pub config: PathBuf,

    /// Change nothing; print what would be published as a diff (with 'fetch': the listing)
    #[arg(long)]
    pub dry_run: bool,

    /// Disable everyone who is missing from the source: treat removals as confirmed, ignore max_removed_percent, and hold
    /// no removal
    #[arg(long)]
    pub force: bool,

    /// Only disable users who left or are locked: no service is asked, nobody is added, and nothing else changes
    #[arg(long, conflicts_with_all = ["dry_run", "repeat"])]
    pub removals_only: bool,

    /// Disable these users, although a change of the configuration, its limits or an empty export holds them
    #[arg(long, hide = true, value_name = "NAMES", value_delimiter = '\n')]
    pub release: Vec<String>,

    /// Use the last valid configuration, and do not report errors of the current one
    #[arg(long, hide = true)]
    pub last_good: bool,

    /// With 'fetch': keep running, and read the source as often as '[refresh] every' says; read it once if that is not set
    #[arg(long, conflicts_with_all = ["dry_run", "force", "removals_only", "repeat"])]
    pub poll: bool,

    /// With 'publish': remember in this directory how long to pause after AWS throttled calls, and, without '--loop', how many were
    /// made and what was read when; by default in the directory that $STATE_DIRECTORY names, if any
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Print the report as JSON instead of the summary line
    #[arg(long)]
    pub json: bool,

    /// Print each change on the terminal, even if there are many
    #[arg(long)]
    pub verbose: bool,

    /// Keep running, and refresh or publish again this long after each time; for containers without systemd
    #[arg(long = "loop", value_name = "TIME", value_parser = time, conflicts_with = "dry_run")]
    pub repeat: Option<Duration>,
}

impl Cli {
    /// Parses the words of a command line.
    pub(crate) fn parsed(
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(words)?;
        let repeats = [None, Some(Half::Publish)].contains(&cli.half);
        if cli.repeat.is_some() && !repeats {
            let why = "'--loop' repeats a whole refresh, or 'publish'";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        if cli.poll && cli.half != Some(Half::Fetch) {
            let why = "'--poll' is for 'fetch'";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        if cli.state.is_some() && cli.half != Some(Half::Publish) {
            let why = "'--state' is for 'publish'";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        Ok(cli)
    }

    /// The absolute path of the configuration's main file.
    pub(crate) fn main_file(&self) -> PathBuf {
        std::path::absolute(&self.config).unwrap_or_else(|_| self.config.clone())
    }

    /// Whether a question on the terminal makes sense.
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
    /// Not a half: create the home directories that published users do not have
    Homes,
    /// Not a half: read the source, and write a signed listing for many hosts to the object in S3 that [publish] names
    Publish,
}

const EXIT_STATUS: &str = "Exit status: 0 published or unchanged; 65 something was held or refused; 75 AWS is unreachable \
or throttles, or another refresher held the lock; 77 denied by AWS, by file modes or by a read-only file system; 78 the \
configuration or the command line is wrong; 70 any other error.";

fn time(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).ok_or_else(|| "expected a duration such as 90s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn subcommands_and_flags_are_understood_and_others_refused() {
        let cli =
            Cli::parsed(["cache-refresher", "apply", "--config", "/c", "--dry-run", "--force", "--json"])
                .unwrap();
        assert_eq!((cli.half, cli.dry_run, cli.force, cli.json), (Some(Half::Apply), true, true, true));
        let cli = Cli::parsed(["cache-refresher", "--loop", "5m"]).unwrap();
        assert_eq!((cli.half, cli.repeat), (None, Some(Duration::from_secs(300))));
        let cli = Cli::parsed(["cache-refresher", "publish", "--loop", "20s", "--json"]).unwrap();
        assert_eq!((cli.half, cli.repeat), (Some(Half::Publish), Some(Duration::from_secs(20))));
        assert!(Cli::parsed(["cache-refresher", "fetch", "--poll"]).unwrap().poll);
        for wrong in [
            &["--poll"][..],
            &["apply", "--poll"],
            &["fetch", "--poll", "--force"],
            &["--loop", "soon"],
            &["--loop", "5m", "fetch"],
            &["listing"],
            &["--state", "/s"],
            &["fetch", "--state", "/s"],
        ] {
            assert!(Cli::parsed([&["cache-refresher"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}
