//! The host's log: what sshd, PAM and keys-cmd logged about logins. Lines can quote text from anyone on the network.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::host::Host;

/// How much of the end of a log file is read, in bytes.
const TAIL: u64 = 1 << 20;
/// How many lines of the journal are read.
pub(super) const LINES: &str = "4000";
const FILES: [&str; 4] = ["/var/log/auth.log", "/var/log/secure", "/var/log/messages", "/var/log/syslog"];
const PROGRAMS: [&str; 3] = ["sshd", "sshd-session", "nss-iam-keys-cmd"];

/// A line of a program, oldest first in a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// As in the log; the format varies.
    pub time: String,
    pub program: String,
    /// sshd has a process for each connection.
    pub pid: String,
    pub text: String,
}

/// The lines about logins.
pub(crate) fn logins(host: &Host) -> Vec<Line> {
    let mut words = vec!["journalctl", "-q", "--no-pager", "-o", "short-iso", "-n", LINES, "--since=-7d"];
    words.extend(PROGRAMS.iter().flat_map(|program| ["-t", program]));
    let lines = parse(&journal(host, &words));
    if !lines.is_empty() {
        return lines;
    }
    FILES.iter().map(|path| parse(&tail(host, path))).find(|lines| !lines.is_empty()).unwrap_or_default()
}

/// Whom sshd let in: `Accepted publickey for ana from ::1 port 5 ssh2`.
pub(crate) fn let_in(lines: &[Line]) -> BTreeSet<&str> {
    let accepted = lines.iter().filter_map(|line| line.text.strip_prefix("Accepted "));
    let names = accepted.filter_map(|text| text.split_once(" for ")?.1.split_once(" from "));
    names.map(|(name, _)| name).collect()
}

pub(super) fn journal(host: &Host, words: &[&str]) -> String {
    if host.find("journalctl").is_none() {
        return String::new();
    }
    host.run(words).map(|output| output.stdout).unwrap_or_default()
}

pub(super) fn tail(host: &Host, path: &str) -> String {
    let read = || {
        let mut file = File::open(host.path(path))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

fn parse(text: &str) -> Vec<Line> {
    text.lines().filter_map(line).filter(|line| PROGRAMS.contains(&line.program.as_str())).collect()
}

/// `2026-11-22T18:00:00+0000 host sshd[12]: text`, or `Nov 22 18:00:00 host sshd[12]: text`.
fn line(line: &str) -> Option<Line> {
    let (head, text) = line.split_once("]: ")?;
    let (head, pid) = head.rsplit_once('[')?;
    let (head, program) = head.rsplit_once(' ')?;
    let (time, _host) = head.rsplit_once(' ')?;
    let [time, program, pid, text] = [time, program, pid, text].map(str::to_owned);
    Some(Line { time, program, pid, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_journal_and_of_log_files_are_read_alike() {
        let text = "2026-11-22T18:00:00+0000 jump sshd[12]: Accepted publickey for ana from ::1 port 5 ssh2\n\
                    2026-11-22T18:00:01.123456+00:00 jump sshd-session[13]: Invalid user x]: y from ::1\n\
                    Nov 22 18:00:02 jump nss-iam-keys-cmd[14]: offered no key of user 'ana': why\n\
                    Nov 22 18:00:03 jump CRON[15]: (root) CMD (x)\n-- Boot 1 --\nNov 22 18:00:04 jump kernel: x\n";
        let lines = parse(text);
        let seen: Vec<_> = lines.iter().map(|line| (line.time.as_str(), line.program.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("2026-11-22T18:00:00+0000", "sshd"),
                ("2026-11-22T18:00:01.123456+00:00", "sshd-session"),
                ("Nov 22 18:00:02", "nss-iam-keys-cmd")
            ]
        );
        assert_eq!(lines[1].text, "Invalid user x]: y from ::1");
        assert_eq!(let_in(&lines), BTreeSet::from(["ana"]));
    }
}
