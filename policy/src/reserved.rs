//! Names that no new IAM user or group gets, whatever is installed on a host: the shipped list, and what the configuration
//! adds. The list has users and groups that packages of the distributions create or expect, and names that rules give
//! privileges to.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::{NAME_MAX, Name};

/// Its format and its sources are in the file's head.
const LIST: &str = include_str!("../../config/reserved-names.txt");

static RESERVED: LazyLock<Reserved> = LazyLock::new(|| Reserved::new(LIST));

#[derive(Default)]
struct Reserved {
    names: HashSet<&'static str>,
    /// The parts before a `*`; about a dozen.
    prefixes: Vec<&'static str>,
}

impl Reserved {
    fn new(list: &'static str) -> Self {
        let mut reserved = Self::default();
        for line in entries(list) {
            match line.strip_suffix('*') {
                Some(prefix) => reserved.prefixes.push(prefix),
                None => {
                    reserved.names.insert(line);
                }
            }
        }
        reserved
    }
}

fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether the name is reserved. `name` is in lower case, like all names from IAM; `more` is `[names] reserved`,
/// whose entries are names or prefixes that end in `*`.
///
/// The list is parsed at the first call; each call then costs one look-up in a set and about a dozen comparisons of
/// prefixes.
#[must_use]
pub fn is_reserved(name: &str, more: &[String]) -> bool {
    let reserved = &*RESERVED;
    reserved.names.contains(name)
        || reserved.prefixes.iter().any(|prefix| name.starts_with(prefix))
        || more.iter().any(|entry| matches(entry, name))
}

/// Whether this can be an entry of `[names] reserved`: a name, or the beginning of one and a `*`.
#[must_use]
pub fn is_entry(entry: &str) -> bool {
    let name = entry.strip_suffix('*').unwrap_or(entry);
    name.len() <= NAME_MAX && Name::stored(name).is_ok()
}

fn matches(entry: &str, name: &str) -> bool {
    entry.strip_suffix('*').map_or(entry == name, |prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_packages_are_reserved() {
        let names = "root daemon games news ftp man nobody nogroup ssl-cert wwwrun mock stapdev stapusr debian-tor \
            debian-exim debian-snmp mosquitto opendkim opendmarc postfix postdrop nm-openvpn chrony _chrony _ssh _apt \
            tss polkitd sssd gnome-initial-setup qemu libvirt-qemu geoclue www-data messagebus sshd nginx postgres";
        for name in names.split_whitespace() {
            assert!(is_reserved(name, &[]), "{name}");
        }
    }

    #[test]
    fn privileged_groups_and_users_of_images_are_reserved() {
        let names = "sudo wheel admin adm docker lxd incus-admin libvirt kvm disk shadow empower nopasswdlogin ubuntu \
            ec2-user debian centos fedora rocky almalinux cloud-user opc ssm-user azureuser";
        for name in names.split_whitespace() {
            assert!(is_reserved(name, &[]), "{name}");
        }
    }

    #[test]
    fn a_star_matches_anything() {
        let names = "systemd-network systemd-of-tomorrow _du0123456789abcdef _later nixbld1 nixbld32 libvirt-any \
            nss-iam nss-iam-refresher systemd-";
        for name in names.split_whitespace() {
            assert!(is_reserved(name, &[]), "{name}");
        }
        for name in ["systemdx", "system", "d_", "nixbl", "nss-ia", "nss-iamx", ""] {
            assert!(!is_reserved(name, &[]), "{name}");
        }
    }

    #[test]
    fn the_configuration_adds_names_and_prefixes() {
        let more = ["zabbix-ops".to_owned(), "svc-*".to_owned()];
        for name in ["zabbix-ops", "svc-", "svc-backup", "root"] {
            assert!(is_reserved(name, &more), "{name}");
        }
        for name in ["zabbix-opsx", "svc", "ana"] {
            assert!(!is_reserved(name, &more), "{name}");
        }
    }

    #[test]
    fn names_of_people_and_teams_are_free() {
        let names = "ana ana.silva bob eve dana grace alice mallory jane erik gina carol homer ivan max moe zoe steve \
            jumphostaccess ops platform developers administratively dockerfan bob.root bedrock registry systems sudoku rooted";
        for name in names.split_whitespace() {
            assert!(!is_reserved(name, &[]), "{name}");
        }
    }

    #[test]
    fn every_entry_is_a_valid_name_and_occurs_once() {
        let mut seen = HashSet::new();
        for entry in entries(LIST) {
            let name = entry.strip_suffix('*').unwrap_or(entry);
            let kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
            assert!(name.chars().all(kept), "{entry}");
            assert!((1..=32).contains(&name.len()), "{entry}");
            assert!(!name.starts_with(['.', '@', '-']), "{entry}");
            assert!(!name.bytes().all(|byte| byte.is_ascii_digit()), "{entry}");
            assert!(seen.insert(entry), "{entry} is there twice");
        }
        assert!(seen.len() > 1000);
    }

    /// Each section begins with a comment.
    #[test]
    fn each_section_is_sorted() {
        let mut last = "";
        for line in LIST.lines() {
            assert!(!line.is_empty(), "after '{last}'");
            let first = line.starts_with('#') || last.starts_with('#');
            assert!(first || last < line, "'{line}' after '{last}'");
            last = line;
        }
    }

    #[test]
    fn the_list_contains_all_manual_entries() {
        let list: HashSet<_> = entries(LIST).collect();
        for name in entries(include_str!("../../config/reserved-names.in")).flat_map(str::split_whitespace) {
            assert!(list.contains(name), "{name}: run config/reserved-names.py");
        }
    }
}
