//! What SELinux and AppArmor denied, in the audit daemon's log or the kernel's.

use crate::host::Host;
use crate::inspect::facts::log::{LINES, journal, tail};

/// The programs that prepare a session: they make the home directory, and XDG_RUNTIME_DIR. The kernel cuts names at 15 bytes.
const SESSION: [&str; 3] = ["mkhomedir_helpe", "oddjob-mkhomedi", "systemd-user-ru"];

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

/// The denials of SELinux and AppArmor.
pub(super) fn gather(host: &Host) -> Vec<Denial> {
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
