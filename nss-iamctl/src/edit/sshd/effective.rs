//! What `sshd -T -C user=…` printed: the settings in force for one user, and how they differ from the drop-in's.

use std::collections::{BTreeMap, BTreeSet};

use policy::FORWARD_ONLY_GROUP;

use crate::edit::sshd::authentication::{Authentication, Setting};
use crate::edit::sshd::config::matches;
use crate::edit::sshd::limits::{FORWARD_ONLY, LOADERS};
use crate::host::paths::KEYS_CMD;

/// Keyword, in lower case, to its values, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Effective(BTreeMap<String, Vec<String>>);

impl Effective {
    /// Reads the output of `sshd -T`.
    pub(crate) fn parse(output: &str) -> Self {
        let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in output.lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            settings.entry(keyword.to_ascii_lowercase()).or_default().push(value.trim().to_owned());
        }
        Self(settings)
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, keyword: &str, value: &str) {
        self.0.insert(keyword.to_owned(), vec![value.to_owned()]);
    }

    /// The setting; empty if sshd does not print it.
    pub(crate) fn get(&self, keyword: &str) -> &str {
        self.0.get(keyword).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// A setting of several words, whether sshd prints them on one line or on several.
    pub(crate) fn list(&self, keyword: &str) -> Vec<&str> {
        self.0.get(keyword).into_iter().flatten().flat_map(|value| value.split_whitespace()).collect()
    }

    /// The keywords whose settings differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
        let keywords: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differ = keywords.into_iter().filter(|keyword| self.0.get(*keyword) != other.0.get(*keyword));
        differ.cloned().collect()
    }
}

/// How AllowUsers and AllowGroups must be overridden for nss-iam users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Allow {
    /// Patterns for AllowUsers; empty if it admits the users already, or is not set.
    pub users: Vec<String>,
    /// Whether AllowGroups must be overridden.
    pub groups: bool,
}

/// What the global settings deny to members of `group`. If every pattern names an address, the overriding patterns name
/// the same addresses; a pattern for all users from an address remains a restriction.
pub(crate) fn allow(settings: &Effective, group: &str) -> Allow {
    let users = settings.list("allowusers");
    let groups = settings.list("allowgroups");
    let mut patterns: Vec<String> = Vec::new();
    if !users.is_empty() && !users.iter().any(|pattern| split(pattern).0 == "*") {
        for (_, source) in users.iter().map(|pattern| split(pattern)) {
            let pattern = source.map_or("*".to_owned(), |source| format!("*@{source}"));
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
        if patterns.iter().any(|pattern| pattern == "*") {
            patterns = vec!["*".to_owned()];
        }
    }
    let groups = !groups.is_empty() && !groups.iter().any(|pattern| matches(pattern, group));
    Allow { users: patterns, groups }
}

/// USER, or USER@HOST; a user's name may have an `@` itself, so the last one counts, as in sshd.
fn split(pattern: &str) -> (&str, Option<&str>) {
    pattern.rsplit_once('@').map_or((pattern, None), |(user, source)| (user, Some(source)))
}

/// The pattern of DenyUsers that names a user: one without a source if there is one.
pub(crate) fn denied<'a>(settings: &'a Effective, user: &str) -> Option<&'a str> {
    let named = settings.list("denyusers").into_iter().filter(|pattern| matches(split(pattern).0, user));
    named.min_by_key(|pattern| has_source(pattern))
}

/// Whether a pattern for users applies only to connections from some addresses.
pub(crate) fn has_source(pattern: &str) -> bool {
    split(pattern).1.is_some_and(|source| source != "*")
}

/// Why the settings for an active nss-iam user, who is in these groups, are not those of the drop-in.
pub(crate) fn active_differs(
    settings: &Effective,
    user: &str,
    groups: &[&str],
    authentication: &Authentication<'_>,
) -> Option<String> {
    let command = settings.list("authorizedkeyscommand").join(" ");
    let wanted = [authentication.commands(groups.contains(&FORWARD_ONLY_GROUP)), authentication.common()];
    let mut wanted = wanted.iter().flatten().filter(|setting| !omits_address(settings, setting));
    if let Some(why) = wanted.find_map(|(keyword, value)| differs(settings, (keyword, value.as_str()))) {
        return Some(why);
    }
    if !authentication.keys && command.split(' ').next() == Some(KEYS_CMD) {
        return Some(format!("AuthorizedKeysCommand is '{command}', and [keys] sshd is false"));
    }
    if let Some(users) = not_allowed(settings, user) {
        return Some(format!("AllowUsers has '{users}'"));
    }
    let allowed = settings.list("allowgroups");
    let is_allowed = |pattern: &&str| groups.iter().any(|group| matches(pattern, group));
    if !allowed.is_empty() && !allowed.iter().any(is_allowed) {
        return Some(format!("AllowGroups has '{}'", allowed.join(" ")));
    }
    None
}

/// The commands that sshd could run with the client's address, and does not.
pub(crate) fn without_address(
    settings: &Effective,
    groups: &[&str],
    authentication: &Authentication<'_>,
) -> Vec<&'static str> {
    let commands = authentication.commands(groups.contains(&FORWARD_ONLY_GROUP)).into_iter();
    commands.filter(|setting| omits_address(settings, setting)).map(|(keyword, _)| keyword).collect()
}

/// Whether a setting is as it was written for an OpenSSH before 9.4, which does not know `%C`.
fn omits_address(settings: &Effective, (keyword, wanted): &Setting) -> bool {
    wanted.strip_suffix(" %C").is_some_and(|earlier| differs(settings, (keyword, earlier)).is_none())
}

/// What sshd lets a user do who may only forward connections, besides that.
pub(crate) fn permits_more(settings: &Effective, groups: &[&str]) -> Option<String> {
    if !groups.contains(&FORWARD_ONLY_GROUP) {
        return None;
    }
    let accepts = settings.list("acceptenv");
    let accepted = LOADERS.iter().find(|name| accepts.iter().any(|pattern| matches(pattern, name)));
    let accepted = accepted.map(|name| format!("AcceptEnv lets the client set '{name}'"));
    accepted.or_else(|| FORWARD_ONLY.into_iter().find_map(|wanted| differs(settings, wanted)))
}

/// What it means if sshd trusts a CA that is not that of `[keys] user_ca`.
pub(crate) const OTHER_CERTIFICATES: &str = "its certificates let active nss-iam users in, too, and max_age, machine-id and [keys] options do not apply to them";

/// The file of sshd with CAs whose certificates let the user in, ours or not.
pub(crate) fn trusted_ca(settings: &Effective) -> Option<&str> {
    Some(settings.get("trustedusercakeys")).filter(|file| !["", "none"].contains(file))
}

fn differs(settings: &Effective, (keyword, wanted): (&str, &str)) -> Option<String> {
    let found = settings.list(&keyword.to_ascii_lowercase()).join(" ");
    (found != wanted).then(|| format!("{keyword} is '{found}', not '{wanted}'"))
}

/// What sshd's own configuration has that can authenticate nss-iam users, if their keys at the source do not. An option on
/// the command line of the daemon counts instead of its files, but `sshd -T` does not know it, and where its value ends cannot be
/// seen there.
pub(crate) fn authenticated_by(settings: &Effective, command_line: &str) -> Vec<String> {
    let command_line = command_line.to_ascii_lowercase();
    let of = |keyword: &str| {
        let lower = keyword.to_ascii_lowercase();
        let is_option = |end| command_line.contains(&format!("{lower}{end}"));
        if is_option('=') || is_option(' ') {
            return Some(format!("{keyword} on sshd's command line"));
        }
        let value = settings.list(&lower).join(" ");
        (!["", "none"].contains(&value.as_str())).then(|| format!("{keyword} {value}"))
    };
    ["AuthorizedKeysCommand", "TrustedUserCAKeys"].into_iter().filter_map(of).collect()
}

/// The patterns of AllowUsers, if none of them names the user.
pub(crate) fn not_allowed(settings: &Effective, user: &str) -> Option<String> {
    let users = settings.list("allowusers");
    let named = users.is_empty() || users.iter().any(|pattern| matches(split(pattern).0, user));
    (!named).then(|| users.join(" "))
}

#[cfg(test)]
mod tests {
    use config::{Config, Keys};

    use super::*;

    fn with_keys() -> Authentication<'static> {
        let arguments = "%u %U %f";
        Authentication { arguments, keys: true, instance_connect: false, user_ca: None }
    }

    #[test]
    fn allow_lines_are_written_only_where_they_are_needed_and_keep_sources() {
        for (users, wanted) in [
            ("", &[][..]),
            ("ubuntu", &["*"]),
            ("ubuntu\nallowusers ec2-user", &["*"]),
            ("ubuntu ec2-user", &["*"]),
            ("*", &[]),
            ("*@10.0.0.0/8", &[]),
            ("ubuntu\nallowusers *@10.0.0.0/8", &[]),
            ("ubuntu@10.0.0.0/8", &["*@10.0.0.0/8"]),
            ("a@10.0.0.0/8 b@10.0.0.0/8 c@192.168.0.0/16", &["*@10.0.0.0/8", "*@192.168.0.0/16"]),
            ("a@10.0.0.0/8 b", &["*"]),
            ("jump-*", &["*"]),
            ("jane@example.com@10.0.0.1", &["*@10.0.0.1"]),
        ] {
            let output = if users.is_empty() { String::new() } else { format!("allowusers {users}\n") };
            assert_eq!(allow(&Effective::parse(&output), "iam-users").users, wanted, "{users}");
        }
        for (groups, wanted) in [
            ("", false),
            ("allowgroups sudo", true),
            ("allowgroups sudo\nallowgroups iam-*", false),
            ("allowgroups *", false),
        ] {
            assert_eq!(allow(&Effective::parse(groups), "iam-users").groups, wanted, "{groups}");
        }
    }

    #[test]
    fn each_setting_of_ours_is_looked_at() {
        let good = "authorizedkeyscommand /usr/libexec/nss-iam/keys-cmd %u %U %f\nauthorizedkeyscommanduser nss-iam\n\
                    authorizedkeysfile none\n";
        let judge =
            |text: &str| active_differs(&Effective::parse(text), "ana", &["iam-users", "ops"], &with_keys());
        assert_eq!(judge(good), None);
        let newest = Authentication { arguments: "%u %U %f %C", ..with_keys() };
        let newer = |text: &str| active_differs(&Effective::parse(text), "ana", &["iam-users"], &newest);
        assert_eq!((newer(good), newer(&good.replace("%f", "%f %C"))), (None, None));
        let lacks = |settings: &str, version: &Authentication<'_>| {
            without_address(&Effective::parse(settings), &["iam-users"], version)
        };
        assert_eq!(lacks(good, &newest), ["AuthorizedKeysCommand"]);
        assert!(lacks(good, &with_keys()).is_empty());
        for other in [good.replace("%f", "%f %C"), good.replace(" %f", ""), String::new()] {
            assert!(lacks(&other, &newest).is_empty(), "{other}");
        }
        let ca = Authentication { user_ca: Some("/ca.pub"), ..newest };
        let settings = [ca.commands(false), ca.common()].concat();
        let lines: String = settings.iter().map(|(keyword, value)| format!("{keyword} {value}\n")).collect();
        assert!(lacks(&lines, &ca).is_empty());
        let earlier = lines.replace(" %C", "");
        assert_eq!(lacks(&earlier, &ca), ["AuthorizedPrincipalsCommand", "AuthorizedKeysCommand"]);
        assert_eq!(active_differs(&Effective::parse(&earlier), "ana", &["iam-users"], &ca), None);
        assert!(newer(&good.replace(" %f", "")).is_some() && judge(&good.replace("%f", "%f %C")).is_some());
        for line in good.lines() {
            let keyword = line.split(' ').next().unwrap();
            let other = format!("{keyword} other");
            let told = judge(&good.replace(line, &other)).unwrap().to_ascii_lowercase();
            assert!(told.contains(keyword), "{line}");
        }
        assert!(judge(&format!("{good}allowusers ubuntu\n")).unwrap().contains("AllowUsers"));
        assert!(judge(&format!("{good}allowgroups sudo\n")).unwrap().contains("AllowGroups"));
        assert_eq!(judge(&format!("{good}allowgroups sudo ops\n")), None);
        assert_eq!(judge(&format!("{good}allowusers ubuntu\nallowusers *@10.0.0.0/8\n")), None);

        let settings = Effective::parse("denyusers root b*@10.0.0.0/8\n");
        assert_eq!((denied(&settings, "bob"), denied(&settings, "ana")), (Some("b*@10.0.0.0/8"), None));
        let settings = Effective::parse("denyusers ana@10.0.0.1 an*\n");
        assert_eq!(denied(&settings, "ana"), Some("an*"), "everywhere");
        assert!(has_source("a@10.0.0.1") && !has_source("a@*") && !has_source("a"));
    }

    #[test]
    fn without_keys_our_command_is_not_in_effect_and_a_key_in_the_home_still_does_not_count() {
        let config = Config { keys: Keys { sshd: false, ..Keys::default() }, ..Config::default() };
        let without = Authentication::of(&config, "%u %U %f");
        let judge = |text: &str| active_differs(&Effective::parse(text), "ana", &["iam-users"], &without);
        let other = "authorizedkeyscommand /usr/bin/opkssh verify %u %k %t\nauthorizedkeysfile none\n";
        assert_eq!(judge(other), None);
        assert_eq!(judge("authorizedkeyscommand none\nauthorizedkeysfile none\n"), None);
        let asks = "authorizedkeyscommand /usr/libexec/nss-iam/keys-cmd %u %U %f\nauthorizedkeysfile none\n";
        assert!(judge(asks).unwrap().contains("[keys] sshd is false"));
        assert!(judge("authorizedkeysfile .ssh/authorized_keys\n").unwrap().contains("AuthorizedKeysFile"));
    }

    #[test]
    fn what_else_authenticates_is_named() {
        let others =
            |text: &str| authenticated_by(&Effective::parse(text), "sshd: /usr/sbin/sshd -D [listener]");
        assert!(others("authorizedkeyscommand none\ntrustedusercakeys none\n").is_empty());
        assert!(others("").is_empty());
        assert_eq!(
            others("authorizedkeyscommand /opt/x %u\ntrustedusercakeys /etc/ssh/ca.pub\n"),
            ["AuthorizedKeysCommand /opt/x %u", "TrustedUserCAKeys /etc/ssh/ca.pub"]
        );
        let of_files = "authorizedkeyscommand /opt/x %u\ntrustedusercakeys none\n";
        for (options, wanted) in [
            (
                "-o AuthorizedKeysCommand /usr/share/eic %u %f -o AuthorizedKeysCommandUser x",
                "on sshd's command line",
            ),
            ("-oauthorizedkeyscommand=/usr/share/eic", "on sshd's command line"),
            ("-o AuthorizedKeysCommandUser=x", "/opt/x %u"),
        ] {
            let found = authenticated_by(
                &Effective::parse(of_files),
                &format!("sshd: /usr/sbin/sshd {options} [listener]"),
            );
            assert_eq!(found, [format!("AuthorizedKeysCommand {wanted}")], "{options}");
        }
    }

    #[test]
    fn each_limit_of_a_user_who_may_only_forward_is_looked_at() {
        let groups = ["iam-users", "iam-forward-only"];
        let keys = "authorizedkeyscommand /usr/libexec/nss-iam/keys-cmd --forward-only %u %U %f\n\
                    authorizedkeyscommanduser nss-iam\nauthorizedkeysfile none\n";
        assert_eq!(active_differs(&Effective::parse(keys), "ana", &groups, &with_keys()), None);
        assert!(active_differs(&Effective::parse(keys), "ana", &groups[..1], &with_keys()).is_some());
        let mut good = String::new();
        for (keyword, value) in FORWARD_ONLY {
            good.push_str(&format!("{} {value}\n", keyword.to_ascii_lowercase()));
        }
        let judge = |text: &str| permits_more(&Effective::parse(text), &groups);
        assert_eq!(judge(&good), None);
        for line in good.lines() {
            let keyword = line.split(' ').next().unwrap();
            for other in [good.replace(line, &format!("{keyword} yes")), format!("{good}{keyword} more\n")] {
                assert!(judge(&other).unwrap().to_ascii_lowercase().contains(keyword), "{line}");
            }
        }
        assert_eq!(permits_more(&Effective::default(), &groups[..1]), None);
        for (pattern, accepted) in [("LANG LC_*", false), ("LC_*\nacceptenv LD_*", true), ("*", true)] {
            assert_eq!(judge(&format!("{good}acceptenv {pattern}\n")).is_some(), accepted, "{pattern}");
        }
    }

    #[test]
    fn settings_that_changed_are_named() {
        let (a, b) = (Effective::parse("port 22\nx 1\n"), Effective::parse("port 22\nx 2\ny\n"));
        assert_eq!(a.differing(&b), ["x", "y"]);
        assert!(a.differing(&a).is_empty());
    }
}
