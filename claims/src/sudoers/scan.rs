//! The scan of sudoers(5) for hosts without cvtsudoers and for files that it does not understand: any word that
//! could be a user or a group counts. Too many names refuse a name to a new user; too few would give root
//! privileges away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tree::Tree;
use crate::{Kind, Unresolved};

use super::lex::{Line, Token, decode, lines};
use super::{GRANTING_OPTIONS, harmless_group_plugin};

/// sudo stops at 128 nested includes, but a directory may have many files.
const MAX_FILES: usize = 2000;

/// The contents of the files.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Name -> the files that contain it.
    pub names: BTreeMap<String, BTreeSet<String>>,
    /// Netgroup -> the files that contain it.
    pub netgroups: BTreeMap<String, BTreeSet<String>>,
    pub unresolved: BTreeSet<Unresolved>,
    /// Whether a file includes another by its absolute path.
    pub is_absolute: bool,
    seen: BTreeSet<PathBuf>,
}

impl Scan {
    /// Reads `file` and its includes. False if the file does not exist.
    pub(super) fn read(&mut self, tree: Tree<'_>, file: &Path) -> bool {
        let mut open = vec![(file.to_owned(), None)];
        let (mut is_there, mut files) = (false, Vec::new());
        while let Some((file, includer)) = open.pop() {
            if !self.seen.insert(file.clone()) {
                is_there = true;
                continue;
            }
            if self.seen.len() > MAX_FILES {
                self.cannot(&file, "more files are included than can be read".to_owned());
                break;
            }
            match (tree.read(&file), includer) {
                (Ok(Some(text)), _) => {
                    is_there = true;
                    let lines = lines(&text);
                    open.extend(self.included(tree, &file, &lines));
                    files.push((file, lines));
                }
                (Ok(None), None) => {}
                (Ok(None), Some((from, number))) => {
                    self.cannot(
                        &from,
                        format!("line {number} includes '{}', which does not exist", file.display()),
                    );
                }
                (Err(cause), _) => self.cannot(&file, cause.to_string()),
            }
        }
        let aliases = Aliases::of(files.iter().flat_map(|(_, lines)| lines));
        for (file, lines) in &files {
            for line in lines {
                self.line(file, line, &aliases);
            }
        }
        is_there
    }

    /// Reads the files of a directory, like `@includedir`.
    pub(super) fn read_directory(&mut self, tree: Tree<'_>, directory: &Path) {
        for file in self.directory(tree, directory) {
            self.read(tree, &file);
        }
    }

    /// Adds the complaint of sudo's own parser to everything that this scan could not resolve.
    pub(super) fn with_complaint(mut self, complaint: &str) -> Self {
        if complaint.is_empty() {
            return self;
        }
        let unresolved = std::mem::take(&mut self.unresolved).into_iter();
        self.unresolved = unresolved
            .map(|cannot| Unresolved { why: format!("{}; cvtsudoers: {complaint}", cannot.why), ..cannot })
            .collect();
        self
    }

    /// The files that a file includes, each with the place that must exist for it.
    fn included(
        &mut self,
        tree: Tree<'_>,
        file: &Path,
        lines: &[Line],
    ) -> Vec<(PathBuf, Option<(PathBuf, usize)>)> {
        let mut included = Vec::new();
        for line in lines {
            let Line::Include { number, path, is_dir } = line else { continue };
            self.is_absolute |= path.starts_with('/');
            for path in self.expand(file, *number, path) {
                if *is_dir {
                    included.extend(self.directory(tree, &path).into_iter().map(|file| (file, None)));
                } else {
                    included.push((path, Some((file.to_owned(), *number))));
                }
            }
        }
        included
    }

    /// sudo skips names that end in '~' or contain a '.', and anything but regular files; a missing directory
    /// counts as empty.
    fn directory(&mut self, tree: Tree<'_>, directory: &Path) -> Vec<PathBuf> {
        let entries = match tree.list(directory) {
            Ok(entries) => entries,
            Err(cause) => {
                self.cannot(directory, cause.to_string());
                return Vec::new();
            }
        };
        entries
            .into_iter()
            .filter(|entry| {
                !entry.name.contains('.') && !entry.name.ends_with('~') && tree.is_file(&entry.path)
            })
            .map(|entry| entry.path)
            .collect()
    }

    /// The files that an include names: a relative path is next to the file, and since 1.9.16 it may be a list
    /// with colons.
    fn expand(&mut self, file: &Path, number: usize, path: &str) -> Vec<PathBuf> {
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().replace('/', "_");
        let host = host.split_once('.').map_or(host.as_str(), |(short, _)| short);
        let expanded = path.replace("%h", host);
        if expanded.is_empty() {
            return Vec::new();
        }
        if path.replace("%h", "").contains('%') || (path.contains("%h") && host.is_empty()) {
            self.cannot(file, format!("line {number} includes '{path}', which has an unknown escape"));
            return Vec::new();
        }
        let beside = file.parent().unwrap_or(Path::new("/"));
        expanded.split(':').filter(|path| !path.is_empty()).map(|path| beside.join(path)).collect()
    }

    fn line(&mut self, file: &Path, line: &Line, aliases: &Aliases) {
        let Line::Words { number, tokens } = line else { return };
        let first = tokens.first().and_then(word).unwrap_or_default();
        match first {
            // Hosts and commands are not names.
            "Host_Alias" | "Cmnd_Alias" | "Cmd_Alias" => {}
            "User_Alias" | "Runas_Alias" => {
                let known = if first == "User_Alias" { &aliases.user } else { &aliases.runas };
                self.members(file, tokens.get(1..).unwrap_or_default(), known);
            }
            _ if first.starts_with("Defaults") => self.defaults(file, *number, tokens),
            _ => self.rule(file, tokens, aliases),
        }
    }

    /// `NAME = ana, bob : OTHER = carl`.
    fn members(&mut self, file: &Path, tokens: &[Token], known: &BTreeSet<String>) {
        for (at, token) in tokens.iter().enumerate() {
            let is_definition = tokens.get(at + 1) == Some(&Token::Mark('='));
            if !is_definition && let Token::Word(word) = token {
                self.name(file, word, known);
            }
        }
    }

    /// `Defaults:ana`, `Defaults>ana`, and the options that take a user or a group.
    fn defaults(&mut self, file: &Path, number: usize, tokens: &[Token]) {
        let none = BTreeSet::new();
        if matches!(tokens.get(1), Some(Token::Mark(':' | '>'))) {
            tokens.iter().filter_map(word).skip(1).for_each(|word| self.name(file, word, &none));
        }
        for (at, token) in tokens.iter().enumerate() {
            let Some(option) = word(token) else { continue };
            let option = option.trim_end_matches(['+', '-']);
            let values =
                || tokens.iter().skip(at + 1).skip_while(|token| word(token).is_none()).filter_map(word);
            if GRANTING_OPTIONS.contains(&option) {
                // A quoted value counts both as words and as a whole.
                values().take(2).for_each(|value| self.name(file, value, &none));
            }
            let is_set = tokens.get(at + 1) == Some(&Token::Mark('='));
            if option == "group_plugin" && is_set && !values().next().is_some_and(harmless_group_plugin) {
                self.cannot(file, format!("line {number} sets group_plugin, which can make anyone a member"));
            }
        }
    }

    /// `USERS HOSTS = (RUNAS : GROUPS) COMMANDS`.
    fn rule(&mut self, file: &Path, tokens: &[Token], aliases: &Aliases) {
        let none = BTreeSet::new();
        let (mut is_user, mut is_runas, mut after_word) = (true, false, false);
        for token in tokens {
            match token {
                Token::Word(word) => {
                    is_user &= !after_word;
                    after_word = true;
                    let known = match (is_user, is_runas) {
                        (true, _) => &aliases.user,
                        (_, true) => &aliases.runas,
                        _ if aliases.other.contains(word) || is_tag(word) => continue,
                        _ => &none,
                    };
                    self.name(file, word, known);
                }
                Token::Mark(mark) => {
                    after_word &= *mark != ',';
                    is_runas = *mark == '(' || (is_runas && *mark != ')');
                }
            }
        }
    }

    fn name(&mut self, file: &Path, raw: &str, aliases: &BTreeSet<String>) {
        let place = file.display().to_string();
        if aliases.contains(raw) || raw == "ALL" {
            return;
        }
        for word in [decode(raw), raw.replace('\\', "")] {
            if let Some(netgroup) = word.strip_prefix('+') {
                self.netgroups.entry(netgroup.to_owned()).or_default().insert(place.clone());
                continue;
            }
            let name = word.strip_prefix('%').map_or(word.as_str(), |group| group.trim_start_matches(':'));
            if !name.is_empty() && !name.starts_with('#') && !name.contains('/') {
                self.names.entry(name.to_ascii_lowercase()).or_default().insert(place.clone());
            }
        }
    }

    fn cannot(&mut self, file: &Path, why: String) {
        let place = file.display().to_string();
        self.unresolved.insert(Unresolved { kind: Kind::Sudo, place, why });
    }
}

fn word(token: &Token) -> Option<&str> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

/// A tag or an option of a command. Elsewhere it is a name: sudo reads `MAIL ALL = ALL` as a rule for the user
/// mail.
fn is_tag(word: &str) -> bool {
    const TAGS: [&str; 16] = [
        "PASSWD",
        "EXEC",
        "INTERCEPT",
        "SETENV",
        "LOG_OUTPUT",
        "LOG_INPUT",
        "MAIL",
        "FOLLOW",
        "TIMEOUT",
        "NOTBEFORE",
        "NOTAFTER",
        "CWD",
        "CHROOT",
        "ROLE",
        "TYPE",
        "APPARMOR_PROFILE",
    ];
    TAGS.contains(&word) || word.strip_prefix("NO").is_some_and(|word| TAGS.contains(&word))
}

/// Names of aliases by kind. sudo treats a word that is an alias only of another kind as a user.
#[derive(Debug, Default)]
struct Aliases {
    user: BTreeSet<String>,
    runas: BTreeSet<String>,
    other: BTreeSet<String>,
}

impl Aliases {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut found = Self::default();
        for line in lines {
            let Line::Words { tokens, .. } = line else { continue };
            let names = match tokens.first().and_then(word) {
                Some("User_Alias") => &mut found.user,
                Some("Runas_Alias") => &mut found.runas,
                Some("Host_Alias" | "Cmnd_Alias" | "Cmd_Alias") => &mut found.other,
                _ => continue,
            };
            for pair in tokens.windows(2) {
                if let [Token::Word(name), Token::Mark('=')] = pair {
                    names.insert(name.clone());
                }
            }
        }
        found
    }
}
