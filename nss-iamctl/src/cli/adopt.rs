//! The words of `adopt`.

use clap::Args;

/// Accounts with the comment 'AWS User' or in the group of aws-ec2-ssh, or those named, become the IAM users of their
/// names: with the same uid, so that every file keeps its owner. Without --apply the plan is printed, with what each
/// account would lose, and nothing is changed. The old files are kept in /var/lib/nss-iam/backup.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Adopt {
    /// Local accounts; none: all that a script made
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Do it
    #[arg(long, conflicts_with = "dry_run")]
    pub apply: bool,

    /// Print the plan, change nothing; this is the default
    #[arg(long)]
    pub dry_run: bool,

    /// Print a section [ids] for the configuration of an image, change nothing
    #[arg(long, conflicts_with_all = ["apply", "renumber"])]
    pub print_config: bool,

    /// Give the files to the ids that nss-iam has for the users, in place of the ids to the users
    #[arg(long)]
    pub renumber: bool,
}
