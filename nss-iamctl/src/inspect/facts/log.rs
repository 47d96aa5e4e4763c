//! The host's log: what sshd, PAM, keys-cmd and the kernel logged about logins. Lines can quote text from anyone on the network.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::host::Host;

/// How much of the end of a log file is read, in bytes.
const TAIL: u64 = 1 << 20;
/// How many lines of the journal are read.
const LINES: &str = "4000";
const FILES: [&str; 4] = ["/var/log/auth.log", "/var/log/secure", "/var/log/messages", "/var/log/syslog"];
const PROGRAMS: [&str; 3] = ["sshd", "sshd-session", "nss-iam-keys-cmd"];
/// The programs that prepare a session: they make the home directory, and XDG_RUNTIME_DIR. The kernel cuts names at 15 bytes.
const SESSION: [&str; 3] = ["mkhomedir_helpe", "oddjob-mkhomedi", "systemd-user-ru"];

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

/// A denial by SELinux or AppArmor that concerns nss-iam, or the session of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// `selinux` or `apparmor`.
    pub by: &'static str,
    /// The program that was denied.
    pub program: String,
    /// The file that it was denied.
    pub path: String,
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

/// The denials of SELinux and AppArmor.
pub(crate) fn denials(host: &Host) -> Vec<Denial> {
    let mut text = tail(host, "/var/log/audit/audit.log");
    if text.is_empty() {
        text =
            journal(host, &["journalctl", "-q", "--no-pager", "-o", "cat", "-k", "-n", LINES, "--since=-1d"]);
    }
    since_the_last_change(&text)
}

/// What was denied before a policy or profile was loaded is not reported: that may have been the remedy.
fn since_the_last_change(text: &str) -> Vec<Denial> {
    let mut denials: Vec<Denial> = Vec::new();
    for line in text.lines() {
        // The audit daemon names the kernel's record 1403, and the kernel's log has its number.
        if line.contains("type=MAC_POLICY_LOAD ") || line.contains("type=1403 ") {
            denials.retain(|denial| denial.by != "selinux");
        }
        let same = line.contains("info=\"same as current profile");
        if line.contains("apparmor=\"STATUS\" operation=\"profile_replace\"") && !same {
            let replaced = value(line, "name").unwrap_or_default();
            denials.retain(|denial| denial.by != "apparmor" || denial.program != replaced);
        }
        if let Some(denial) = denial(line).filter(|denial| !denials.contains(denial)) {
            denials.push(denial);
        }
    }
    denials
}

/// The value of a key, ` key="value"`.
fn value(line: &str, key: &str) -> Option<String> {
    let rest = line.split_once(&format!(" {key}=\""))?.1;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

fn journal(host: &Host, words: &[&str]) -> String {
    if host.find("journalctl").is_none() {
        return String::new();
    }
    host.run(words).map(|output| output.stdout).unwrap_or_default()
}

fn tail(host: &Host, path: &str) -> String {
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

/// `apparmor="DENIED" operation="open" profile="…" name="/var/lib/nss-iam/cache.db" …`,
/// `avc:  denied  { map } for  pid=… comm="sshd" path="/var/lib/nss-iam/cache.db" …`.
fn denial(line: &str) -> Option<Denial> {
    let value = |key| value(line, key);
    let by = if line.contains("apparmor=\"DENIED\"") {
        "apparmor"
    } else if line.contains("avc:") && line.contains("denied") {
        "selinux"
    } else {
        return None;
    };
    let path = value("path").or_else(|| value("name"))?;
    let program = if by == "apparmor" { value("profile") } else { value("comm") }.unwrap_or_default();
    let ours = path.contains("nss-iam") || path.contains("libnss_iam");
    // Without a path, an avc has only the name of the file.
    let alone = by == "selinux" && ["cache.db", "keys.db", "keys-cmd"].contains(&path.as_str());
    let session = SESSION.contains(&program.as_str());
    (ours || alone || session).then_some(Denial { by, program, path })
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

    #[test]
    fn denials_that_concern_us_are_told_from_others() {
        let of = |by, program: &str, path: &str| {
            Some(Denial { by, program: program.to_owned(), path: path.to_owned() })
        };
        for (line, wanted) in [
            (
                r#"audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" class="file" profile="/usr/sbin/cupsd" name="/var/lib/nss-iam/cache.db" pid=9 comm="cupsd""#,
                of("apparmor", "/usr/sbin/cupsd", "/var/lib/nss-iam/cache.db"),
            ),
            (
                r#"type=AVC msg=audit(1.2:3): avc:  denied  { map } for  pid=9 comm="sshd" path="/var/lib/nss-iam/cache.db" dev="xvda1""#,
                of("selinux", "sshd", "/var/lib/nss-iam/cache.db"),
            ),
            (
                r#"avc:  denied  { read } for  pid=9 comm="sshd" name="cache.db" dev="xvda1" ino=5"#,
                of("selinux", "sshd", "cache.db"),
            ),
            (
                r#"avc:  denied  { write } for  pid=9 comm="mkhomedir_helpe" name="home" dev="vda" ino=5"#,
                of("selinux", "mkhomedir_helpe", "home"),
            ),
            (r#"avc:  denied  { read } for  pid=9 comm="httpd" name="shadow" dev="xvda1""#, None),
            (r#"apparmor="ALLOWED" operation="open" profile="x" name="/var/lib/nss-iam/cache.db""#, None),
        ] {
            assert_eq!(denial(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_was_denied_before_a_policy_was_loaded_is_not_reported() {
        let avc = r#"avc:  denied  { read } for  pid=9 comm="sshd" name="cache.db" dev="xvda1" ino=5"#;
        let profile = |verb: &str| format!(r#"apparmor={verb} profile="p" name="/var/lib/nss-iam/cache.db""#);
        let denied = profile(r#""DENIED" operation="open""#);
        let replaced = r#"apparmor="STATUS" operation="profile_replace" profile="unconfined" name="p" pid=1"#;
        let same = r#"apparmor="STATUS" operation="profile_replace" info="same as current profile, skipping" profile="unconfined" name="p" pid=1"#;
        let count = |lines: &[&str]| since_the_last_change(&lines.join("\n")).len();
        assert_eq!(count(&[avc, avc, &denied]), 2);
        assert_eq!(count(&[avc, "type=MAC_POLICY_LOAD msg=audit(1.2:3): lsm=selinux res=1", &denied]), 1);
        assert_eq!(count(&["audit: type=1403 audit(1.2:3): auid=0", avc]), 1);
        assert_eq!(count(&[avc, &denied, replaced]), 1);
        assert_eq!(count(&[&denied, same]), 1);
        assert_eq!(count(&[&denied, &replaced.replace("\"p\"", "\"q\"")]), 1);
    }
}
