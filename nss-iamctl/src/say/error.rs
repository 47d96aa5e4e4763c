//! Why a command failed: one message in the form "what failed: why; what was done", a hint, and an exit status.

use std::fmt;
use std::io;
use std::path::Path;

/// Done.
pub(crate) const OK: u8 = 0;
/// None of the others (EX_SOFTWARE).
pub(crate) const OTHER: u8 = 70;
/// Needs root (EX_NOPERM).
pub(crate) const DENIED: u8 = 77;
/// The host's or our configuration, or the command line, is not such that it can be done (EX_CONFIG).
pub(crate) const CONFIGURATION: u8 = 78;

/// A failure as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    status: u8,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// Something failed that should not.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self { status: OTHER, message: message.into(), hint: None }
    }

    /// What was found on the host, or was asked for, makes it impossible.
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self { status: CONFIGURATION, message: message.into(), hint: None }
    }

    /// A system call on a file failed: `read`, `write`. Lack of rights gives the exit status of that.
    pub(crate) fn io(action: &str, path: &Path, cause: &io::Error) -> Self {
        let status = if cause.kind() == io::ErrorKind::PermissionDenied { DENIED } else { OTHER };
        Self { status, message: format!("cannot {action} '{}': {cause}", path.display()), hint: None }
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What was done about it, behind a semicolon.
    pub(crate) fn done(mut self, what: &str) -> Self {
        self.message = format!("{}; {what}", self.message);
        self
    }

    pub(crate) fn status(&self) -> u8 {
        self.status
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<config::Error> for Error {
    /// The message of a wrong configuration brings its own hint.
    fn from(cause: config::Error) -> Self {
        Self::configuration(cause.to_string())
    }
}

/// # Errors
/// Unless root runs this.
pub(crate) fn require_root(command: &str) -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let message = format!("'{command}' needs root; nothing was done");
    Err(Error { status: DENIED, message, hint: Some(format!("sudo nss-iamctl {command}")) })
}
