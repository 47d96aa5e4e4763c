//! `/var/lib/nss-iam/locked`: users who are locked out of this host, whatever the source says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use jiff::Timestamp;
use listing::regular::{self, Links};
use serde::{Deserialize, Serialize};

/// Far more than any real list, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// How a line with a [`Note`] begins. It is a comment for an earlier release, which drops it when it changes the list.
const NOTE: &str = "# lock ";

/// The locked login names, or [`Locked::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locked {
    /// One per line of the file.
    pub names: BTreeSet<String>,
    /// What is known about their locks. Nothing depends on it.
    pub notes: BTreeMap<String, Note>,
}

/// Who locked a user, when and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// When.
    pub at: Option<Timestamp>,
    /// Who.
    pub by: String,
    /// Why, as they wrote it; may be empty.
    pub reason: String,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    user: String,
    #[serde(flatten)]
    note: Note,
}

impl Locked {
    /// In place of a name: everyone is locked.
    pub const ALL: &str = "*";

    /// Reads the file; a missing one is an empty list.
    ///
    /// # Errors
    /// If it cannot be read: it is then not known who is locked.
    pub fn read(path: &Path) -> io::Result<Self> {
        match regular::read(path, MAX_BYTES, Links::Follow).map_err(io::Error::from) {
            Ok(file) => Ok(Self::parse(&String::from_utf8_lossy(&file.bytes))),
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(cause) => Err(cause),
        }
    }

    /// These names, of whose locks nothing is known.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().collect(), notes: BTreeMap::new() }
    }

    /// One name per line; a line that begins with `#` is a comment, or a note.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let (comments, names): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('#'));
        let mut locked = Self::of(names.into_iter().map(str::to_owned));
        let notes = comments.iter().filter_map(|line| serde_json::from_str(line.strip_prefix(NOTE)?).ok());
        let notes = notes.filter(|Line { user, .. }| locked.names.contains(user));
        locked.notes = notes.map(|Line { user, note }| (user, note)).collect();
        locked
    }

    /// Removes a name; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.notes.remove(name);
        self.names.remove(name)
    }

    /// Whether the user with this login name is locked.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.has_all() || self.names.contains(name)
    }

    /// Whether everyone is locked.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.names.contains(Self::ALL)
    }
}

/// The content of the file.
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            if let Some(note) = self.notes.get(name) {
                let line = Line { user: name.clone(), note: note.clone() };
                // JSON escapes the end of a line.
                writeln!(f, "{NOTE}{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)?;
            }
            writeln!(f, "{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_all_locks_everyone() {
        let one = Locked::parse("# by root\n ana\t\n\n");
        assert!(one.contains("ana") && !one.contains("bob") && !one.has_all());
        let all = Locked::parse("*\n");
        assert!(all.contains("bob") && all.has_all());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "*\nana\njane@example.com\n";
        assert_eq!(Locked::parse(text).to_string(), text);
    }

    #[test]
    fn a_note_is_a_comment_that_no_text_can_leave() {
        let note = Note {
            at: "2026-11-26T18:00:00Z".parse().ok(),
            by: "carl\nroot".to_owned(),
            reason: "left\r\n*\n\u{1b}[2J\u{2028}".to_owned(),
        };
        let mut locked = Locked::parse("ana\nbob\n");
        locked.notes.insert("ana".to_owned(), note);
        let text = locked.to_string();
        assert_eq!(Locked::parse(&text), locked);
        // As an earlier release reads it.
        let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(names, ["ana", "bob"]);
        assert!(locked.remove("ana") && !locked.remove("ana"));
        assert_eq!(locked.to_string(), "bob\n");
    }

    #[test]
    fn a_note_that_is_damaged_or_of_nobody_does_not_matter() {
        for line in ["# lock {", "# lock {\"user\":\"bob\"}", "# lock {\"user\":1}", "#lock", "# lock []"] {
            assert_eq!(Locked::parse(&format!("{line}\nana\n")), Locked::parse("ana"), "{line}");
        }
        let some = Locked::parse("# lock {\"user\":\"ana\",\"later\":1}\nana\n");
        assert_eq!(some.notes["ana"], Note::default(), "of another release");
    }
}
