//! sshd_config(5) as text: its directives in the order in which sshd reads them, through Include, with the Match
//! blocks around them. Which of them are in effect is determined by `sshd -T`, not here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::host::vendor;

/// The file that sshd reads, if it exists.
pub(crate) const MAIN: &str = "/etc/ssh/sshd_config";
const DIRECTORY: &str = "/etc/ssh";
/// sshd's own limit.
const DEPTH: usize = 16;

/// The files, as they are or as they will be.
pub(crate) trait Files {
    /// The text of a file; `None` if it is missing or cannot be read.
    fn text(&self, path: &Path) -> Option<String>;
    /// The names in a directory, sorted by their bytes.
    fn names(&self, directory: &Path) -> Vec<OsString>;
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In lower case.
    pub keyword: String,
    pub arguments: Vec<String>,
    /// The criteria of the Match blocks around it, those of a file that includes this one among them.
    pub within: Option<String>,
}

impl Directive {
    /// For messages.
    pub(crate) fn place(&self) -> String {
        format!("'{}' line {}", self.file, self.line)
    }
}

/// The file that sshd reads.
pub(crate) fn main(files: &dyn Files) -> String {
    let mut places = vendor::places(MAIN).into_iter();
    places.find(|path| files.text(Path::new(path)).is_some()).unwrap_or_else(|| MAIN.to_owned())
}

/// All directives, beginning with the main file.
pub(crate) fn directives(files: &dyn Files) -> Vec<Directive> {
    let mut found = Vec::new();
    walk(files, Path::new(&main(files)), None, 0, &mut found);
    found
}

fn walk(files: &dyn Files, path: &Path, around: Option<&str>, depth: usize, found: &mut Vec<Directive>) {
    let Some(text) = files.text(path).filter(|_| depth <= DEPTH) else { return };
    let mut within = around.map(str::to_owned);
    for (index, line) in text.lines().enumerate() {
        let Some((keyword, arguments)) = parse(line) else { continue };
        if keyword == "match" {
            let criteria = arguments.join(" ");
            within = Some(around.map_or(criteria.clone(), |around| format!("{around} and {criteria}")));
        }
        if keyword == "include" {
            for pattern in &arguments {
                for file in glob(files, pattern) {
                    // A Match block in an included file ends with that file.
                    walk(files, &file, within.as_deref(), depth + 1, found);
                }
            }
        }
        let file = path.display().to_string();
        found.push(Directive { file, line: index + 1, keyword, arguments, within: within.clone() });
    }
}

/// The keyword of a line in lower case, and its arguments; `None` for comments and empty lines.
pub(crate) fn parse(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let length = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at_checked(length)?;
    if keyword.is_empty() {
        return None;
    }
    // There may be one '=' between them.
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((keyword.trim_matches('"').to_ascii_lowercase(), words(rest)))
}

/// Words as sshd splits them: quotes of either kind, backslashes before quotes and backslashes, '#' begins a comment.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (_, '\\') if chars.peek().is_some_and(|next| matches!(next, '"' | '\'' | '\\')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The files that an Include names: wildcards in the last part only, which is where distributions have them.
fn glob(files: &dyn Files, pattern: &str) -> Vec<PathBuf> {
    let pattern =
        if pattern.starts_with('/') { pattern.to_owned() } else { format!("{DIRECTORY}/{pattern}") };
    let Some((directory, name)) = pattern.rsplit_once('/') else { return Vec::new() };
    if !name.contains(['*', '?']) {
        return vec![PathBuf::from(pattern)];
    }
    let fits = |found: &OsString| {
        let found = found.to_string_lossy();
        // glob(7): a leading dot is matched by a dot only.
        (!found.starts_with('.') || name.starts_with('.')) && matches(name, &found)
    };
    files
        .names(Path::new(directory))
        .iter()
        .filter(|found| fits(found))
        .map(|found| Path::new(directory).join(found))
        .collect()
}

/// Whether sshd's wildcards `*` and `?` fit the whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // fits[i]: the pattern so far fits the first i characters.
    let mut fits: Vec<bool> = std::iter::once(true).chain(text.iter().map(|_| false)).collect();
    for wanted in pattern {
        let mut next = Vec::with_capacity(fits.len());
        let mut any = false;
        let mut previous = false;
        for (index, fitted) in fits.iter().copied().enumerate() {
            any |= fitted;
            let here = index.checked_sub(1).and_then(|index| text.get(index));
            next.push(match wanted {
                '*' => any,
                '?' => previous,
                wanted => previous && here == Some(&wanted),
            });
            previous = fitted;
        }
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use super::*;
    use crate::fixtures::tree::Tree;

    #[test]
    fn lines_are_read_as_sshd_reads_them() {
        for (line, keyword, arguments) in [
            ("Port 22", "port", &["22"][..]),
            ("  PORT=22  ", "port", &["22"]),
            ("port = 22 # ours", "port", &["22"]),
            ("AllowUsers\tana  \"bob the builder\"", "allowusers", &["ana", "bob the builder"]),
            ("Banner \"/a#b\" 'c d' e\\\"f", "banner", &["/a#b", "c d", "e\"f"]),
            ("Match User a,b Address 10.0.0.0/8", "match", &["User", "a,b", "Address", "10.0.0.0/8"]),
        ] {
            let (found, words) = parse(line).unwrap();
            assert_eq!(
                (found.as_str(), words),
                (keyword, arguments.iter().map(|s| (*s).to_owned()).collect())
            );
        }
        for nothing in ["", "   ", "# Port 22", "\t#x"] {
            assert_eq!(parse(nothing), None);
        }
    }

    #[test]
    fn includes_are_followed_in_order_and_keep_the_match_around_them() {
        let tree = Tree::of(&[
            (
                MAIN,
                "Include sshd_config.d/*.conf\nPort 1\nMatch User git\n Include /etc/ssh/extra\nX11Forwarding no\n",
            ),
            ("/etc/ssh/sshd_config.d/20-b.conf", "Match Group x\nBanner b\n"),
            ("/etc/ssh/sshd_config.d/10-a.conf", "Banner a\n"),
            ("/etc/ssh/sshd_config.d/.hidden.conf", "Banner hidden\n"),
            ("/etc/ssh/sshd_config.d/note.txt", "Banner note\n"),
            ("/etc/ssh/extra", "Banner c\nMatch all\nBanner d\n"),
        ]);
        let found: Vec<(String, Option<String>)> = directives(&tree)
            .into_iter()
            .filter(|line| !["match", "include"].contains(&line.keyword.as_str()))
            .map(|line| (format!("{} {}", line.keyword, line.arguments.join(" ")), line.within))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("banner a".to_owned(), None),
                ("banner b".to_owned(), some("Group x")),
                ("port 1".to_owned(), None),
                ("banner c".to_owned(), some("User git")),
                ("banner d".to_owned(), some("User git and all")),
                ("x11forwarding no".to_owned(), some("User git")),
            ]
        );
    }

    #[test]
    fn a_file_whose_name_is_not_utf8_is_read_as_sshd_reads_it() {
        struct Odd;
        impl Files for Odd {
            fn text(&self, path: &Path) -> Option<String> {
                match path.as_os_str().as_bytes() {
                    b"/etc/ssh/sshd_config" => Some("Include d/*.conf\n".to_owned()),
                    b"/etc/ssh/d/\xfc.conf" => Some("Port 1\n".to_owned()),
                    _ => None,
                }
            }
            fn names(&self, _: &Path) -> Vec<OsString> {
                vec![OsString::from_vec(b"\xfc.conf".to_vec())]
            }
        }
        let places: Vec<String> = directives(&Odd).iter().map(Directive::place).collect();
        assert_eq!(places, ["'/etc/ssh/d/\u{fffd}.conf' line 1", "'/etc/ssh/sshd_config' line 1"]);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let tree = Tree::of(&[(MAIN, "Include /etc/ssh/sshd_config\nPort 1\n")]);
        assert_eq!(directives(&tree).iter().filter(|line| line.keyword == "port").count(), DEPTH + 1);
    }

    #[test]
    fn wildcards_fit_as_in_sshd() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "ana", true),
            ("a*a", "ana", true),
            ("a*b", "ana", false),
            ("?na", "ana", true),
            ("?", "", false),
            ("iam-*", "iam-users", true),
            ("iam", "iam-users", false),
            ("*a*", "bcd", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
