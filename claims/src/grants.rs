//! All other places that grant something by name, for reports about published names. They are no reason to refuse a
//! name, because nothing there turns into the account.

mod format;
mod found;
mod glob;
mod places;
mod sshd;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::tree::Tree;
use crate::{Kind, Unresolved, Use, Uses};

use self::format::{How, parse};
use self::found::Found;
use self::places::{PLACES, Place};

/// What the host below `root` grants to any of `names`, which are in lower case.
pub fn read(root: &Path, names: &BTreeSet<String>) -> Uses {
    let mut report = Report { tree: Tree(root), names, seen: BTreeSet::new(), uses: Uses::default() };
    for place in PLACES {
        for pattern in place.paths {
            report.files(place, pattern);
        }
        report.seen.clear();
    }
    report.uses
}

struct Report<'a> {
    tree: Tree<'a>,
    names: &'a BTreeSet<String>,
    /// Files of this place that were read: includes may form a cycle.
    seen: BTreeSet<PathBuf>,
    uses: Uses,
}

impl Report<'_> {
    fn files(&mut self, place: &Place, pattern: &str) {
        match glob::expand(self.tree, pattern) {
            Ok(files) => files.iter().for_each(|file| self.file(place, file)),
            Err(cause) => self.cannot(Path::new(pattern), &cause),
        }
    }

    fn file(&mut self, place: &Place, file: &Path) {
        if !self.seen.insert(file.to_owned()) {
            return;
        }
        if matches!(place.how, How::FileName) {
            // A directory may contain more of these files, as in /var/spool/cron/crontabs.
            if self.tree.is_directory(file) {
                return;
            }
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            return self.name(&name, place.what, file);
        }
        // A pattern also matches directories and masks, which are not read as files.
        let Some(text) = self.text(file) else { return };
        for found in parse(place.how, &text) {
            match found {
                Found::Name(name) => self.name(&name, place.what, file),
                Found::Pattern(pattern, what) => self.pattern(&pattern, what, file),
                Found::List(list) => {
                    let text = self.text(Path::new(&list)).unwrap_or_default();
                    text.lines().for_each(|name| self.name(name.trim(), place.what, Path::new(&list)));
                }
                // Relative to /etc/ssh, sshd_config(5).
                Found::Include(pattern) => {
                    let pattern = Path::new("/etc/ssh").join(pattern);
                    self.files(place, &pattern.to_string_lossy());
                }
            }
        }
    }

    fn text(&mut self, file: &Path) -> Option<String> {
        match self.tree.read(file) {
            Ok(text) => text,
            Err(_) if self.tree.is_masked(file) || self.tree.is_directory(file) => None,
            Err(cause) => {
                self.cannot(file, &cause);
                None
            }
        }
    }

    fn name(&mut self, name: &str, what: &str, file: &Path) {
        if self.names.contains(&name.to_ascii_lowercase()) {
            self.uses.add(name, used(what, file));
        }
    }

    /// A pattern that matches all names is ignored.
    fn pattern(&mut self, pattern: &str, what: &str, file: &Path) {
        if pattern.chars().all(|c| c == '*') {
            return;
        }
        let pattern = pattern.to_ascii_lowercase();
        let names = self.names;
        for name in names.iter().filter(|name| glob::matches(&pattern, name)) {
            self.uses.add(name, used(what, file));
        }
    }

    fn cannot(&mut self, file: &Path, cause: &io::Error) {
        let place = file.display().to_string();
        self.uses.unresolved.insert(Unresolved { kind: Kind::Grant, place, why: cause.to_string() });
    }
}

fn used(what: &str, file: &Path) -> Use {
    Use { kind: Kind::Grant, what: what.to_owned(), place: file.display().to_string() }
}
