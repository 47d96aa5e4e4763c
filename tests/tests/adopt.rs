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

/// Everything in /etc, with mode and owner; and the owners of all files of both users.
fn everything(host: &JumpHost) -> (String, String) {
    // The lock file stays; the refresher's own files are elsewhere.
    let etc = host.done(&[
        "sh",
        "-c",
        "cd /etc && find . -not -name .pwd.lock \\( -type f -o -type l \\) -printf '%p %m %U:%G ' \
        -exec sha256sum {} ';' | sort",
    ]);
    let owners = host.done(&["sh", "-c", "find /home /var/mail -printf '%p %m %U:%G\\n' | sort"]);
    (etc, owners)
}

fn logged_out(host: &JumpHost, uid: &str) {
    host.done(&[
        "sh",
        "-c",
        &format!("for i in $(seq 100); do pgrep -U {uid} || exit 0; sleep 0.1; done; exit 1"),
    ]);
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

#[test]
fn undo_gives_back_every_byte_and_every_owner() {
    let Some((host, key)) = host(47_500) else { return };
    // Files that have the new gid already, and one of root's.
    host.done(&[
        "sh",
        "-c",
        "touch /home/ana/marked /home/ana/roots; chown ana:iam-synced-users /home/ana/marked",
    ]);
    let before = everything(&host);
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    assert_eq!(host.login("ana", &key, "touch ~/later; id -u").trim(), "47500");
    logged_out(&host, "47500");
    let adopted = everything(&host);
    let (status, told) = host.sh("nss-iamctl adopt --undo");
    assert_eq!(status, Some(0), "{told}");
    for expected in [
        "ana (uid 47500): becomes a local account again, with uid 47500",
        "gid 47500 to 47501",
        "write '/etc/passwd'",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(everything(&host), adopted, "a plan changes nothing");

    let (status, told) = host.sh("nss-iamctl adopt --undo --apply");
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(
        host.done(&["stat", "-c", "%U:%G", "/home/ana/later"]),
        "ana:ana\n",
        "also what she wrote since"
    );
    fs::remove_file("/home/ana/later").unwrap();
    assert_eq!(everything(&host), before);
    host.done(&["su", "ana", "-c", "cat ~/papers/notes"]);
    assert_eq!(host.sh("id -nG ana").1.trim(), "ana sudo iam-synced-users");
    assert!(host.sh("sudo -l -U jane.doe").1.contains("NOPASSWD"));

    // Once more, and the way there again.
    let (status, told) = host.sh("nss-iamctl adopt --undo --apply");
    assert_eq!((status, told.contains("no adopted account is missing")), (Some(0), true), "{told}");
    assert_eq!(everything(&host), before);
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    assert_eq!(host.login("ana", &key, "id -u").trim(), "47500");
    logged_out(&host, "47500");
    host.done(&["nss-iamctl", "adopt", "--undo", "--apply"]);
    assert_eq!(everything(&host), before);
}

#[test]
fn undo_overwrites_nothing_that_was_changed_since_and_says_what_is_left() {
    let Some((host, _)) = host(47_600) else { return };
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    host.done(&["useradd", "--create-home", "--uid", "47700", "eve"]);
    // Useradd would refuse a name that an nss-iam user has.
    append("/etc/passwd", "ana:x:47800:47700::/:/bin/sh\n");
    append("/etc/shadow", "ana:!:20000:0:99999:7:::\n");
    fs::write("/etc/cron.d/import_users", "# another job\n").unwrap();
    let before = everything(&host);
    let (status, told) = host.sh("nss-iamctl adopt --undo --apply");
    assert_eq!(status, Some(78), "{told}");
    assert!(told.contains("there is another account of that name, with uid 47800"), "{told}");
    assert!(told.contains("hint: rename it: usermod -l NEWNAME ana"), "{told}");
    assert_eq!(everything(&host), before);

    // The other one alone, then the hint.
    let (status, told) = host.sh("nss-iamctl adopt --undo --apply jane.doe");
    assert_eq!(status, Some(78), "{told}");
    let left = "group 'iam-synced-users' stays removed: its gid 47600 is the id of an nss-iam user";
    assert!(told.contains(left), "{told}");
    assert_eq!(host.sh("id -nG jane.doe").1.trim(), "jane.doe sudo");
    assert!(host.sh("sudo -l -U jane.doe").1.contains("NOPASSWD"));
    host.done(&["usermod", "-l", "other", "ana"]);
    host.refresh();
    let (status, told) = host.sh("nss-iamctl adopt --undo --apply");
    assert_eq!(status, Some(78), "{told}");
    assert!(told.contains("'/etc/cron.d/import_users' was changed since"), "{told}");
    assert_eq!(fs::read_to_string("/etc/cron.d/import_users").unwrap(), "# another job\n");
    assert_eq!(host.sh("id -nG ana").1.trim(), "ana sudo iam-synced-users");
    assert_eq!(host.sh("id -nG jane.doe").1.trim(), "jane.doe sudo iam-synced-users");
    assert_eq!((host.passwd("eve", 2), host.passwd("other", 2)), ("47700".to_owned(), "47800".to_owned()));
    let checked = host.sh("pwck -rq; grpck -r").1;
    assert!(["ana", "jane", "eve"].iter().all(|name| !checked.contains(name)), "{checked}");
}

#[test]
fn undo_lets_nobody_in_who_left_unless_named() {
    let Some((host, _)) = host(47_900) else { return };
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    host.done(&["nss-iamctl", "lock", "ana"]);
    let (status, told) = host.sh("nss-iamctl adopt --undo --apply");
    assert_eq!(status, Some(78), "{told}");
    assert!(told.contains("'ana' stays removed: the nss-iam user is disabled"), "{told}");
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    assert!(passwd.contains("\njane.doe:") && !passwd.contains("\nana:"), "{passwd}");
    host.done(&["nss-iamctl", "adopt", "--undo", "--apply", "ana"]);
    assert_eq!(host.passwd("ana", 2), "47900");
}

/// Ids that useradd(8) gives out: bob once got ana's home.
#[test]
fn disable_asks_first_and_says_how_no_other_account_gets_the_files() {
    let Some((host, _)) = host(1_000) else { return };
    host.done(&["userdel", "-r", "zoe"]);
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    host.done(&["useradd", "-M", "bob"]);
    assert_eq!(host.passwd("bob", 2), "1002", "while nss-iam answers, useradd takes the next uid");
    host.done(&["userdel", "bob"]);
    fs::write("/etc/nss-iam/config.d/90-hide.toml", "[users]\nremoved = \"hide\"\n").unwrap();
    host.remove_member("jane.doe");
    host.refresh();
    host.done(&["useradd", "-M", "bob"]);
    assert_eq!(host.passwd("bob", 2), "1002", "also for a user who left, whatever 'removed' says");
    host.done(&["userdel", "bob"]);
    let before = everything(&host);
    let (status, told) = host.sh("nss-iamctl disable >/dev/null");
    assert_eq!(status, Some(78), "{told}");
    for expected in [
        "'adopt' removed the accounts of 'ana', who will not exist on this host any more",
        "hint: first give the accounts back: nss-iamctl adopt --undo --apply; or --yes confirms it",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    // On a terminal, it is a question.
    let (status, told) = host.sh("echo n | script -qec 'nss-iamctl disable >/dev/null' /dev/null");
    assert!(status == Some(78) && told.contains("any more. Continue? [y/N]"), "{status:?} {told}");
    assert_eq!(everything(&host), before);

    let (status, told) = host.sh("nss-iamctl disable --yes >/dev/null");
    assert_eq!(status, Some(0), "{told}");
    let (_, hint) = told.split_once("hint: ").unwrap();
    host.done(&["useradd", "-M", "carl"]);
    assert_eq!(host.passwd("carl", 2), "1000", "this is why");
    host.done(&["userdel", "carl"]);
    host.done(&["sh", "-c", hint.lines().next().unwrap()]);
    host.done(&["useradd", "-M", "bob"]);
    assert_eq!([host.passwd("ana", 2), host.passwd("bob", 2)], ["1000", "1002"]);
    assert_eq!(host.sh("su ana -c id").0, Some(1), "nobody can log in");
}

#[test]
fn the_hint_of_disable_brings_the_host_back_to_where_it_was() {
    let Some(host) = JumpHost::bare() else { return };
    let key = host.user("ana");
    let _ = host.user("dan");
    host.done(&["useradd", "--create-home", "--comment", "AWS User", "--uid", "48000", "ana"]);
    host.done(&["useradd", "--create-home", "--comment", "AWS User", "--uid", "48001", "dan"]);
    let before = everything(&host);
    host.configure("");
    host.enable(&[]);
    host.restart_sshd(&[]);
    host.refresh();
    // One after the other: both come back with one command.
    host.done(&["nss-iamctl", "adopt", "--apply", "ana"]);
    host.done(&["nss-iamctl", "adopt", "--apply", "dan"]);
    assert_eq!(host.login("ana", &key, "id -u").trim(), "48000");
    host.done(&["sh", "-c", "nss-iamctl adopt --undo --apply; nss-iamctl disable"]);
    fs::remove_file("/etc/nss-iam/config.toml").unwrap();
    let without = |all: (String, String)| {
        let etc: Vec<String> =
            all.0.lines().filter(|line| !line.contains("nss-iam/")).map(str::to_owned).collect();
        (etc.join("\n"), all.1)
    };
    assert_eq!(without(everything(&host)), without(before));
}

/// What apt runs.
#[test]
fn purge_keeps_the_only_copy_of_adopted_accounts_and_they_come_back_from_it() {
    let Some((host, _)) = host(48_200) else { return };
    host.done(&["nss-iamctl", "adopt", "--apply"]);
    fs::write("/root/postrm", include_str!("../../debian/postrm")).unwrap();
    let (status, told) = host.sh("nss-iamctl disable --yes >/dev/null && sh /root/postrm remove");
    assert_eq!(status, Some(0), "{told}");
    assert!(fs::exists("/var/lib/nss-iam/state.db").unwrap());
    let (status, told) = host.sh("sh /root/postrm purge");
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("/var/lib/nss-iam/backup is kept"), "{told}");
    assert_eq!(host.done(&["ls", "-A", "/var/lib/nss-iam"]), "backup\n");
    let (status, told) = host.sh("nss-iamctl adopt --undo");
    assert_eq!(status, Some(78), "{told}");
    let (_, hint) = told.split_once("hint: name those who may log in: ").unwrap();
    let (_, told) = host.sh(hint.trim());
    assert_eq!([host.passwd("ana", 2), host.passwd("jane.doe", 2)], ["48200", "48201"], "{told}");
    host.done(&["su", "ana", "-c", "cat ~/papers/notes"]);
    let (_, told) = host.sh("sh /root/postrm purge");
    assert!(!told.contains("is kept") && !fs::exists("/var/lib/nss-iam").unwrap(), "{told}");
}
