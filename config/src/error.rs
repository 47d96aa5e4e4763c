//! Why a configuration is refused.

use std::fmt;
use std::io;
use std::path::PathBuf;

use message::Message;

/// Why a configuration is refused.
#[derive(Debug)]
pub enum Error {
    /// A file or directory that cannot be read.
    Read {
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A file or directory that anyone on the host can write to.
    Writable {
        /// The path.
        path: PathBuf,
        /// A directory that is for everyone, such as /tmp.
        shared: bool,
    },
    /// A mistake in a file.
    Wrong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key and the mistake.
        what: String,
        /// What would be right.
        hint: String,
    },
}

impl Error {
    /// Names the file, and says what to do.
    #[must_use]
    pub fn message(&self) -> Message {
        match self {
            Self::Read { path, cause, hint } => {
                Message::new(format!("cannot read '{}': {cause}", path.display())).with_hint(hint)
            }
            Self::Writable { path, shared } => {
                let path = path.display();
                Message::new(format!("'{path}' refused: anyone can write to it")).with_hint(match shared {
                    true => "make it a directory that only root can write to, not a link".to_owned(),
                    false => format!("chmod o-w '{path}'"),
                })
            }
            Self::Wrong { path, line, what, hint } => {
                Message::new(format!("'{}' line {line}: {what}", path.display())).with_hint(hint)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl std::error::Error for Error {}
