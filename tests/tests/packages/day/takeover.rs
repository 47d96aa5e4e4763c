//! An account that was made by hand years ago becomes an nss-iam user, and an account again.

use tests::login::GROUP;

use crate::day::{differences, installed, listed, types};

/// What `adopt` may change, and `--undo` has to give back.
const ACCOUNTS: [&str; 4] = ["passwd", "shadow", "group", "gshadow"];

#[test]
fn an_adopted_account_keeps_uid_and_home_and_undo_gives_every_byte_back() {
    let Some(host) = installed() else { return };
    host.done(
        "groupadd -g 2000 devs && useradd -m -u 1500 -s /bin/bash -G sudo,devs,adm ana && echo ana:secret | chpasswd \
         && useradd -m -u 1501 -s /bin/bash -G devs bob",
    );
    host.write("/etc/sudoers.d/ana", "ana ALL=(ALL) NOPASSWD: ALL\n");
    host.done("chmod 440 /etc/sudoers.d/ana; runuser -u ana -- sh -c 'echo hers >/home/ana/notes'");
    let (ana, key) = ("ana", host.user("ana"));
    host.done("runuser -u ana -- sh -c 'mkdir -m 700 ~/.ssh'; install -o ana -m 600 /root/ana.pub /home/ana/.ssh/authorized_keys");
    assert!(host.logs_in(ana, &key), "as a local user");
    types(&host, &format!("nss-iamctl enable --group {GROUP}"))
        .exits(0)
        .says(&["ana' was skipped", "nss-iamctl adopt --apply ana"]);
    assert!(host.logs_in(ana, &key), "still as a local user");
    let etc =
        || listed(&host, "/etc", &["nss-iam/", ".pwd.lock", "passwd- ", "shadow- ", "group- ", "gshadow- "]);
    let homes = || listed(&host, "/home", &["ana/.bash_history"]);
    let (etc_before, homes_before) = (etc(), homes());

    let plan = types(&host, "nss-iamctl adopt ana").exits(0);
    let plan = plan.says(&[
        "ana (uid 1500): becomes nss-iam user 'ana'",
        "loses: its password",
        "loses: membership of local groups adm, sudo, devs",
        "nothing was changed",
    ]);
    plan.says(&["nothing is lost"]);
    assert_eq!(differences(&etc_before, &etc()), Vec::<String>::new(), "a plan changes nothing");

    types(&host, "nss-iamctl adopt --apply ana").exits(0);
    assert_eq!(host.sh("grep -h ^ana: /etc/passwd /etc/shadow").0, Some(1));
    assert!(host.logs_in(ana, &key), "as an nss-iam user");
    types(&host, "ssh ana@HOST 'id -u; cat notes; pwd'").exits(0).says(&["1500\nhers\n/home/ana\n"]);
    types(&host, "stat -c %U /home/ana/notes").exits(0).says(&["ana"]);
    types(&host, "ssh ana@HOST sudo -n true").exits(1);
    let changed = differences(&etc_before, &etc());
    let is_expected = |line: &String| {
        let path = line[2..].split(' ').next().unwrap();
        ACCOUNTS.contains(&path) || ["sudoers.d", "sudoers.d/ana"].contains(&path)
    };
    assert!(changed.iter().all(is_expected), "{changed:?}");

    types(&host, "nss-iamctl adopt --undo").exits(0).says(&["nothing was changed"]);
    types(&host, "nss-iamctl adopt --undo --apply").exits(0);
    assert_eq!(differences(&etc_before, &etc()), Vec::<String>::new(), "every byte of /etc");
    assert_eq!(differences(&homes_before, &homes()), Vec::<String>::new(), "and every owner");
    assert!(host.logs_in(ana, &key), "as a local user again");
    types(&host, "ssh ana@HOST 'sudo -n id -un'").exits(0).says(&["root"]);
}
