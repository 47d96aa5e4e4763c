//! Login and group names from IAM's, and which names nobody gets.

use std::collections::BTreeSet;

use cache::model::{Invalid, Name};
use config::{NameStyle, Users};

/// Names that are never given, shipped with the program; see the file's head.
const RESERVED: &str = include_str!("../../config/reserved-names.txt");

/// The name that an IAM user gets if nobody else has it.
pub(crate) fn of_user(iam_name: &str, users: &Users) -> Result<Name, Invalid> {
    let lower = iam_name.to_ascii_lowercase();
    let local = users
        .strip_domains
        .iter()
        .find_map(|domain| lower.strip_suffix(domain.as_str())?.strip_suffix('@'))
        .unwrap_or(&lower);
    Name::new(&replaced(local, users.name_style))
}

/// The name that an IAM group gets if nobody else has it.
pub(crate) fn of_group(iam_name: &str, users: &Users) -> Result<Name, Invalid> {
    Name::new(&replaced(&iam_name.to_ascii_lowercase(), users.name_style))
}

fn replaced(name: &str, style: NameStyle) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match (style, c) {
            (NameStyle::Plain, '+' | '=' | ',') => text.push('_'),
            (NameStyle::AwsEc2Ssh, '+') => text.push_str(".plus."),
            (NameStyle::AwsEc2Ssh, '=') => text.push_str(".equal."),
            (NameStyle::AwsEc2Ssh, ',') => text.push_str(".comma."),
            (NameStyle::AwsEc2Ssh, '@') => text.push_str(".at."),
            (_, other) => text.push(other),
        }
    }
    text
}

/// Why a name is not given to anyone.
pub(crate) fn refusal(
    name: &str,
    local: &crate::local::Local,
    own: &BTreeSet<String>,
) -> Option<&'static str> {
    if local.uids.contains_key(name) {
        Some("is a user of /etc/passwd")
    } else if local.gids.contains_key(name) {
        Some("is a group of /etc/group")
    } else if own.contains(name) {
        Some("is the name of a group that is published or joined")
    } else if local.sysusers.contains(name) {
        Some("is in sysusers.d")
    } else if local.sudoers.contains(name) {
        Some("is in sudoers")
    } else if is_reserved(name) {
        Some("is reserved for the system")
    } else {
        None
    }
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.lines().filter(|line| !line.starts_with('#')).any(|line| match line.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(iam_name: &str, strip: &[&str], style: NameStyle) -> Result<String, Invalid> {
        let strip_domains = strip.iter().map(ToString::to_string).collect();
        let users = Users { strip_domains, name_style: style, ..Users::default() };
        of_user(iam_name, &users).map(|name| name.to_string())
    }

    #[test]
    fn names_follow_the_design() {
        for (iam_name, name) in [
            ("Ana", "ana"),
            ("Jane.Doe@Example.com", "jane.doe@example.com"),
            ("Ana,Maria", "ana_maria"),
            ("a+b=c", "a_b_c"),
            ("0day", "0day"),
            ("_x", "_x"),
        ] {
            assert_eq!(user(iam_name, &[], NameStyle::Plain).as_deref(), Ok(name));
        }
        assert_eq!(user(&"A".repeat(33), &[], NameStyle::Plain), Err(Invalid::Long(33)));
        assert_eq!(user("2026", &[], NameStyle::Plain), Err(Invalid::Digits));
        assert_eq!(user("-rf", &[], NameStyle::Plain), Err(Invalid::First('-')));
        assert_eq!(user("a:b", &[], NameStyle::Plain), Err(Invalid::Character(':')));
        assert_eq!(user("k\u{212a}", &[], NameStyle::Plain), Err(Invalid::Character('\u{212a}')));
    }

    #[test]
    fn a_domain_is_stripped_only_whole() {
        let strip = |name| user(name, &["example.com"], NameStyle::Plain).unwrap();
        assert_eq!(strip("Jane@Example.com"), "jane");
        assert_eq!(strip("jane@sub.example.com"), "jane@sub.example.com");
        assert_eq!(strip("jane@badexample.com"), "jane@badexample.com");
        assert_eq!(user("@example.com", &["example.com"], NameStyle::Plain), Err(Invalid::Empty));
    }

    #[test]
    fn aws_ec2_ssh_style_keeps_that_programs_names() {
        let name = user("a+b=c,d@e", &[], NameStyle::AwsEc2Ssh).unwrap();
        assert_eq!(name, "a.plus.b.equal.c.comma.d.at.e");
    }

    #[test]
    fn the_names_of_the_design_are_reserved() {
        for name in "admin wheel sudo docker lxd disk shadow nginx postgres ubuntu ec2-user nobody _apt systemd-resolve root".split(' ') {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["ana", "administratively", "dockerfan", "systemdx", "bob.root"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
