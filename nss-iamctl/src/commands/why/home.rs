//! The user's home directory.

use policy::FORWARD_ONLY_SHELL;

use crate::inspect::checks::logins;
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::say::code::Link;
use crate::say::finding::Finding;
use crate::say::show::word;

/// Whether it is there or will be; `came_in` is whether the last login was accepted.
pub(super) fn home(facts: &Facts, probe: &Probe, came_in: bool) -> Option<Finding> {
    if probe.shell == FORWARD_ONLY_SHELL {
        return None;
    }
    match &probe.home_node {
        Some(node) => logins::home(&probe.name, probe.uid, node),
        None if !probe.active => None,
        None if facts.makes_homes == Some(false) => {
            let what = format!(
                "the home '{}' does not exist, and sshd's PAM configuration does not include pam_mkhomedir",
                probe.home
            );
            Some(Finding::warn(Link::HomeUnmade, what, "nss-iamctl enable"))
        }
        // pam_mkhomedir is optional and logs nothing when it fails, for example because root is nobody on a server of homes.
        None if came_in => {
            let (uid, home) = (probe.uid, &probe.home);
            let what = format!(
                "the home '{home}' does not exist although the last login was accepted: PAM could not create it, or it was \
                 removed since"
            );
            let remedy = format!(
                "install -d -m 0700 -o {uid} -g {uid} {}; if it is on NFS with root_squash, on the server",
                word(home)
            );
            Some(Finding::warn(Link::HomeUnmade, what, remedy))
        }
        None => {
            Some(Finding::ok(Link::HomeToBeMade, format!("'{}' is created at the first login", probe.home)))
        }
    }
}
