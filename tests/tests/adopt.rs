//! `nss-iamctl adopt` on a host as aws-ec2-ssh leaves it: real accounts, a real refresher, a real login afterwards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use tests::login::{JumpHost, Key, append};

const FILES: [&str; 7] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/ssh/sshd_config",
    "/etc/sudoers.d/jane doe",
    "/etc/cron.d/import_users",
];
/// What the installer and the import of aws-ec2-ssh leave behind, for IAM users `Ana` and `jane.doe`, and `zoe`,
/// who has left. The marker group comes first, so that each gid is the uid of the next. No other test uses these
/// uids, because /proc shows the processes of all tests.
fn host(first: u32) -> Option<(JumpHost, Key)> {
    let host = JumpHost::start()?;
    let key = host.user("Ana");
    let _ = host.user("jane.doe");
    host.done(&["groupadd", "--gid", &first.to_string(), "iam-synced-users"]);
    for (number, name) in (0..).zip(["ana", "jane.doe"]) {
        let (uid, gid) = ((first + number).to_string(), (first + number + 1).to_string());
        host.done(&["groupadd", "--gid", &gid, name]);
        let words = ["--create-home", "--shell", "/bin/bash", "--uid", &uid, "--gid", &gid, name];
        host.done(&[&["useradd"], words.as_slice()].concat());
        host.done(&["usermod", "-a", "-G", "sudo,iam-synced-users", name]);
    }
    host.done(&["useradd", "--create-home", "--comment", "AWS User", "zoe"]);
    host.done(&["sh", "-c", "echo ana:secret | chpasswd"]);
    host.done(&["su", "ana", "-c", "umask 077; mkdir ~/papers; echo hers >~/papers/notes"]);
    fs::write("/etc/sudoers.d/jane doe", "jane.doe ALL=(ALL) NOPASSWD:ALL\n").unwrap();
    fs::write("/etc/cron.d/import_users", "*/10 * * * * root /opt/import_users.sh\n").unwrap();
    let command = "AuthorizedKeysCommand /opt/authorized_keys_command.sh\nAuthorizedKeysCommandUser nobody\n";
    append("/etc/ssh/sshd_config", command);
    let said = host.refresh();
    assert!(said.contains("'ana' is a user of /etc/passwd"), "{said}");
    Some((host, key))
}

fn contents() -> Vec<Option<Vec<u8>>> {
    FILES.map(|file| fs::read(file).ok()).to_vec()
}

fn owners(host: &JumpHost, user: &str) -> String {
    host.done(&["find", &format!("/home/{user}"), "-printf", "%U:%G\n"])
        .lines()
        .map(str::to_owned)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_plan_says_what_each_account_becomes_and_loses_and_changes_nothing() {
    let Some((host, _)) = host(47_300) else { return };
    let before = contents();
    let (status, told) = host.sh("nss-iamctl adopt");
    assert_eq!(status, Some(0), "{told}");
    for expected in [
        "ana (uid 47300): becomes nss-iam user 'Ana'",
        "files: gid 47301 to 47300",
        "loses: its password",
        "loses: membership of local groups sudo",
        "loses: sudo rule 'jane.doe ALL=(ALL) NOPASSWD:ALL'",
        "zoe: stays as it is: no user at the source",
        "nothing was changed",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(contents(), before);
}

#[test]
fn accounts_become_iam_users_with_their_uids_homes_and_keys() {
    let Some((host, key)) = host(47_000) else { return };
    let (status, told) = host.sh("nss-iamctl adopt --apply");
    assert_eq!(status, Some(0), "{told}");
    for (number, name) in (0..).zip(["ana", "jane.doe"]) {
        let uid = (47_000 + number).to_string();
        assert!(!fs::read_to_string("/etc/passwd").unwrap().contains(&format!("{name}:")));
        assert_eq!((host.passwd(name, 2), host.passwd(name, 3)), (uid.clone(), uid.clone()));
        assert_eq!(host.passwd(name, 5), format!("/home/{name}"));
        assert_eq!(owners(&host, name), format!("{uid}:{uid}"));
    }
    assert!(host.passwd("zoe", 4) == "AWS User", "an account without an IAM user stays");
    assert_eq!(host.login("ana", &key, "cat ~/papers/notes"), "hers\n");
    // In the order of the gids, which depend on ids that IAM chooses.
    let groups = host.login("ana", &key, "id -nG");
    let mut groups: Vec<_> = groups.split_whitespace().collect();
    groups.sort_unstable();
    assert_eq!(groups, ["ana", "iam-users", "jumphostaccess"]);
    assert!(!host.sh("sudo -l -U jane.doe").1.contains("NOPASSWD"));
    assert!(!fs::exists("/etc/cron.d/import_users").unwrap());

    // The same after the next refresh.
    host.refresh();
    assert_eq!(host.login("ana", &key, "id -u").trim(), "47000");
}

#[test]
fn a_second_adopt_finds_no_account() {
    let Some((host, _)) = host(47_400) else { return };
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    host.refresh();
    let (status, told) = host.sh("nss-iamctl adopt --apply");
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("no account can be taken over"), "{told}");
}

#[test]
fn an_account_that_the_refresher_does_not_publish_leaves_everything_unchanged() {
    let Some((host, _)) = host(47_100) else { return };
    // A name in sysusers.d is assigned to nobody; `adopt` learns this only from the refresher.
    fs::create_dir_all("/etc/sysusers.d").unwrap();
    fs::write("/etc/sysusers.d/ana.conf", "u ana - \"a daemon\"\n").unwrap();
    let (before, owned) = (contents(), owners(&host, "ana"));
    let (status, told) = host.sh("nss-iamctl adopt --apply");
    assert_eq!(status, Some(70), "{told}");
    assert!(
        told.contains("'ana' is a system user ('/etc/sysusers.d/ana.conf')")
            && told.contains("all files were restored"),
        "{told}"
    );
    assert_eq!((contents(), owners(&host, "ana")), (before, owned));
    assert!(!fs::exists("/etc/nss-iam/config.d/50-adopt.toml").unwrap());
    assert_eq!(host.passwd("ana", 2), "47100");
    host.done(&["su", "ana", "-c", "cat ~/papers/notes"]);
}

#[test]
fn renumber_gives_the_files_of_the_named_account_the_ids_of_the_user_and_follows_no_link() {
    let Some((host, key)) = host(47_200) else { return };
    host.done(&["su", "ana", "-c", "ln -s /etc/shadow ~/papers/link"]);
    let (status, told) = host.sh("nss-iamctl adopt --renumber --apply ana");
    assert_eq!(status, Some(0), "{told}");
    let uid: u32 = host.passwd("ana", 2).parse().expect("a uid");
    assert!(uid >= 0x7000_0000, "{uid}");
    assert_eq!(owners(&host, "ana"), format!("{uid}:{uid}"));
    assert_eq!(host.login("ana", &key, "cat ~/papers/notes").trim(), "hers");
    assert_eq!(host.done(&["stat", "-c", "%u", "/etc/shadow"]).trim(), "0");
    assert_eq!(host.passwd("jane.doe", 2), "47201", "an account that was not named stays");
}
