//! `enable --no-keys`: something else authenticates, and everything but the keys is nss-iam's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tests::login::{ADMINS, GROUP, JumpHost, Key};
use tests::text;

use crate::support::own_key;

/// What would verify a token: it prints this key for every user.
fn authenticate_with(key: &Key) {
    let program = "/usr/local/bin/authenticate";
    fs::write(program, format!("#!/bin/sh\necho '{}'\n", key.public)).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    let lines = format!("AuthorizedKeysCommand {program} %u %k %t\nAuthorizedKeysCommandUser nobody\n");
    fs::write("/etc/ssh/sshd_config.d/10-authenticate.conf", lines).unwrap();
}

#[test]
fn users_are_authenticated_by_something_else_and_all_else_is_as_always() {
    let Some(host) = JumpHost::bare() else { return };
    let token = host.key("token");
    authenticate_with(&token);
    host.configure("");
    host.enable(&["--no-keys", "--sudo", "nopasswd", "--forward-only", "--shell-group", ADMINS]);
    host.restart_sshd(&[]);
    let (ana, bob) = (host.user_in("ana", &[GROUP, ADMINS]), host.user("bob"));
    host.refresh();

    assert_eq!(host.login("ana", &token, "id -un; pwd"), "ana\n/home/ana\n");
    assert_eq!(fs::metadata("/home/ana").unwrap().mode() & 0o7777, 0o700);
    assert_eq!(host.login("ana", &token, "sudo -n id -un"), "root\n");
    let ran = host.ssh("bob", &token, "id");
    assert!(!ran.status.success() && text(&ran.stderr).contains("runs no command for you"));
    let own = host.key("own");
    own_key(&host, "ana", &own);
    host.refused("ana", &own);
    host.refused("ana", &ana);
    let (status, doctor) = host.sh("nss-iamctl doctor");
    assert!(doctor.contains("what authenticates users is not checked"), "{status:?} {doctor}");
    let why = host.sh("nss-iamctl why ana").1;
    assert!(why.contains("something else authenticates the user"), "{why}");

    host.done(&["nss-iamctl", "lock", "ana"]);
    host.refused("ana", &token);
    host.done(&["nss-iamctl", "unlock", "ana"]);
    host.login("ana", &token, "true");
    host.remove_member("bob");
    host.refresh();
    host.refused("bob", &token);

    host.enable(&["--keys"]);
    host.until("sshd asks for keys again", || host.ssh("ana", &ana, "true").status.success());
    host.refused("ana", &token);
    host.refused("bob", &bob);
}
