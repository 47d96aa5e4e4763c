//! A name that is in the directory and in IAM.

use tests::login::append;

use crate::support::{Beside, in_each_order};

/// Whose answer a lookup by name is: the uid.
fn uid(beside: &Beside, name: &str) -> String {
    beside.host.passwd(name, 2)
}

#[test]
fn a_name_that_the_directory_has_is_not_given_to_a_user_of_iam() {
    in_each_order(|order| {
        let Some(beside) = Beside::bare() else { return };
        beside.host.enable(&[order]);
        beside.host.restart_sshd(&[]);
        let erik = beside.host.user("Erik");
        // It says so, and fails.
        let _ = beside.host.refresher(&[]).output().unwrap();
        assert_eq!(uid(&beside, "erik"), "5002", "{order}");
        beside.host.refused("erik", &erik);
        let found = beside.finding(&["why", "Erik"], "name-of-host-user").unwrap();
        assert!(
            found.what.contains("'erik' is a user of service 'sss' of nsswitch.conf (uid 5002)"),
            "{found:?}"
        );
        let found = beside.finding(&["doctor"], "name-of-host-user").unwrap();
        assert!(found.what.contains("'erik'"), "{found:?}");
        assert!(beside.by_password("erik").unwrap().contains("uid=5002(erik)"), "{order}");
    });
}

#[test]
fn a_name_in_iam_that_the_directory_has_is_no_principal_of_the_user() {
    let Some(beside) = Beside::bare() else { return };
    let host = &beside.host;
    beside.add_person("fred+x", 5020);
    host.enable(&[]);
    host.user("fred+x");
    host.user("gil+x");
    host.refresh();
    let principals = |login: &str| {
        let printed =
            host.done(&["/usr/libexec/nss-iam/keys-cmd", "--principals", login, &uid(&beside, login)]);
        printed.lines().filter(|word| !word.starts_with("AIDA")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((&*principals("fred_x"), &*principals("gil_x")), ("fred_x", "gil_x gil+x"));
}

/// Until names are checked again, within a day, both have it.
#[test]
fn whoever_comes_first_has_a_name_that_the_directory_gets_later_and_doctor_and_why_say_so() {
    in_each_order(|order| {
        let is_iams = order == "--before-directories";
        let Some((beside, ana)) = Beside::enabled(&[order]) else { return };
        let host = &beside.host;
        let uid_in_iam = uid(&beside, "ana");
        assert!(beside.gets_in("ana", &ana, 60));
        beside.add_person("ana", 5010);
        beside.restart_sssd_cold();
        assert_eq!(uid(&beside, "ana"), if is_iams { &uid_in_iam } else { "5010" }, "{order}");
        assert_eq!(beside.gets_in("ana", &ana, 60), is_iams, "{order}");
        // What `enable` and the manual say of the password.
        let id = beside.by_password("ana").unwrap();
        assert_eq!(id.contains(&format!("uid={uid_in_iam}(ana)")), is_iams, "{order}: {id}");
        assert_eq!(id.contains("staff-of-ana"), !is_iams, "groups of the directory: {order}: {id}");
        assert_eq!(host.done(&["id", "-Gn", "ana"]).contains("staff-of-ana"), !is_iams, "{order}");
        for words in [&["doctor"][..], &["why", "ana"]] {
            let found = beside.finding(words, "name-also-other-user").unwrap();
            assert_eq!(found.level, "bad");
            assert!(
                found.what.contains("also of a user of service 'sss' of nsswitch.conf (uid 5010)"),
                "{found:?}"
            );
            let other = beside.finding(words, "resolves-to-other").map(|found| found.what);
            assert_eq!(other.is_none(), is_iams, "{order}: {other:?}");
        }
        assert_eq!(beside.says_logins_work(), is_iams, "{order}");
    });
}

#[test]
fn a_local_account_wins_over_both_at_once() {
    in_each_order(|order| {
        let Some((beside, ana)) = Beside::enabled(&[order]) else { return };
        append("/etc/passwd", "ana:x:1234:1234::/:/bin/sh\ndana:x:1235:1235::/:/bin/sh\n");
        assert_eq!(
            (uid(&beside, "ana").as_str(), uid(&beside, "dana").as_str()),
            ("1234", "1235"),
            "{order}"
        );
        beside.host.refused("ana", &ana);
        let found = beside.finding(&["why", "ana"], "local-user").unwrap();
        assert_eq!(found.level, "bad", "{order}: {found:?}");
    });
}
