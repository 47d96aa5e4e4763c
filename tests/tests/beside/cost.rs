//! What the order costs, in searches of slapd: counts, which are the same on every machine.

use std::fs;

use crate::support::Beside;

/// Few, because each costs a key.
const USERS: usize = 5;
const LIMIT: &str = "max_id = 1879048191\n";

/// The searches for all users by uid, by gid, by name, and for their groups: with sssd's memory empty, and again.
fn searches(beside: &Beside, users: &[(String, String)]) -> [(usize, usize); 4] {
    beside.restart_sssd_cold();
    let all = |database: &str, key: fn(&(String, String)) -> &String| {
        let run = || users.iter().for_each(|user| drop(beside.host.done(&["getent", database, key(user)])));
        (beside.searches(run), beside.searches(run))
    };
    [
        all("passwd", |(_, uid)| uid),
        all("group", |(_, uid)| uid),
        all("passwd", |(name, _)| name),
        all("initgroups", |(name, _)| name),
    ]
}

#[test]
fn behind_a_directory_each_id_and_name_is_a_search_with_max_id_only_each_name_and_before_it_nothing() {
    let Some((beside, _)) = Beside::enabled(&[]) else { return };
    let host = &beside.host;
    let names: Vec<String> = (0..USERS).map(|number| format!("guest{number}")).collect();
    names.iter().for_each(|name| drop(host.user(name)));
    host.refresh();
    let users: Vec<_> = names.into_iter().map(|name| (name.clone(), host.passwd(&name, 2))).collect();
    fs::create_dir("/srv/files").unwrap();
    for (name, uid) in &users {
        fs::write(format!("/srv/files/{name}"), "").unwrap();
        host.done(&["chown", &format!("{uid}:{uid}"), &format!("/srv/files/{name}")]);
    }
    let ls = || {
        beside.restart_sssd_cold();
        beside.searches(|| drop(host.done(&["ls", "-l", "/srv/files"])))
    };
    let each = (USERS, 0);
    assert_eq!(searches(&beside, &users), [each, each, each, (0, 0)]);
    assert_eq!(ls(), 2 * USERS);
    // What `doctor` and the manual advise.
    assert_eq!(beside.finding(&["doctor"], "directory-limited"), None);
    beside.write_sssd_conf(LIMIT);
    assert_eq!(searches(&beside, &users), [(0, 0), (0, 0), each, (0, 0)]);
    assert_eq!(ls(), 0);
    assert_eq!(beside.finding(&["doctor"], "directory-before-iam"), None);
    assert!(beside.finding(&["doctor"], "directory-limited").is_some_and(|found| found.level == "ok"));
    assert!(beside.gets_in("dana", &beside.dana, 60), "the users of the directory have lower ids");
    beside.write_sssd_conf("");
    host.done(&["nss-iamctl", "enable", "--before-directories"]);
    assert_eq!(searches(&beside, &users), [(0, 0); 4]);
    assert_eq!(ls(), 0);
}
