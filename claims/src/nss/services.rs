//! The services that nsswitch.conf(5) names for users and groups.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::nsswitch;
use crate::tree::Tree;

/// The service of nss-iam, which is not asked.
const IAM: &str = "iam";
/// Always read, and read completely.
pub(super) const FILES: &str = "files";

/// The databases whose lines name a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Databases {
    /// `passwd:`
    pub passwd: bool,
    /// `group:` or `initgroups:`
    pub group: bool,
}

impl Databases {
    pub(super) const ALL: Self = Self { passwd: true, group: true };

    /// For the command line of the child.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self { passwd: true, group: true } => "both",
            Self { passwd: true, .. } => "passwd",
            _ => "group",
        }
    }

    pub(super) fn of_word(word: &str) -> Self {
        Self { passwd: word != "group", group: word != "passwd" }
    }
}

/// The services that could know a name, except `iam` and those in `except`. `files` is always included: its
/// initgroups reads lines of /etc/group that no enumeration shows, such as `#sudo:x:27:ana`.
///
/// # Errors
/// If nsswitch.conf cannot be read.
pub fn services(root: &Path, except: &[String]) -> io::Result<BTreeMap<String, Databases>> {
    let mut services = BTreeMap::from([(FILES.to_owned(), Databases::ALL)]);
    for (database, passwd, group) in [
        ("passwd", true, false),
        ("passwd_compat", true, false),
        ("group", false, true),
        ("group_compat", false, true),
        ("initgroups", false, true),
    ] {
        // Without a line, glibc asks `files`.
        for service in nsswitch::services(Tree(root), database)?.unwrap_or_default() {
            if service != IAM && !except.contains(&service) {
                let databases = services.entry(service).or_default();
                databases.passwd |= passwd;
                databases.group |= group;
            }
        }
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_those_that_glibc_would_ask() {
        for (text, found) in [
            ("", ""),
            ("passwd: files iam\ngroup: files [SUCCESS=merge] iam\n", ""),
            ("passwd:files sss[NOTFOUND=return]ldap iam # winbind\n", "ldap=passwd sss=passwd"),
            ("  passwd : compat\npasswd_compat: nis\ngroup:\tcompat", "compat=both nis=passwd"),
            ("initgroups: files [ SUCCESS = continue ] sss\r\n", "sss=group"),
            ("passwd: files sss\npasswd: files systemd\ngroup: systemd", "sss=passwd systemd=both"),
            ("shadow: files ldap\nhosts: files dns\n#passwd: ldap\n", ""),
            ("passwd: files gone\n", ""),
        ] {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir(root.path().join("etc")).unwrap();
            std::fs::write(root.path().join("etc/nsswitch.conf"), text).unwrap();
            let services = services(root.path(), &["gone".to_owned()]).unwrap();
            assert_eq!(services["files"], Databases::ALL, "{text:?}");
            let shown: Vec<String> = services
                .iter()
                .filter(|(service, _)| *service != "files")
                .map(|(service, databases)| format!("{service}={}", databases.word()))
                .collect();
            assert_eq!(shown.join(" "), found, "{text:?}");
        }
        let missing = tempfile::tempdir().unwrap();
        assert_eq!(services(missing.path(), &[]).unwrap().len(), 1);
    }

    #[test]
    fn a_word_names_the_databases() {
        for databases in [
            Databases::ALL,
            Databases { passwd: true, group: false },
            Databases { passwd: false, group: true },
        ] {
            assert_eq!(Databases::of_word(databases.word()), databases);
        }
    }
}
