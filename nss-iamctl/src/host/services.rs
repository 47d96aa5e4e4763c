//! The units of a refresh: whether they are installed, and a run of them as by the timer, with its report.

mod report;

use std::io::{IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use message::Message;
use status::{Status, exit};

use crate::host::paths::{ASKED, SERVICES, STATUS};
use crate::host::{Host, files};
use crate::say::error::{self, Error};
use crate::say::finding::written;
use crate::say::say;
use crate::say::show::printable;

/// Where units and their drop-ins are.
pub(crate) const DIRECTORIES: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const PAUSE: Duration = Duration::from_millis(200);

/// How a refresh ended.
pub(crate) struct Ran {
    pub exit: u8,
    /// The units that failed, with systemd's id of this run.
    failed: Vec<(&'static str, String)>,
    /// Its report, if it wrote one.
    status: Option<Status>,
}

/// Whether the unit is installed.
pub(crate) fn is_installed(host: &Host, unit: &str) -> bool {
    DIRECTORIES.iter().any(|directory| host.exists(&format!("{directory}/{unit}")))
}

/// Whether systemd runs (sd_booted(3)) and knows the units.
pub(crate) fn are_usable(host: &Host) -> bool {
    host.exists("/run/systemd/system") && SERVICES.iter().all(|unit| is_installed(host, unit))
}

/// Runs them now. A run that began earlier may have read an earlier configuration, so it is waited for first.
///
/// # Errors
/// When systemd does not run them.
pub(crate) fn run(host: &Host) -> Result<Ran, Error> {
    let before = wait(host)?;
    ask(host);
    let last = Status::read(&host.path(STATUS)).ok().and_then(|status| status.time);
    let [fetch, refresh] = SERVICES;
    if before.first().is_some_and(|fetch| fetch.stays) {
        // It reads the configuration and the source again, and is ready after that.
        host.must(&["systemctl", "restart", "--no-block", fetch])?;
    }
    host.must(&["systemctl", "start", "--no-block", refresh])?;
    let after = wait(host)?;
    let ran = |at: usize| match (before.get(at), after.get(at)) {
        (Some(before), Some(after)) if before.run != after.run => Some(after),
        _ => None,
    };
    let Some(refreshed) = ran(1) else {
        let what = format!("systemd did not run '{refresh}'");
        return Err(Error::other(what).hint(format!("systemctl status {refresh}")));
    };
    let units = [(fetch, ran(0)), (refresh, Some(refreshed))];
    let failed = units.into_iter().filter_map(|(name, unit)| unit.map(|unit| (name, unit)));
    let failed: Vec<_> = failed.filter(|(_, unit)| unit.exit != error::OK).collect();
    let status = Status::read(&host.path(STATUS)).ok().filter(|status| status.time != last);
    let of_fetch = status.as_ref().and_then(|status| status.fetch.as_ref()).map(|fetch| fetch.exit);
    let of_fetch = of_fetch.filter(|_| after.first().is_some_and(|fetch| fetch.stays));
    let exit = exit::heaviest(failed.iter().map(|(_, unit)| unit.exit).chain(of_fetch));
    Ok(Ran {
        exit,
        failed: failed.into_iter().map(|(name, unit)| (name, unit.run.clone())).collect(),
        status,
    })
}

/// Asks the next refresh to read everything, and not only what is due by `[refresh] keys_every`.
pub(crate) fn ask(host: &Host) {
    if let Err(cause) = files::replace(&host.path(ASKED), "", 0o644) {
        say(Message::from(cause).and("only what is due is read"));
    }
}

impl Ran {
    /// Whether users stay only until somebody confirms that they leave.
    pub(crate) fn holds_users(&self) -> bool {
        self.status.as_ref().is_some_and(report::holds_users)
    }

    /// Prints the changes, the warnings, the summary, and at the end what failed.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn tell(&self, host: &Host, verbose: bool, out: &mut dyn Write) -> Result<(), Error> {
        if let Some(status) = &self.status {
            report::notes(status, verbose).into_iter().for_each(say);
            written(writeln!(out, "{}", report::summary(status)))?;
        }
        self.errors(host).into_iter().for_each(say);
        Ok(())
    }

    /// What failed.
    pub(crate) fn errors(&self, host: &Host) -> Vec<Message> {
        let mut errors = self.status.as_ref().map(report::errors).unwrap_or_default();
        if errors.is_empty() && self.exit != error::OK {
            errors.push(self.complaint(host));
        }
        errors
    }

    /// What a unit that failed without a report logged last.
    fn complaint(&self, host: &Host) -> Message {
        let Some((unit, run)) = self.failed.first() else { return "the refresh wrote no report".into() };
        let line = ["journalctl", "-q", "-o", "cat", "-n", "3", &format!("_SYSTEMD_INVOCATION_ID={run}")];
        let logged = host.run(&line).map(|output| output.stdout).unwrap_or_default();
        let last: Vec<String> = logged.lines().map(printable).collect();
        let why = if last.is_empty() { format!("exit status {}", self.exit) } else { last.join("; ") };
        Message::new(format!("'{unit}' failed: {why}")).with_hint(format!("journalctl -u {unit}"))
    }
}

/// A unit, from `systemctl show`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    /// Systemd's id of the last run.
    run: String,
    exit: u8,
    busy: bool,
    /// It runs, and does not end by itself.
    stays: bool,
    progress: String,
}

fn wait(host: &Host) -> Result<Vec<Unit>, Error> {
    let mut shown = false;
    loop {
        let units = show(host)?;
        if !units.iter().any(|unit| unit.busy) {
            if shown {
                draw("");
            }
            return Ok(units);
        }
        if std::io::stderr().is_terminal() {
            let progress = units.first().map_or("", |unit| unit.progress.as_str());
            draw(if progress.is_empty() { "refreshing" } else { progress });
            shown = true;
        }
        sleep(PAUSE);
    }
}

/// Replaces the line on the terminal. A second line would not be replaced the next time.
fn draw(text: &str) {
    let mut terminal = std::io::stderr();
    let columns = rustix::termios::tcgetwinsize(&terminal).map_or(0, |size| usize::from(size.ws_col));
    let _ = write!(terminal, "\r\x1b[K{}", fitting(&printable(text), columns));
    let _ = terminal.flush();
}

/// As much of a text in ASCII as fits in one line.
fn fitting(text: &str, columns: usize) -> &str {
    // A terminal that does not know its size says 0.
    let columns = if columns == 0 { 80 } else { columns };
    text.get(..columns.saturating_sub(1)).unwrap_or(text)
}

fn show(host: &Host) -> Result<Vec<Unit>, Error> {
    let keys = "ActiveState,Job,StatusText,ExecMainStatus,ExecMainCode,InvocationID";
    let line: Vec<&str> = ["systemctl", "show", "-p", keys].into_iter().chain(SERVICES).collect();
    Ok(host.must(&line)?.stdout.split("\n\n").map(unit).collect())
}

fn unit(text: &str) -> Unit {
    let value = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default()
    };
    // 1: it ended by itself; otherwise by a signal, whose number is then the status (waitid(2), CLD_EXITED).
    let exit = match (value("ExecMainCode"), value("ExecMainStatus").parse()) {
        ("0" | "1" | "", Ok(exit)) => exit,
        ("0" | "1" | "", Err(_)) => error::OK,
        _ => error::OTHER,
    };
    Unit {
        run: value("InvocationID").to_owned(),
        exit,
        busy: value("ActiveState") == "activating" || !["", "0"].contains(&value("Job")),
        stays: value("ActiveState") == "active",
        progress: value("StatusText").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_replaced_is_one_line() {
        assert_eq!((fitting("abcdef", 4), fitting("abc", 4), fitting("abc", 0)), ("abc", "abc", "abc"));
        assert_eq!(fitting(&"x".repeat(100), 0).len(), 79);
    }

    #[test]
    fn a_unit_is_busy_while_it_starts_or_has_a_job() {
        let state = |text: &str| unit(text);
        let idle =
            state("ActiveState=failed\nExecMainCode=1\nExecMainStatus=77\nInvocationID=ab\nStatusText=\n");
        assert_eq!(idle, Unit { run: "ab".to_owned(), exit: 77, ..Unit::default() });
        assert!(state("ActiveState=active").stays && !state("ActiveState=deactivating").stays);
        assert!(state("ActiveState=activating\nStatusText=3/7").busy);
        assert!(state("ActiveState=inactive\nJob=12").busy && !state("ActiveState=inactive\nJob=0").busy);
        assert_eq!(state("ExecMainCode=2\nExecMainStatus=15").exit, error::OTHER, "a signal");
        assert_eq!(state("ExecMainCode=0\nExecMainStatus=0\n").exit, error::OK, "never run");
    }
}
