//! Users who leave, are locked, come back, or are re-created under an old name.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tests::login::{ADMINS, GROUP, JumpHost, Key, append};
use tests::text;

use crate::support::{local_user, open, own_key, runs};

/// With PAM, PAM checks the account; without it, sshd does.
fn with_and_without_pam(host: &JumpHost, check: impl Fn()) {
    for pam in ["UsePAM=yes", "UsePAM=no"] {
        host.restart_sshd(&["-o", pam]);
        check();
    }
}

/// ana, who has logged in and left a key of her own in her home: both keys.
fn ana_with_an_own_key(host: &JumpHost) -> (Key, Key) {
    let (ana, own) = (host.refreshed_user("ana"), host.key("own"));
    host.login("ana", &ana, "true");
    own_key(host, "ana", &own);
    (ana, own)
}

#[test]
fn a_removed_user_cannot_log_in_not_even_with_a_key_in_their_home() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, own) = ana_with_an_own_key(&host);
    host.login("ana", &ana, "true");
    host.remove_member("ana");
    host.refresh();
    with_and_without_pam(&host, || {
        host.refused("ana", &ana);
        host.refused("ana", &own);
    });
}

/// With any configuration, sshd finds no user with this name.
#[test]
fn a_removed_user_is_locked_out_even_without_the_drop_in() {
    let Some(host) = JumpHost::start() else { return };
    let (_, own) = ana_with_an_own_key(&host);
    fs::remove_file("/etc/ssh/sshd_config.d/00-nss-iam.conf").unwrap();
    with_and_without_pam(&host, || drop(host.login("ana", &own, "true")));
    host.remove_member("ana");
    host.refresh();
    with_and_without_pam(&host, || host.refused("ana", &own));
    host.logged(&["sshd[", "Invalid user ana from"]);
}

/// A daemon can still have an earlier release of the module loaded, which answers by name from the same cache. Here
/// glibc's own `files` takes its place, with the same data.
#[test]
fn sshds_second_block_alone_locks_a_removed_user_out_of_a_daemon_that_still_finds_the_name() {
    let Some(host) = JumpHost::start() else { return };
    let (_, own) = ana_with_an_own_key(&host);
    let uid = host.passwd("ana", 2);
    host.remove_member("ana");
    host.refresh();
    let row = host.done(&["getent", "passwd", &uid]);
    append("/etc/passwd", &row.replace("/usr/sbin/nologin", "/bin/bash"));
    let group = host.done(&["getent", "group", "iam-disabled"]);
    append("/etc/group", &format!("{}ana\n", group.trim().rsplit_once(':').unwrap().0.to_owned() + ":"));
    host.restart_sshd(&["-o", "UsePAM=no"]);
    host.refused("ana", &own);
    host.logged(&["sshd[", "User ana from", "not allowed because listed in DenyUsers"]);
}

/// Programs that start something under a user's name; each fails in a different way. The last is Session Manager's
/// Run As: its agent runs `id USER`, and starts a shell without PAM, shadow or the login shell.
const BY_NAME: [(&str, &str); 8] = [
    ("su ana -c id", "user ana does not exist"),
    ("su -s /bin/sh ana -c id", "user ana does not exist"),
    ("sudo -u ana id", "unknown user"),
    ("setpriv --reuid ana --regid ana --init-groups id", "failed to parse"),
    ("chroot --userspec=ana / id", "invalid user"),
    ("start-stop-daemon --start --chuid ana --exec /usr/bin/id", "user 'ana' not found"),
    ("crontab -u ana -l", "user `ana' unknown"),
    ("id ana", "no such user"),
];

#[test]
fn nothing_is_started_under_the_name_of_a_removed_user_and_the_files_keep_an_owner() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    host.login("ana", &ana, "touch notes");
    let uid = host.passwd("ana", 2);
    host.done(&["sh", "-c", "echo '@reboot id' | crontab -u ana -"]);
    for (line, _) in BY_NAME {
        assert_eq!(host.sh(line).0, Some(0), "{line}");
    }
    host.remove_member("ana");
    host.refresh();
    for (line, why) in BY_NAME {
        let (status, said) = host.sh(&format!("LC_ALL=C {line}"));
        assert!(status != Some(0) && said.contains(why) && !said.contains(&uid), "{line}: {said}");
    }
    for table in ["passwd", "shadow", "group"] {
        assert_eq!(host.sh(&format!("getent {table} ana")), (Some(2), String::new()));
        assert!(!host.done(&["getent", table]).lines().any(|line| line.starts_with("ana:")), "{table}");
    }
    let line = host.done(&["ls", "-l", "/home/ana/notes"]);
    assert_eq!(line.split_whitespace().skip(2).take(2).collect::<Vec<_>>(), ["ana", "ana"], "{line}");
}

#[test]
fn sessions_processes_and_cron_jobs_of_a_removed_user_end_and_no_others() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, bob) = (host.user("ana"), host.user("bob"));
    host.refresh();
    let wait = "echo $$; exec sleep 1000";
    let (mut of_ana, shell) = open(&host, "ana", &ana, wait);
    let (mut of_bob, bobs) = open(&host, "bob", &bob, wait);
    let background = host.login("ana", &ana, "setsid nohup sleep 1000 >/dev/null 2>&1 & echo $!");
    let stays = "#!/bin/sh\ntrap '' TERM HUP\necho $$ >pid; mv pid job\nwhile :; do sleep 1000; done\n";
    fs::write("/usr/local/bin/stays", stays).unwrap();
    fs::set_permissions("/usr/local/bin/stays", fs::Permissions::from_mode(0o755)).unwrap();
    host.login("ana", &ana, "echo '@reboot /usr/local/bin/stays &' | crontab -");
    let mut cron = host.machine.command(&["cron", "-f"]).spawn().unwrap();
    host.until("cron runs the job", || fs::exists("/home/ana/job").unwrap());
    let job = fs::read_to_string("/home/ana/job").unwrap();
    let linger = "/var/lib/systemd/linger";
    fs::create_dir_all(linger).unwrap();
    fs::write(format!("{linger}/ana"), "").unwrap();
    let pids = [&*shell, background.trim(), job.trim()];
    assert!(pids.into_iter().all(runs), "{pids:?}");

    host.remove_member("ana");
    host.refresh();

    assert!(!pids.into_iter().any(runs), "{pids:?}");
    assert!(!of_ana.wait().unwrap().success());
    assert!(!fs::exists(format!("{linger}/ana")).unwrap());
    assert!(runs(&bobs) && of_bob.try_wait().unwrap().is_none());
    for child in [&mut of_bob, &mut cron] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn with_iam_down_a_locked_user_is_locked_out_at_once_until_unlocked() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, own) = ana_with_an_own_key(&host);
    let bob = host.refreshed_user("bob");
    let (mut session, shell) = open(&host, "ana", &ana, "echo $$; exec sleep 1000");
    host.account.forget_calls();
    host.done(&["nss-iamctl", "lock", "ana"]);
    assert!(!runs(&shell) && !session.wait().unwrap().success());
    with_and_without_pam(&host, || {
        host.refused("ana", &ana);
        host.refused("ana", &own);
        host.login("bob", &bob, "true");
    });
    host.done(&["nss-iamctl", "unlock", "ana"]);
    host.login("ana", &ana, "true");
    assert!(host.account.calls().is_empty(), "AWS is not asked");
}

#[test]
fn a_user_who_comes_back_has_the_old_uid_home_and_files() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.refreshed_user("ana");
    host.login("ana", &ana, "echo mine >notes");
    let entry = host.done(&["getent", "passwd", "ana"]);
    host.remove_member("ana");
    host.refresh();
    host.refused("ana", &ana);
    let owner = host.done(&["stat", "-c", "%U", "/home/ana/notes"]);
    assert_eq!(owner, "ana\n");
    host.account.change(json!({"do": "add_member", "group": GROUP, "user": "ana"}));
    host.refresh();
    assert_eq!(host.login("ana", &ana, "cat notes"), "mine\n");
    assert_eq!(host.done(&["getent", "passwd", "ana"]), entry);
}

#[test]
fn a_user_recreated_under_an_old_name_gets_nothing_from_the_former_user() {
    let Some(host) = JumpHost::start() else { return };
    let former = host.refreshed_user("ana");
    let outside = "mkdir -m 777 /tmp/of-ana; (umask 077; echo secret >/tmp/of-ana/x)";
    host.login("ana", &former, &format!("echo secret >notes; {outside}"));
    let (uid, home) = (host.passwd("ana", 2), host.passwd("ana", 5));
    host.account.change(json!({"do": "delete_user", "user": "ana"}));
    let new = host.key("new");
    host.account.seed(
        json!({"users": [{"name": "ana", "keys": [{"body": new.public}]}], "groups": {GROUP: ["ana"]}}),
    );
    host.refresh();

    let (new_uid, new_home) = (host.passwd("ana", 2), host.passwd("ana", 5));
    assert_ne!(new_uid, uid);
    assert_eq!(new_home, format!("{home}-{new_uid}"));
    assert_eq!(host.login("ana", &new, "pwd; ls -A | grep notes; id -u"), format!("{new_home}\n{new_uid}\n"));
    let look = host.ssh("ana", &new, "cat /home/ana/notes /tmp/of-ana/x; ls /home/ana");
    assert_eq!(text(&look.stdout), "");
    assert_eq!(text(&look.stderr).matches("Permission denied").count(), 3, "{}", text(&look.stderr));
    host.refused("ana", &former);
    assert_eq!(host.done(&["stat", "-c", "%U", "/home/ana/notes"]), format!("ana-{uid}\n"));
    host.refused(&format!("ana-{uid}"), &former);
}

#[test]
fn a_local_account_is_unaffected_while_iam_users_come_and_go() {
    let Some(host) = JumpHost::start() else { return };
    let ubuntu = local_user(&host, "ubuntu");
    let (mut session, pid) = open(&host, "ubuntu", &ubuntu, "echo $$; exec sleep 1000");
    host.refreshed_user("ana");
    host.account.change(json!({"do": "empty_group", "group": GROUP}));
    host.refresh();
    host.done(&["nss-iamctl", "lock", "--all"]);
    assert!(runs(&pid));
    host.login("ubuntu", &ubuntu, "true");
    session.kill().unwrap();
    session.wait().unwrap();
}

/// As an IAM user who is an administrator, with the real sudo, which also says who asked.
#[test]
fn an_administrator_locks_others_and_the_record_says_who_but_not_themselves_by_mistake() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, carl) = (host.user("ana"), host.user_in("carl", &[GROUP, ADMINS]));
    host.refresh();
    append("/etc/sudoers", "%sudo ALL=(ALL) NOPASSWD: ALL\n");
    let refused = host.ssh("carl", &carl, "sudo -n nss-iamctl lock carl");
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(
        said.contains("this locks you out too, 'carl'") && said.contains("hint: --yes confirms it"),
        "{said}"
    );
    let all = host.ssh("carl", &carl, "sudo -n nss-iamctl lock --all");
    assert_eq!(all.status.code(), Some(78), "{}", text(&all.stderr));

    host.login("carl", &carl, "sudo -n nss-iamctl lock --reason 'left; \"by\" me' ana");
    host.refused("ana", &ana);
    let line = host.logged(&["nss-iamctl[", "lock user=\"ana\" by=\"carl"]);
    assert!(line.contains(r#" reason="left; \"by\" me""#), "{line}");
    let (_, status) = host.sh("nss-iamctl status");
    let locked = status.lines().find(|line| line.starts_with("locked")).unwrap();
    assert!(locked.contains("'ana' by carl") && locked.ends_with("left; \"by\" me"), "{locked}");
    host.login("carl", &carl, "sudo -n nss-iamctl unlock --reason 'is back' ana");
    let line = host.logged(&["nss-iamctl[", "unlock user=\"ana\" by=\"carl"]);
    assert!(line.contains(r#" reason="is back""#), "{line}");
    host.login("ana", &ana, "true");

    let _ = host.ssh("carl", &carl, "sudo -n nss-iamctl lock --yes carl");
    host.refused("carl", &carl);
}
