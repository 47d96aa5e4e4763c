//! No verdict lies: on a host that is broken in some way, `doctor` says that logins work, `why` that nothing prevents them, and
//! `status --check` that all is well, only if ssh gets in. Each break is tried alone, and some in pairs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use cache::snapshot::{Cache, Keys};
use tests::login::{ADMINS, GROUP, JumpHost, Key, append};
use tests::text;

const DIRECTORY: &str = "/var/lib/nss-iam";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";
const LATER: &str = "/etc/ssh/sshd_config.d/60-test.conf";
const EARLIER: &str = "/etc/ssh/sshd_config.d/00-a.conf";
const KEYS_CMD: &str = "/usr/libexec/nss-iam/keys-cmd";
const REVOKED: &str = "/etc/ssh/revoked";
const DAY: i64 = 86_400;

/// Whether ana gets in, and what breaks the host.
struct Row {
    name: &'static str,
    is_in: bool,
    breaks: fn(&JumpHost),
}

const fn open(name: &'static str, breaks: fn(&JumpHost)) -> Row {
    Row { name, is_in: true, breaks }
}

const fn closed(name: &'static str, breaks: fn(&JumpHost)) -> Row {
    Row { name, is_in: false, breaks }
}

const ROWS: &[Row] = &[
    open("nothing", |_| ()),
    open("an unknown key in the configuration", |_| append("/etc/nss-iam/config.toml", "\nx = 1\n")),
    open("no configuration", |_| remove("/etc/nss-iam/config.toml")),
    open("no /etc/shells", |_| remove("/etc/shells")),
    open("no report", |_| remove("/var/lib/nss-iam/status.json")),
    open("no state.db", |_| remove("/var/lib/nss-iam/state.db")),
    open("a home of another user", |_| chown("/home/ana", Some(1234), None).unwrap()),
    open("a denied user of an address", |_| append(LATER, "DenyUsers ana@10.0.0.1\n")),
    open("a denied group of others", |_| append(LATER, "DenyGroups jumphostadmins\n")),
    open("another denied user", |_| append(LATER, "DenyUsers an bana\n")),
    open("a confirmation two hours ago", |_| confirmed(-DAY / 12)),
    closed("a denied user", |_| append(LATER, "DenyUsers an?\n")),
    closed("a denied group of IAM", |_| append(LATER, "DenyGroups jumphostaccess\n")),
    closed("a denied private group", |_| append(LATER, "DenyGroups ana\n")),
    closed("other users allowed", |_| append(LATER, "AllowUsers root\n")),
    closed("other groups allowed", |_| append(LATER, "AllowGroups sudo\n")),
    closed("no keys in sshd", |_| append(LATER, "PubkeyAuthentication no\n")),
    open("another revoked key", |_| {
        fs::copy("/etc/ssh/ssh_host_ed25519_key.pub", REVOKED).unwrap();
        append(LATER, &format!("RevokedKeys {REVOKED}\n"));
    }),
    closed("a revoked key", |_| revoke()),
    closed("a revoked key in a list of ssh-keygen", |host| {
        revoke();
        host.done(&["ssh-keygen", "-q", "-k", "-f", "/etc/ssh/krl", REVOKED]);
        fs::rename("/etc/ssh/krl", REVOKED).unwrap();
    }),
    closed("no list of revoked keys", |_| append(LATER, "RevokedKeys /etc/ssh/none\n")),
    closed("a damaged list of revoked keys", |_| {
        fs::write(REVOKED, "SSHKRL\n\0").unwrap();
        append(LATER, &format!("RevokedKeys {REVOKED}\n"));
    }),
    closed("other types of keys", |_| append(LATER, "PubkeyAcceptedAlgorithms ssh-ed25519\n")),
    closed("longer RSA keys", |_| append(LATER, "RequiredRSASize 4096\n")),
    closed("a password besides the key", |_| append(LATER, "AuthenticationMethods publickey,password\n")),
    closed("an earlier Match", |_| append(EARLIER, "Match User ana\nAuthorizedKeysCommand none\n")),
    closed("no drop-in", |_| remove(DROP_IN)),
    closed("disabled", |host| drop(host.done(&["nss-iamctl", "disable"]))),
    closed("no keys-cmd", |_| remove(KEYS_CMD)),
    closed("keys-cmd for root only", |_| mode(KEYS_CMD, 0o700)),
    closed("a directory that anybody can write to", |_| mode("/usr/libexec/nss-iam", 0o777)),
    closed("no user for keys-cmd", |_| edit("/etc/passwd", |line| !line.starts_with("nss-iam:"))),
    closed("a local user of that name", |_| {
        append("/etc/passwd", "ana:x:1234:1234::/:/bin/sh\n");
        append("/etc/shadow", "ana:*:20000:0:99999:7:::\n");
    }),
    closed("nologin", |_| append("/etc/nologin", "maintenance\n")),
    closed("no shell", |_| fs::rename("/bin/bash", "/bin/bash.gone").unwrap()),
    closed("a shell that PAM refuses", |_| {
        edit("/etc/shells", |line| !line.contains("bash"));
        account("required pam_shells.so");
    }),
    closed("an account stage that refuses everybody", |_| account("required pam_deny.so")),
    closed("an account stage for others", |_| account("requisite pam_succeed_if.so quiet user ingroup sudo")),
    closed("a module of PAM that is not installed", |_| account("required pam_nowhere.so")),
    open("a module of PAM that need not be installed", |_| account("optional pam_nowhere.so")),
    closed("another machine-id", |_| fs::write("/etc/machine-id", "f".repeat(32)).unwrap()),
    closed("no service for passwd", |_| service("passwd", "files")),
    closed("no service for group", |_| service("group", "files")),
    closed("no service for shadow", |_| service("shadow", "files")),
    closed("no service for initgroups", |_| append("/etc/nsswitch.conf", "initgroups: files\n")),
    closed("no module", |_| fs::remove_file(tests::module()).unwrap()),
    closed("no cache", |_| remove("/var/lib/nss-iam/cache.db")),
    closed("a damaged cache", |_| fs::write("/var/lib/nss-iam/cache.db", "x".repeat(9000)).unwrap()),
    closed("nobody published", |_| {
        let mut cache = Cache::read(&Path::new(DIRECTORY).join("cache.db")).unwrap();
        cache.users.clear();
        cache.groups.clear();
        cache::publish::cache(Path::new(DIRECTORY), &cache).unwrap();
    }),
    closed("no keys.db", |_| remove("/var/lib/nss-iam/keys.db")),
    closed("keys.db for root only", |_| mode("/var/lib/nss-iam/keys.db", 0o600)),
    closed("a closed directory", |_| mode(DIRECTORY, 0o700)),
    closed("no key", |_| keys(|keys| keys.logins.iter_mut().for_each(|login| login.keys.clear()))),
    closed("nobody with keys", |_| keys(|keys| keys.logins.clear())),
    closed("a confirmation in the future", |_| confirmed(DAY)),
    closed("a confirmation too long ago", |_| confirmed(-4 * DAY)),
    closed("no confirmation", |_| keys(|keys| keys.logins.iter_mut().for_each(|login| login.confirmed = 0))),
    closed("everyone locked", |host| drop(host.done(&["nss-iamctl", "lock", "--all"]))),
];

/// Lists every published key.
fn revoke() {
    let keys = Keys::published(Path::new(DIRECTORY));
    let keys = keys.iter().flat_map(|keys| &keys.logins).flat_map(|login| &login.keys);
    fs::write(REVOKED, keys.map(|key| format!("{}\n", key.line())).collect::<String>()).unwrap();
    append(LATER, &format!("RevokedKeys {REVOKED}\n"));
}

fn remove(path: &str) {
    let _ = fs::remove_file(path);
}

fn mode(path: &str, mode: u32) {
    if Path::new(path).exists() {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

fn edit(path: &str, keep: fn(&str) -> bool) {
    // In a pair, the other row may have removed it.
    let text = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, text.split_inclusive('\n').filter(|line| keep(line)).collect::<String>()).unwrap();
}

/// Puts a line first into the account stage of sshd.
fn account(line: &str) {
    let stack = fs::read_to_string("/etc/pam.d/sshd").unwrap();
    fs::write("/etc/pam.d/sshd", format!("account {line}\n{stack}")).unwrap();
}

fn service(database: &str, services: &str) {
    let text = fs::read_to_string("/etc/nsswitch.conf").unwrap();
    let line = |line: &str| {
        let is_it = line.starts_with(&format!("{database}:"));
        if is_it { format!("{database}: {services}\n") } else { format!("{line}\n") }
    };
    fs::write("/etc/nsswitch.conf", text.lines().map(line).collect::<String>()).unwrap();
}

fn keys(change: impl Fn(&mut Keys)) {
    let group = fs::read_to_string("/etc/group").unwrap();
    let gid = group.lines().find_map(|line| line.strip_prefix("nss-iam:x:")?.split(':').next()?.parse().ok());
    let Ok(mut keys) = Keys::published(Path::new(DIRECTORY)) else { return };
    change(&mut keys);
    cache::publish::keys(Path::new(DIRECTORY), &keys, gid.unwrap()).unwrap();
}

/// Moves the time of the last confirmation by so many seconds.
fn confirmed(by: i64) {
    keys(|keys| keys.logins.iter_mut().for_each(|login| login.confirmed += by));
}

/// Everything that a row can change.
const CHANGED: &str = "/etc/ssh /etc/nss-iam /etc/nsswitch.conf /etc/passwd /etc/shadow /etc/group /etc/shells \
                       /etc/machine-id /etc/pam.d /usr/libexec/nss-iam /var/lib/nss-iam";

fn save(host: &JumpHost) {
    let module = tests::module();
    host.done(&["sh", "-c", &format!("tar -cpf /root/good.tar {CHANGED} {}", module.display())]);
}

fn restore(host: &JumpHost) {
    let line = "rm -rf /etc/ssh /etc/nss-iam /var/lib/nss-iam /etc/nologin; tar -C / -xpf /root/good.tar; \
                [ -e /bin/bash ] || mv /bin/bash.gone /bin/bash; chown ana /home/ana";
    host.done(&["sh", "-c", line]);
}

/// What differs between ssh and the verdicts.
fn lies(host: &JumpHost, ana: &Key, rows: &[&Row]) -> Vec<String> {
    for row in rows {
        (row.breaks)(host);
    }
    host.restart_sshd(&[]);
    let wanted = rows.iter().all(|row| row.is_in);
    let is_in = text(&host.ssh("ana", ana, "echo inside").stdout).contains("inside");
    let (doctor, report) = host.sh("nss-iamctl doctor");
    let (check, line) = host.sh("nss-iamctl status --check");
    let (_, other) = host.sh("setpriv --reuid=65534 --regid=65534 --clear-groups nss-iamctl status --check");
    let (why, reasons) = host.sh("nss-iamctl why ana");
    restore(host);
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    let mut found = Vec::new();
    let mut holds = |so: bool, what: &str, said: &str| {
        if !so {
            found.push(format!("{}: {what}: {said}", names.join(" + ")));
        }
    };
    holds(is_in == wanted, "ssh", if is_in { "in" } else { "out" });
    holds(report.contains("verdict: logins work") == is_in, "doctor", &report);
    holds(is_in || doctor == Some(2), "exit status of doctor", &report);
    holds(if is_in { check < Some(2) } else { check == Some(2) }, "status --check", &line);
    let seen = !other.contains("NSS_IAM OK") || other.contains("visible only to root");
    holds(seen, "status --check of another user", &other);
    holds((why == Some(2)) != is_in, "why", &reasons);
    found
}

/// bob is the only member of a group that sshd denies, and the last by name.
#[test]
fn one_kind_of_users_that_sshd_denies_is_named() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, bob) = (host.user("ana"), host.user_in("bob", &[GROUP, ADMINS]));
    host.refresh();
    append(LATER, "DenyGroups jumphostadmins\n");
    host.restart_sshd(&[]);
    host.login("ana", &ana, "true");
    host.refused("bob", &bob);
    let denied = "logins work for 1 of 2 users, but not for 'bob': sshd has 'DenyGroups jumphostadmins'";
    let (status, report) = host.sh("nss-iamctl doctor");
    assert!(status == Some(2) && report.contains(&format!("verdict: {denied}")), "{report}");
    let (status, line) = host.sh("nss-iamctl status --check");
    assert!(status == Some(1) && line.contains(denied), "{line}");
}

#[test]
fn logins_are_said_to_work_exactly_when_ssh_gets_in() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    host.login("ana", &ana, "true");
    save(&host);
    let mut found: Vec<String> = ROWS.iter().flat_map(|row| lies(&host, &ana, &[row])).collect();
    // Each row with one far from it, in the order of the table, which differs from that of the checks.
    let pairs = ROWS.iter().zip(ROWS.iter().cycle().skip(17)).step_by(3);
    found.extend(pairs.flat_map(|(one, other)| lies(&host, &ana, &[one, other])));
    assert!(found.is_empty(), "{}", found.join("\n"));
}
