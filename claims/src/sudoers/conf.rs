//! sudo.conf(5): which plugin decides, and which sudoers file it reads.

use std::path::Path;

use crate::tree::Tree;
use crate::{Kind, Unresolved, Uses};

/// openSUSE ships a default below /usr; sudo 1.9.16 reads the first that exists.
const FILES: [&str; 2] = ["/etc/sudo.conf", "/usr/etc/sudo.conf"];
/// sudo's own plugins that only log or restrict.
const HARMLESS: [&str; 2] = ["audit_json.so", "sample_approval.so"];

/// The sudoers files that sudo.conf names; other plugins that decide are added to `uses`.
pub(super) fn sudoers_files(tree: Tree<'_>, uses: &mut Uses) -> Vec<String> {
    let mut found = Vec::new();
    for file in FILES {
        let mut cannot = |why: String| {
            uses.unresolved.insert(Unresolved { kind: Kind::Sudo, place: file.to_owned(), why });
        };
        match tree.read(Path::new(file)) {
            Ok(text) => plugins(&text.unwrap_or_default(), &mut found, &mut cannot),
            Err(cause) => cannot(cause.to_string()),
        }
    }
    found
}

fn plugins(text: &str, found: &mut Vec<String>, cannot: &mut impl FnMut(String)) {
    for line in logical_lines(text) {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("Plugin")) {
            continue;
        }
        let (Some(symbol), Some(path)) = (words.next(), words.next()) else { continue };
        let library = path.rsplit('/').next().unwrap_or(path);
        match library {
            "sudoers.so" => found.extend(
                words
                    .filter_map(|option| option.strip_prefix("sudoers_file="))
                    .flat_map(|files| files.split(':'))
                    .filter(|file| !file.is_empty())
                    .map(str::to_owned),
            ),
            _ if HARMLESS.contains(&library) => {}
            // Only one of the Python classes decides, sudo_plugin_python(5).
            "python_plugin.so" if symbol != "python_policy" => {}
            _ => cannot(format!("the plugin '{symbol}' of '{path}' decides what sudo permits")),
        }
    }
}

/// As in sudo's lib/util/parseln.c: a `#` anywhere begins a comment, and a backslash before the newline continues a
/// line.
fn logical_lines(text: &str) -> Vec<String> {
    let (mut lines, mut open) = (Vec::new(), String::new());
    for line in text.lines() {
        let (line, is_comment) = line.split_once('#').map_or((line, false), |(line, _)| (line, true));
        match line.strip_suffix('\\') {
            Some(begun) if !is_comment && !begun.ends_with('\\') => {
                open.push_str(begun.trim_start_matches([' ', '\t']))
            }
            _ => {
                open.push_str(line.trim_matches([' ', '\t']));
                lines.push(std::mem::take(&mut open));
            }
        }
    }
    lines.push(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let (mut files, mut unresolved) = (Vec::new(), Vec::new());
        plugins(text, &mut files, &mut |why| unresolved.push(why));
        (files, unresolved)
    }

    #[test]
    fn the_sudoers_file_in_all_spellings() {
        for text in [
            "Plugin sudoers_policy sudoers.so sudoers_file=/a",
            "  plugin\tsudoers_policy /usr/lib/sudo/sudoers.so sudoers_mode=0400  sudoers_file=/a # x",
            "Plugin sudoers_policy \\\n   sudoers.so \\\n sudoers_file=/a",
            "Plugin sudoers_io sudoers.so\nPlugin sudoers_policy sudoers.so sudoers_file=/a\nPlugin audit_json audit_json.so",
        ] {
            assert_eq!(read(text), (vec!["/a".to_owned()], vec![]), "{text}");
        }
        assert_eq!(read("Plugin x sudoers.so sudoers_file=/a:/b").0, ["/a", "/b"]);
    }

    #[test]
    fn comments_and_other_settings_name_no_file() {
        for text in [
            "#Plugin sudoers_policy sudoers.so sudoers_file=/a",
            "Plugin sudoers_policy sudoers.so # sudoers_file=/a",
            "Path plugin_dir /x\nSet sudoers_file /a\nPluginx sudoers.so sudoers_file=/a",
            "Plugin python_io python_plugin.so ClassName=X",
        ] {
            assert_eq!(read(text), (vec![], vec![]), "{text}");
        }
    }

    #[test]
    fn a_foreign_policy_is_unresolved() {
        for text in ["Plugin policy sample_policy.so", "Plugin python_policy python_plugin.so ModulePath=/x"]
        {
            assert_eq!(read(text).1.len(), 1, "{text}");
        }
    }
}
