//! Login and group names from IAM's, and which names nobody gets.

use std::collections::BTreeSet;

use config::{NameStyle, Users};
use policy::reserved::is_reserved;
use policy::{IamId, Invalid, Name};

use crate::local::Local;

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

/// How the one who asks for a name stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Has it at present, or is locked under it.
    Present,
    /// Was the last to have it, and left since.
    Former,
    /// Never had it, or somebody else had it since.
    New,
}

/// Why a name is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("'{name}' is a user of {} (uid {id})", place(service, "/etc/passwd"))]
    User { name: String, id: u32, service: String },
    #[error("'{name}' is a group of {} (gid {id})", place(service, "/etc/group"))]
    Group { name: String, id: u32, service: String },
    #[error("'{0}' is the name of a group that is published or joined")]
    Own(String),
    #[error("'{name}' is a member of '{}' in {}", groups.join("', '"), place(service, "/etc/group"))]
    Member { name: String, groups: Vec<String>, service: String },
    #[error("'{name}' is {used} on this host")]
    Used { name: String, used: claims::Use },
    #[error("'{0}' is reserved for the system")]
    Reserved(String),
    #[error("'{name}' cannot be given: service '{service}' cannot be asked whose it is: {why}")]
    Unasked { name: String, service: String, why: String },
    #[error("'{name}' cannot be given: {unresolved}")]
    Unresolved { name: String, unresolved: String },
}

/// What an administrator knows the service by.
fn place(service: &str, file: &str) -> String {
    if service == "files" { file.to_owned() } else { format!("service '{service}' of nsswitch.conf") }
}

impl Refusal {
    /// Whether it may be different as soon as the host can be asked.
    pub(crate) fn is_ignorance(&self) -> bool {
        matches!(self, Self::Unasked { .. } | Self::Unresolved { .. })
    }
}

/// What decides about a name besides its holder.
pub(crate) struct Names<'a> {
    pub local: &'a Local,
    pub config: &'a config::Names,
    /// Groups that are published.
    pub own: BTreeSet<String>,
    /// Local groups that the configuration lets users join, whether they exist or not.
    pub targets: BTreeSet<String>,
}

impl Names<'_> {
    /// Whether `name` can be given to `iam_id`.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, name: &str, iam_id: &IamId, standing: Standing) -> Result<(), Refusal> {
        // A name in the configuration takes nothing from a user who has it.
        if self.own.contains(name) || self.targets.contains(name) && standing != Standing::Present {
            return Err(Refusal::Own(name.to_owned()));
        }
        Self::not_of_host(self.local, name)?;
        if standing == Standing::Present {
            return Ok(());
        }
        if let Some((service, why)) = self.local.directory.missing(name) {
            let (service, why) = (service.to_owned(), why.to_owned());
            return Err(Refusal::Unasked { name: name.to_owned(), service, why });
        }
        let allowed = self.config.allow.get(iam_id.as_str()).is_some_and(|allowed| allowed == name);
        // What a name was granted while this very user had it, stays granted to the same user.
        if standing == Standing::Former || allowed { Ok(()) } else { self.granted(name) }
    }

    /// Whether the host has no user or group of this name: they always win.
    ///
    /// # Errors
    /// [`Refusal::User`] and [`Refusal::Group`].
    pub(crate) fn not_of_host(local: &Local, name: &str) -> Result<(), Refusal> {
        let Local { files, directory, .. } = local;
        let user = files.users.get(name).map(|&uid| ("files", uid)).or_else(|| directory.user(name));
        if let Some((service, id)) = user {
            return Err(Refusal::User { name: name.to_owned(), id, service: service.to_owned() });
        }
        let group = files.groups.get(name).map(|group| ("files", group.gid));
        if let Some((service, id)) = group.or_else(|| directory.group(name)) {
            return Err(Refusal::Group { name: name.to_owned(), id, service: service.to_owned() });
        }
        Ok(())
    }

    /// What the host gives to whoever has this name.
    fn granted(&self, name: &str) -> Result<(), Refusal> {
        let Local { files, directory, uses, .. } = self.local;
        let groups: Vec<String> = files
            .groups
            .iter()
            .filter(|(_, group)| group.members.contains(name))
            .map(|(group, _)| group.clone())
            .collect();
        let of_files = (!groups.is_empty()).then_some(("files", groups));
        let of_directory = || directory.groups_of(name).map(|(service, groups)| (service, groups.to_vec()));
        if let Some((service, groups)) = of_files.or_else(of_directory) {
            return Err(Refusal::Member { name: name.to_owned(), groups, service: service.to_owned() });
        }
        if let Some(used) = uses.names.get(name).and_then(BTreeSet::first) {
            return Err(Refusal::Used { name: name.to_owned(), used: used.clone() });
        }
        if is_reserved(name) || self.config.reserved.iter().any(|entry| matches(entry, name)) {
            return Err(Refusal::Reserved(name.to_owned()));
        }
        match uses.unresolved.first() {
            None => Ok(()),
            Some(unresolved) => {
                Err(Refusal::Unresolved { name: name.to_owned(), unresolved: unresolved.to_string() })
            }
        }
    }
}

/// As an entry of `[names] reserved`.
fn matches(entry: &str, name: &str) -> bool {
    entry.strip_suffix('*').map_or(entry == name, |prefix| name.starts_with(prefix))
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
    fn names_are_lower_cased_and_replaced_or_refused() {
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
    fn names_with_power_are_reserved_and_those_of_people_are_not() {
        for name in "admin wheel sudo docker lxd disk shadow nginx postgres ubuntu ec2-user nobody _apt systemd-resolve root".split(' ') {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["ana", "administratively", "dockerfan", "systemdx", "bob.root"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
