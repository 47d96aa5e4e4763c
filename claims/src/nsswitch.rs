//! The lines of nsswitch.conf(5) that the parsers of this crate depend on.

use std::io;
use std::path::Path;

use crate::tree::Tree;

/// Where it is; openSUSE ships a default below /usr.
const FILES: [&str; 2] = ["/etc/nsswitch.conf", "/usr/etc/nsswitch.conf"];

/// The services of a database, `None` where the file has no line of it.
pub(crate) fn services(tree: Tree<'_>, database: &str) -> io::Result<Option<Vec<String>>> {
    for file in FILES {
        if let Some(text) = tree.read(Path::new(file))? {
            return Ok(services_in(&text, database));
        }
    }
    Ok(None)
}

fn services_in(text: &str, database: &str) -> Option<Vec<String>> {
    // glibc takes the last of several lines, sudo the first: here all count.
    let mut found = None;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((name, services)) = line.split_once(':') else { continue };
        if name.trim().eq_ignore_ascii_case(database) {
            // An action as [NOTFOUND=return] is no service.
            let services = services.replace('[', " [").replace(']', "] ");
            let mut is_action = false;
            for word in services.split_whitespace() {
                is_action |= word.starts_with('[');
                if !is_action {
                    found.get_or_insert_with(Vec::new).push(word.to_owned());
                }
                is_action &= !word.ends_with(']');
            }
            found.get_or_insert_with(Vec::new);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_without_actions_and_comments() {
        let text = "# sudoers: x\npasswd: files\nsudoers : files[ NOTFOUND = return ]sss # ldap\nsudoers: ldap\nempty:\n";
        assert_eq!(services_in(text, "sudoers").unwrap(), ["files", "sss", "ldap"]);
        assert_eq!(services_in(text, "empty").unwrap(), [""; 0]);
        assert_eq!(services_in(text, "netgroup"), None);
    }
}
