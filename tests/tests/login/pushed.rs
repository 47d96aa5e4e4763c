//! Logins with keys that were pushed with EC2 Instance Connect, with a script in place of its command.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use policy::instance_connect::COMMANDS;
use serde_json::json;
use tests::login::{GROUP, JumpHost};

use crate::support::local_user;

/// The file of each user's pushed keys.
const PUSHED: &str = "/srv/pushed";

/// Prints the keys that were pushed for a user, as the command does: the one with the fingerprint.
const SCRIPT: &str = r#"#!/bin/sh
[ -e "/srv/pushed/$1" ] || exit 22
while read -r line; do
    [ "$(echo "$line" | ssh-keygen -lf - | cut -d ' ' -f 2)" != "$2" ] || found=$line
done <"/srv/pushed/$1"
[ -n "$found" ] || exit 255
echo "$found"
"#;

/// A host where pushed keys count.
fn start() -> Option<JumpHost> {
    let host = JumpHost::start()?;
    host.enable(&["--instance-connect"]);
    fs::create_dir_all("/opt/aws/bin").unwrap();
    fs::write(COMMANDS[0], SCRIPT).unwrap();
    fs::set_permissions(COMMANDS[0], fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(PUSHED).unwrap();
    Some(host)
}

fn push(user: &str, public: &str) {
    fs::write(format!("{PUSHED}/{user}"), format!("{public} {user}@laptop\n")).unwrap();
}

#[test]
fn an_active_user_logs_in_with_a_pushed_key_as_long_as_it_is_pushed_and_the_user_is_active() {
    let Some(host) = start() else { return };
    host.restart_sshd(&[]);
    let (own, pushed, other) = (host.user("ana"), host.key("pushed"), host.key("other"));
    // Nobody stores keys of users of Identity Center.
    host.account.seed(json!({"users": [{"name": "keyless", "keys": []}]}));
    host.account.change(json!({"do": "add_member", "group": GROUP, "user": "keyless"}));
    host.refresh();
    for user in ["ana", "keyless"] {
        host.refused(user, &pushed);
        push(user, &pushed.public);
        assert_eq!(host.login(user, &pushed, "id -un"), format!("{user}\n"));
        host.logged(&["nss-iam-keys-cmd[", &format!("user '{user}'"), "pushed with EC2 Instance Connect"]);
        host.refused(user, &other);
    }
    assert_eq!(host.login("ana", &own, "id -un"), "ana\n");
    fs::remove_file(format!("{PUSHED}/ana")).unwrap();
    host.refused("ana", &pushed);
    push("ana", &pushed.public);
    host.done(&["nss-iamctl", "lock", "ana"]);
    host.refused("ana", &pushed);
    host.done(&["nss-iamctl", "unlock", "ana"]);
    host.login("ana", &pushed, "true");
    for user in ["ana", "keyless"] {
        host.remove_member(user);
        host.refresh();
        host.refused(user, &pushed);
    }
    host.enable(&["--no-instance-connect"]);
}

/// EC2 Instance Connect's own package sets the command on sshd's command line.
#[test]
fn local_users_keep_the_command_of_the_package_and_get_no_pushed_key_of_ours() {
    let Some(host) = start() else { return };
    let (ana, pushed) = (host.refreshed_user("ana"), host.key("pushed"));
    let ubuntu = local_user(&host, "ubuntu");
    push("ubuntu", &pushed.public);
    push("ana", &pushed.public);
    host.restart_sshd(&[]);
    host.refused("ubuntu", &pushed);
    host.login("ubuntu", &ubuntu, "true");
    let command = format!("AuthorizedKeysCommand={} %u %f", COMMANDS[0]);
    host.restart_sshd(&["-o", &command, "-o", "AuthorizedKeysCommandUser=nobody"]);
    assert_eq!(host.login("ubuntu", &pushed, "id -un"), "ubuntu\n");
    for key in [&ana, &pushed] {
        assert_eq!(host.login("ana", key, "id -un"), "ana\n");
    }
}
