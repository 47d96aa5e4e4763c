//! IAM users and groups with names that the host uses.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use tests::login::{GROUP, JumpHost, append};
use tests::text;

use crate::support::local_user;

#[test]
fn iam_users_with_names_that_the_host_uses_gain_nothing() {
    let Some(host) = JumpHost::start() else { return };
    let ubuntu = local_user(&host, "ubuntu");
    host.done(&["groupadd", "operators"]);
    // Ubuntu's own rule; no local group has this name.
    append("/etc/sudoers", "%admin ALL=(ALL) NOPASSWD: ALL\n%later ALL=(ALL) NOPASSWD: ALL\n");
    let names = [
        "root",
        "ubuntu",
        "admin",
        "docker",
        "Wheel",
        "sudo",
        "daemon",
        "sshd",
        "crontab",
        "operators",
        "later",
        "nss-iam",
        "iam-users",
        "iam-disabled",
        "JumpHostAccess",
    ];
    let keys = names.map(|name| (name.to_lowercase(), host.user(name)));
    let ana = host.user("ana");
    let before =
        host.sh("getent passwd root ubuntu daemon sshd; getent shadow root ubuntu; id root; id ubuntu");
    host.refresh();

    let first_fields = |table| {
        let all = host.done(&["getent", "-s", "iam", table]);
        let mut names: Vec<_> = all.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(first_fields("passwd"), ["ana"]);
    let groups = ["ana", "iam-disabled", "iam-users", "jumphostaccess", "jumphostadmins"];
    assert_eq!(first_fields("group"), groups);
    for (name, key) in &keys {
        host.refused(name, key);
        assert!(name == "ubuntu" || !fs::exists(format!("/home/{name}")).unwrap(), "{name}");
    }
    assert_eq!(
        host.sh("getent passwd root ubuntu daemon sshd; getent shadow root ubuntu; id root; id ubuntu"),
        before
    );
    assert_eq!(host.login("ubuntu", &ubuntu, "id -Gn"), "ubuntu\n");
    let sudo = host.ssh("ana", &ana, "sudo -n id -u");
    assert!(!sudo.status.success(), "{}", text(&sudo.stdout));
}

#[test]
fn iam_groups_with_names_that_the_host_uses_grant_nothing() {
    let Some(host) = JumpHost::start() else { return };
    append("/etc/sudoers", "%admin ALL=(ALL) NOPASSWD: ALL\n%sudo ALL=(ALL) NOPASSWD: ALL\n");
    let ana = host.user("ana");
    let names = ["root", "sudo", "admin", "docker", "shadow", "disk", "nss-iam", "iam-disabled"];
    let groups: BTreeMap<_, _> = names.map(|name| (name, ["ana"])).into();
    host.account.seed(json!({ "groups": groups }));
    let quoted = names.map(|name| format!("\"{name}\"")).join(", ");
    host.machine.config(&format!("groups = [\"{GROUP}\", {quoted}]\n"));
    host.refresh();
    let groups = host.login("ana", &ana, "id -Gn | tr ' ' '\\n' | sort");
    assert_eq!(groups, "ana\niam-users\njumphostaccess\n");
    let tried = host.ssh("ana", &ana, "sudo -n id -u; cat /etc/shadow /var/lib/nss-iam/keys.db");
    assert_eq!(text(&tried.stdout), "");
}

#[test]
fn a_local_account_made_later_with_an_iam_users_name_is_not_opened_by_iams_key() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    host.login("ana", &ana, "true");
    // useradd(8) itself refuses, because the name exists.
    append("/etc/passwd", "ana:x:4000:4000::/srv/ana:/bin/bash\n");
    append("/etc/group", "ana:x:4000:\n");
    append("/etc/shadow", "ana:*:19000::::::\n");
    host.refused("ana", &ana);
    host.refresh();
    host.refused("ana", &ana);
    assert_eq!(host.passwd("ana", 2), "4000");
}
