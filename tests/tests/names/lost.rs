//! `state.db` is lost, empty or older than `cache.db`.

use std::os::unix::fs::chown;
use std::process::Stdio;

use super::*;

const STATE: &str = "/var/lib/nss-iam/state.db";

fn lose(how: &str, older: &[u8]) {
    match how {
        "removed" => fs::remove_file(STATE).unwrap(),
        "emptied" => fs::write(STATE, "").unwrap(),
        "no rows" => {
            let state = rusqlite::Connection::open(STATE).unwrap();
            let tables = "home name about user member_group identity";
            for table in tables.split(' ') {
                state.execute(&format!("DELETE FROM {table}"), []).unwrap();
            }
        }
        _ => fs::write(STATE, older).unwrap(),
    }
}

#[test]
fn a_lost_state_is_reported_once_and_nobody_gains_or_loses_by_it() {
    for how in ["removed", "emptied", "no rows", "older"] {
        let Some(host) = Host::in_tree("login") else { return };
        refresh(&host, &listing(&[user("U1", "ana")]));
        let older = fs::read(STATE).unwrap();
        refresh(&host, &listing(&[user("U1", "ana"), user("U2", "eve")]));
        let (ana, eve) = (host.getent("passwd", "ana").unwrap(), host.passwd("eve", 2));
        let id: u32 = eve.parse().unwrap();
        fs::create_dir_all("/home/eve").unwrap();
        chown("/home/eve", Some(id), Some(id)).unwrap();
        let mut sleep = host.machine.command(&["setpriv", "--reuid", &eve, "--clear-groups", "sleep", "600"]);
        let mut process = sleep.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();

        lose(how, &older);
        let ran = refresh(&host, &listing(&[user("U1", "ana")]));
        assert_eq!(ran.status, HELD, "{how}: {}", ran.err);
        assert!(ran.err.contains("state.db"), "{how}: {}", ran.err);
        assert_eq!(host.getent("passwd", "ana").unwrap(), ana, "{how}");
        assert!(host.getent("passwd", &eve).is_some(), "{how}: a leaver's files have an owner");
        assert_eq!(host.keys("eve"), "", "{how}");
        let ended = process.wait().unwrap();
        assert!(!ended.success(), "{how}: a leaver's processes end");

        // It is reported only once.
        assert_eq!(refresh(&host, &listing(&[user("U1", "ana")])).status, Some(0), "{how}");
        refresh(&host, &listing(&[user("U1", "ana"), user("U9", "eve")]));
        assert_ne!(host.passwd("eve", 2), eve, "{how}");
        assert_eq!(host.passwd("eve", 5), format!("/home/eve-{}", host.passwd("eve", 2)), "{how}");
        // The first user comes back: everything is as before.
        refresh(&host, &listing(&[user("U1", "ana"), user("U2", "evelyn")]));
        assert_eq!(
            (host.passwd("evelyn", 2), host.passwd("evelyn", 5)),
            (eve, "/home/eve".to_owned()),
            "{how}"
        );
    }
}

#[test]
fn an_older_state_reactivates_nobody_who_left_since() {
    let Some(host) = Host::in_tree("login") else { return };
    let mut first = listing(&[user("U1", "ana"), user("U2", "eve")]);
    first["read"] = json!("2026-01-01T00:00:00Z");
    refresh(&host, &first);
    let older = fs::read(STATE).unwrap();
    refresh(&host, &listing(&[user("U1", "ana")]));
    lose("older", &older);
    let mut partial = listing(&[user("U1", "ana")]);
    partial["accounts"][0]["complete"] = json!(false);
    for status in [HELD, Some(0)] {
        let ran = refresh(&host, &partial);
        assert_eq!((ran.status, host.getent("passwd", "eve")), (status, None), "{}", ran.err);
        assert!(!host.keys("ana").is_empty());
    }
}

#[test]
fn a_state_without_the_row_of_a_user_still_ends_their_processes() {
    let Some(host) = Host::in_tree("login") else { return };
    refresh(&host, &listing(&[user("U1", "ana"), user("U2", "eve")]));
    let eve = host.passwd("eve", 2);
    let mut sleep = host.machine.command(&["setpriv", "--reuid", &eve, "--clear-groups", "sleep", "600"]);
    let mut process = sleep.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let state = rusqlite::Connection::open(STATE).unwrap();
    state.execute("DELETE FROM user WHERE iam_id = 'U2'", []).unwrap();
    drop(state);
    assert_eq!(refresh(&host, &listing(&[user("U1", "ana")])).status, HELD);
    assert!(!process.wait().unwrap().success());
    assert!(host.getent("passwd", &eve).is_some());
}

#[test]
fn with_the_keys_also_lost_ids_and_homes_still_go_to_nobody_else() {
    let Some(host) = Host::in_tree("login") else { return };
    refresh(&host, &listing(&[user("U1", "ana"), user("U2", "eve")]));
    let eve = host.passwd("eve", 2);
    for file in ["state.db", "keys.db"] {
        fs::remove_file(format!("/var/lib/nss-iam/{file}")).unwrap();
    }
    assert_eq!(refresh(&host, &listing(&[user("U1", "ana"), user("U9", "eve")])).status, HELD);
    assert_ne!(host.passwd("eve", 2), eve);
    assert_ne!(host.passwd("eve", 5), "/home/eve");
    assert!(!host.keys("ana").is_empty());
    // The UserId is recognised by its computed id.
    refresh(&host, &listing(&[user("U1", "ana"), user("U2", "evelyn")]));
    assert_eq!((host.passwd("evelyn", 2), host.passwd("evelyn", 5)), (eve, "/home/eve".to_owned()));
}

/// Users and groups that left before the loss are in no published file with their ids.
#[test]
fn those_whose_ids_were_lost_come_back_with_their_uid_and_gid_whatever_their_names_are_now() {
    // The names at their return; the login name, unless the user is refused or locked; others who join at the same time.
    let rows = [
        ("eve", "db", Some("eve"), None),
        ("evelyn", "web", Some("evelyn"), None),
        ("ana", "root", None, None),
        ("evelyn", "web", Some("evelyn"), Some("eve")),
        ("eve", "db", None, None),
    ];
    for (row, (user_name, group_name, login, other)) in rows.into_iter().enumerate() {
        let Some(host) = Host::in_tree("login") else { return };
        let with_group = |users: &[Value], name: &str| {
            let mut all = listing(users);
            let group = json!({"id": "G2", "name": name, "members": ["U2"]});
            all["accounts"][0]["groups"].as_array_mut().unwrap().push(group);
            all
        };
        refresh(&host, &with_group(&[user("U1", "ana"), user("U2", "eve")], "db"));
        let (eve, db) = (host.passwd("eve", 2), host.getent("group", "db").unwrap());
        let gid = db.split(':').nth(2).unwrap();
        assert_eq!(refresh(&host, &listing(&[user("U1", "ana")])).status, Some(0));
        fs::remove_file(STATE).unwrap();
        assert_eq!(refresh(&host, &listing(&[user("U1", "ana")])).status, HELD);
        let is_locked = login.is_none() && user_name == "eve";
        if is_locked {
            fs::write("/var/lib/nss-iam/locked", "eve\n").unwrap();
        }
        let users = [user("U1", "ana"), user("U2", user_name)].into_iter();
        let users: Vec<Value> = users.chain(other.map(|name| user("U3", name))).collect();
        for _ in 0..2 {
            let ran = refresh(&host, &with_group(&users, group_name));
            assert_eq!(ran.status, Some(0), "{row}: {}", ran.err);
        }
        if let Some(login) = login {
            assert_eq!(
                (host.passwd(login, 2), host.passwd(login, 5)),
                (eve.clone(), "/home/eve".to_owned()),
                "{row}"
            );
            assert!(host.getent("group", gid).unwrap().starts_with(&format!("{group_name}:")), "{row}");
        } else {
            assert!(is_locked || reason(&host, "U2").is_some(), "{row}");
            assert_eq!(host.keys("eve"), "", "{row}");
        }
        if let Some(other) = other {
            assert_ne!(host.passwd(other, 2), eve, "{row}");
        }
    }
}

#[test]
fn a_new_host_does_not_report_a_loss() {
    let Some(host) = Host::in_tree("login") else { return };
    assert_eq!(refresh(&host, &named(&["ana"])).status, Some(0));
}
