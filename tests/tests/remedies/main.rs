//! Each remedy that `doctor` and `why` print is carried out as it is printed, and the finding must then be gone.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod document;
mod follow;
mod left_out;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use follow::follow;
use serde_json::{Value, json};
use tests::login::{GROUP, JumpHost};

const KEYS: &str = "/var/lib/nss-iam/keys.db";
const CACHE: &str = "/var/lib/nss-iam/cache.db";
const NSSWITCH: &str = "/etc/nsswitch.conf";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";

/// A host on which ana can log in with an RSA key, and bob with a key in a tag.
fn host() -> Option<JumpHost> {
    let host = JumpHost::start_with("[tags]\nuse = [\"ssh-key\", \"uid\"]\n")?;
    fs::write("/usr/local/bin/aws", include_str!("aws")).unwrap();
    mode("/usr/local/bin/aws", 0o755);
    // As the packages install them.
    fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    fs::create_dir_all("/usr/share/nss-iam").unwrap();
    fs::write("/usr/lib/sysusers.d/nss-iam.conf", include_str!("../../../systemd/nss-iam.sysusers")).unwrap();
    fs::write("/usr/share/nss-iam/iam-policy.json", include_str!("../../../config/iam-policy.json")).unwrap();
    host.done(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/KEY"]);
    let _ = host.user("ana");
    let ed25519 = fs::read_to_string("/root/KEY.pub").unwrap();
    let body = ed25519.trim().rsplit_once(' ').unwrap().0;
    add(&host, &json!({"name": "bob", "tags": {"nss-iam:ssh-key": body}}));
    host.refresh();
    assert!(offered(&host, "bob"));
    Some(host)
}

/// Adds a user to IAM and to the group.
fn add(host: &JumpHost, user: &Value) {
    host.account.seed(json!({"users": [user]}));
    host.account.change(json!({"do": "add_member", "group": GROUP, "user": user["name"]}));
}

fn set_tag(host: &JumpHost, user: &str, key: &str, value: &str) {
    host.account.change(json!({"do": "set_tag", "user": user, "key": key, "value": value}));
}

/// The text without the lines that contain a word.
fn without(text: &str, word: &str) -> String {
    text.lines().filter(|line| !line.contains(word)).map(|line| format!("{line}\n")).collect()
}

fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn edit(path: &str, change: impl Fn(String) -> String) {
    fs::write(path, change(fs::read_to_string(path).unwrap())).unwrap();
}

/// Switches EC2 Instance Connect on, with a command of this mode or without one.
fn instance_connect(host: &JumpHost, command: Option<u32>) {
    host.enable(&["--instance-connect"]);
    let path = policy::instance_connect::COMMANDS[0];
    match command {
        None => fs::remove_file(path).unwrap(),
        Some(command) => {
            fs::create_dir_all("/opt/aws/bin").unwrap();
            fs::write(path, "").unwrap();
            mode(path, command);
        }
    }
}

fn offered(host: &JumpHost, user: &str) -> bool {
    host.sh(&format!("nss-iamctl keys {user}")).1.contains("SHA256:")
}

/// A refresh that may report something.
fn refresh(host: &JumpHost) {
    let _ = host.refresher(&[]).output().unwrap();
}

/// What the finding with this code says, and its remedy, if there is one.
fn finding(host: &JumpHost, words: &[&str], code: &str) -> Option<(String, String)> {
    let ran = host.machine.run(&[&["nss-iamctl"], words, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["code"] == code && finding["level"] != "ok")?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Some((text("what"), text("remedy")))
}

/// One row: what finds it, its code, how the host is broken, and which ways of the remedy are followed, each after it was
/// broken again.
struct Row {
    words: &'static [&'static str],
    code: &'static str,
    breaks: fn(&JumpHost),
    ways: &'static [usize],
}

const fn row(
    words: &'static [&'static str],
    code: &'static str,
    breaks: fn(&JumpHost),
    ways: &'static [usize],
) -> Row {
    Row { words, code, breaks, ways }
}

const DOCTOR: &[&str] = &["doctor"];
const WHY_ANA: &[&str] = &["why", "ana"];
const WHY_BOB: &[&str] = &["why", "bob"];

/// What is wrong with files of this host.
const OF_THE_HOST: &[Row] = &[
    row(DOCTOR, "keys-cmd-unsafe", |_| mode("/usr/libexec/nss-iam", 0o777), &[0]),
    row(DOCTOR, "keys-cmd-mode", |_| mode("/usr/libexec", 0o700), &[0]),
    row(DOCTOR, "keys-cmd-cannot-read", |_| mode("/etc/machine-id", 0o600), &[0]),
    row(WHY_ANA, "keys-cmd-cannot-read", |_| mode("/var", 0o700), &[0]),
    row(
        DOCTOR,
        "setting-without-effect",
        |host| {
            host.enable(&["--keys", "--instance-connect"]);
            host.enable(&["--no-keys"]);
        },
        &[1, 0],
    ),
    row(DOCTOR, "instance-connect-unsafe", |host| instance_connect(host, Some(0o777)), &[0]),
    row(DOCTOR, "instance-connect-missing", |host| instance_connect(host, None), &[0]),
    row(
        DOCTOR,
        "instance-connect-differs",
        |_| edit(DROP_IN, |text| text.replace("keys-cmd ", "keys-cmd --instance-connect ")),
        &[0],
    ),
    row(DOCTOR, "sudo-asks-for-password", |_| (), &[0]),
    row(DOCTOR, "directory-mode", |_| mode("/var/lib/nss-iam", 0o777), &[0]),
    row(DOCTOR, "drop-in-missing", |_| fs::remove_file(DROP_IN).unwrap(), &[0]),
    row(WHY_ANA, "nologin", |_| fs::write("/etc/nologin", "maintenance\n").unwrap(), &[0]),
    row(DOCTOR, "nsswitch-without-iam", |_| edit(NSSWITCH, |text| text.replace(" iam", "")), &[0]),
    row(DOCTOR, "nsswitch-order", |_| edit(NSSWITCH, |text| text.replace("passwd: ", "passwd: iam ")), &[0]),
    row(DOCTOR, "cache-missing", |_| fs::remove_file(CACHE).unwrap(), &[0]),
    row(DOCTOR, "cache-refused", |_| fs::write(CACHE, "not a database").unwrap(), &[0]),
    row(DOCTOR, "keys-missing", |_| fs::remove_file(KEYS).unwrap(), &[0]),
    row(DOCTOR, "keys-mode", |_| mode(KEYS, 0o600), &[0]),
    row(
        DOCTOR,
        "keys-of-other-machine",
        |_| {
            // Only keys that were confirmed since count, and times have whole seconds.
            std::thread::sleep(std::time::Duration::from_millis(1100));
            fs::write("/etc/machine-id", "11111111111111111111111111111111\n").unwrap();
        },
        &[0],
    ),
    row(WHY_ANA, "home-writable", |_| mode("/home/ana", 0o777), &[0]),
    row(WHY_ANA, "home-of-other", |_| chown("/home/ana", Some(1234), Some(1234)).unwrap(), &[1]),
    row(WHY_ANA, "shell-unlisted", |_| edit("/etc/shells", |text| text.replace("/bin/bash\n", "")), &[0]),
    row(DOCTOR, "nsswitch-missing", |_| fs::remove_file(NSSWITCH).unwrap(), &[0]),
    row(DOCTOR, "nsswitch-no-shadow", |_| edit(NSSWITCH, |text| without(&text, "shadow:")), &[0]),
    row(DOCTOR, "keys-refused", |_| fs::write(KEYS, "not a database").unwrap(), &[0]),
    row(DOCTOR, "report-unreadable", |_| fs::write("/var/lib/nss-iam/status.json", "{").unwrap(), &[0]),
    row(DOCTOR, "never-refreshed", |_| fs::remove_file("/var/lib/nss-iam/status.json").unwrap(), &[0]),
    row(
        DOCTOR,
        "system-user-missing",
        |_| edit("/etc/passwd", |text| without(&text, "nss-iam-fetch:")),
        &[0],
    ),
    row(
        WHY_ANA,
        "home-not-a-directory",
        |_| {
            fs::rename("/home/ana", "/root/home-of-ana").unwrap();
            fs::write("/home/ana", "").unwrap();
        },
        &[0],
    ),
    row(
        DOCTOR,
        "homes-not-created",
        |_| edit("/etc/pam.d/common-session", |text| without(&text, "mkhomedir")),
        &[0],
    ),
    row(WHY_ANA, "locked", |host| drop(host.done(&["nss-iamctl", "lock", "ana"])), &[0]),
    row(WHY_ANA, "everyone-locked", |host| drop(host.done(&["nss-iamctl", "lock", "--all"])), &[0]),
    row(DOCTOR, "some-locked", |host| drop(host.done(&["nss-iamctl", "lock", "ana"])), &[0]),
    row(DOCTOR, "all-locked", |host| drop(host.done(&["nss-iamctl", "lock", "--all"])), &[0]),
];

/// What a refresh says of users, keys and tags.
const OF_USERS: &[Row] = &[
    row(DOCTOR, "name-reserved", |host| add_refreshed(host, "admin"), &[0]),
    row(DOCTOR, "name-reserved", |host| add_refreshed(host, "docker"), &[1]),
    row(DOCTOR, "name-too-long", |host| add_refreshed(host, &"x".repeat(40)), &[0]),
    row(
        DOCTOR,
        "name-in-groups",
        |host| {
            edit("/etc/group", |text| text + "cameras:x:4321:kim\n");
            add_refreshed(host, "kim");
        },
        &[0],
    ),
    row(
        DOCTOR,
        "name-used",
        |host| {
            fs::write("/etc/sudoers.d/lee", "lee ALL=(ALL) ALL\n").unwrap();
            add_refreshed(host, "lee");
        },
        &[1],
    ),
    row(
        DOCTOR,
        "name-used",
        |host| {
            fs::write("/etc/sudoers.d/leo", "# visudo refuses an empty file\nleo ALL=(ALL) ALL\n").unwrap();
            mode("/etc/sudoers.d/leo", 0o440);
            add_refreshed(host, "leo");
        },
        &[0],
    ),
    row(
        DOCTOR,
        "name-of-host-user",
        |host| {
            edit("/etc/passwd", |text| text + "homer:x:4322:4322::/home/homer:/bin/sh\n");
            add_refreshed(host, "homer");
        },
        &[1],
    ),
    row(
        DOCTOR,
        "name-of-host-user",
        |host| {
            host.done(&["useradd", "--create-home", "marge"]);
            add_refreshed(host, "marge");
        },
        &[0],
    ),
    row(DOCTOR, "tag-not-a-number", |host| tagged(host, "nss-iam:uid", "many"), &[0, 1]),
    row(DOCTOR, "tag-unused", |host| tagged(host, "nss-iam:gecos", "Bob"), &[0]),
    row(WHY_BOB, "tag-not-used", |host| tagged(host, "nss-iam:shell", "/bin/sh"), &[1, 0]),
    row(DOCTOR, "tag-id-of-system", |host| tagged(host, "nss-iam:uid", "7"), &[1]),
    row(WHY_BOB, "key-form", |host| tagged(host, "nss-iam:ssh-key-2", "broken"), &[0, 1]),
    // The first way leaves a key in ssh-key-3.1.
    row(WHY_BOB, "key-part-missing", |host| tagged(host, "nss-iam:ssh-key-3.2", "x"), &[0]),
    row(WHY_BOB, "key-part-missing", |host| tagged(host, "nss-iam:ssh-key-4.2", "x"), &[1]),
    row(WHY_BOB, "key-parts-beside-key", |host| tagged(host, "nss-iam:ssh-key.1", "x"), &[0]),
    row(
        WHY_BOB,
        "key-belongs-elsewhere",
        |host| {
            let rsa = fs::read_to_string("/root/keys/ana.pub").unwrap();
            tagged(host, "nss-iam:ssh-key-2", rsa.rsplit_once(' ').unwrap().0);
        },
        &[0],
    ),
    row(
        &["why", "joe"],
        "no-key",
        |host| {
            add(host, &json!({"name": "joe", "tags": {"nss-iam:ssh-key": "broken"}}));
            refresh(host);
        },
        &[0],
    ),
    row(&["why", "eve"], "no-key", |host| add_refreshed(host, "eve"), &[0]),
    row(
        &["why", "eve"],
        "disabled",
        |host| {
            host.account.change(json!({"do": "remove_member", "group": GROUP, "user": "eve"}));
            refresh(host);
        },
        &[0],
    ),
    row(DOCTOR, "name-first-character", |host| add_refreshed(host, "-a"), &[0]),
    row(DOCTOR, "name-of-digits", |host| add_refreshed(host, "4711"), &[0]),
    row(DOCTOR, "name-is-a-number", |host| add_refreshed(host, "0x10"), &[0]),
    row(
        DOCTOR,
        "name-of-host-group",
        |host| {
            edit("/etc/group", |text| text + "nat:x:4323:\n");
            add_refreshed(host, "nat");
        },
        &[0],
    ),
    row(
        DOCTOR,
        "name-taken",
        |host| {
            add(host, &json!({"name": "Ana", "created": "2030-01-01T00:00:00Z"}));
            refresh(host);
        },
        &[0],
    ),
    row(DOCTOR, "tag-id-too-high", |host| tagged(host, "nss-iam:uid", "4294967294"), &[0, 1]),
    row(WHY_BOB, "key-unreadable", |host| tagged(host, "nss-iam:ssh-key-2", "ssh-ed25519 AAAA"), &[0]),
    row(
        WHY_BOB,
        "key-type",
        |host| {
            let certificate = "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t";
            let body = format!("ssh-ed25519-cert-v01@openssh.com {certificate}");
            tagged(host, "nss-iam:ssh-key-2", &body);
        },
        &[0],
    ),
    row(
        WHY_BOB,
        "key-private",
        |host| tagged(host, "nss-iam:ssh-key-2", "-----BEGIN OPENSSH PRIVATE KEY-----"),
        &[0],
    ),
    row(
        &["why", "ida"],
        "key-inactive",
        |host| {
            let body = fs::read_to_string("/root/keys/ana.pub").unwrap();
            let body = body.rsplit_once(' ').unwrap().0;
            add(host, &json!({"name": "ida", "keys": [{"body": body, "status": "Inactive"}]}));
            refresh(host);
        },
        &[0],
    ),
    row(
        DOCTOR,
        "source-denied",
        |host| {
            let action = json!({"Effect": "Allow", "Action": "iam:ListSSHPublicKeys", "Resource": "*"});
            let policy = json!({"Version": "2012-10-17", "Statement": [action]});
            host.account.enforce_policy(tests::INSTANCE_ROLE, &policy);
            refresh(host);
        },
        &[0],
    ),
];

fn add_refreshed(host: &JumpHost, name: &str) {
    add(host, &json!({ "name": name }));
    refresh(host);
}

fn tagged(host: &JumpHost, key: &str, value: &str) {
    set_tag(host, "bob", key, value);
    refresh(host);
}

/// Breaks the host, follows the remedy, and looks again.
fn follow_row(host: &JumpHost, row: &Row) {
    let Row { words, code, breaks, ways } = row;
    for way in *ways {
        breaks(host);
        let Some((what, remedy)) = finding(host, words, code) else {
            let shown = host.sh(&format!("nss-iamctl {}", words.join(" "))).1;
            unreachable!("{words:?} does not find '{code}': {shown}")
        };
        follow(host, &what, &remedy, *way);
        // As the timer does in the next five minutes.
        refresh(host);
        assert_eq!(finding(host, words, code), None, "{code}, way {way} of: {remedy}");
    }
}

#[test]
fn what_is_wrong_with_the_host_is_gone_after_the_remedy() {
    let Some(host) = host() else { return };
    host.login("ana", &tests::login::Key { file: "/root/keys/ana".into(), public: String::new() }, "true");
    for row in OF_THE_HOST {
        follow_row(&host, row);
    }
}

#[test]
fn what_is_wrong_with_a_user_is_gone_after_the_remedy_and_nobody_else_loses_anything() {
    let Some(host) = host() else { return };
    for row in OF_USERS {
        follow_row(&host, row);
        assert!(offered(&host, "ana") && offered(&host, "bob"), "{}", row.code);
    }
}

/// As a person does who goes through a report from its first line to its last.
#[test]
fn remedies_of_one_report_can_be_followed_one_after_the_other() {
    let Some(host) = host() else { return };
    for (tag, value) in [("gecos", "Bob"), ("shell", "/bin/sh"), ("name", "robert")] {
        set_tag(&host, "bob", &format!("nss-iam:{tag}"), value);
    }
    refresh(&host);
    let ran = host.machine.run(&["nss-iamctl", "doctor", "--json"]);
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let unused: Vec<&Value> = findings.filter(|finding| finding["code"] == "tag-unused").collect();
    assert_eq!(unused.len(), 3, "{report}");
    for finding in unused {
        follow(&host, finding["what"].as_str().unwrap(), finding["remedy"].as_str().unwrap(), 0);
    }
    refresh(&host);
    assert_eq!(finding(&host, DOCTOR, "tag-unused"), None);
    assert!(offered(&host, "robert") && offered(&host, "ana"));
    assert_eq!(
        (host.passwd("robert", 4), host.passwd("robert", 6)),
        ("Bob".to_owned(), "/bin/sh".to_owned())
    );
}

/// The codes of a section of the manual.
fn codes(section: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(tests::repository().join("man/nss-iamctl.8")).unwrap();
    let (_, rest) = page.split_once(&format!("\n.Sh {section}\n")).unwrap();
    let lines = rest.split("\n.Sh ").next().unwrap().lines();
    lines.filter_map(|line| line.strip_prefix(".It Li ")).map(|code| code.replace('\\', "")).collect()
}

#[test]
fn each_code_is_covered_or_there_is_a_reason() {
    let covered: BTreeSet<String> =
        OF_THE_HOST.iter().chain(OF_USERS).map(|row| row.code.to_owned()).collect();
    let all = &codes("CODES OF FINDINGS") | &codes("CODES OF SKIPPED ENTRIES");
    let left: Vec<&str> = left_out::LEFT_OUT.iter().flat_map(|(_, codes)| codes.split_whitespace()).collect();
    let left_out: BTreeSet<String> = left.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(left.len(), left_out.len(), "one reason each");
    assert_eq!(&left_out & &covered, BTreeSet::new(), "these are covered");
    assert_eq!(&left_out - &all, BTreeSet::new(), "there are no such codes");
    assert_eq!(&(&all - &covered) - &left_out, BTreeSet::new(), "neither covered nor left out");
}
