//! Messages: standard error for the caller, syslog (authpriv) for later.

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

/// Installs the logger. Under systemd, standard error is the journal, and syslog would say everything twice.
pub(crate) fn install(to_journal: bool) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "nss-iam-cache-refresher".to_owned(),
        pid: std::process::id(),
    };
    // A host without syslog is no reason not to refresh.
    let quiet = to_journal || std::io::stderr().is_terminal();
    let syslog = if quiet { None } else { syslog::unix(formatter).ok() };
    // A syslog that hangs loses lines, and delays no lock.
    if let Some(LoggerBackend::Unix(socket)) = syslog.as_ref().map(|syslog| &syslog.backend) {
        let _ = socket.set_nonblocking(true);
    }
    let syslog = syslog.map(Mutex::new);
    if log::set_boxed_logger(Box::new(Logger { to_journal, syslog })).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// The libraries below us say nothing that an administrator could act on.
pub(crate) fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("cache_refresher")
}

/// Installs the logger of the fetch half that is a child: what it says goes to the parent, which installs the other one.
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
        // If nobody reads standard error there is nobody to tell.
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

/// The logger of the fetch half that is a child.
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
