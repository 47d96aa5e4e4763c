//! sudo-rs, which Ubuntu has as `sudo` since 25.10, in the version of Debian 13.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use tests::login::{ADMINS, GROUP, JumpHost, append};
use tests::text;

use crate::session::with_agent;

/// sudo-rs 0.2.5 does not find a group with so many members.
const MANY: usize = 200;

/// A host on which sudo and visudo are those of sudo-rs, as in Ubuntu.
fn host() -> Option<JumpHost> {
    let host = JumpHost::bare_in("debian13")?;
    for (name, real) in [("/usr/bin/sudo", "/usr/bin/sudo-rs"), ("/usr/sbin/visudo", "/usr/bin/visudo-rs")] {
        fs::rename(name, format!("{name}.ws")).unwrap();
        symlink(real, name).unwrap();
    }
    // Since 9.8, sshd blocks clients that are refused often.
    append("/etc/ssh/sshd_config.d/50-test.conf", "PerSourcePenalties no\n");
    host.configure("");
    Some(host)
}

/// A local user who may use sudo, and has a password.
fn local_user(host: &JumpHost) {
    host.done(&["useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", "ubuntu"]);
    assert_eq!(host.sh("echo ubuntu:secret | chpasswd").0, Some(0));
}

#[test]
fn nss_iam_users_are_asked_for_nothing_and_local_users_as_before_however_many_users_there_are() {
    let Some(host) = host() else { return };
    local_user(&host);
    let names: Vec<String> = (0..MANY).map(|index| format!("user{index:04}")).collect();
    let users: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    host.account.seed(json!({"groups": {GROUP: names}, "users": users}));
    let said = host.done(&["sh", "-c", "nss-iamctl enable --sudo nopasswd 2>&1"]);
    assert!(said.contains("'authenticate' cannot be used in a boolean context"), "{said}");
    host.restart_sshd(&[]);
    let (ana, bob) = (host.user_in("ana", &[GROUP, ADMINS]), host.user("bob"));
    host.refresh();

    for line in ["sudo -n id -un", "sudo -n -i id -un", "sudo id -un"] {
        assert_eq!(host.login("ana", &ana, line), "root\n", "{line}");
    }
    assert!(host.login("ana", &ana, "sudo -n -l").contains("ALL"));
    for line in ["sudo -n id -un", "sudo -n -l"] {
        let ran = host.ssh("bob", &bob, line);
        assert!(!ran.status.success() && text(&ran.stdout).is_empty(), "{line}");
    }
    let ubuntu = |line: &str| host.sh(&format!("su ubuntu -c '{line}' 2>&1"));
    assert_ne!(ubuntu("sudo -n id -un").0, Some(0));
    assert_ne!(ubuntu("echo wrong | sudo -S id -un").0, Some(0));
    let (status, said) = ubuntu("echo secret | sudo -S id -un");
    assert!(status == Some(0) && said.ends_with("root\n"), "{said}");

    // PAM authenticates root, or the target, and yet it counts who asks.
    for setting in ["rootpw", "targetpw"] {
        fs::write("/etc/sudoers.d/suse", format!("Defaults \\\n  {setting}\n")).unwrap();
        assert_eq!(host.login("ana", &ana, "sudo -n id -un"), "root\n", "{setting}");
        for line in ["sudo -n -u ana id -un", "sudo -n id -un", "echo secret | sudo -S -u ana id -un"] {
            assert_ne!(ubuntu(line).0, Some(0), "{setting}: {line}");
        }
    }
    fs::remove_file("/etc/sudoers.d/suse").unwrap();

    // A rule for a group of nss-iam that is too large for this version, and whose gid has too many digits.
    append("/etc/sudoers", "%jumphostaccess ALL=(ALL) /usr/bin/id\n");
    assert!(!host.ssh("bob", &bob, "sudo -n id -un").status.success(), "sudo-rs finds a large group");
    let doctor = host.sh("nss-iamctl doctor").1;
    assert!(doctor.contains("sudoers names '%jumphostaccess', a group with 202 members"), "{doctor}");
    host.done(&["groupadd", "id-users"]);
    host.enable(&["--local-group", &format!("{GROUP}=id-users")]);
    host.refresh();
    append("/etc/sudoers", "%id-users ALL=(ALL) /usr/bin/id\n");
    assert_eq!(host.login("bob", &bob, "sudo -n id -un"), "root\n");

    // sudo in place of sudo-rs.
    for (name, real) in [("/usr/bin/sudo", "/usr/bin/sudo.ws"), ("/usr/sbin/visudo", "/usr/sbin/visudo.ws")] {
        fs::remove_file(name).unwrap();
        symlink(real, name).unwrap();
    }
    assert!(!host.ssh("ana", &ana, "sudo -n id -un").status.success());
    let doctor = host.sh("nss-iamctl doctor").1;
    assert!(doctor.contains("'/etc/sudoers.d/nss-iam' is written for sudo-rs"), "{doctor}");
    host.enable(&["--sudo", "nopasswd"]);
    assert_eq!(host.login("ana", &ana, "sudo -n id -un"), "root\n");

    host.account.change(json!({"do": "remove_member", "group": ADMINS, "user": "ana"}));
    host.refresh();
    assert!(!host.ssh("ana", &ana, "sudo -n true").status.success());
    host.done(&["nss-iamctl", "disable"]);
    assert!(!fs::read_to_string("/etc/pam.d/sudo").unwrap().contains("nss-iam"));
}

#[test]
fn sudo_rs_asks_the_users_own_agent() {
    let Some(host) = host() else { return };
    host.enable(&["--sudo", "agent"]);
    host.restart_sshd(&[]);
    let (ana, other) = (host.user_in("ana", &[GROUP, ADMINS]), host.key("other"));
    host.refresh();
    for setting in ["env_reset", "targetpw"] {
        fs::write("/etc/sudoers.d/suse", format!("Defaults {setting}\n")).unwrap();
        for (in_agent, who) in [(&ana, "root\n"), (&other, "")] {
            let mut client = host.client("ana", &ana, &["-A"]);
            let ran = with_agent(&host, in_agent, client.arg("sudo id -un"));
            assert_eq!(text(&ran.stdout), who, "{setting}: {}", text(&ran.stderr));
        }
    }
}
