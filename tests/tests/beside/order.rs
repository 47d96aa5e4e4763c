//! Where `enable` puts `iam` among the services of nsswitch.conf, and who is asked then.

use std::fs;

use crate::support::Beside;

const NSSWITCH: &str = "/etc/nsswitch.conf";

/// The services of a line.
fn line(database: &str) -> String {
    let text = fs::read_to_string(NSSWITCH).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{database}:"))).unwrap_or_default();
    line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn enable_leaves_directories_first_unless_told_otherwise_and_each_order_can_be_undone() {
    let Some(beside) = Beside::bare() else { return };
    let original = fs::read(NSSWITCH).unwrap();
    let enable = |options: &str| {
        let (status, said) = beside.host.sh(&format!("nss-iamctl enable {options} 2>&1 >/dev/null"));
        assert_eq!(status, Some(0), "{said}");
        said
    };
    let said = enable("");
    assert_eq!(line("passwd"), "files systemd sss iam");
    assert_eq!(line("group"), "files systemd sss [SUCCESS=merge] iam");
    let told = [
        "'sss' is asked before 'iam'",
        "a login waits for it",
        "enable --before-directories",
        "max_id = 1879048191",
    ];
    for words in told {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = enable("--before-directories");
    assert_eq!(line("passwd"), "files iam systemd sss");
    assert_eq!(line("shadow"), "files iam systemd sss");
    assert_eq!(line("group"), "files [SUCCESS=merge] iam systemd sss");
    assert_eq!(
        line("initgroups"),
        "files [SUCCESS=continue] iam systemd [SUCCESS=continue] sss [SUCCESS=continue]"
    );
    let told = [
        "'iam' is asked before 'sss'",
        "for up to a day",
        "the password of that name",
        "enable --after-directories",
    ];
    for words in told {
        assert!(said.contains(words), "{words}: {said}");
    }
    let chosen = fs::read(NSSWITCH).unwrap();
    enable("");
    assert_eq!(fs::read(NSSWITCH).unwrap(), chosen, "the order stays");
    assert_eq!(beside.finding(&["doctor"], "directory-before-iam"), None);
    assert_eq!(beside.finding(&["doctor"], "nsswitch-order"), None);
    enable("--after-directories");
    assert_eq!(line("passwd"), "files systemd sss iam");
    assert_eq!(line("initgroups"), "");
    enable("--before-directories");
    beside.host.done(&["nss-iamctl", "disable"]);
    assert_eq!(fs::read(NSSWITCH).unwrap(), original);
}

#[test]
fn before_local_accounts_iam_never_comes() {
    let Some(beside) = Beside::bare() else { return };
    let text = "passwd: sss files systemd\ngroup: files sss\nshadow: files\n";
    fs::write(NSSWITCH, text).unwrap();
    let (status, said) = beside.host.sh("nss-iamctl enable --before-directories");
    assert_eq!(status, Some(78), "{said}");
    assert!(said.contains("local accounts must win") && said.contains("put 'files' first"), "{said}");
    assert_eq!(fs::read_to_string(NSSWITCH).unwrap(), text);
}

/// The answers for everybody else are those of the file before.
#[test]
fn in_both_orders_users_of_the_directory_and_local_users_have_the_groups_that_they_had() {
    let Some(beside) = Beside::bare() else { return };
    let host = &beside.host;
    host.done(&["gpasswd", "--add", "ubuntu", "games"]);
    host.done(&["gpasswd", "--add", "dana", "games"]);
    let answers = || {
        let users = ["root", "ubuntu", "dana", "erik"].map(|user| host.done(&["id", user]));
        let groups = ["games", "staff-of-dana", "sudo"].map(|group| host.done(&["getent", "group", group]));
        (users, groups)
    };
    let before = answers();
    assert!(before.0[2].contains("games") && before.0[2].contains("staff-of-dana"), "{before:?}");
    for (order, user) in [("--after-directories", "ana"), ("--before-directories", "bea")] {
        host.enable(&[order]);
        assert_eq!(answers(), before, "{order}");
        let _ = host.refreshed_user(user);
        host.done(&["gpasswd", "--add", user, "games"]);
        let groups = host.done(&["id", "-Gn", user]);
        assert!(groups.contains("iam-users") && groups.contains("games"), "{order}: {groups}");
        host.done(&["gpasswd", "--delete", user, "games"]);
    }
}
