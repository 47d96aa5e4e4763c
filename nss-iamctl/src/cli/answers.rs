//! The arguments of the commands that inspect, and of those that affect only this host.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Reads the report of the last refresh and the published files, and asks glibc and sshd who could log in; it never calls AWS.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Status {
    /// Print the status as JSON
    #[arg(long)]
    pub json: bool,

    /// For monitoring: print one line; exit status 0 OK (somebody could log in now), 1 warning (nothing confirmed for an
    /// hour, something was held or failed, or some users could not log in), 2 critical (nobody could log in), 3 unknown
    #[arg(long, conflicts_with = "json")]
    pub check: bool,
}

/// Root also sees the names at the source, groups and keys. Others see what glibc would answer.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Users {
    /// Also list users who left
    #[arg(long)]
    pub all: bool,

    /// Print the users as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows when the source last confirmed each key, and whether it is offered to sshd now.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Keys {
    /// Login name, name at the source in any spelling, or UserId
    pub user: String,

    /// Print the keys as JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads the systemd journal: what sshd accepted for nss-iam users, joined with what keys-cmd recorded about the key, and with
/// the end of the session. Certificates and other methods are listed, too.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Logins {
    /// List logins since this time, as journalctl understands it: -7d, yesterday, "2026-11-22 18:00"
    #[arg(long, value_name = "TIME", default_value = "-24h", allow_hyphen_values = true)]
    pub since: String,

    /// Login name or UserId
    #[arg(long)]
    pub user: Option<String>,

    /// Print the logins as JSON
    #[arg(long)]
    pub json: bool,
}

/// Ids are never reused, so the owner of a file can be found even after they left.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Exit status: 1 if no one has this id.")]
pub(crate) struct Uid {
    /// Uid or gid
    #[arg(value_parser = id)]
    pub id: u32,
}

fn id(text: &str) -> Result<u32, String> {
    let hint = "it takes the number of a user or group; 'nss-iamctl why USER' explains a user, and 'id USER' prints ids";
    text.parse().map_err(|_| hint.to_owned())
}

/// Checks each step of a login, from the name at the source to what sshd logged.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 nothing prevents a login, 1 something needs attention, 2 the user cannot log in."
)]
pub(crate) struct Why {
    /// Login name, name at the source in any spelling, or UserId
    pub user: String,

    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Checks for everything that prevents logins on this host, or soon will.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 logins work and there is no problem, 1 something needs attention, 2 broken or not set up."
)]
pub(crate) struct Doctor {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Where systemd runs, it starts the units that the timer starts, and waits for them; otherwise, and with --force, --dry-run
/// or --json, it runs cache-refresher with the environment of these units. Exits with the status of cache-refresher.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Refresh {
    /// Disable everyone who is missing from the source, even if that was held back
    #[arg(long)]
    pub force: bool,

    /// Print what would be published, as a diff; change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,

    /// Print each change, even if there are many
    #[arg(long)]
    pub verbose: bool,
}

/// Affects only this host, and takes effect immediately, without asking the source.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Who {
    /// Login name
    #[arg(conflicts_with = "all")]
    pub user: Option<String>,

    /// Every nss-iam user
    #[arg(long)]
    pub all: bool,

    /// Accept a name that no user of this host has
    #[arg(long, conflicts_with = "all")]
    pub force: bool,
}

/// Affects only this host, and takes effect immediately, without asking the source. If it locks out the user who runs it, it
/// is confirmed first, and without a terminal it needs --yes. Who locked whom, and why, is in the log and in 'status'.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    pub who: Who,

    /// Why, for 'status' and the log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Lock yourself out without asking
    #[arg(long)]
    pub yes: bool,
}

/// Lets users in whom 'lock' locked out.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    pub who: Who,

    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// The minimum permissions for the source in the configuration, its groups and tags, and for what is published.
#[derive(Debug, Clone, Args)]
pub(crate) struct Policy {
    /// A policy document, or a CloudFormation or Terraform template that includes the role
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,

    /// Only one role: 'host' for that of this host, 'aws' for the one in [aws], or the name of an [[account]]
    #[arg(long = "for", value_name = "NAME")]
    pub role_of: Option<String>,

    /// The trust policy of that role
    #[arg(long, requires = "role_of")]
    pub trust: bool,

    /// ARN of the role that this host has, for trust policies
    #[arg(long, value_name = "ARN")]
    pub instance_role: Option<String>,

    /// IAM group to use instead of the configured ones; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,

    /// AWS account of the groups, twelve digits
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,

    /// Name of the role to create, instead of the configured one
    #[arg(long)]
    pub role: Option<String>,
}

/// What `policy` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A policy document
    Json,
    /// A CloudFormation template, as JSON
    Cfn,
    /// A Terraform configuration
    Terraform,
}

/// For images: removes users, keys and ids of this host; the configuration and the list of locks stay. The next refresh reads
/// everything again. On a host with users, the command asks first, and without a terminal it needs --yes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Clean {
    /// Clean a host with users without asking
    #[arg(long)]
    pub yes: bool,

    /// Print what would be removed; remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Checks the backup and renames it into place. Copying over a file that programs have mapped would crash them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Restore {
    /// A backup of cache.db or keys.db
    pub file: PathBuf,
}

/// Listings of users and groups, in JSON.
#[derive(Debug, Clone, Args)]
pub(crate) struct Listing {
    #[command(subcommand)]
    pub command: ListingCommand,
}

/// The subcommands of `listing`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ListingCommand {
    /// Check that a file has the format in /usr/share/doc/nss-iam/reference/listing.md; if not, the exit status is 65
    Validate {
        /// The file
        file: PathBuf,
    },
}

/// Used when the packages are built.
#[derive(Debug, Clone, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
