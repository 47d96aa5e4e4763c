//! `nss-iamctl enable` and `disable`: what they change, what they restore, and when they refuse.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tests::login::{GROUP, JumpHost};
use tests::{Found, files_below};

use crate::support::{Image, SSHD_CONFIG};

/// Places in which `enable` may have to change something.
const DIRECTORIES: [&str; 3] = ["/etc", "/usr/share/pam-configs", "/var/lib/pam"];

const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-nss-iam.conf";

fn files() -> BTreeMap<String, Found> {
    files_below(&DIRECTORIES)
}

fn unchanged(before: &BTreeMap<String, Found>) {
    let after = files();
    let names = before.keys().chain(after.keys());
    let changed: Vec<_> = names.filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn enable_lets_iam_users_in_without_a_restart_and_disable_restores_every_file() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let before = files();
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    assert_eq!(fs::metadata("/home/ana").unwrap().mode() & 0o7777, 0o700);
    image.host.login("ubuntu", &image.ubuntu, "true");
    image.host.done(&["nss-iamctl", "disable"]);
    unchanged(&before);
    image.host.until("ana is out", || !image.host.ssh("ana", &ana, "true").status.success());
    image.host.login("ubuntu", &image.ubuntu, "true");
}

#[test]
fn a_second_enable_changes_nothing() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let (status, said) = image.enable();
    assert_eq!(status, Some(0), "{said}");
    let enabled = files();
    let (status, said) = image.enable();
    assert_eq!(status, Some(0), "{said}");
    unchanged(&enabled);
}

/// Comments and full names in a different encoding; some lines have no newline, or a DOS one.
#[test]
fn a_host_whose_files_are_in_latin1_is_set_up_and_restored_byte_for_byte() {
    let Some(image) = Image::with(str::to_owned) else { return };
    for (file, more) in [
        ("/etc/passwd", &b"kate:x:1300:1300:Kathe M\xfcller:/home/kate:/bin/bash\n"[..]),
        ("/etc/group", b"# f\xfcr alle\n"),
        ("/etc/nsswitch.conf", b"# f\xfcr alle\r\n# \xff\xfe"),
        (SSHD_CONFIG, b"# f\xfcr alle\n"),
        ("/etc/ssh/sshd_config.d/60-local.conf", b"# f\xfcr alle\r\nBanner /etc/gru\xdf"),
        ("/etc/pam.d/sshd", b"# f\xfcr alle"),
        ("/etc/pam.d/sudo", b"# f\xfcr alle\n"),
        ("/etc/pam.d/common-session", b"# f\xfcr alle\n"),
        ("/etc/sudoers", b"# f\xfcr alle\n"),
        ("/etc/sudoers.d/local", b"# f\xfcr alle\n"),
    ] {
        let before = fs::read(file).unwrap_or_default();
        fs::write(file, [&before, more].concat()).unwrap();
    }
    fs::write(Path::new("/etc/ssh/sshd_config.d").join(OsStr::from_bytes(b"70-gr\xfcn.conf")), "# none\n")
        .unwrap();
    fs::set_permissions("/etc/sudoers.d/local", Permissions::from_mode(0o440)).unwrap();
    let before = files();
    let (status, said) = image.host.sh(&format!("nss-iamctl enable --group {GROUP} --sudo agent >/dev/null"));
    assert_eq!(status, Some(0), "{said}");
    let ana = image.host.refreshed_user("ana");
    image.lets_in("ana", &ana);
    let groups = image.host.done(&["id", "-Gn", "ana"]);
    assert!(groups.contains("iam-users"), "{groups}");
    let doctor = image.host.sh("nss-iamctl doctor").1;
    assert!(doctor.contains("in the right order"), "{doctor}");
    let why = image.host.sh("nss-iamctl why ana").1;
    assert!(why.contains("ana"), "{why}");
    let (status, said) = image.host.sh("nss-iamctl disable >/dev/null");
    assert_eq!(status, Some(0), "{said}");
    unchanged(&before);
}

#[test]
fn a_dry_run_shows_and_changes_nothing() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let before = files();
    let said = image.host.done(&["nss-iamctl", "enable", "--group", GROUP, "--dry-run"]);
    for word in ["iam-users", "[SUCCESS=merge]", "pam_mkhomedir", GROUP] {
        assert!(said.contains(word), "{word}: {said}");
    }
    unchanged(&before);
}

#[test]
fn an_sshd_configuration_that_is_already_broken_is_left_alone() {
    let Some(image) = Image::with(str::to_owned) else { return };
    fs::write("/etc/ssh/sshd_config.d/90-broken.conf", "NoSuchKeyword yes\n").unwrap();
    let before = files();
    let (status, said) = image.enable();
    assert!(status != Some(0) && said.contains("NoSuchKeyword"), "{said}");
    unchanged(&before);
}

#[test]
fn if_no_iam_user_could_log_in_anyway_enable_refuses_and_says_why() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let config = fs::read_to_string(SSHD_CONFIG).unwrap();
    for setting in [
        "PubkeyAuthentication no",
        "AuthenticationMethods password",
        "DenyUsers *",
        "DenyGroups iam-users",
        "DenyGroups iam-*",
    ] {
        fs::write(SSHD_CONFIG, format!("{config}\n{setting}\n")).unwrap();
        let before = files();
        let (status, said) = image.enable();
        let value = setting.split_once(' ').unwrap().1;
        assert_eq!(status, Some(78), "{setting}: {said}");
        assert!(said.contains(value) && said.contains("hint: "), "{setting}: {said}");
        unchanged(&before);
    }
}

/// OpenSSH knows `%C` since 9.4, and was updated after `enable`.
#[test]
fn a_drop_in_of_before_an_update_of_openssh_lacks_the_address_until_enable_is_repeated() {
    let Some(host) = JumpHost::bare_in("debian13") else { return };
    host.configure("");
    host.enable(&[]);
    host.restart_sshd(&[]);
    let ana = host.refreshed_user("ana");
    let text = fs::read_to_string(DROP_IN).unwrap();
    fs::write(DROP_IN, text.replace(" %C", "")).unwrap();
    host.login("ana", &ana, "true");
    let doctor = host.sh("nss-iamctl doctor").1;
    assert!(doctor.contains("AuthorizedKeysCommand without %C"), "{doctor}");
    assert!(doctor.contains("-> nss-iamctl enable\n"), "{doctor}");
    host.enable(&[]);
    assert_eq!(fs::read_to_string(DROP_IN).unwrap(), text);
    assert!(!host.sh("nss-iamctl doctor").1.contains("%C"));
}
