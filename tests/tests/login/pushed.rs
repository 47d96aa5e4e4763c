//! Logins with keys that were pushed with EC2 Instance Connect, with a script in place of its command.

use policy::instance_connect::COMMANDS;
use serde_json::json;
use tests::login::{GROUP, JumpHost, append};
use tests::pushed::{self, push};

use crate::guide;
use crate::support::local_user;

/// A host where pushed keys count.
fn start() -> Option<JumpHost> {
    let host = JumpHost::start()?;
    host.enable(&["--instance-connect"]);
    pushed::install();
    Some(host)
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
    pushed::expire("ana");
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

/// The client's commands need AWS.
#[test]
fn by_the_guide_a_pushed_key_opens_the_account_until_it_is_undone() {
    let Some(host) = JumpHost::bare_in("debian13") else { return };
    host.configure("");
    // Since 9.8, sshd blocks clients that are refused often.
    append("/etc/ssh/sshd_config.d/50-test.conf", "PerSourcePenalties no\n");
    host.restart_sshd(&[]);
    let (own, pushed) = (host.user("ana"), host.key("pushed"));
    pushed::install_at("/srv/package");
    let [_, command] = COMMANDS;
    let put = format!("mkdir -p $(dirname {command}) && cp /srv/package {command}");
    guide::program("apt-get", &format!("[ \"$*\" = 'install ec2-instance-connect' ] && {put}"));
    let page = include_str!("../../../docs/guide/instance-connect.md");
    assert_eq!(guide::follow(&host, page, &["# "]), 2);
    host.until("sshd has read its configuration", || host.ssh("ana", &own, "true").status.success());
    host.refused("ana", &pushed);
    push("ana", &pushed.public);
    assert_eq!(host.login("ana", &pushed, "id -un"), "ana\n");
    host.logged(&["nss-iam-keys-cmd[", "user 'ana'", "pushed with EC2 Instance Connect"]);
    let undo = "nss-iamctl enable --no-instance-connect";
    assert!(page.contains(&format!("`{undo}` undoes it")));
    host.done(&undo.split(' ').collect::<Vec<_>>());
    host.until("the pushed key is refused", || !host.ssh("ana", &pushed, "true").status.success());
    host.login("ana", &own, "true");
}
