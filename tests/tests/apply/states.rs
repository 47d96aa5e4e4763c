//! Users whom a listing adds, disables, brings back or re-creates, as glibc shows them.

use std::fs::{self, OpenOptions};
use std::io::Write;

use tests::{CACHE, Host, listing, user};

/// Login shell in passwd(5), expiry in shadow(5), and supplementary groups of an active user.
fn standing(host: &Host, name: &str) -> (String, String, Vec<String>) {
    let shadow = host.getent("shadow", name).unwrap();
    let fields: Vec<&str> = shadow.split(':').collect();
    assert_eq!((fields[0], fields[1]), (name, "*"), "{shadow}");
    assert!(fields[2].parse::<u32>().unwrap() > 19_000, "{shadow}");
    let groups = ["ops", "iam-users", "iam-disabled"].into_iter().filter(|group| {
        let line = host.getent("group", group).unwrap();
        line.rsplit(':').next().unwrap().split(',').any(|member| member == name)
    });
    (host.passwd(name, 6), fields[7].to_owned(), groups.map(str::to_owned).collect())
}

fn active() -> (String, String, Vec<String>) {
    ("/bin/bash".to_owned(), String::new(), vec!["ops".to_owned(), "iam-users".to_owned()])
}

#[test]
fn a_listed_user_has_an_id_a_home_a_private_group_and_a_key() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("AIDAEXAMPLE", "Ana")]));
    let line = "ana:x:1895840708:1895840708:AWS User:/home/ana:/bin/bash";
    assert_eq!(host.getent("passwd", "ana").as_deref(), Some(line));
    assert_eq!(host.getent("passwd", "1895840708").as_deref(), Some(line));
    assert_eq!(host.getent("group", "ana").as_deref(), Some("ana:x:1895840708:"));
    assert_eq!(standing(&host, "ana"), active());
    assert!(host.keys("ana").starts_with("ssh-ed25519 AAAA") && host.keys("ana").lines().count() == 1);
    let id = host.run(&["id", "ana"]).out;
    assert!(id.contains("(ops)") && id.contains("(iam-users)") && !id.contains("disabled"), "{id}");
}

#[test]
fn a_user_who_leaves_is_disabled_with_the_same_uid_and_restored_on_return() {
    let Some(host) = Host::new() else { return };
    let (ana, bob) = (user("st-1", "ana"), user("st-2", "bob"));
    host.apply(&listing(&[ana.clone(), bob.clone()]));
    let (before, keys) = (host.getent("passwd", "ana").unwrap(), host.keys("ana"));

    host.apply(&listing(std::slice::from_ref(&bob)));
    let uid = before.split(':').nth(2).unwrap();
    assert_eq!(host.getent("passwd", uid).unwrap(), before.replace("/bin/bash", "/usr/sbin/nologin"));
    assert!(host.is_disabled("ana", uid));
    assert_eq!((host.run(&["id", "ana"]).status, standing(&host, "bob")), (Some(1), active()));
    assert_eq!(host.keys("ana"), "");
    assert!(!host.keys("bob").is_empty());

    host.apply(&listing(&[ana, bob]));
    assert_eq!(host.getent("passwd", "ana").unwrap(), before);
    assert_eq!((standing(&host, "ana"), host.keys("ana")), (active(), keys));
}

#[test]
fn a_recreated_user_has_a_different_uid_and_home_and_the_old_files_keep_an_owner() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("re-1", "ana")]));
    let old = host.passwd("ana", 2);
    fs::create_dir_all("/home/ana").unwrap();

    host.apply(&listing(&[user("re-2", "ana")]));
    let new = host.passwd("ana", 2);
    assert_ne!(new, old);
    assert_eq!(host.passwd("ana", 5), format!("/home/ana-{new}"));
    assert_eq!(standing(&host, "ana"), active());
    let renamed = format!("ana-{old}");
    assert!(host.is_disabled(&renamed, &old));
    assert_eq!(host.keys(&renamed), "");
    host.apply(&listing(&[user("re-2", "ana")]));
    assert_eq!((host.passwd("ana", 2), host.passwd(&old, 0)), (new, renamed), "as it was");
}

#[test]
fn a_local_account_of_the_same_name_takes_it_and_the_iam_user_is_skipped() {
    let Some(host) = Host::new() else { return };
    let everyone = listing(&[user("lo-1", "ana"), user("lo-2", "bob")]);
    host.apply(&everyone);
    let uid = host.passwd("ana", 2);
    let mut passwd = OpenOptions::new().append(true).open("/etc/passwd").unwrap();
    writeln!(passwd, "ana:x:1234:1234::/home/ana:/bin/sh").unwrap();

    let ran = host.apply(&everyone);
    assert!(ran.err.contains("user 'ana' skipped: 'ana' is a user of /etc/passwd (uid 1234)"), "{}", ran.err);
    assert_eq!(host.getent("passwd", "ana"), None, "nothing that could be taken for the local user");
    assert_eq!(host.passwd(&uid, 0), format!("ana-{uid}"));
    assert_eq!((host.keys("ana"), host.status()["disabled"].as_u64()), (String::new(), Some(1)));
    assert_eq!(standing(&host, "bob"), active());
}

#[test]
fn a_locked_user_is_disabled_until_unlocked() {
    let Some(host) = Host::new() else { return };
    let everyone = listing(&[user("lk-1", "ana"), user("lk-2", "bob")]);
    host.apply(&everyone);
    let uids = ["ana", "bob"].map(|name| host.passwd(name, 2));
    let lock = format!("{CACHE}/locked");
    for (locked, ana, bob) in [("ana\n", false, true), ("*\n", false, false), ("", true, true)] {
        fs::write(&lock, locked).unwrap();
        host.apply(&everyone);
        for ((name, is_active), uid) in [("ana", ana), ("bob", bob)].into_iter().zip(&uids) {
            assert_eq!(host.is_disabled(name, uid), !is_active, "{locked:?}");
            assert!(!is_active || standing(&host, name) == active(), "{locked:?}");
            assert_eq!(!host.keys(name).is_empty(), is_active, "{locked:?}");
        }
    }
}

#[test]
fn with_removed_hide_nobody_is_shown_but_the_uid_stays_reserved() {
    let Some(host) = Host::new() else { return };
    host.machine.config("[users]\nremoved = \"hide\"\n");
    host.apply(&listing(&[user("hi-1", "ana"), user("hi-2", "bob")]));
    let uid = host.passwd("ana", 2);
    host.apply(&listing(&[user("hi-2", "bob")]));
    assert_eq!((host.getent("passwd", "ana"), host.getent("passwd", &uid)), (None, None));
    host.apply(&listing(&[user("hi-1", "ana"), user("hi-2", "bob")]));
    assert_eq!(host.passwd("ana", 2), uid);
}

/// An image that was not cleaned also contains its listing.
#[test]
fn the_listing_of_a_different_machine_offers_no_key_here() {
    let Some(host) = Host::new() else { return };
    let mut image = listing(&[user("st-9", "ana")]);
    image["read"] = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string().into();
    host.apply(&image);
    assert!(!host.keys("ana").is_empty());

    fs::write("/etc/machine-id", "76543210fedcba9876543210fedcba98\n").unwrap();
    for _ in 0..2 {
        let ran = host.apply(&image);
        assert!(host.getent("passwd", "ana").is_some() && host.keys("ana").is_empty(), "{ran:?}");
    }
    assert!(host.status()["warnings"].to_string().contains("another machine"));
    host.apply(&listing(&[user("st-9", "ana")]));
    assert!(!host.keys("ana").is_empty());
}
