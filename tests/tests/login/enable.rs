//! `nss-iamctl enable` and `disable`: what they change, what they give back, and when they refuse.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tests::login::GROUP;

use crate::support::{Image, SSHD_CONFIG};

/// What `enable` may have to change something in.
const FOLDERS: [&str; 3] = ["/etc", "/usr/share/pam-configs", "/var/lib/pam"];

/// Every file below these: mode, owner, and what is in it.
fn files() -> BTreeMap<String, (u32, u32, u32, Vec<u8>)> {
    fn add(folder: &Path, all: &mut BTreeMap<String, (u32, u32, u32, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let bytes = if found.is_dir() {
                add(&path, all);
                Vec::new()
            } else if found.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            all.insert(path.display().to_string(), (found.mode(), found.uid(), found.gid(), bytes));
        }
    }
    let mut all = BTreeMap::new();
    FOLDERS.iter().for_each(|folder| add(Path::new(folder), &mut all));
    all
}

fn unchanged(before: &BTreeMap<String, (u32, u32, u32, Vec<u8>)>) {
    let after = files();
    let names = before.keys().chain(after.keys());
    let changed: Vec<_> = names.filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn enable_lets_iam_users_in_without_a_restart_and_disable_gives_every_file_back() {
    let Some(image) = Image::with(str::to_owned) else { return };
    let before = files();
    let ana = image.enabled_with_ana();
    image.lets_in("ana", &ana);
    assert_eq!(fs::metadata("/home/ana").unwrap().mode() & 0o7777, 0o700);
    image.host.login("ubuntu", &image.ubuntu, "true");
    let enabled = files();
    let (status, said) = image.enable();
    assert_eq!(status, Some(0), "{said}");
    unchanged(&enabled);
    image.host.done(&["nss-iamctl", "disable"]);
    unchanged(&before);
    image.host.until("ana is out", || !image.host.ssh("ana", &ana, "true").status.success());
    image.host.login("ubuntu", &image.ubuntu, "true");
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
fn an_sshd_configuration_that_is_broken_already_is_left_alone() {
    let Some(image) = Image::with(str::to_owned) else { return };
    fs::write("/etc/ssh/sshd_config.d/90-broken.conf", "NoSuchKeyword yes\n").unwrap();
    let before = files();
    let (status, said) = image.enable();
    assert!(status != Some(0) && said.contains("NoSuchKeyword"), "{said}");
    unchanged(&before);
}

#[test]
fn where_nobody_of_ours_could_log_in_whatever_is_written_enable_refuses_and_says_why() {
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
