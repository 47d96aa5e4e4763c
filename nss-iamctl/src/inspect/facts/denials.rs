//! What SELinux and AppArmor denied, in the audit daemon's log or the kernel's.

use crate::host::Host;
use crate::inspect::facts::log::{LINES, journal, tail};

/// The programs that prepare a session: they make the home directory, and XDG_RUNTIME_DIR. The kernel cuts names at 15 bytes.
const SESSION: [&str; 3] = ["mkhomedir_helpe", "oddjob-mkhomedi", "systemd-user-ru"];

/// What is older is not reported, in seconds.
const DAY: i64 = 86_400;
/// What a domain of the module's attribute may do with the cache.
const READ: [&str; 5] = ["getattr", "map", "open", "read", "search"];

/// A denial by SELinux or AppArmor that concerns nss-iam, or the session of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    /// `selinux` or `apparmor`.
    pub by: &'static str,
    /// The program that was denied.
    pub program: String,
    /// The file that it was denied.
    pub path: String,
    /// SELinux, or the domain, is permissive: it was logged, but not denied.
    pub only_logged: bool,
    /// SELinux: the domain of the program, if it only has to be added to those that may read the cache.
    pub reader: Option<String>,
}

/// The denials of SELinux and AppArmor since the boot, of a day at most.
pub(super) fn gather(host: &Host, now: i64) -> Vec<Denial> {
    let since = since(&tail(host, "/proc/stat"), now);
    let mut text = recent(&tail(host, "/var/log/audit/audit.log"), since);
    if text.is_empty() {
        let words = ["journalctl", "-q", "--no-pager", "-o", "cat", "-k", "-n", LINES, "--since=-1d"];
        text = recent(&journal(host, &words), since);
    }
    since_the_last_change(&text)
}

/// The boot, from `/proc/stat` (`proc_stat(5)`), or a day ago.
fn since(stat: &str, now: i64) -> i64 {
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok());
    boot.unwrap_or(0).max(now - DAY)
}

fn recent(text: &str, since: i64) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| time(line).is_none_or(|at| at >= since)).collect();
    lines.join("\n")
}

/// When it was logged, in seconds: `audit(1732662595.123:45)`.
fn time(line: &str) -> Option<i64> {
    line.split_once("audit(")?.1.split_once('.')?.0.parse().ok()
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
        if line.contains("apparmor=\"STATUS\" operation=\"profile_") && !same {
            let changed = value(line, "name").unwrap_or_default();
            denials.retain(|denial| denial.by != "apparmor" || denial.program != changed);
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
    let only_logged = line.contains(" permissive=1");
    (ours || alone || session).then(|| Denial { by, program, path, only_logged, reader: reader(line) })
}

/// `avc:  denied  { read } for … scontext=system_u:system_r:x_t:s0 tcontext=system_u:object_r:nss_iam_cache_t:s0 …`: the domain,
/// `x_t`, if it was only denied what a reader of the cache may do.
fn reader(line: &str) -> Option<String> {
    let kind = |key| line.split(' ').find_map(|word| word.strip_prefix(key))?.split(':').nth(2);
    let (_, denied) = line.split_once("{ ")?;
    let reads = denied.split_once(" }")?.0.split(' ').all(|permission| READ.contains(&permission));
    let domain = kind("scontext=").filter(|_| reads && kind("tcontext=") == Some("nss_iam_cache_t"))?;
    let is_name = domain.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    is_name.then(|| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_that_concern_us_are_told_from_others() {
        let of = |by, program: &str, path: &str| {
            let [program, path] = [program, path].map(str::to_owned);
            Some(Denial { by, program, path, only_logged: false, reader: None })
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
    fn a_domain_that_only_has_to_read_the_cache_is_told_from_others_and_permissive_from_enforcing() {
        let line = |denied: &str, from: &str, on: &str, permissive: u8| {
            let labels = format!("scontext=system_u:system_r:{from}:s0 tcontext=system_u:object_r:{on}:s0");
            let mode = format!("tclass=file permissive={permissive}");
            format!(
                r#"avc:  denied  {{ {denied} }} for  pid=9 comm="x" name="cache.db" dev="vda" ino=5 {labels} {mode}"#
            )
        };
        for (denied, from, on, permissive, reader) in [
            ("read", "x_t", "nss_iam_cache_t", 0, Some("x_t")),
            ("read open", "x_t", "nss_iam_cache_t", 1, Some("x_t")),
            ("read write", "x_t", "nss_iam_cache_t", 0, None),
            ("read", "x_t", "var_lib_t", 0, None),
            ("read", "x;t", "nss_iam_cache_t", 0, None),
        ] {
            let found = denial(&line(denied, from, on, permissive)).unwrap();
            assert_eq!(
                (found.reader.as_deref(), found.only_logged),
                (reader, permissive == 1),
                "{denied} {on}"
            );
        }
    }

    #[test]
    fn what_was_denied_before_the_boot_or_more_than_a_day_ago_is_not_reported() {
        const NOW: i64 = 1_800_000_000;
        let count = |boot: i64, at: i64| {
            let avc = format!(
                r#"type=AVC msg=audit({at}.5:1): avc:  denied  {{ read }} for  comm="sshd" name="cache.db""#
            );
            since_the_last_change(&recent(&avc, since(&format!("cpu 1\nbtime {boot}\n"), NOW))).len()
        };
        assert_eq!(count(NOW - 9 * DAY, NOW - 60), 1);
        assert_eq!(count(NOW - 9 * DAY, NOW - DAY - 60), 0);
        assert_eq!(count(NOW - 60, NOW - 60), 1);
        assert_eq!(count(NOW - 60, NOW - 120), 0);
        assert_eq!(recent("a\naudit(x.y): b", NOW), "a\naudit(x.y): b", "without a time");
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
        assert_eq!(count(&[avc, &denied, &replaced.replace("_replace", "_load")]), 1);
        assert_eq!(count(&[&denied, same]), 1);
        assert_eq!(count(&[&denied, &replaced.replace("\"p\"", "\"q\"")]), 1);
    }
}
