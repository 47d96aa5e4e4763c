//! Why a command failed: one message in the form "what failed: why; what was done", a hint, and an exit status.

use std::fmt;
use std::io;
use std::path::Path;

use message::Message;

pub(crate) use status::exit::{CONFIGURATION, DENIED, OK, OTHER};

/// A failure as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    status: u8,
    message: Message,
}

impl Error {
    /// Something failed that should not.
    pub(crate) fn other(message: impl Into<Message>) -> Self {
        Self { status: OTHER, message: message.into() }
    }

    /// The state of the host, or the command line, makes it impossible.
    pub(crate) fn configuration(message: impl Into<Message>) -> Self {
        Self { status: CONFIGURATION, message: message.into() }
    }

    /// A system call on a file failed: `read`, `write`. A lack of permission has its own exit status.
    pub(crate) fn io(action: &str, path: &Path, cause: &io::Error) -> Self {
        let status = if cause.kind() == io::ErrorKind::PermissionDenied { DENIED } else { OTHER };
        Self { status, message: Message::new(format!("cannot {action} '{}': {cause}", path.display())) }
    }

    /// What to do about it.
    pub(crate) fn hint(self, hint: impl AsRef<str>) -> Self {
        Self { message: self.message.with_hint(hint), ..self }
    }

    /// What was done about it, behind a semicolon.
    pub(crate) fn done(self, what: &str) -> Self {
        Self { message: self.message.and(what), ..self }
    }

    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// What is printed.
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl From<config::Error> for Error {
    fn from(cause: config::Error) -> Self {
        let status = match &cause {
            config::Error::Read { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => DENIED,
            _ => CONFIGURATION,
        };
        Self { status, message: cause.message() }
    }
}

impl From<Error> for Message {
    fn from(error: Error) -> Self {
        error.message
    }
}

/// # Errors
/// Unless root runs this. `line` is the whole command line.
pub(crate) fn require_root(name: &str, line: &str) -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(needs_root(format!("'{name}' must be run by root; nothing was done"), line))
}

/// Only root can do this, by running this command line.
pub(crate) fn needs_root(what: impl AsRef<str>, line: &str) -> Error {
    Error { status: DENIED, message: Message::new(what).with_hint(format!("sudo {line}")) }
}
