//! Writes messages to standard error and to syslog (authpriv), or to the parent of this process.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use syslog::{Facility, Formatter3164, LoggerBackend};

use crate::child_report::Said;

type Syslog = syslog::Logger<LoggerBackend, Formatter3164>;

struct Logger {
    to_journal: bool,
    syslog: Option<Mutex<Syslog>>,
}

/// Installs the logger. Under systemd, standard error is the journal, which would get everything twice with syslog.
/// [`Level::Trace`] is for what a terminal shows only if `verbose`.
pub(crate) fn install(to_journal: bool, verbose: bool) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "nss-iam-cache-refresher".to_owned(),
        pid: std::process::id(),
    };
    // Refreshes also work on a host without syslog.
    let on_terminal = std::io::stderr().is_terminal();
    let quiet = to_journal || on_terminal;
    let syslog = if quiet { None } else { syslog::unix(formatter).ok() };
    // If syslog hangs, lines are lost instead of delaying a lock.
    if let Some(LoggerBackend::Unix(socket)) = syslog.as_ref().map(|syslog| &syslog.backend) {
        let _ = socket.set_nonblocking(true);
    }
    let syslog = syslog.map(Mutex::new);
    if log::set_boxed_logger(Box::new(Logger { to_journal, syslog })).is_ok() {
        log::set_max_level(if on_terminal && !verbose { LevelFilter::Debug } else { LevelFilter::Trace });
    }
}

/// Messages of libraries are left out: an administrator cannot act on them.
pub(crate) fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("cache_refresher")
}

/// Installs the logger of a fetch half that is a child. Its messages go to the parent, which installs the other logger.
pub(crate) fn install_for_child() {
    if log::set_boxed_logger(Box::new(ToParent)).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let prefix = match record.level() {
            Level::Error => "error: ",
            Level::Warn | Level::Debug => "warning: ",
            _ => "",
        };
        // The previous run logged it too: repeated on a terminal, but not in the log.
        let known = record.level() == Level::Debug;
        if known && self.to_journal {
            return;
        }
        // If this fails, nobody reads standard error.
        let _ = writeln!(std::io::stderr(), "{prefix}{}", record.args());
        if known {
            return;
        }
        if let Some(Ok(mut syslog)) = self.syslog.as_ref().map(Mutex::lock) {
            let line = record.args().to_string().replace('\n', "; ");
            let _ = match record.level() {
                Level::Error => syslog.err(line),
                Level::Warn => syslog.warning(line),
                _ => syslog.info(line),
            };
        }
    }

    fn flush(&self) {}
}

/// The logger of a fetch half that is a child.
struct ToParent;

impl Log for ToParent {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            Said::Log(record.level().as_str().to_owned(), record.args().to_string()).say();
        }
    }

    fn flush(&self) {}
}
