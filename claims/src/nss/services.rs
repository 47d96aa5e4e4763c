//! Which services nsswitch.conf(5) names, as glibc's nss/nss_database.c and nss_action_parse.c read it.

use std::collections::BTreeMap;

/// Our own, which is not asked.
const IAM: &str = "iam";
/// Read in any case, and as a whole.
pub(super) const FILES: &str = "files";

/// Databases that a service is on the lines of.
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

/// The services that could know a name, but `iam`, `files` and those of `except`.
///
/// Every line counts: glibc before 2.33 takes the first of a database, later ones the last. A missing file or line
/// means `files`.
#[must_use]
pub fn of_nsswitch(text: &str, except: &[String]) -> BTreeMap<String, Databases> {
    let mut services: BTreeMap<String, Databases> = BTreeMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_start();
        let Some((database, rest)) = line.split_once(':') else { continue };
        let (passwd, group) = match database.trim_end() {
            "passwd" | "passwd_compat" => (true, false),
            "group" | "initgroups" | "group_compat" => (false, true),
            _ => continue,
        };
        for service in without_actions(rest).split_whitespace() {
            if service != IAM && service != FILES && !except.iter().any(|other| other == service) {
                let databases = services.entry(service.to_owned()).or_default();
                databases.passwd |= passwd;
                databases.group |= group;
            }
        }
    }
    services
}

/// Without `[NOTFOUND=return]` and the like, which may stand without a blank before it.
fn without_actions(text: &str) -> String {
    let mut depth = 0_u32;
    let keep = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => return c,
            _ => {}
        }
        ' '
    };
    text.chars().map(keep).collect()
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
            let services = of_nsswitch(text, &["gone".to_owned()]);
            let shown: Vec<String> = services
                .iter()
                .map(|(service, databases)| format!("{service}={}", databases.word()))
                .collect();
            assert_eq!(shown.join(" "), found, "{text:?}");
        }
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
