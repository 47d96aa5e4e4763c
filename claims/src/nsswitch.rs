//! The lines of nsswitch.conf(5) that the parsers of this crate depend on.

use std::io;
use std::path::Path;

use crate::tree::Tree;

/// The paths of the file; openSUSE ships a default below /usr.
const FILES: [&str; 2] = ["/etc/nsswitch.conf", "/usr/etc/nsswitch.conf"];

/// The services that glibc asks for a database, `None` if the file has no line for it. Versions of glibc disagree
/// about a last line without a newline and about '#' within a line (tests/tests/nsswitch.rs): this returns what any
/// of them would ask, except for words of a comment that are not installed services.
pub(crate) fn services(tree: Tree<'_>, database: &str) -> io::Result<Option<Vec<String>>> {
    let Some(text) = read(tree)? else { return Ok(None) };
    let is_installed = |service: &str| tree.has_library(&format!("libnss_{service}.so.2"));
    Ok(glibcs(&text, database, is_installed))
}

/// The services that sudo asks for rules, see sudoers.ldap(5).
pub(crate) fn sudoers(tree: Tree<'_>) -> io::Result<Option<Vec<String>>> {
    Ok(read(tree)?.and_then(|text| sudos(&text)))
}

fn read(tree: Tree<'_>) -> io::Result<Option<String>> {
    for file in FILES {
        if let Some(text) = tree.read(Path::new(file))? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn glibcs(text: &str, database: &str, is_installed: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    // The last of several lines counts, or the one before if the last has no newline: all are used here.
    let mut found: Option<Vec<String>> = None;
    for line in text.split('\n') {
        // C strings end at a NUL.
        let line = line.split('\0').next().unwrap_or_default().trim_start_matches(is_blank);
        let Some((name, rest)) = line.split_once(|c| c == ':' || is_blank(c)) else { continue };
        if name != database {
            continue;
        }
        let rest = rest.trim_start_matches(|c| c == ':' || is_blank(c));
        let (services, comment) = rest.split_once('#').unwrap_or((rest, ""));
        let found = found.get_or_insert_with(Vec::new);
        found.extend(words(services));
        found.extend(words(comment).filter(|word| is_installed(word)));
    }
    found
}

fn sudos(text: &str) -> Option<Vec<String>> {
    // sudo uses the first of several lines: all are used here.
    let mut found: Option<Vec<String>> = None;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((name, services)) = line.split_once(':') else { continue };
        if name.trim().eq_ignore_ascii_case("sudoers") {
            found.get_or_insert_with(Vec::new).extend(words(services));
        }
    }
    found
}

/// The words without actions such as `[NOTFOUND=return]`.
fn words(services: &str) -> impl Iterator<Item = String> {
    let services = services.replace('[', " [").replace(']', "] ");
    let mut is_action = false;
    let mut words = Vec::new();
    for word in services.split(is_blank).filter(|word| !word.is_empty()) {
        is_action |= word.starts_with('[');
        if !is_action {
            words.push(word.to_owned());
        }
        is_action &= !word.ends_with(']');
    }
    words.into_iter()
}

/// isspace(3) in the C locale.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_without_actions_and_comments() {
        let text = "# sudoers: x\npasswd: files\nsudoers : files[ NOTFOUND = return ]sss # ldap\nsudoers: ldap\nempty:\n";
        assert_eq!(sudos(text).unwrap(), ["files", "sss", "ldap"]);
        assert_eq!(sudos("passwd: files\n"), None);
        assert_eq!(glibcs(text, "empty", |_| true).unwrap(), [""; 0]);
        assert_eq!(glibcs(text, "netgroup", |_| true), None);
    }

    #[test]
    fn every_service_that_some_glibc_would_ask_is_found() {
        for (text, found) in [
            ("passwd files one", "files one"),
            ("passwd : files\tone\u{b}two\u{c}three\r\n", "files one two three"),
            ("passwd:: files\n", "files"),
            ("passwd: files\0 one\n", "files"),
            ("passwd: files # one [x] two\n", "files one"),
            ("passwd: files\npasswd: one", "files one"),
            ("passwd: files\u{a0}one\n", "files\u{a0}one"),
        ] {
            assert_eq!(glibcs(text, "passwd", |word| word == "one").unwrap().join(" "), found, "{text:?}");
        }
        for other in
            ["PASSWD: files\n", "\u{feff}passwd: files\n", "#passwd: files\n", "passwd", "\0passwd: files\n"]
        {
            assert_eq!(glibcs(other, "passwd", |_| true), None, "{other:?}");
        }
    }
}
