//! Messages to the system log.
//!
//! This does not use the `syslog` crate, which the refresher uses: it waits for a daemon that hangs, and a login
//! must not. It also writes timestamps in UTC without a zone. If a message has no timestamp, the daemon adds its
//! own (RFC 3164, 4.3.2).

use std::fmt::Write;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The daemon's socket on every Linux (`syslog(3)`).
const SOCKET: &str = "/dev/log";

/// The name in the manual and the log.
const PROGRAM: &str = "nss-iam-keys-cmd";

/// The facility of `syslog(3)` for messages about logins, LOG_AUTHPRIV.
const AUTHPRIV: u8 = 10 << 3;

/// How long a login waits for a daemon whose queue is full.
const PATIENCE: Duration = Duration::from_millis(200);

/// How many bytes of a foreign value are shown: a line should have at most 1024 (RFC 3164, 4.1).
const SHOWN: usize = 64;

/// The severities of `syslog(3)` that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) severity: Severity,
    /// Printable ASCII; see [`shown`].
    pub(crate) text: String,
}

/// Writes to the log, if there is one: a host without a log must still allow logins.
pub(crate) fn log(lines: &[Line]) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let limited = socket.set_write_timeout(Some(PATIENCE));
    if limited.and_then(|()| socket.connect(SOCKET)).is_err() {
        return;
    }
    let pid = std::process::id();
    for Line { severity, text } in lines {
        let priority = AUTHPRIV | *severity as u8;
        let message = format!("<{priority}>{PROGRAM}[{pid}]: {text}");
        // If the daemon hangs, it will not take the next line either.
        if socket.send(message.as_bytes()).is_err() {
            return;
        }
    }
}

/// Foreign bytes as printable ASCII without quotes: no second line and no terminal control sequences.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let head = bytes.get(..SHOWN).unwrap_or(bytes);
    let mut shown = head.escape_ascii().to_string();
    if head.len() < bytes.len() {
        // Writing to a String cannot fail.
        let _ = write!(shown, "... ({} bytes)", bytes.len());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_stay_on_one_line_and_within_their_quotes() {
        assert_eq!(shown(b"jane@example.com"), "jane@example.com");
        assert_eq!(shown(b"a'\n\x1b[2J\0\xff\\"), r"a\'\n\x1b[2J\x00\xff\\");
        let long = shown(&[b'\n'; 1 << 20]);
        assert!(long.ends_with(r"\n... (1048576 bytes)"), "{long}");
        assert!(long.len() < 300, "{long}");
    }
}
