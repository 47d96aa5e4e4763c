//! The command line.

mod adopt;
mod answers;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use adopt::Adopt;
pub(crate) use answers::{
    Clean, Completions, Doctor, Format, Keys, Listing, ListingCommand, Policy, Refresh, Restore, Status, Uid,
    Users, Who, Why,
};

/// Sets this host up for users from IAM groups, and explains how it stands.
#[derive(Debug, Clone, Parser)]
#[command(name = "nss-iamctl", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Set this host up: configuration, nsswitch.conf, sshd, homes; prints what it changes
    Enable(Enable),
    /// Undo what 'enable' did
    Disable(Disable),
    /// Tell how the last refresh went, and how fresh users and keys are
    Status(Status),
    /// List the IAM users of this host
    Users(Users),
    /// List a user's SSH keys, and whether sshd is offered them
    Keys(Keys),
    /// Tell whose a uid or gid is, or was
    Uid(Uid),
    /// Explain why a user can or cannot log in, link by link, with the remedy
    Why(Why),
    /// Look for what is wrong with this host, with the remedy
    Doctor(Doctor),
    /// Refresh now: runs cache-refresher
    Refresh(Refresh),
    /// Shut a user, or everyone, out of this host, and end what runs
    Lock(Who),
    /// Undo 'lock'
    Unlock(Who),
    /// Print what AWS must allow
    Policy(Policy),
    /// Turn accounts that a useradd script or aws-ec2-ssh made into IAM users, with the same uid
    Adopt(Adopt),
    /// Remove what belongs to this host alone, before an image is made of it
    Clean(Clean),
    /// Put a backup of the cache in place
    Restore(Restore),
    /// Check documents for the source file:///
    Listing(Listing),
    /// Print the completions of a shell; the packages install them
    #[command(hide = true)]
    Completions(Completions),
}

/// Every file is changed as a whole, and kept in /var/lib/nss-iam/backup for 'disable'. If anything fails, or sshd
/// then does not show the settings that it should, every file is put back.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Enable {
    /// IAM group whose members become users; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,

    /// IAM role to assume: its name, or its ARN
    #[arg(long)]
    pub role: Option<String>,

    /// How IAM users in a local group that sudoers names, such as sudo or wheel, become root
    #[arg(long, value_enum)]
    pub sudo: Option<Sudo>,

    /// Keep IAM users away from the instance's metadata, and so from its role
    #[arg(long)]
    pub imds: bool,

    /// Print what would be changed, change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// IAM users have no password that sudo could ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sudo {
    /// Without being asked for anything; local users are asked as before
    Nopasswd,
    /// By the SSH agent that came with the login (pam_ssh_agent_auth)
    Agent,
}

/// Files that were edited since are not put back as they were, but lose what 'enable' added.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Disable {
    /// Print what would be changed, change nothing
    #[arg(long)]
    pub dry_run: bool,
}

const EXIT_STATUS: &str = "Exit status: 0 done, 77 needs root, 78 the command line or the host's configuration does not \
allow it, 70 anything else. Commands that answer or run others tell theirs in their own help.";

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
            "nss-iamctl",
            "enable",
            "--group",
            "A",
            "--group",
            "B",
            "--role",
            "R",
            "--sudo",
            "agent",
            "--imds",
            "--dry-run",
        ])
        .unwrap();
        let Command::Enable(enable) = cli.command else { panic!("not enable") };
        assert_eq!(enable.groups, ["A", "B"]);
        assert_eq!((enable.role.as_deref(), enable.sudo), (Some("R"), Some(Sudo::Agent)));
        assert!(enable.imds && enable.dry_run);
        assert!(Cli::try_parse_from(["nss-iamctl", "enable", "--sudo", "yes"]).is_err());
        assert!(Cli::try_parse_from(["nss-iamctl"]).is_err());
    }
}
