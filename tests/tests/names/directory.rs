//! Another directory service on the host, and local accounts that appear later.

use std::fs;
use std::process::Stdio;

use tests::directory::{self, knows, services};

use super::*;

/// glibc's answers about a name without `iam`, in a form that can be compared.
fn without_iam(host: &Host, name: &str) -> String {
    let getent = |table, service: &str| host.run(&["getent", "-s", service, table, name]).out;
    ["files", "sss"].map(|service| getent("passwd", service) + &getent("group", service)).concat()
}

#[test]
fn a_name_that_another_service_has_is_assigned_to_nobody_and_its_user_gains_nothing() {
    let Some(host) = directory::host() else { return };
    host.machine.config("[local_groups]\nOps = [\"sudo\"]\n");
    knows("user dana 5000\ngroup dana 5000\ngroup fin 5001\ngroup admins 5002 erik,dana\n");
    let before = host.run(&["id", "dana"]).out;
    assert!(before.contains("uid=5000(dana)"), "{before}");
    assert_eq!(refresh(&host, &named(&["Dana", "fin", "erik", "ana"])).status, Some(0));
    assert_eq!(host.run(&["id", "dana"]).out, before);
    for (id, words) in [
        ("U-Dana", "'dana' is a user of service 'sss' of nsswitch.conf (uid 5000)"),
        ("U-fin", "'fin' is a group of service 'sss' of nsswitch.conf (gid 5001)"),
        ("U-erik", "'erik' is a member of 'admins' in service 'sss' of nsswitch.conf"),
    ] {
        assert_eq!(reason(&host, id).as_deref(), Some(words));
    }
    assert!(host.run(&["id", "ana"]).out.contains("(sudo)"));
    assert!(host.run(&["id", "erik"]).status != Some(0));
}

#[test]
fn an_id_that_another_service_has_is_assigned_to_nobody() {
    let Some(host) = directory::host() else { return };
    refresh(&host, &named(&["ana"]));
    let uid = host.passwd("ana", 2);
    for kind in ["user", "group"] {
        let _ = fs::remove_dir_all("/var/lib/nss-iam");
        fs::create_dir("/var/lib/nss-iam").unwrap();
        knows(&format!("{kind} other {uid}\n"));
        refresh(&host, &named(&["ana"]));
        assert!(host.getent("passwd", "ana").is_none(), "{kind}");
        assert!(reason(&host, "U-ana").unwrap().contains("is that of 'other' on this host (service 'sss')"));
    }
}

#[test]
fn if_a_service_cannot_be_asked_nobody_new_gets_in_and_nobody_else_is_affected() {
    let Some(host) = directory::host() else { return };
    refresh(&host, &named(&["ana"]));
    let before = host.getent("passwd", "ana");
    for (status, words) in [
        ("unavailable", "Connection refused"),
        ("busy", ""),
        ("crash", "ended early"),
        ("hang", "no answer within"),
    ] {
        knows(&format!("status {status}\n"));
        let ran = refresh(&host, &named(&["ana", "new"]));
        assert_eq!(ran.status, HELD, "{status}: {}", ran.err);
        assert!(ran.err.contains("'sss'") && ran.err.contains(words), "{status}: {}", ran.err);
        assert!(ran.err.contains("nss-iamctl enable --exclude sss"), "{status}: {}", ran.err);
        assert_eq!(
            (host.getent("passwd", "ana"), host.getent("passwd", "new")),
            (before.clone(), None),
            "{status}"
        );
        assert!(reason(&host, "U-new").unwrap().contains("'sss'"), "{status}");
        // Users who leave are still removed.
        assert_eq!(refresh(&host, &named(&["bob"])).status, HELD);
        assert_eq!(host.keys("ana"), "", "{status}");
        knows("");
        assert_eq!(refresh(&host, &named(&["ana"])).status, Some(0), "{status}");
        assert_eq!(host.getent("passwd", "ana"), before, "{status}");
    }
}

#[test]
fn an_excluded_service_is_not_asked() {
    let Some(host) = directory::host() else { return };
    knows("status unavailable\n");
    host.machine.config("[names]\nexclude = [\"sss\"]\n");
    assert_eq!(refresh(&host, &named(&["ana", "new"])).status, Some(0));
    assert!(host.getent("passwd", "new").is_some());
}

/// In this case, getgrouplist(3) returns no groups.
#[test]
fn if_a_service_cannot_list_the_groups_of_a_name_nobody_new_gets_in() {
    let Some(host) = directory::host() else { return };
    knows("initgroups unavailable\ngroup sudoers 27 dana\n");
    for lines in
        ["passwd: files iam\ngroup: files sss iam\n", "group: files iam\ninitgroups: files iam sss\n"]
    {
        fs::write("/etc/nsswitch.conf", lines).unwrap();
        let ran = refresh(&host, &named(&["dana"]));
        assert_eq!((ran.status, host.getent("passwd", "dana")), (HELD, None), "{}", ran.err);
        assert!(ran.err.contains("'sss' of nsswitch.conf cannot be asked"), "{}", ran.err);
    }
}

#[test]
fn locks_and_removals_do_not_wait_for_a_service_that_hangs() {
    let Some(host) = directory::host() else { return };
    refresh(&host, &named(&["ana", "bob", "eve"]));
    knows("status hang\n");
    fs::write("/var/lib/nss-iam/locked", "ana\n").unwrap();
    host.list(&named(&["ana", "eve", "new"]));
    let mut refresher = host.machine.command(&[tests::REFRESHER, "apply"]);
    let mut refresher = refresher.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while host.getent("passwd", "ana").is_some() || host.getent("passwd", "bob").is_some() {
        assert!(refresher.try_wait().unwrap().is_none(), "it ended, and they are still there");
        std::thread::yield_now();
    }
    assert!(refresher.try_wait().unwrap().is_none(), "they waited");
    assert!(host.getent("passwd", "eve").is_some() && host.getent("passwd", "new").is_none());
    assert_eq!(refresher.wait().unwrap().code(), HELD);
    let status = host.status();
    assert_eq!((status["removed"].as_u64(), status["added"].as_u64()), (Some(2), Some(0)), "{status}");
    assert!(host.getent("passwd", "eve").is_some() && host.getent("passwd", "ana").is_none());
}

#[test]
fn a_missing_module_knows_nobody_and_one_that_cannot_be_loaded_blocks_new_users() {
    let Some(host) = directory::host() else { return };
    services("sss ldap [NOTFOUND=continue] systemd");
    assert_eq!(
        refresh(&host, &named(&["ana"])).status,
        Some(0),
        "glibc would ask nobody of that name either"
    );
    fs::write(tests::module().with_file_name("libnss_ldap.so.2"), "no module").unwrap();
    let ran = refresh(&host, &named(&["ana", "new"]));
    assert_eq!(ran.status, HELD, "{}", ran.err);
    assert!(ran.err.contains("'ldap'") && host.getent("passwd", "new").is_none(), "{}", ran.err);
}

#[test]
fn a_conflict_that_appears_later_is_found_and_the_other_directory_wins() {
    let Some(host) = directory::host() else { return };
    refresh(&host, &named(&["dana"]));
    let uid = host.passwd("dana", 2);
    knows("user dana 5000\ngroup dana 5000\n");
    // A day passes.
    tests::move_last_questions(-86400);
    for _ in 0..2 {
        refresh(&host, &named(&["dana"]));
        assert!(reason(&host, "U-dana").unwrap().contains("service 'sss' of nsswitch.conf (uid 5000)"));
        assert_eq!(host.keys("dana"), "");
        assert_eq!(host.passwd(&uid, 0), format!("dana-{uid}"));
    }
}

#[test]
fn a_local_account_in_any_spelling_wins_at_once() {
    for line in ["jane:x:1500:1500::/home/jane:/bin/bash\n", "\n  jane:x:1500:1500:local:/:/bin/sh\n"] {
        let Some(host) = Host::in_tree("login") else { return };
        refresh(&host, &named(&["jane"]));
        assert!(!host.keys("jane").is_empty());
        append("/etc/passwd", line);
        let before = without_iam(&host, "jane");
        assert!(before.contains("1500"), "{before}");
        refresh(&host, &named(&["jane"]));
        assert_eq!(host.keys("jane"), "");
        assert!(reason(&host, "U-jane").unwrap().contains("/etc/passwd (uid 1500)"), "{line}");
        assert_eq!(host.run(&["id", "-Gn", "jane"]).out.split_whitespace().count(), 1);
    }
}

/// Drop-ins of userdb, which nss-systemd reads: <https://systemd.io/USER_RECORD/>.
#[test]
fn a_user_in_systemds_database_belongs_to_the_host() {
    let Some(host) = directory::host() else { return };
    services("systemd");
    fs::create_dir_all("/etc/userdb").unwrap();
    let record = json!({"userName": "dana", "uid": 1300, "gid": 1300, "homeDirectory": "/home/dana",
        "shell": "/bin/sh", "disposition": "regular"});
    fs::write("/etc/userdb/dana.user", record.to_string()).unwrap();
    fs::write("/etc/userdb/dana.group", json!({"groupName": "dana", "gid": 1300}).to_string()).unwrap();
    assert_eq!(refresh(&host, &named(&["Dana", "ana"])).status, Some(0));
    assert!(reason(&host, "U-Dana").unwrap().contains("service 'systemd' of nsswitch.conf (uid 1300)"));
    assert!(host.run(&["getent", "passwd", "dana"]).out.contains(":1300:"));
    assert!(host.getent("passwd", "ana").is_some());
}
