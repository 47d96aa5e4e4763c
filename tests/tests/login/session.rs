//! Inside a session: su, sudo, cron, PAM.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Output};

use tests::login::{ADMINS, GROUP, JumpHost, Key};
use tests::text;

#[test]
fn root_can_become_an_iam_user_with_su_and_sudo() {
    let Some(host) = JumpHost::start() else { return };
    host.refreshed_user("ana");
    assert_eq!(host.done(&["su", "-", "ana", "-c", "id -un; pwd"]), "ana\n/home/ana\n");
    assert_eq!(host.done(&["sudo", "-u", "ana", "id", "-un"]), "ana\n");
}

#[test]
fn sudo_privileges_come_from_the_local_group_that_an_iam_group_joins() {
    let Some(host) = JumpHost::start() else { return };
    // Debian's sudoers has a rule for %sudo, but it requires a password, which IAM users do not have.
    host.enable(&["--sudo", "nopasswd"]);
    let (ana, dot) = (host.user_in("ana", &[GROUP, ADMINS]), host.user_in("dot.ted", &[ADMINS]));
    let bob = host.user("bob");
    host.refresh();
    assert_eq!(host.login("ana", &ana, "sudo -n id -un"), "root\n");
    assert_eq!(host.login("dot.ted", &dot, "sudo -n id -un"), "root\n");
    assert!(host.login("ana", &ana, "sudo -n -l").contains("(ALL : ALL) ALL"));
    for line in ["sudo -n id -un", "sudo -n -l"] {
        let ran = host.ssh("bob", &bob, line);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), ""), "{line}");
    }
    host.account.change(serde_json::json!({"do": "remove_member", "group": ADMINS, "user": "ana"}));
    host.refresh();
    let ran = host.ssh("ana", &ana, "sudo -n id -un");
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), ""));
    host.login("ana", &ana, "true");
}

#[test]
fn cron_runs_the_job_of_a_user_but_not_of_a_removed_user() {
    let Some(host) = JumpHost::start() else { return };
    let (ana, bob) = (host.user("ana"), host.user("bob"));
    host.refresh();
    for (user, key) in [("ana", &ana), ("bob", &bob)] {
        host.login(user, key, "echo '@reboot id -un >new && mv new ran' | crontab - && crontab -l");
    }
    host.remove_member("bob");
    host.refresh();
    let mut cron = host.machine.command(&["cron", "-f"]).spawn().unwrap();
    host.until("cron runs ana's job", || fs::exists("/home/ana/ran").unwrap());
    assert_eq!(fs::read_to_string("/home/ana/ran").unwrap(), "ana\n");
    host.logged(&["cron[", "(bob) ORPHAN (no passwd entry)"]);
    assert!(!fs::exists("/home/bob/ran").unwrap());
    cron.kill().unwrap();
    cron.wait().unwrap();
}

#[test]
fn pam_accepts_account_and_session_of_a_user_but_not_of_a_removed_user() {
    let Some(host) = JumpHost::start() else { return };
    host.refreshed_user("ana");
    host.done(&["pamtester", "sshd", "ana", "acct_mgmt", "open_session", "close_session"]);
    assert!(fs::exists("/home/ana").unwrap());
    host.remove_member("ana");
    host.refresh();
    let (status, said) = host.sh("pamtester sshd ana acct_mgmt");
    assert!(status == Some(1) && said.contains("Authentication failure"), "{said}");
    host.logged(&["pamtester", "could not identify user (from getpwnam(ana))"]);
}

/// Runs an ssh client that forwards an agent with one key.
pub(crate) fn with_agent(host: &JumpHost, key: &Key, client: &Command) -> Output {
    let add = format!("ssh-add -q {} && exec \"$@\"", key.file.display());
    let mut line = ["ssh-agent", "sh", "-c", &add, "sh"].map(OsStr::new).to_vec();
    line.push(client.get_program());
    line.extend(client.get_args());
    host.machine.run(&line)
}

#[test]
fn sudo_asks_the_users_own_agent_for_a_key_that_iam_has() {
    let Some(host) = JumpHost::start() else { return };
    host.enable(&["--sudo", "agent"]);
    let (ana, other) = (host.user_in("ana", &[GROUP, ADMINS]), host.key("other"));
    let bob = host.user("bob");
    host.refresh();
    let sudo = |user: &str, key: &Key, in_agent: &Key| {
        let mut client = host.client(user, key, &["-A"]);
        // Not -n: with it, sudo does not even ask the agent.
        let ran = with_agent(&host, in_agent, client.arg("sudo id -un"));
        text(&ran.stdout).to_owned()
    };
    assert_eq!(sudo("ana", &ana, &ana), "root\n");
    assert_eq!(sudo("ana", &ana, &other), "", "a key that IAM does not have");
    assert_eq!(sudo("ana", &ana, &bob), "", "a key of another user");
    assert_eq!(sudo("bob", &bob, &bob), "", "a user whom sudoers does not name");
    assert_eq!(text(&host.ssh("ana", &ana, "sudo id -un").stdout), "", "no agent");
    // The key of the user who asks counts, whomever PAM authenticates.
    fs::write("/etc/sudoers.d/suse", "Defaults targetpw\n").unwrap();
    assert_eq!(sudo("ana", &ana, &ana), "root\n");
    assert_eq!(sudo("ana", &ana, &bob), "");
}

#[test]
fn with_nscd_running_users_appear_and_disappear_at_once() {
    let Some(host) = JumpHost::start() else { return };
    fs::create_dir_all("/run/nscd").unwrap();
    let mut nscd = host.machine.command(&["nscd", "-F"]).spawn().unwrap();
    host.until("nscd listens", || host.sh("nscd -g").0 == Some(0));
    assert_eq!(host.sh("getent passwd ana").0, Some(2), "nscd now has a negative entry");
    let ana = host.refreshed_user("ana");
    assert!(host.login("ana", &ana, "id -Gn").contains("iam-users"));
    let uid = host.passwd("ana", 2);
    host.remove_member("ana");
    host.refresh();
    // nscd also caches an answer by uid under the name.
    for by_id in ["getent passwd", "getent group", "ls -ldn /home/ana; stat -c %U /home/ana; id"] {
        host.sh(&format!("{by_id} {uid}"));
        for line in
            ["id ana", "getent passwd ana", "getent group ana", "setpriv --reuid ana true", "chown ana /tmp"]
        {
            assert_ne!(host.sh(line).0, Some(0), "{by_id}: {line}");
        }
    }
    host.refused("ana", &ana);
    assert_eq!(host.sh("nss-iamctl doctor").1.matches("exists by name").count(), 0);
    assert_eq!(nscd.try_wait().unwrap(), None);
    nscd.kill().unwrap();
    nscd.wait().unwrap();
}
