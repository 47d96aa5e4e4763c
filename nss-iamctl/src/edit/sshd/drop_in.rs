//! What is written into sshd's files, and where: pure functions from text to text.

use policy::{DISABLED_GROUP, FORWARD_ONLY_GROUP};

use crate::edit::block;
use crate::edit::sshd::authentication::{Authentication, Setting};
use crate::edit::sshd::config::{Directive, Files, directives, parse};
use crate::edit::sshd::effective::Allow;
use crate::edit::sshd::limits::{ACCEPTS, FORWARD_ONLY};

/// First in its directory, because the first Match that sets a keyword wins (sshd_config(5)).
pub(crate) const PATH: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";

/// OpenSSH's version, major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub u32, pub u32);

impl Version {
    /// Finds `OpenSSH_9.2p1` in what `sshd -V` prints, which before 9.3 is a complaint about `-V`.
    pub(crate) fn parse(output: &str) -> Option<Self> {
        let (_, rest) = output.split_once("OpenSSH_")?;
        let (major, rest) = rest.split_once('.')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(Self(major.parse().ok()?, digits.parse().ok()?))
    }

    pub(crate) fn has_include(self) -> bool {
        self >= Self(8, 2)
    }

    /// Arguments of keys-cmd about the login. If sshd does not know `%U`, every login fails.
    pub(crate) fn arguments(self) -> &'static str {
        match self {
            version if version >= Self(9, 4) => "%u %U %f %C",
            version if version >= Self(7, 8) => "%u %U %f",
            _ => "%u",
        }
    }
}

/// Settings that add to those of earlier lines; nobody's Match can win over ours. The others are not ours.
const ADDED: [&str; 6] = ["match", "include", "allowusers", "allowgroups", "denyusers", "acceptenv"];

/// The three Match blocks. The first one is for users who may only forward connections; it comes first because the first
/// AuthorizedKeysCommand wins. The last one is for users who left or are locked, in daemons that still have the module of an
/// earlier release loaded. It is only a second line of defence: the module of this release does not find these users by name.
pub(crate) fn text(group: &str, authentication: &Authentication<'_>, allow: &Allow) -> String {
    let how = if authentication.keys { "log in with their keys at the source" } else { "can log in" };
    let lines = |settings: Vec<Setting>| -> String {
        settings.iter().map(|(keyword, value)| format!("    {keyword} {value}\n")).collect()
    };
    let limits = FORWARD_ONLY.into_iter().chain([("AcceptEnv", ACCEPTS)]);
    let limits = limits.map(|(keyword, value)| (keyword, value.to_owned())).collect();
    let mut text = format!(
        "# Written by 'nss-iamctl enable': nss-iam users {how}. See nss-iam(7).\n\
         Match Group {FORWARD_ONLY_GROUP}\n{}{}Match Group {group}\n{}{}",
        lines(authentication.commands(true)),
        lines(limits),
        lines(authentication.commands(false)),
        lines(authentication.common())
    );
    if !allow.users.is_empty() {
        text.push_str(&format!("    AllowUsers {}\n", allow.users.join(" ")));
    }
    if allow.groups {
        text.push_str("    AllowGroups *\n");
    }
    text.push_str(&format!(
        "Match Group {DISABLED_GROUP}\n    DenyUsers *\n    AuthorizedKeysFile none\n    AuthorizedKeysCommand none\n"
    ));
    text
}

/// The main file for an sshd without Include: our blocks before the first Match, or at the end. The Match that
/// follows ends ours, and global settings cannot follow a Match.
pub(crate) fn main_with_blocks(main: &[u8], blocks: &str) -> Vec<u8> {
    let is_match = |line: &str| parse(line).is_some_and(|(keyword, _)| keyword == "match");
    let at = String::from_utf8_lossy(main).lines().position(is_match).unwrap_or(usize::MAX);
    block::insert(main, at, blocks)
}

/// The main file with an Include of the drop-in before everything else; a Match in the drop-in ends with it.
pub(crate) fn main_with_include(main: &[u8]) -> Vec<u8> {
    block::insert(main, 0, &format!("Include {PATH}"))
}

/// Why the drop-in would not be in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutOfForce {
    pub why: String,
    /// Whether that holds for all users. An earlier Match can concern others.
    pub for_all: bool,
}

/// `None` if the drop-in would be in effect.
pub(crate) fn out_of_force(files: &dyn Files) -> Option<OutOfForce> {
    let all = directives(files);
    let first = all.iter().position(|line| line.file == PATH);
    let Some((before, ours)) = first.and_then(|at| Some((all.get(..at)?, all.get(at)?))) else {
        return Some(OutOfForce { why: format!("no Include reads '{PATH}'"), for_all: true });
    };
    let own = ours.arguments.join(" ");
    if ours.within.as_deref().is_some_and(|within| within != own) {
        let why = format!("'{PATH}' is read within 'Match {}'", around(ours, &own));
        return Some(OutOfForce { why, for_all: false });
    }
    // What the last block says is for other users.
    let last = format!("Group {DISABLED_GROUP}");
    let is_set = |keyword: &str| {
        let mut ours = all.iter().filter(|line| line.file == PATH && line.within.as_deref() != Some(&last));
        !ADDED.contains(&keyword) && ours.any(|line| line.keyword == keyword)
    };
    let wins = |line: &&Directive| line.within.is_some() && is_set(&line.keyword);
    let winner = before.iter().find(wins)?;
    let within = winner.within.as_deref().unwrap_or_default();
    let why = format!("{} sets {} in 'Match {within}', before nss-iam's", winner.place(), winner.keyword);
    Some(OutOfForce { why, for_all: false })
}

fn around<'a>(ours: &'a Directive, own: &str) -> &'a str {
    let within = ours.within.as_deref().unwrap_or_default();
    within.strip_suffix(own).and_then(|outer| outer.strip_suffix(" and ")).unwrap_or(within)
}

#[cfg(test)]
mod tests {
    use config::{Config, Keys};

    use super::*;
    use crate::edit::sshd::config::MAIN;
    use crate::fixtures::tree::Tree;

    fn with_keys() -> Authentication<'static> {
        let arguments = "%u %U %f";
        Authentication { arguments, keys: true, instance_connect: false, user_ca: None }
    }

    #[test]
    fn the_text_is_that_of_the_reference() {
        let described = "Match Group iam-forward-only\n    \
                      AuthorizedKeysCommand /usr/libexec/nss-iam/keys-cmd --forward-only %u %U %f\n    \
                      ForceCommand /usr/libexec/nss-iam/forward-only\n    AllowTcpForwarding local\n    \
                      AllowStreamLocalForwarding no\n    AllowAgentForwarding no\n    PermitTTY no\n    \
                      PermitTunnel no\n    PermitUserRC no\n    X11Forwarding no\n    \
                      AcceptEnv NO_VARIABLE_OF_THE_CLIENT\n\
                      Match Group iam-users\n    \
                      AuthorizedKeysCommand /usr/libexec/nss-iam/keys-cmd %u %U %f\n    \
                      AuthorizedKeysCommandUser nss-iam\n    AuthorizedKeysFile none\n\
                      Match Group iam-disabled\n    DenyUsers *\n    AuthorizedKeysFile none\n    \
                      AuthorizedKeysCommand none\n";
        let text = |allow| {
            let text = text("iam-users", &with_keys(), &allow);
            text.split_once('\n').unwrap().1.to_owned()
        };
        assert_eq!(text(Allow::default()), described);
        let config = Config { keys: Keys { sshd: false, ..Keys::default() }, ..Config::default() };
        let without = super::text("iam-users", &Authentication::of(&config, "%u"), &Allow::default());
        let commands = |line: &&str| line.contains("    AuthorizedKeysCommand") && !line.ends_with("none");
        let lines: Vec<&str> = described.lines().filter(|line| !commands(line)).collect();
        assert_eq!(without.lines().skip(1).collect::<Vec<_>>(), lines);
        let user_ca = Some("/etc/ssh/ca.pub".to_owned());
        let config = Config { keys: Keys { user_ca, ..Keys::default() }, ..Config::default() };
        let certificates = Authentication::of(&config, "%u %U %f");
        let with_ca = super::text("iam-users", &certificates, &Allow::default());
        let command = "    AuthorizedPrincipalsCommand /usr/libexec/nss-iam/keys-cmd --principals";
        let added = with_ca.lines().skip(1).filter(|line| !described.lines().any(|ours| ours == *line));
        let wanted = [
            format!("{command} --forward-only %u %U %f %F %s %i"),
            format!("{command} %u %U %f %F %s %i"),
            "    TrustedUserCAKeys /etc/ssh/ca.pub".to_owned(),
            "    AuthorizedPrincipalsCommandUser nss-iam".to_owned(),
            "    AuthorizedPrincipalsFile /usr/libexec/nss-iam/no-principals".to_owned(),
        ];
        assert_eq!(added.collect::<Vec<_>>(), wanted);
        let both = text(Allow { users: vec!["*@10.0.0.0/8".to_owned()], groups: true });
        let added = "    AuthorizedKeysFile none\n    AllowUsers *@10.0.0.0/8\n    AllowGroups *\nMatch";
        assert_eq!(both, described.replacen("    AuthorizedKeysFile none\nMatch", added, 1));
    }

    #[test]
    fn versions_are_found_in_whatever_sshd_prints() {
        for (output, version) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19\n", Some(Version(9, 2))),
            (
                "unknown option -- V\nOpenSSH_7.4p1, OpenSSL 1.0.2k-fips\nusage: sshd [-46DdeiqTt]\n",
                Some(Version(7, 4)),
            ),
            ("OpenSSH_10.0p2 Debian-5", Some(Version(10, 0))),
            ("usage: sshd", None),
        ] {
            assert_eq!(Version::parse(output), version);
        }
        assert!(Version(10, 0).has_include() && Version(8, 2).has_include() && !Version(8, 1).has_include());
        for (version, arguments) in [
            (Version(7, 4), "%u"),
            (Version(7, 8), "%u %U %f"),
            (Version(9, 3), "%u %U %f"),
            (Version(9, 4), "%u %U %f %C"),
            (Version(10, 0), "%u %U %f %C"),
        ] {
            assert_eq!(version.arguments(), arguments);
        }
    }

    #[test]
    fn our_blocks_stand_before_the_first_match_and_come_out_again() {
        for (main, wanted) in [
            ("Port 22\n", "Port 22\n# BEGIN nss-iam\nX\n# END nss-iam\n"),
            ("Port 22", "Port 22\n# BEGIN nss-iam\nX\n# END nss-iam"),
            (
                "Port 22\n  match user git\n X11Forwarding no\nMatch all\n",
                "Port 22\n# BEGIN nss-iam\nX\n# END nss-iam\n  match user git\n X11Forwarding no\nMatch all\n",
            ),
            ("#Match User x\n", "#Match User x\n# BEGIN nss-iam\nX\n# END nss-iam\n"),
        ] {
            let with = main_with_blocks(main.as_bytes(), "X");
            assert_eq!(String::from_utf8_lossy(&with), wanted);
            assert_eq!(block::remove(&with).unwrap(), main.as_bytes());
        }
        // A comment in Latin-1.
        let main = b"Port 22\n# f\xfcr alle\n";
        let with = main_with_include(main);
        let include = b"# BEGIN nss-iam\nInclude /etc/ssh/sshd_config.d/00-nss-iam.conf\n# END nss-iam\n";
        assert!(with.starts_with(include));
        assert_eq!(block::remove(&with).unwrap(), main);
        let main = b"# f\xfcr\nPort 22\nMatch all\n";
        let with = main_with_blocks(main, "X");
        assert_eq!(with, b"# f\xfcr\nPort 22\n# BEGIN nss-iam\nX\n# END nss-iam\nMatch all\n");
        assert_eq!(block::remove(&with).unwrap(), main);
    }

    #[test]
    fn a_drop_in_that_would_not_be_in_force_is_noticed() {
        let ours = text("iam-users", &with_keys(), &Allow::default());
        let include = "Include /etc/ssh/sshd_config.d/*.conf\n";
        let judge = |main: &str, more: &[(&'static str, &str)]| {
            let mut tree = Tree::of(more);
            tree.0.insert(MAIN, main.to_owned());
            tree.0.insert(PATH, ours.clone());
            out_of_force(&tree).map(|found| found.why)
        };
        assert_eq!(judge(include, &[]), None);
        assert_eq!(
            judge(&format!("AuthorizedKeysFile x\n{include}Match User y\nAuthorizedKeysFile z\n"), &[]),
            None
        );
        assert!(judge(&format!("Match User git\nForceCommand x\nMatch all\n{include}"), &[]).is_some());
        assert!(judge("Port 22\n", &[]).unwrap().contains("no Include"));
        assert!(
            judge(&format!("Match User git\n{include}"), &[]).unwrap().contains("within 'Match User git'")
        );
        let earlier = ("/etc/ssh/sshd_config.d/00-aaa.conf", "Match User *\nAuthorizedKeysFile /keys/%u\n");
        let why = judge(include, &[earlier]).unwrap();
        assert!(why.contains("00-aaa.conf' line 2 sets authorizedkeysfile in 'Match User *'"), "{why}");
        // Whatever else is in the file, an Include at the top is in effect.
        for main in ["Port 22\n", "Match User git\nInclude /etc/ssh/sshd_config.d/*.conf\n", include] {
            assert_eq!(
                judge(str::from_utf8(&main_with_include(main.as_bytes())).unwrap(), &[earlier]),
                None,
                "{main}"
            );
        }
    }

    #[test]
    fn the_files_of_ten_distributions_take_a_drop_in_or_a_block() {
        macro_rules! shipped {
            ($name:literal) => {
                ($name, include_str!(concat!("../../../tests/files/", $name, "/sshd_config")))
            };
        }
        let ours = text("iam-users", &with_keys(), &Allow::default());
        for ((name, main), has_include) in [
            (shipped!("debian11"), true),
            (shipped!("debian12"), true),
            (shipped!("debian13"), true),
            (shipped!("ubuntu2204"), true),
            (shipped!("ubuntu2404"), true),
            (shipped!("amzn2023"), true),
            (shipped!("rhel9"), true),
            (shipped!("amzn2"), false),
            (shipped!("rhel8"), false),
            (shipped!("sles15"), false),
        ] {
            let tree = Tree::of(&[(MAIN, main), (PATH, &ours)]);
            assert_eq!(out_of_force(&tree).is_none(), has_include, "{name}");
            let with = main_with_blocks(main.as_bytes(), &ours);
            assert_eq!(block::remove(&with).unwrap(), main.as_bytes(), "{name}");
            let tree = Tree::of(&[(MAIN, str::from_utf8(&with).unwrap())]);
            let first = directives(&tree).into_iter().find(|line| line.within.is_some()).unwrap();
            assert_eq!(first.arguments, ["Group", "iam-forward-only"], "{name}");
        }
    }
}
