//! Who can log in, and with which key.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::json;
use tests::login::{GROUP, JumpHost, Key};

use crate::support::{local_user, own_key};

#[test]
fn a_first_login_makes_the_home_from_skel_for_its_owner_alone_and_runs_a_command() {
    let Some(host) = JumpHost::start() else { return };
    fs::write("/etc/skel/welcome", "hello\n").unwrap();
    let ana = host.refreshed_user("ana");
    assert!(!fs::exists("/home/ana").unwrap());
    assert_eq!(host.login("ana", &ana, "id -un; pwd; cat welcome"), "ana\n/home/ana\nhello\n");
    let home = fs::metadata("/home/ana").unwrap();
    assert_eq!(home.permissions().mode() & 0o7777, 0o700);
    assert_eq!(home.uid().to_string(), host.passwd("ana", 2));
    assert_eq!(home.gid().to_string(), host.passwd("ana", 3));
}

#[test]
fn every_active_key_works_and_an_inactive_one_does_not() {
    let Some(host) = JumpHost::start() else { return };
    let first = host.user("ana");
    let (second, inactive) = (host.key("second"), host.key("inactive"));
    host.account.change(json!({"do": "add_key", "user": "ana", "body": second.public}));
    host.account
        .change(json!({"do": "add_key", "user": "ana", "body": inactive.public, "status": "Inactive"}));
    host.refresh();
    assert_eq!(host.login("ana", &first, "echo 1"), "1\n");
    assert_eq!(host.login("ana", &second, "echo 2"), "2\n");
    host.refused("ana", &inactive);
}

#[test]
fn a_key_deleted_in_iam_fails_at_the_next_login_after_a_refresh() {
    let Some(host) = JumpHost::start() else { return };
    let (stays, goes) = (host.user("ana"), host.key("goes"));
    let added = host.account.change(json!({"do": "add_key", "user": "ana", "body": goes.public}));
    host.refresh();
    host.login("ana", &goes, "true");
    host.account.change(json!({"do": "delete_key", "user": "ana", "key": added[0]["id"]}));
    host.login("ana", &goes, "true");
    host.refresh();
    host.refused("ana", &goes);
    host.login("ana", &stays, "true");
}

/// With its comment, the line has more than the 256 characters of a tag.
#[test]
fn a_key_in_parts_opens_the_account_and_without_one_of_them_it_does_not() {
    let Some(host) = JumpHost::start_with("[tags]\nuse = [\"ssh-key\"]\n") else { return };
    host.done(&[
        "ssh-keygen",
        "-q",
        "-t",
        "ecdsa",
        "-b",
        "521",
        "-N",
        "",
        "-C",
        "ana@laptop",
        "-f",
        "/root/keys/ana",
    ]);
    let public = fs::read_to_string("/root/keys/ana.pub").unwrap();
    let (first, second) = public.trim().split_at(256);
    let tags = json!({"nss-iam:ssh-key-1.1": first, "nss-iam:ssh-key-1.2": second});
    host.account.seed(json!({"users": [{"name": "ana", "tags": tags}]}));
    host.account.change(json!({"do": "add_member", "group": GROUP, "user": "ana"}));
    host.refresh();
    let ana = Key { file: "/root/keys/ana".into(), public };
    assert_eq!(host.login("ana", &ana, "id -un"), "ana\n");
    host.account.change(json!({"do": "remove_tag", "user": "ana", "key": "nss-iam:ssh-key-1.1"}));
    let said = host.refresh();
    assert!(
        said.contains("nss-iam:ssh-key-1.1")
            || host.sh("nss-iamctl why ana").1.contains("nss-iam:ssh-key-1.1")
    );
    host.refused("ana", &ana);
}

#[test]
fn a_key_in_the_users_own_authorized_keys_does_not_count() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, own) = (host.refreshed_user("ana"), host.key("own"));
    host.login("ana", &ana, "true");
    own_key(&host, "ana", &own);
    host.refused("ana", &own);
    let local = local_user(&host, "ubuntu");
    assert_eq!(host.login("ubuntu", &local, "id -un"), "ubuntu\n");
}

#[test]
fn names_with_a_dot_and_an_at_log_in() {
    let Some(host) = JumpHost::start() else { return };
    let (jane, joe) = (host.user("Jane.Doe@example.com"), host.user("j.r"));
    host.refresh();
    let line = "id -un; cd; pwd; id -gn";
    let expected = |name| format!("{name}\n/home/{name}\n{name}\n");
    assert_eq!(host.login("jane.doe@example.com", &jane, line), expected("jane.doe@example.com"));
    assert_eq!(host.login("j.r", &joe, line), expected("j.r"));
    host.refused("j.r", &jane);
}

#[test]
fn the_log_says_who_logged_in_with_which_key() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    host.login("ana", &ana, "true");
    let print = host.done(&["ssh-keygen", "-lf", &format!("{}.pub", ana.file.display())]);
    let print = print.split(' ').nth(1).unwrap();
    let line = host.logged(&["nss-iam-keys-cmd[", "offered key", "user 'ana'"]);
    assert!(line.contains(print) && line.contains("AIDA"), "{line}");
    host.logged(&["sshd[", "Accepted publickey for ana", print]);
}
