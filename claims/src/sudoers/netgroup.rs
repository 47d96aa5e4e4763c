//! The users of a netgroup in a sudo rule. /etc/netgroup can be read; any other service could name anyone.

use std::collections::BTreeSet;
use std::path::Path;

use crate::nsswitch;
use crate::tree::Tree;

const FILE: &str = "/etc/netgroup";

/// The users of all netgroups of the host: a user who is not in the rule's netgroup is at worst one name too many.
///
/// # Errors
/// Why they are not known; follows "netgroup 'x': ".
pub(super) fn users(tree: Tree<'_>) -> Result<BTreeSet<String>, String> {
    // Without a line, glibc asks nis, then files (nss_database.c).
    let services = nsswitch::services(tree, "netgroup")
        .map_err(|cause| format!("cannot read '/etc/nsswitch.conf': {cause}"))?
        .unwrap_or_else(|| vec!["nis".to_owned(), "files".to_owned()]);
    for service in &services {
        // A service without its library answers nothing: Debian's nsswitch.conf has `netgroup: nis` on every
        // host.
        if service != "files" && tree.has_library(&format!("libnss_{service}.so.2")) {
            return Err(format!("only the service '{service}' knows its members"));
        }
    }
    match tree.read(Path::new(FILE)) {
        Ok(text) => users_in(&text.unwrap_or_default()),
        Err(cause) => Err(format!("cannot read '{FILE}': {cause}")),
    }
}

/// `group (host,user,domain) other …`: a triple without a user matches any user, `-` matches none, netgroup(5).
fn users_in(text: &str) -> Result<BTreeSet<String>, String> {
    let mut users = BTreeSet::new();
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    for triple in lines.flat_map(|line| line.split('(').skip(1)) {
        match triple.split([',', ')']).nth(1).map(str::trim) {
            Some("-") => {}
            Some("") | None => return Err(format!("'{FILE}' has a triple that matches any user")),
            Some(user) => {
                users.insert(user.to_ascii_lowercase());
            }
        }
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_triples() {
        let users = users_in("# (,x,)\nops (-,Ana,) \\\n (host, bob ,dom) more\nmore (web,-,)\n").unwrap();
        assert_eq!(users, BTreeSet::from(["ana".to_owned(), "bob".to_owned()]));
        assert!(users_in("any (web,,)\n").is_err());
        assert!(users_in("any (web)\n").is_err());
    }
}
