//! `enable --no-keys`: something else authenticates, and everything but the keys is nss-iam's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tests::login::{ADMINS, GROUP, JumpHost, Key};
use tests::text;

use crate::guide;
use crate::support::own_key;

/// In place of opkssh: it believes every key, and knows who may use which name.
const OPKSSH: &str = r#"#!/bin/sh
case $1 in
    login) ssh-keygen -q -t ecdsa -N '' -f /root/.ssh/id_ecdsa ;;
    add) echo "$2 $3 $4" >>/etc/opk/auth_id ;;
    verify) ! grep -q "^$2 " /etc/opk/auth_id || echo "$4 $3" ;;
esac
"#;

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

#[test]
fn by_the_guide_opkssh_lets_in_whom_it_knows_until_the_user_leaves() {
    let Some(host) = JumpHost::bare() else { return };
    let page = include_str!("../../../docs/guide/other-authentication.md");
    let (_, lines) = page.split_once("```\n").unwrap();
    let (lines, _) = lines.split_once("```\n").unwrap();
    fs::write("/etc/ssh/sshd_config.d/60-opk-ssh.conf", lines).unwrap();
    host.done(&["useradd", "--system", "opksshuser"]);
    fs::write("/usr/local/bin/opkssh", OPKSSH).unwrap();
    fs::set_permissions("/usr/local/bin/opkssh", fs::Permissions::from_mode(0o755)).unwrap();
    for directory in ["/etc/opk", "/root/.ssh"] {
        fs::create_dir_all(directory).unwrap();
    }
    host.configure("");
    for user in ["ana", "bob"] {
        host.user(user);
    }
    host.restart_sshd(&[]);
    assert!(guide::follow(&host, page, &["# ", "$ "]) >= 7);

    let key = Key { file: "/root/.ssh/id_ecdsa".into(), public: String::new() };
    host.login("ana", &key, "true");
    host.refused("bob", &key);
    host.remove_member("ana");
    host.refresh();
    host.refused("ana", &key);
}
