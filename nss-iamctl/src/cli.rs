//! The command line.

mod adopt;
mod answers;
pub(crate) mod mistake;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use config::TagUse;

pub(crate) use adopt::Adopt;
pub(crate) use answers::{
    Clean, Completions, Doctor, Format, Keys, Listing, ListingCommand, Lock, Logins, Policy, Refresh,
    Restore, Status, Uid, Unlock, Users, Who, Why,
};

/// Sets up this host for users from groups in IAM or in a file, and explains its state.
#[derive(Debug, Clone, Parser)]
#[command(name = "nss-iamctl", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Whether output is colored: auto (on a terminal, unless NO_COLOR is set), always, or never
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub color: Color,
}

/// When output is colored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The subcommands.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Set up this host: configuration, nsswitch.conf, sshd, home directories; prints each change
    Enable(Enable),
    /// Undo 'enable'
    Disable(Disable),
    /// Show how the last refresh went, and how fresh users and keys are
    Status(Status),
    /// List the nss-iam users of this host
    Users(Users),
    /// List a user's SSH keys, and whether they are offered to sshd
    Keys(Keys),
    /// Show who has, or had, a uid or gid
    Uid(Uid),
    /// Explain why a user can or cannot log in, step by step, with remedies
    Why(Why),
    /// Check this host for problems, with remedies
    Doctor(Doctor),
    /// List who logged in, with which key, from where, and when the session ended
    Logins(Logins),
    /// Refresh now, by running cache-refresher
    Refresh(Refresh),
    /// Lock a user, or everyone, out of this host, and end their sessions
    Lock(Lock),
    /// Undo 'lock'
    Unlock(Unlock),
    /// Print the permissions that the refresher needs in AWS
    Policy(Policy),
    /// Convert accounts that a useradd script or aws-ec2-ssh created into nss-iam users, with the same uid
    Adopt(Adopt),
    /// Remove what belongs only to this host, before an image is created from it
    Clean(Clean),
    /// Restore a backup of the cache
    Restore(Restore),
    /// Check listings for the source file:///
    Listing(Listing),
    /// Print the completion script of a shell; the packages install them
    #[command(hide = true)]
    Completions(Completions),
}

/// Each file is replaced as a whole, and the original is kept in /var/lib/nss-iam/backup for 'disable'. If anything
/// fails, or sshd then does not show the correct settings, all files are restored.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Enable {
    /// Group at the source, such as an IAM group, whose members become users; is added to the configured groups; may be
    /// repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,

    /// Group to remove from the configured groups; may be repeated
    #[arg(long = "remove-group", value_name = "GROUP")]
    pub remove_groups: Vec<String>,

    /// Local group, such as sudo, that the members of this group at the source join; may be repeated
    #[arg(long = "local-group", value_name = "GROUP=LOCAL", value_parser = pair)]
    pub local_groups: Vec<(String, String)>,

    /// Let users only forward connections through this host (ssh -J, -L), and run no command on it
    #[arg(long)]
    pub forward_only: bool,

    /// Let all users run commands again
    #[arg(long, conflicts_with_all = ["forward_only", "shell_groups"])]
    pub no_forward_only: bool,

    /// Group, like --group, whose members run commands although --forward-only is set; may be repeated
    #[arg(long = "shell-group", value_name = "GROUP")]
    pub shell_groups: Vec<String>,

    /// Let keys count, too, that were pushed with EC2 Instance Connect
    #[arg(long, conflicts_with = "no_keys")]
    pub instance_connect: bool,

    /// Let only the keys of the source count again
    #[arg(long, conflicts_with = "instance_connect")]
    pub no_instance_connect: bool,

    /// Tag of users to use: ssh-key, name, uid, shell or gecos; is added to the configured ones; may be repeated
    #[arg(long = "use-tag", value_name = "TAG", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(TagUse::ALL.map(TagUse::word)))]
    pub use_tags: Vec<String>,

    /// Part of this host that is not asked whether it uses a name: a service of nsswitch.conf, sudo, doas, systemd-units or
    /// sysusers; is added to the configured ones; may be repeated
    #[arg(long, value_name = "PART")]
    pub exclude: Vec<String>,

    /// IAM role to assume: its name or its ARN
    #[arg(long)]
    pub role: Option<String>,

    /// Leave sshd's AuthorizedKeysCommand alone: something else authenticates nss-iam users, such as opkssh, Teleport, Vault,
    /// Tailscale or EC2 Instance Connect
    #[arg(long)]
    pub no_keys: bool,

    /// Let sshd ask nss-iam for keys again
    #[arg(long, conflicts_with = "no_keys")]
    pub keys: bool,

    /// File with public keys of CAs: an SSH certificate of one of them lets an nss-iam user in, if its principal is the user's
    /// login name, name at the source or UserId
    #[arg(long, value_name = "FILE", conflicts_with = "no_user_ca")]
    pub user_ca: Option<String>,

    /// No longer accept certificates of the CAs that --user-ca named
    #[arg(long)]
    pub no_user_ca: bool,

    /// How nss-iam users in a local group that sudoers names, such as sudo or wheel, authenticate to sudo
    #[arg(long, value_enum)]
    pub sudo: Option<Sudo>,

    /// Block nss-iam users from instance metadata, and so from the instance role
    #[arg(long)]
    pub imds: bool,

    /// Put 'iam' before other directories in nsswitch.conf, such as sss or ldap: lookups of nss-iam users then do not ask
    /// these. A name that such a directory gets later stays the nss-iam user's for up to a day, and during that time the
    /// password of that name in the directory opens the nss-iam user's account
    #[arg(long)]
    pub before_directories: bool,

    /// Put 'iam' after other directories again
    #[arg(long, conflicts_with = "before_directories")]
    pub after_directories: bool,

    /// Print what would be changed; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How sudo authenticates users who have no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sudo {
    /// Without authentication; local users authenticate as before
    Nopasswd,
    /// With the SSH agent that was forwarded at login (pam_ssh_agent_auth)
    Agent,
}

/// A file that was edited since is not restored; only what 'enable' added is removed from it. Users whose accounts 'adopt'
/// removed would have no account any more: the command asks first, and without a terminal it needs --yes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Disable {
    /// Do not ask, even if users whose accounts 'adopt' removed can then no longer log in
    #[arg(long)]
    pub yes: bool,

    /// Print what would be changed; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The last `=` divides: an IAM group can have one in its name, a local group cannot.
fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.rsplit_once('=').filter(|(group, local)| !group.is_empty() && !local.is_empty());
    pair.map(|(group, local)| (group.to_owned(), local.to_owned()))
        .ok_or_else(|| "expected GROUP=LOCALGROUP, such as JumpHostAdmins=sudo".to_owned())
}

const EXIT_STATUS: &str = "Exit status: 0 success, 77 must be run by root, 78 the command line or the host's configuration \
does not allow it, 70 any other failure. Commands with other exit statuses list them in their own help.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

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
            "--remove-group",
            "C",
            "--local-group",
            "A=b=sudo",
            "--role",
            "R",
            "--sudo",
            "agent",
            "--imds",
            "--instance-connect",
            "--before-directories",
            "--dry-run",
        ])
        .unwrap();
        let Command::Enable(enable) = cli.command else { panic!("not enable") };
        assert_eq!(enable.groups, ["A", "B"]);
        assert_eq!(enable.remove_groups, ["C"]);
        assert_eq!(enable.local_groups, [("A=b".to_owned(), "sudo".to_owned())]);
        assert_eq!((enable.role.as_deref(), enable.sudo), (Some("R"), Some(Sudo::Agent)));
        assert!(enable.imds && enable.instance_connect && enable.before_directories && enable.dry_run);
        let both = ["--before-directories", "--after-directories"];
        let pushed = ["--instance-connect", "--no-instance-connect"];
        for wrong in
            [&both, &pushed, &["--sudo", "yes"], &["--local-group", "sudo"][..], &["--local-group", "A="]]
        {
            assert!(Cli::try_parse_from([&["nss-iamctl", "enable"], wrong].concat()).is_err(), "{wrong:?}");
        }
        assert!(Cli::try_parse_from(["nss-iamctl"]).is_err());
    }

    fn texts(below: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                texts(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "md" || ending == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    /// Between backquotes in a page, behind a prompt in the guide, and between quotes in a message.
    #[test]
    fn each_command_that_a_page_or_a_message_names_is_understood() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = Vec::new();
        for part in
            ["docs", "nss-iamctl/src", "cache-refresher/src", "keys-cmd/src", "status/src", "config/src"]
        {
            texts(&repository.join(part), &mut found);
        }
        for page in ["README.md", "SECURITY.md", "CONTRIBUTING.md", "RELEASING.md"] {
            found.push(fs::read_to_string(repository.join(page)).unwrap());
        }
        let mut commands = BTreeSet::new();
        for text in &found {
            for (begin, end) in [("`nss-iamctl ", '`'), ("'nss-iamctl ", '\''), ("\n# nss-iamctl ", '\n')] {
                let spans = text.split(begin).skip(1);
                commands.extend(spans.filter_map(|rest| rest.split_once(end)).map(|(command, _)| command));
            }
        }
        assert!(commands.len() > 30, "{commands:?}");
        let is_one = |command: &&str| !command.contains(['\n', '"', '{']);
        for command in commands.into_iter().filter(is_one) {
            let words = command.split([' ', '\'']).filter(|word| !word.is_empty());
            let parsed = Cli::try_parse_from(["nss-iamctl"].into_iter().chain(words));
            // A page may name only the subcommand, or a placeholder for a value.
            let stands_for_more = [ErrorKind::MissingRequiredArgument, ErrorKind::ValueValidation];
            let kind = parsed.as_ref().err().map(clap::Error::kind);
            assert!(kind.is_none_or(|kind| stands_for_more.contains(&kind)), "{command}: {kind:?}");
        }
    }
}
