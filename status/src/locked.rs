//! `/var/lib/nss-iam/locked`: users who are locked out of this host, whatever the source says.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;

use listing::regular::{self, Links};

/// Far more than any real list, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The locked login names, or [`Locked::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locked(pub BTreeSet<String>);

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

    /// One name per line; a line that begins with `#` is a comment.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(str::to_owned).collect())
    }

    /// Whether the user with this login name is locked.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.has_all() || self.0.contains(name)
    }

    /// Whether everyone is locked.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.0.contains(Self::ALL)
    }
}

/// The content of the file.
impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| writeln!(f, "{name}"))
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
}
