//! Names in doas.conf(5): `permit|deny [options] identity [as target] [cmd command [args ...]]`.

use std::path::{Path, PathBuf};

use crate::tree::Tree;
use crate::{Kind, Unresolved, Use, Uses};

const FILES: [&str; 2] = ["/etc/doas.conf", "/usr/local/etc/doas.conf"];
/// Alpine's doas also reads `*.conf` here.
const DIRECTORY: &str = "/etc/doas.d";

/// Reads the files that doas below `root` would read.
pub fn read(root: &Path) -> Uses {
    let tree = Tree(root);
    let mut uses = Uses::default();
    let mut files: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    match tree.list(Path::new(DIRECTORY)) {
        Ok(entries) => {
            files.extend(
                entries.into_iter().filter(|entry| entry.name.ends_with(".conf")).map(|entry| entry.path),
            );
        }
        Err(cause) => cannot(&mut uses, Path::new(DIRECTORY), cause.to_string()),
    }
    for file in files {
        match tree.read(&file) {
            Ok(text) => rules(&text.unwrap_or_default(), &file, &mut uses),
            Err(cause) => cannot(&mut uses, &file, cause.to_string()),
        }
    }
    uses
}

fn cannot(uses: &mut Uses, file: &Path, why: String) {
    uses.unresolved.insert(Unresolved { kind: Kind::Doas, place: file.display().to_string(), why });
}

fn rules(text: &str, file: &Path, uses: &mut Uses) {
    for (number, words) in lines(text) {
        let names = names(&words);
        if names.is_none() {
            cannot(uses, file, format!("line {number} is not a rule that nss-iam understands"));
        }
        // Any word of a line that is not understood could be a name.
        for name in names.unwrap_or_else(|| words.iter().map(|word| word.text.as_str()).collect()) {
            let name = name.strip_prefix(':').unwrap_or(name);
            let place = file.display().to_string();
            uses.add(name, Use { kind: Kind::Doas, what: "in a doas rule".to_owned(), place });
        }
    }
}

/// The identity and the target of a rule; `None` if it is not a rule.
fn names(words: &[Word]) -> Option<Vec<&str>> {
    let mut words = words.iter().peekable();
    let action = words.next()?;
    if !action.is("permit") && !action.is("deny") {
        return None;
    }
    loop {
        let word = words.next()?;
        if word.is("setenv") {
            words.next().filter(|word| word.is("{"))?;
            words.find(|word| word.is("}"))?;
        } else if !["nopass", "persist", "keepenv", "nolog"].iter().any(|option| word.is(option)) {
            return target(word, words);
        }
    }
}

fn target<'a>(identity: &'a Word, mut words: impl Iterator<Item = &'a Word>) -> Option<Vec<&'a str>> {
    let mut names = vec![identity.text.as_str()];
    let mut next = words.next();
    if next.is_some_and(|word| word.is("as")) {
        names.push(words.next()?.text.as_str());
        next = words.next();
    }
    (!identity.is_keyword() && next.is_none_or(|word| word.is("cmd"))).then_some(names)
}

/// A word of a rule. A word with quotes or an escape is never a keyword.
#[derive(Debug, Default, PartialEq, Eq)]
struct Word {
    text: String,
    is_plain: bool,
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        self.is_plain && self.text == keyword
    }

    fn is_keyword(&self) -> bool {
        ["permit", "deny", "as", "cmd", "args", "{", "}"].iter().any(|keyword| self.is(keyword))
    }
}

/// The non-empty lines, split as by yylex() in doas' parse.y: an escaped newline is removed, even inside a word.
fn lines(text: &str) -> Vec<(usize, Vec<Word>)> {
    let (mut found, mut words, mut word) = (Vec::new(), Vec::new(), None::<Word>);
    let (mut number, mut begin, mut is_quoted, mut is_comment) = (1, 1, false, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let is_end = c == '\n' || (!is_quoted && !is_comment && " \t{}#".contains(c));
        if is_end {
            words.extend(word.take().filter(|word| !word.text.is_empty() || !word.is_plain));
        }
        match c {
            '\n' => {
                number += 1;
                (is_quoted, is_comment) = (false, false);
                if !words.is_empty() {
                    found.push((begin, std::mem::take(&mut words)));
                }
                begin = number;
            }
            _ if is_comment => {}
            '{' | '}' if is_end => words.push(Word { text: c.to_string(), is_plain: true }),
            '#' if is_end => is_comment = true,
            _ if is_end => {}
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_with(plain).is_plain = false;
            }
            '\\' => match chars.next() {
                Some('\n') => number += 1,
                escaped => {
                    let word = word.get_or_insert_with(plain);
                    word.is_plain = false;
                    word.text.extend(escaped);
                }
            },
            c => word.get_or_insert_with(plain).text.push(c),
        }
    }
    words.extend(word);
    if !words.is_empty() {
        found.push((begin, words));
    }
    found
}

fn plain() -> Word {
    Word { text: String::new(), is_plain: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text, the names in it, and whether all of it is understood. Checked with `doas -C` of OpenDoas 6.8.2.
    const TABLE: &[(&str, &[&str], bool)] = &[
        ("permit dana\n", &["dana"], true),
        ("permit dana", &["dana"], true),
        ("permit nopass keepenv :ops as eva cmd /bin/ls args fay\n", &["eva", "ops"], true),
        ("permit persist setenv { A=b -C \"D=e }\" } dana\n", &["dana"], true),
        ("deny dana\n", &["dana"], true),
        ("# permit eva\npermit dana # as fay\n\n", &["dana"], true),
        ("permit \"dana\"\n", &["dana"], true),
        ("permit da\"na\"\n", &["dana"], true),
        ("permit da\\\nna\n", &["dana"], true),
        ("permit \\\n  dana \\\n as eva\n", &["dana", "eva"], true),
        ("permit d\\ana\n", &["dana"], true),
        ("permit \"as\" as \"cmd\" cmd x\n", &["as", "cmd"], true),
        ("permit DANA\n", &["dana"], true),
        ("permit dana cmd # x\n", &["dana"], true),
        ("allow dana\n", &["allow", "dana"], false),
        ("permit as dana\n", &["as", "dana", "permit"], false),
        ("permit dana eva\n", &["dana", "eva", "permit"], false),
        ("permit setenv dana\n", &["dana", "permit", "setenv"], false),
        ("permit\n", &["permit"], false),
    ];

    #[test]
    fn identities_and_targets_are_found() {
        for (text, names, is_resolved) in TABLE {
            let mut uses = Uses::default();
            rules(text, Path::new("/etc/doas.conf"), &mut uses);
            let found: Vec<_> = uses.names.keys().map(String::as_str).collect();
            assert_eq!(found, *names, "{text}");
            assert_eq!(uses.unresolved.is_empty(), *is_resolved, "{text}");
        }
    }

    #[test]
    fn all_files_are_read_and_missing_files_are_allowed() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), Uses::default());
        std::fs::create_dir_all(root.path().join("etc/doas.d")).unwrap();
        std::fs::write(root.path().join("etc/doas.conf"), "permit dana\n").unwrap();
        std::fs::write(root.path().join("etc/doas.d/a.conf"), "permit eva\n").unwrap();
        std::fs::write(root.path().join("etc/doas.d/a.old"), "permit fay\n").unwrap();
        let uses = read(root.path());
        assert_eq!(uses.names.keys().collect::<Vec<_>>(), ["dana", "eva"]);
        assert_eq!(uses.names["dana"].first().unwrap().to_string(), "in a doas rule ('/etc/doas.conf')");
    }
}
