//! Home directories: whose they are, and what became of those that PAM should have created.

use std::collections::HashSet;

use config::CreateHomes;
use policy::FORWARD_ONLY_SHELL;

use crate::inspect::facts::log::let_in;
use crate::inspect::facts::probe::Probe;
use crate::inspect::facts::{Facts, Node};
use crate::say::code::Link;
use crate::say::finding::{Finding, Level};
use crate::say::show::{count, some, word};

/// Of all users.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let found = facts.homes.iter().filter_map(|(name, uid, node)| existing(facts, name, *uid, node));
    found.filter(|finding| finding.level != Level::Ok).chain(unmade(facts)).collect()
}

/// The remedy for a home that a refresh should have created.
const CREATE: &str = "/usr/libexec/nss-iam/cache-refresher homes, which says why";

fn at_refresh(facts: &Facts) -> bool {
    facts.configured().users.create_homes == CreateHomes::Refresh
}

fn unmade(facts: &Facts) -> Option<Finding> {
    if !at_refresh(facts) && facts.makes_homes == Some(false) {
        let what = "sshd's PAM configuration does not include pam_mkhomedir: users without a home directory start in '/'";
        return Some(Finding::warn(Link::HomesUnmade, what, "nss-iamctl enable"));
    }
    let came_in = let_in(&facts.log);
    let with_home: HashSet<&str> = facts.homes.iter().map(|(name, ..)| name.as_str()).collect();
    let users = facts.published.cache.iter().flat_map(|cache| &cache.users);
    let names: Vec<&str> = users
        .filter(|user| user.active && !user.is_forward_only())
        .map(|user| user.name.as_str())
        .filter(|name| at_refresh(facts) || came_in.contains(name))
        .filter(|name| !with_home.contains(name))
        .collect();
    if names.is_empty() {
        return None;
    }
    let without = format!("{} without a home directory", count(names.len(), "user"));
    if at_refresh(facts) {
        let what = format!("{without}, although create_homes is \"refresh\": {}", some(&names));
        return Some(Finding::warn(Link::HomesMissing, what, CREATE));
    }
    // pam_mkhomedir is optional and logs nothing when it fails, for example because root is nobody on a server of homes.
    let what = format!(
        "{without} after a login: {}; PAM could not create it, or it was removed since",
        some(&names)
    );
    Some(Finding::warn(Link::HomesMissing, what, "nss-iamctl why USER"))
}

/// Of one user: whether it is there or will be.
pub(crate) fn home(facts: &Facts, probe: &Probe) -> Option<Finding> {
    if probe.shell == FORWARD_ONLY_SHELL {
        return None;
    }
    let home = &probe.home;
    match &probe.home_node {
        Some(node) => existing(facts, &probe.name, probe.uid, node),
        None if !probe.active => None,
        None if at_refresh(facts) => {
            let what = format!("the home '{home}' does not exist, although create_homes is \"refresh\"");
            Some(Finding::warn(Link::HomeUnmade, what, CREATE))
        }
        None if facts.makes_homes == Some(false) => {
            let what = format!(
                "the home '{home}' does not exist, and sshd's PAM configuration does not include pam_mkhomedir"
            );
            Some(Finding::warn(Link::HomeUnmade, what, "nss-iamctl enable"))
        }
        None if let_in(&facts.log).contains(probe.name.as_str()) => {
            let uid = probe.uid;
            let what = format!(
                "the home '{home}' does not exist although a login was accepted: PAM could not create it, or it was \
                 removed since"
            );
            let remedy = format!(
                "install -d -m 0700 -o {uid} -g {uid} {}; if it is on NFS with root_squash, on the server",
                word(home)
            );
            Some(Finding::warn(Link::HomeUnmade, what, remedy))
        }
        None => Some(Finding::ok(Link::HomeToBeMade, format!("'{home}' is created at the first login"))),
    }
}

/// What is in the place of a home. A command for what a link leads to could change files of the host.
fn existing(facts: &Facts, name: &str, uid: u32, node: &Node) -> Option<Finding> {
    let (path, shown) = (&node.path, word(&node.path));
    let again = if at_refresh(facts) { CREATE } else { "a new one is created at the next login" };
    let away = format!("mv {shown} {}; {again}", word(&format!("{path}.old")));
    let home = format!("the home '{path}' of '{name}'");
    if !node.directory {
        let (what, remedy) = match (node.link, node.file) {
            (true, _) => (format!("{home} is a link, but not to a directory"), away),
            (false, true) => (format!("{home} is not a directory"), away),
            (false, false) => (
                format!("{home} is not a directory"),
                "set [users] home to the path of a directory".to_owned(),
            ),
        };
        return Some(Finding::warn(Link::HomeNotADirectory, what, remedy));
    }
    let owner = node.uid;
    if owner != uid && node.link {
        let what = format!("{home} is a link to a directory that belongs to uid {owner}, not to {uid}");
        return Some(Finding::warn(Link::HomeOfOther, what, away));
    }
    if owner != uid {
        let what = format!("{home} belongs to uid {owner}, not to {uid}");
        let remedy = format!(
            "nss-iamctl uid {owner} shows whose that is; if it is the same person: chown -Rh --from={owner} {uid}:{uid} {shown}"
        );
        return Some(Finding::warn(Link::HomeOfOther, what, remedy));
    }
    if node.mode & 0o022 != 0 {
        let what = format!("{home} is writable by others (mode {:04o})", node.mode);
        return Some(Finding::warn(Link::HomeWritable, what, format!("chmod go-w {shown}")));
    }
    Some(Finding::ok(Link::Home, format!("'{path}' belongs to '{name}', mode {:04o}", node.mode)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ANA, good};

    #[test]
    fn no_remedy_changes_what_a_link_leads_to_or_moves_a_device() {
        let facts = good();
        let node = facts.homes[0].2.clone();
        let remedy = |change: fn(&mut Node)| {
            let mut node = node.clone();
            change(&mut node);
            existing(&facts, "ana", ANA, &node).unwrap().remedy.unwrap()
        };
        let away = "mv /home/ana /home/ana.old; a new one is created at the next login";
        assert_eq!(remedy(|node| (node.link, node.uid) = (true, 0)), away);
        assert_eq!(remedy(|node| (node.link, node.directory) = (true, false)), away);
        assert_eq!(remedy(|node| (node.file, node.directory) = (true, false)), away);
        assert_eq!(remedy(|node| node.directory = false), "set [users] home to the path of a directory");
        assert!(remedy(|node| node.uid = 7).ends_with(&format!("chown -Rh --from=7 {ANA}:{ANA} /home/ana")));
        let odd = remedy(|node| (node.mode, node.path) = (0o770, "/home/a b".to_owned()));
        assert_eq!(odd, "chmod go-w '/home/a b'");
    }
}
