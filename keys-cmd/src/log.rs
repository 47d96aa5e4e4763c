//! Messages to the system's log: to systemd's journal, with fields for programs, or else to syslog.
//!
//! This does not use the `syslog` crate, which the refresher uses: it waits for a daemon that hangs, and a login
//! must not. It also writes timestamps in UTC without a zone. If a message has no timestamp, the daemon adds its
//! own (RFC 3164, 4.3.2).

use std::fmt::Write;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The journal's socket; systemd.io describes the protocol ("Native Journal Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The syslog daemon's socket on every Linux (`syslog(3)`).
const SYSLOG: &str = "/dev/log";

/// The name in the manual and the log.
const PROGRAM: &str = "nss-iam-keys-cmd";

/// The facility of `syslog(3)` for messages about logins, LOG_AUTHPRIV.
const AUTHPRIV: u8 = 10;

/// How long a login waits for a daemon whose queue is full.
const PATIENCE: Duration = Duration::from_millis(200);

/// How many bytes of a foreign value are shown: a line should have at most 1024 (RFC 3164, 4.1).
const SHOWN: usize = 64;
/// The same for a field of the journal.
const SHOWN_IN_FIELD: usize = 256;

/// The severities of `syslog(3)` that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// A field of the journal, with its value.
pub(crate) type Field = (&'static str, String);

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) severity: Severity,
    /// Printable ASCII; see [`shown`].
    pub(crate) text: String,
    /// What the text says, for programs; printable ASCII, too.
    pub(crate) fields: Vec<Field>,
}

impl Line {
    /// A message for people only.
    pub(crate) fn new(severity: Severity, text: String) -> Self {
        Self { severity, text, fields: Vec::new() }
    }

    /// As the journal takes it: one line for each field.
    fn record(&self, pid: u32) -> String {
        let Self { severity, text, fields } = self;
        let priority = *severity as u8;
        let mut record = format!(
            "MESSAGE={text}\nPRIORITY={priority}\nSYSLOG_FACILITY={AUTHPRIV}\nSYSLOG_IDENTIFIER={PROGRAM}\n\
             SYSLOG_PID={pid}\n"
        );
        for (name, value) in fields {
            record.extend([name, "=", value, "\n"]);
        }
        record
    }

    /// As syslog takes it.
    fn message(&self, pid: u32) -> String {
        format!("<{}>{PROGRAM}[{pid}]: {}", AUTHPRIV << 3 | self.severity as u8, self.text)
    }
}

/// Writes to the log, if there is one: a host without a log must still allow logins.
pub(crate) fn log(lines: &[Line]) {
    if !lines.is_empty() && !send(JOURNAL, lines, Line::record) {
        send(SYSLOG, lines, Line::message);
    }
}

/// Whether there is a daemon.
fn send(path: &str, lines: &[Line], form: fn(&Line, u32) -> String) -> bool {
    let Ok(socket) = UnixDatagram::unbound() else {
        return false;
    };
    let limited = socket.set_write_timeout(Some(PATIENCE));
    if limited.and_then(|()| socket.connect(path)).is_err() {
        return false;
    }
    let pid = std::process::id();
    // If the daemon hangs, it will not take the next line either.
    let _ = lines.iter().try_for_each(|line| socket.send(form(line, pid).as_bytes()).map(drop));
    true
}

/// Foreign bytes as printable ASCII without quotes: no second line and no terminal control sequences.
pub(crate) fn shown(bytes: &[u8]) -> String {
    cut(bytes, SHOWN)
}

/// The same for the value of a field.
pub(crate) fn shown_in_field(bytes: &[u8]) -> String {
    cut(bytes, SHOWN_IN_FIELD)
}

fn cut(bytes: &[u8], length: usize) -> String {
    let head = bytes.get(..length).unwrap_or(bytes);
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
    fn a_line_has_the_form_of_the_journal_and_of_syslog() {
        let line = Line {
            severity: Severity::Info,
            text: "offered".to_owned(),
            fields: vec![("A", "1".to_owned()), ("B", "x y=z".to_owned())],
        };
        assert_eq!(line.message(7), "<86>nss-iam-keys-cmd[7]: offered");
        assert_eq!(
            line.record(7),
            "MESSAGE=offered\nPRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=nss-iam-keys-cmd\nSYSLOG_PID=7\nA=1\n\
             B=x y=z\n"
        );
    }

    #[test]
    fn foreign_bytes_stay_on_one_line_and_within_their_quotes() {
        assert_eq!(shown(b"jane@example.com"), "jane@example.com");
        assert_eq!(shown(b"a'\n\x1b[2J\0\xff\\"), r"a\'\n\x1b[2J\x00\xff\\");
        let long = shown(&[b'\n'; 1 << 20]);
        assert!(long.ends_with(r"\n... (1048576 bytes)"), "{long}");
        assert!(long.len() < 300, "{long}");
        assert!(shown_in_field(&[b'\n'; 257]).ends_with(r"\n... (257 bytes)"));
    }
}
