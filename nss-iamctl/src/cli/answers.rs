//! Words of the commands that answer, and of those that act on this host alone.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// From the report of the last refresh and the published files; AWS is not asked.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Status {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,

    /// For monitoring: one line; exit status 0 fine, 1 warning (nothing confirmed for an hour, something held or
    /// failed), 2 critical (no key is offered, nobody is published), 3 unknown
    #[arg(long, conflicts_with = "json")]
    pub check: bool,
}

/// Root sees IAM names, groups and keys; others what glibc would tell them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Users {
    /// Those who left, too
    #[arg(long)]
    pub all: bool,
}

/// Keys with what decides on them: when IAM confirmed them, and whether sshd is offered them now.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Keys {
    /// Login name, or IAM name
    pub user: String,
}

/// Ids are never given to another, so files of those who left tell whose they were.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Exit status: 1 nobody's.")]
pub(crate) struct Uid {
    /// Uid or gid
    pub id: u32,
}

/// From the name in IAM to what sshd's log says.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 nothing stands against a login, 1 something to look at, 2 the user cannot log in."
)]
pub(crate) struct Why {
    /// Login name, or IAM name
    pub user: String,

    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// The same for the host.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Exit status: 0 fine, 1 something to look at, 2 broken.")]
pub(crate) struct Doctor {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs cache-refresher, with its exit status.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Refresh {
    /// Disable everyone whom the source lacks, whatever holds it
    #[arg(long)]
    pub force: bool,

    /// Change nothing; print what would be published as a diff
    #[arg(long)]
    pub dry_run: bool,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// On this host alone, at once, and without IAM; IAM knows nothing of it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Who {
    /// Login name
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub user: Option<String>,

    /// Every IAM user
    #[arg(long)]
    pub all: bool,

    /// Also a name that nobody has here
    #[arg(long, conflicts_with = "all")]
    pub force: bool,
}

/// The least that the refresher needs, from the groups and tags of the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Policy {
    /// As a policy document, or with the role as a template of CloudFormation or Terraform
    #[arg(long, value_enum)]
    pub format: Format,

    /// IAM group, in place of the configured ones; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,

    /// AWS account of the groups, twelve digits
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,

    /// Name of the role to make, in place of the configured one
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
    /// Terraform's language
    Terraform,
}

/// For images: users, keys and ids of this host go, the configuration stays. The next refresh fetches all anew.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Clean {
    /// Print what would be removed, remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Copying over a file that programs have mapped would crash them; this checks the backup and renames.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Restore {
    /// A copy of cache.db or keys.db
    pub file: PathBuf,
}

/// Documents of users and groups.
#[derive(Debug, Clone, Args)]
pub(crate) struct Listing {
    #[command(subcommand)]
    pub command: ListingCommand,
}

/// What can be done with one.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ListingCommand {
    /// Say whether a file is a listing as docs/reference/listing.md describes it; exit status 65 if it is not
    Validate {
        /// The file
        file: PathBuf,
    },
}

/// For whoever builds the packages.
#[derive(Debug, Clone, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
