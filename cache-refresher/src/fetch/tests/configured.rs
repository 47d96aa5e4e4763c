//! The name of a group may change in the configuration and in IAM. A mistake in the one or a new name in the other disables
//! nobody.

use super::*;

fn members(account: &Account) -> Vec<(&str, Vec<&str>)> {
    let groups = account.groups.iter();
    groups.map(|group| (group.name.as_str(), group.members.iter().map(String::as_str).collect())).collect()
}

/// `G` was renamed to `New`.
fn renamed(mut table: Table) -> Table {
    let group = table.groups.remove("G").unwrap();
    table.groups.insert("New".to_owned(), group);
    table
}

#[test]
fn a_typing_error_holds_every_member_and_those_who_really_left_go() {
    let known = run(&two(), None, 0);
    for (groups, wrong) in [(&["Gg", "H"][..], 1), (&["Gg", "Hh"], 2), (&["Gg", "G", "H"], 1)] {
        for reason in [Reason::NotFound, Reason::Denied] {
            let typos = groups.iter().filter(|name| name.len() > 1);
            let table = typos.fold(two(), |table, name| table.refusing("GetGroup", name, reason.clone()));
            let mut account = with(&table, Some(&known), 5, groups);
            for minute in [10, 15, 20] {
                assert_eq!(names(&account), ["ana", "bob"], "{groups:?}");
                let mut groups_then = members(&account);
                groups_then.sort();
                assert_eq!(groups_then, [("G", vec!["AIDAana", "AIDAbob"]), ("H", vec!["AIDAana"])]);
                assert!(
                    account.complete
                        && account.users.iter().all(|user| user.confirmed > known.as_of || minute == 10)
                );
                let kind =
                    if reason == Reason::Denied { FailureKind::Denied } else { FailureKind::Configuration };
                assert_eq!(kinds(&account).iter().filter(|other| **other == kind).count(), wrong);
                let held: Vec<_> =
                    account.errors.iter().filter(|error| error.kind == FailureKind::Held).collect();
                assert_eq!(held.is_empty(), groups.contains(&"G"), "{groups:?}: {held:?}");
                assert!(
                    held.iter().all(|error| error.on == "H" || error.cause.contains("'ana', 'bob'")),
                    "{held:?}"
                );
                account = with(&table, Some(&account), minute, groups);
            }
            let mut left = table.clone();
            left.delete("bob");
            let after = with(&left, Some(&account), 25, groups);
            assert_eq!(names(&after), ["ana"], "{groups:?}");
            let mut moved = table.clone();
            moved.groups.get_mut("G").unwrap().1.remove("bob");
            assert_eq!(names(&with(&moved, Some(&account), 25, groups)), ["ana"], "{groups:?}");
        }
    }
}

#[test]
fn groups_that_are_exchanged_in_the_configuration_disable_nobody_and_the_new_ones_count() {
    let known = with(&two().user("zoe", &["Z"]), None, 0, &["G"]);
    assert_eq!(names(&known), ["ana", "bob"]);
    let table = two().user("zoe", &["Z"]).user("new", &["G"]);
    let account = with(&table, Some(&known), 5, &["Z"]);
    assert_eq!(
        members(&account),
        [("Z", vec!["AIDAzoe"]), ("G", vec!["AIDAana", "AIDAbob"])],
        "nobody joins G"
    );
    assert_eq!(kinds(&account), [FailureKind::Held]);
    assert!(account.groups[1].unconfigured);
    // Once it is named again, everything is as before.
    let back = with(&table, Some(&account), 10, &["G"]);
    assert_eq!(names(&back), ["ana", "bob", "new", "zoe"]);
    let forced = forced(&table, Some(&account), 10, &["Z"]);
    assert_eq!((names(&forced), forced.errors.len()), (vec!["zoe"], 0));
}

#[test]
fn a_group_that_the_configuration_drops_goes_as_far_as_nobody_is_disabled_by_it() {
    let known = run(&two(), None, 0);
    let account = with(&two(), Some(&known), 5, &["G"]);
    assert_eq!(members(&account), [("G", vec!["AIDAana", "AIDAbob"])]);
    assert!(account.errors.is_empty(), "{:?}", account.errors);
    let account = with(&two(), Some(&known), 5, &["H"]);
    assert_eq!(members(&account), [("H", vec!["AIDAana"]), ("G", vec!["AIDAbob"])]);
    assert_eq!(user(&account, "bob").confirmed, Some(at(5)), "keys of those who are held do not age");
    assert!(with(&two(), Some(&known), 5, &[]).users.len() == 2, "nor by dropping all");
}

#[test]
fn held_members_who_cannot_be_asked_for_stay_until_forced() {
    let mut known = run(&two(), None, 0);
    let table = two().refusing("GetGroup", "G", Reason::Denied).unconfirmable();
    for minute in [5, 10, 15, 20] {
        known = with(&table, Some(&known), minute, &["H"]);
        assert_eq!(names(&known), ["ana", "bob"]);
        assert!(user(&known, "bob").missing.is_none(), "it is not counted");
    }
    let forced = forced(&table, Some(&known), 25, &["H"]);
    assert_eq!(names(&forced), ["ana"]);
}

#[test]
fn a_group_that_was_renamed_is_followed_by_its_id_with_a_warning_that_names_the_new_spelling() {
    let known = run(&two(), None, 0);
    let table = renamed(two().user("new", &["G"]));
    let mut account = known.clone();
    for minute in [5, 10] {
        account = run(&table, Some(&account), minute);
        assert_eq!(
            members(&account),
            [("G", vec!["AIDAana", "AIDAbob", "AIDAnew"]), ("H", vec!["AIDAana"])],
            "the configuration's name stays"
        );
        assert_eq!(account.groups[0].renamed.as_deref(), Some("New"));
        assert!(
            account.errors.is_empty() && account.warnings[0].message.what().contains("is called 'New' now")
        );
    }
    let corrected = with(&table, Some(&account), 15, &["New", "H"]);
    assert_eq!(members(&corrected)[0].0, "New");
    assert!(corrected.warnings.is_empty() && corrected.groups[0].renamed.is_none());
    assert_eq!(corrected.groups[0].id, known.groups[0].id);
    // Users who leave a renamed group are removed.
    let mut left = table.clone();
    left.groups.get_mut("New").unwrap().1.remove("bob");
    assert_eq!(names(&run(&left, Some(&account), 15)), ["ana", "new"]);
}

#[test]
fn a_renamed_group_is_found_by_whatever_call_is_allowed() {
    let known = run(&two(), None, 0);
    let listed = renamed(two()).unconfirmable();
    assert_eq!(members(&run(&listed, Some(&known), 5)), members(&known));
    assert_eq!(listed.asked("ListGroups"), 1);

    // GetGroup is allowed for configured names only: nobody joins, and users who left are removed.
    let mut closed = renamed(two().user("new", &["G"])).refusing("GetGroup", "New", Reason::Denied);
    let account = run(&closed, Some(&known), 5);
    assert_eq!(members(&account), members(&known));
    assert!(account.warnings[0].message.what().contains("nobody can join"), "{:?}", account.warnings);
    closed.groups.get_mut("New").unwrap().1.remove("bob");
    assert_eq!(names(&run(&closed, Some(&account), 10)), ["ana"]);

    // Nothing is allowed: the group may have been deleted, but nobody is disabled for that.
    let blind = renamed(two()).unconfirmable().refusing("ListGroups", "", Reason::Denied);
    let mut account = known.clone();
    for minute in [5, 10, 15, 20] {
        account = run(&blind, Some(&account), minute);
        assert_eq!(members(&account), members(&known));
        assert!(account.warnings[0].message.what().contains("deleted or renamed"), "{:?}", account.warnings);
    }
}

#[test]
fn without_a_memory_an_unresolved_group_leaves_the_account_incomplete() {
    for reason in [Reason::NotFound, Reason::Denied] {
        let table = two().refusing("GetGroup", "Gg", reason);
        assert!(!with(&table, None, 5, &["Gg", "H"]).complete);
        let forced = forced(&table, None, 5, &["Gg", "H"]);
        assert!(forced.complete);
    }
}

#[test]
fn another_aws_account_is_not_asked_for_users_of_the_one_before() {
    let known = Account { id: "999999999999".to_owned(), ..run(&two(), None, 0) };
    let table = Table::default().user("zoe", &["G"]).user("zak", &["H"]);
    let account = run(&table, Some(&known), 5);
    assert_eq!((names(&account), table.asked("ListGroupsForUser")), (vec!["zak", "zoe"], 0));
}

#[test]
fn a_group_that_its_members_still_name_is_neither_renamed_nor_gone() {
    let known = run(&two(), None, 0);
    let table = two().refusing("GetGroup", "G", Reason::NotFound);
    let mut account = known.clone();
    for minute in [5, 10] {
        account = run(&table, Some(&account), minute);
        assert_eq!(members(&account), members(&known));
        assert!(account.groups[0].renamed.is_none());
        assert!(
            account.warnings[0].message.what().contains("'G' is not found")
                && !account.warnings[0].message.what().contains("called")
        );
    }
    let mut left = table.clone();
    left.groups.get_mut("G").unwrap().1.remove("bob");
    assert_eq!(names(&run(&left, Some(&account), 15)), ["ana"]);
}

#[test]
fn while_the_group_of_a_new_name_or_a_dropped_one_cannot_be_read_all_is_as_it_was() {
    let known = run(&two(), None, 0);
    let mut throttled = renamed(two()).refusing("GetGroup", "New", Reason::NoAnswer);
    throttled.groups.get_mut("New").unwrap().1.remove("bob");
    let account = run(&throttled, Some(&known), 5);
    assert_eq!((members(&account), kinds(&account)), (members(&known), vec![FailureKind::Unavailable]));
    assert_eq!(account.as_of, known.as_of, "one answer of ListGroupsForUser alone takes nobody");
    let account = with(&two().refusing("GetGroup", "G", Reason::NoAnswer), Some(&known), 5, &["H"]);
    assert_eq!((members(&account), kinds(&account)), (members(&known), vec![FailureKind::Unavailable]));
    assert_eq!(account.as_of, known.as_of);
}

/// A denied group cannot be resolved: its members stay, and users who left other groups are removed.
#[test]
fn one_group_that_is_denied_freezes_no_other_one() {
    let known = run(&two().user("eve", &["G"]), None, 0);
    let mut table = two().refusing("GetGroup", "H", Reason::Denied);
    table.delete("eve");
    let account = run(&table, Some(&known), 5);
    assert_eq!(
        (names(&account), kinds(&account)),
        (vec!["ana", "bob"], vec![FailureKind::Held, FailureKind::Denied])
    );
    assert_eq!(members(&account), [("G", vec!["AIDAana", "AIDAbob"]), ("H", vec!["AIDAana"])]);
    table.groups.get_mut("H").unwrap().1.clear();
    let left = run(&table, Some(&account), 10);
    assert_eq!(members(&left), [("G", vec!["AIDAana", "AIDAbob"]), ("H", vec![])]);
}

/// The group itself gives no answer, so one of ListGroupsForUser is only one.
#[test]
fn nobody_leaves_a_group_that_cannot_be_read_by_one_answer() {
    let known = run(&two(), None, 0);
    let denied = || two().refusing("GetGroup", "H", Reason::Denied);
    let wrong = denied().forgetting("ListGroupsForUser", "ana", 1);
    let account = run(&wrong, Some(&known), 5);
    assert_eq!((members(&account), wrong.asked("ListGroupsForUser")), (members(&known), 2));

    // Without time for a second answer, the next refreshes have to agree.
    for leave in [
        |table: &mut Table| table.groups.get_mut("H").unwrap().1.clear(),
        |table: &mut Table| {
            table.groups.get_mut("G").unwrap().1.remove("ana");
            table.delete("ana");
        },
    ] {
        let only_h = run(&Table::default().user("ana", &["H"]).user("bob", &["G"]), None, 0);
        let mut table = Table::default().user("ana", &["H"]).user("bob", &["G"]);
        table = Table { short_of_time: true, ..table.refusing("GetGroup", "H", Reason::Denied) };
        leave(&mut table);
        let mut account = only_h;
        for minute in [5, 8] {
            account = run(&table, Some(&account), minute);
            assert_eq!(names(&account), ["ana", "bob"]);
            let held = account.errors.iter().find(|failure| failure.cause.contains("held")).unwrap();
            assert!(held.cause.contains("which GetGroup cannot confirm"), "{}", held.cause);
        }
        assert_eq!(names(&run(&table, Some(&account), 11)), ["bob"]);
    }

    // Deleted: a group that can be read lacks the user too.
    let mut deleted = denied();
    deleted.delete("ana");
    let account = run(&deleted, Some(&known), 5);
    assert_eq!((names(&account), deleted.asked("ListGroupsForUser")), (vec!["bob"], 1));
}

#[test]
fn a_name_that_another_group_takes_disables_nobody_of_the_one_that_had_it() {
    let known = run(&two(), None, 0);
    let mut table = renamed(two());
    table.groups.insert("G".to_owned(), ("AGPAother".to_owned(), BTreeSet::new()));
    let mut account = known.clone();
    for minute in [5, 10] {
        account = run(&table, Some(&account), minute);
        assert_eq!(names(&account), ["ana", "bob"]);
        let old = account.groups.iter().find(|group| group.id == "AGPAG").unwrap();
        assert_eq!((old.members.len(), old.unconfigured, old.renamed.as_deref()), (2, true, Some("New")));
        assert_eq!(kinds(&account), [FailureKind::Held]);
    }
    // It was deleted and created again with the same members: they are in the new one, even if its answer is incomplete.
    let mut again = two().forgetting("G", "bob", 1);
    again.groups.get_mut("G").unwrap().0 = "AGPAagain".to_owned();
    let account = run(&again, Some(&known), 5);
    assert_eq!(names(&account), ["ana", "bob"]);
    assert_eq!(account.groups[0].members, ["AIDAana", "AIDAbob"]);
    assert!(account.errors.is_empty() && account.groups.len() == 2, "{account:?}");
}
