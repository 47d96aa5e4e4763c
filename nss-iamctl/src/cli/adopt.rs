//! The arguments of `adopt`.

use clap::Args;

/// Converts the named accounts, or all accounts with the comment 'AWS User' or in the group of aws-ec2-ssh, into the
/// nss-iam users with the same names. They keep their uid, so files keep their owners. Without --apply, the plan is
/// printed, with what each account would lose, and nothing is changed. The original files are kept in
/// /var/lib/nss-iam/backup.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Adopt {
    /// Local accounts; without any: all accounts that a script created
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Carry out the plan
    #[arg(long, conflicts_with = "dry_run")]
    pub apply: bool,

    /// Print the plan and change nothing; this is the default
    #[arg(long)]
    pub dry_run: bool,

    /// Print an [ids] section for the configuration of an image; change nothing
    #[arg(long, conflicts_with_all = ["apply", "renumber", "undo"])]
    pub print_config: bool,

    /// Change the files to the ids that nss-iam has for the users, instead of giving the users the ids of the accounts
    #[arg(long)]
    pub renumber: bool,

    /// Give adopted accounts back from the backup, with their groups, sudo rules, passwords and the ids of their files;
    /// changes nothing without --apply
    #[arg(long, conflicts_with = "renumber")]
    pub undo: bool,
}
