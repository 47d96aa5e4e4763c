//! What the scripts created besides accounts: cron jobs, a file of sudo rules for each user, lines for sshd.
//!
//! In all releases of aws-ec2-ssh, a sudoers file is named like the user, with a space for each dot, and has one rule; the job
//! runs `import_users.sh` from /opt or /usr/bin; sshd runs `authorized_keys_command.sh` from the same directories as
//! `nobody`. Files are recognized by their content, because other scripts use other names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::edit::sshd::config::parse;

/// The group of aws-ec2-ssh's users, unless its configuration names another.
pub(super) const MARKER: &str = "iam-synced-users";
/// The comment field of the accounts that the useradd script created.
pub(super) const COMMENT: &str = "AWS User";
/// The script that creates accounts.
const JOBS: [&str; 2] = ["/import_users.sh", "/iam_user_sync"];
const KEYS_COMMAND: &str = "/authorized_keys_command.sh";

/// The marker group in /etc/aws-ec2-ssh.conf, which is a shell script.
pub(super) fn marker(conf: &[u8]) -> String {
    let conf = String::from_utf8_lossy(conf);
    let value = conf.lines().rev().find_map(|line| line.trim().strip_prefix("LOCAL_MARKER_GROUP="));
    let name = value.map(|value| value.trim_matches(['"', '\'']).trim());
    name.filter(|name| !name.is_empty()).unwrap_or(MARKER).to_owned()
}

/// Whether the comment field is the script's; chfn(1) appends commas.
pub(super) fn is_comment(gecos: &str) -> bool {
    gecos.trim_end_matches(',') == COMMENT
}

/// How a file of cron jobs relates to the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// It does not run the script.
    Other,
    /// It runs the script, and other jobs.
    Among,
    /// It only runs the script.
    Whole,
}

pub(super) fn job(crontab: &[u8]) -> Job {
    let text = String::from_utf8_lossy(crontab);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // crontab(5): NAME=VALUE sets the environment.
    let is_setting = |line: &&str| {
        let name = line.split('=').next().unwrap_or_default().trim_end();
        line.contains('=') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let jobs: Vec<&str> = lines.filter(|line| !is_setting(line)).collect();
    let ours = |line: &&&str| JOBS.iter().any(|job| line.split_whitespace().any(|word| word.ends_with(job)));
    match jobs.iter().filter(ours).count() {
        0 => Job::Other,
        count if count == jobs.len() => Job::Whole,
        _ => Job::Among,
    }
}

/// The user, if all rules of a sudoers file are for the same one.
pub(super) fn sudoers_of(text: &[u8]) -> Option<String> {
    let mut users = BTreeSet::new();
    for line in rules(&String::from_utf8_lossy(text)) {
        // Aliases, defaults, includes and rules for several users were written by an administrator.
        let (user, rest) = line.split_once(char::is_whitespace)?;
        let name = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
        if !name || user.starts_with('@') || user.starts_with("Defaults") || user.ends_with("_Alias") {
            return None;
        }
        if rest.trim_start().starts_with(',') || line.ends_with('\\') {
            return None;
        }
        users.insert(user.to_owned());
    }
    let one = users.pop_first()?;
    users.is_empty().then_some(one)
}

/// The rules of a sudoers file, to be shown.
pub(super) fn rules(text: &str) -> Vec<&str> {
    // sudoers(5): '#' and a number is a uid.
    let is_rule = |rest: &str| rest.starts_with("include") || rest.starts_with(|c: char| c.is_ascii_digit());
    let is_comment = |line: &&str| line.strip_prefix('#').is_some_and(|rest| !is_rule(rest));
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line)).collect()
}

/// Whether a sudoers file contains this name as a word: the refresher would then refuse the name. The refresher asks sudo
/// itself, but can do so only after the accounts are removed.
pub(super) fn names_in_sudoers(text: &[u8], name: &str) -> bool {
    let text = String::from_utf8_lossy(text);
    let include =
        |line: &str| line.starts_with("@include") || line.starts_with("#include") || line.starts_with("# ");
    let words = text
        .lines()
        .filter(|line| !include(line.trim_start()))
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || ",=:!()\"".contains(c)));
    words
        .map(|word| word.trim_start_matches(['%', '+', '#']).replace('\\', ""))
        .any(|word| word.eq_ignore_ascii_case(name))
}

/// sshd's file without the script's command and, where that was the only one of its Match block, without the line
/// that sets its user. `None` if the file contains nothing of the script.
pub(super) fn without_keys_command(text: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let parsed: Vec<_> = lines.iter().map(|line| directive(&String::from_utf8_lossy(line))).collect();
    let mut block = 0;
    let mut blocks = Vec::new();
    for line in &parsed {
        block += usize::from(*line == Directive::Match);
        blocks.push(block);
    }
    let in_block =
        |wanted, kind| parsed.iter().zip(&blocks).any(|(line, block)| *block == wanted && *line == kind);
    let goes = |(line, block): (&Directive, usize)| match line {
        Directive::Script => true,
        Directive::User => in_block(block, Directive::Script) && !in_block(block, Directive::Command),
        Directive::Match | Directive::Command | Directive::Other => false,
    };
    if !parsed.contains(&Directive::Script) {
        return None;
    }
    let kept = lines.iter().zip(parsed.iter().zip(blocks.iter().copied())).filter(|(_, place)| !goes(*place));
    Some(kept.flat_map(|(line, _)| line.iter().copied()).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Match,
    /// The script's AuthorizedKeysCommand.
    Script,
    /// Another AuthorizedKeysCommand.
    Command,
    /// AuthorizedKeysCommandUser.
    User,
    Other,
}

fn directive(line: &str) -> Directive {
    let Some((keyword, arguments)) = parse(line) else { return Directive::Other };
    let command = arguments.first().map_or(Cow::Borrowed(""), |word| Cow::Owned(format!("/{word}")));
    match keyword.as_str() {
        "match" => Directive::Match,
        "authorizedkeyscommand" if command.ends_with(KEYS_COMMAND) => Directive::Script,
        "authorizedkeyscommand" => Directive::Command,
        "authorizedkeyscommanduser" => Directive::User,
        _ => Directive::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sudoers_file_is_a_users_own_only_if_every_rule_is_for_that_user() {
        for (text, user) in [
            ("jane.doe ALL=(ALL) NOPASSWD:ALL\n", Some("jane.doe")),
            ("# made by a script\n\nana\tALL=(ALL:ALL) NOPASSWD: ALL", Some("ana")),
            ("ana ALL=ALL\nana ALL=(www) /bin/ls\n", Some("ana")),
            ("ana ALL=ALL\nbob ALL=ALL\n", None),
            ("ana, bob ALL=ALL\n", None),
            ("ana , bob ALL=ALL\n", None),
            ("%ana ALL=ALL\n", None),
            ("ana ALL=ALL\n#1001 ALL=ALL\n", None),
            ("ana ALL=ALL\n#include /etc/x\n", None),
            ("Defaults env_reset\nana ALL=ALL\n", None),
            ("User_Alias X = ana\nana ALL=ALL\n", None),
            ("@includedir /etc/x\n", None),
            ("ana ALL = \\\n ALL\n", None),
            ("", None),
        ] {
            assert_eq!(sudoers_of(text.as_bytes()).as_deref(), user, "{text}");
        }
    }

    #[test]
    fn a_name_is_found_in_sudoers_wherever_it_stands() {
        let text = b"# ana\nDefaults:bob !lecture\nUser_Alias OPS = carl, dora\n%eve ALL=(fred) ALL\n@include gina\n";
        for name in ["bob", "carl", "Dora", "eve", "fred"] {
            assert!(names_in_sudoers(text, name), "{name}");
        }
        for name in ["ana", "gina", "op"] {
            assert!(!names_in_sudoers(text, name), "{name}");
        }
    }

    #[test]
    fn a_cron_file_is_the_scripts_only_if_all_its_jobs_are() {
        let installed = "SHELL=/bin/bash\nPATH=/usr/bin:/sbin\nMAILTO=root\nHOME=/\n*/10 * * * * root /opt/import_users.sh\n";
        assert_eq!(job(installed.as_bytes()), Job::Whole);
        assert_eq!(job(b"*/10 * * * * root /usr/bin/import_users.sh"), Job::Whole);
        assert_eq!(job(b"*/10 * * * * root /usr/bin/import_users.sh\n@daily root /bin/x\n"), Job::Among);
        assert_eq!(job(b"# /opt/import_users.sh\n@daily root /opt/my_import_users.sh\n"), Job::Other);
        assert_eq!(job(b""), Job::Other);
    }

    #[test]
    fn only_the_scripts_lines_leave_sshds_file() {
        let without =
            |text: &str| without_keys_command(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        let script =
            "AuthorizedKeysCommand /opt/authorized_keys_command.sh\nAuthorizedKeysCommandUser nobody\n";
        assert_eq!(without(&format!("Port 22\n{script}")).as_deref(), Some("Port 22\n"));
        assert_eq!(without(script.trim_end()).as_deref(), Some(""));
        let quoted = "authorizedkeyscommand=\"/usr/bin/authorized_keys_command.sh\" %u\n  AUTHORIZEDKEYSCOMMANDUSER nobody\n";
        assert_eq!(without(quoted).as_deref(), Some(""));
        let kept = "#AuthorizedKeysCommand /opt/authorized_keys_command.sh\nAuthorizedKeysCommand /usr/bin/sss\n\
                    AuthorizedKeysCommandUser nobody\n";
        assert_eq!(without(kept), None);
        // Appended after a Match block, as by the installer.
        let appended =
            format!("AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser b\nMatch User git\n{script}");
        let expected = "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser b\nMatch User git\n";
        assert_eq!(without(&appended).as_deref(), Some(expected));
        let both = format!("{script}AuthorizedKeysCommand /bin/a\n");
        assert_eq!(
            without(&both).as_deref(),
            Some("AuthorizedKeysCommandUser nobody\nAuthorizedKeysCommand /bin/a\n")
        );
    }

    #[test]
    fn the_marker_group_is_the_configured_one() {
        assert_eq!(marker(b""), MARKER);
        assert_eq!(marker(b"LOCAL_MARKER_GROUP=\"\"\n"), MARKER);
        assert_eq!(marker(b"#LOCAL_MARKER_GROUP=x\nLOCAL_MARKER_GROUP=\"ours\"\n"), "ours");
    }

    #[test]
    fn the_comment_is_the_scripts_with_the_commas_of_chfn() {
        assert!(is_comment("AWS User") && is_comment("AWS User,,,"));
        assert!(!is_comment("AWS Users") && !is_comment("") && !is_comment("Ana, AWS User"));
    }
}
