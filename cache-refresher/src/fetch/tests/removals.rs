//! A removal is confirmed, or held.

use super::*;

/// Deletes `ana`, and denies the call that would confirm it.
fn ana_deleted_unconfirmably() -> Table {
    let mut table = two().refusing("ListGroupsForUser", "ana", Reason::NoAnswer);
    table.delete("ana");
    table
}

#[test]
fn a_user_missing_from_one_answer_is_asked_for_and_stays_with_the_old_keys() {
    let known = run(&two(), None, 0);
    let table = two().forgetting("G", "bob", 1);
    let account = run(&table, Some(&known), 5);
    assert_eq!(user(&account, "bob"), user(&known, "bob"));
    assert_eq!(account.groups, known.groups);
    assert!(account.errors.is_empty(), "{:?}", account.errors);
    assert_eq!(table.asked("ListGroupsForUser"), 1, "only for those whom an answer lacks");
}

/// Before, one answer without members removed users from a group even if they were in another one too.
#[test]
fn leaving_one_of_several_groups_is_confirmed_like_leaving_all() {
    let known = run(&two(), None, 0);
    let account = run(&two().forgetting("H", "ana", 1), Some(&known), 5);
    assert_eq!((&account.groups, account.errors.len()), (&known.groups, 0));
    assert_eq!(user(&account, "ana").confirmed, Some(at(5)), "another answer has the user");

    let mut left = two();
    left.groups.get_mut("H").unwrap().1.clear();
    let account = run(&left, Some(&known), 5);
    assert!(account.groups[1].members.is_empty() && account.errors.is_empty());

    let mut known = known;
    let mut failing = left.refusing("ListGroupsForUser", "ana", Reason::NoAnswer);
    for (minute, times) in [(5, 1), (6, 1), (8, 2)] {
        known = run(&failing, Some(&known), minute);
        let missing = user(&known, "ana").missing.clone().unwrap();
        assert_eq!((missing.times, missing.groups), (times, vec!["AGPAH".to_owned()]));
        assert_eq!((known.groups[1].members.len(), kinds(&known)), (1, vec![FailureKind::Held]));
    }
    // Now another group lacks the user: the count starts again.
    failing.groups.get_mut("G").unwrap().1.remove("ana");
    known = run(&failing, Some(&known), 11);
    assert_eq!(user(&known, "ana").missing.as_ref().unwrap().times, 1);
    known = run(&failing, Some(&known), 14);
    known = run(&failing, Some(&known), 17);
    assert_eq!(names(&known), ["bob"]);
}

#[test]
fn deleted_users_and_those_who_left_every_group_are_gone_at_once() {
    let known = run(&two(), None, 0);
    let mut table = two();
    table.delete("ana");
    table.groups.get_mut("G").unwrap().1.clear();
    let account = run(&table, Some(&known), 5);
    assert!(account.users.is_empty() && account.complete && account.errors.is_empty());
    assert_eq!(account.groups.len(), 2, "an emptied group is still a group");
}

#[test]
fn where_the_confirming_call_is_denied_the_groups_are_asked_again_once() {
    let known = run(&two(), None, 0);
    let mut gone = two().unconfirmable();
    gone.delete("ana");
    gone.delete("bob");
    let account = run(&gone, Some(&known), 5);
    assert!(account.users.is_empty() && account.errors.is_empty(), "{account:?}");
    assert_eq!(gone.asked("GetGroup"), 4);

    let flaky = two().unconfirmable().forgetting("G", "bob", 1);
    let account = run(&flaky, Some(&known), 5);
    assert_eq!(user(&account, "bob"), user(&known, "bob"));
    assert_eq!(account.groups, known.groups);
    assert_eq!(flaky.asked("GetGroup"), 3, "only the group that lost someone");

    let mut hurried = two().unconfirmable();
    hurried.delete("bob");
    hurried.short_of_time = true;
    let account = run(&hurried, Some(&known), 5);
    assert_eq!(user(&account, "bob").missing.as_ref().map(|missing| missing.times), Some(1));
    assert_eq!(kinds(&account), [FailureKind::Held]);
}

#[test]
fn a_removal_that_nobody_confirms_is_held_until_three_refreshes_two_minutes_apart_agree() {
    let mut known = run(&two(), None, 0);
    let table = ana_deleted_unconfirmably();
    for (minute, times) in [(5, 1), (6, 1), (8, 2), (9, 2)] {
        known = run(&table, Some(&known), minute);
        assert_eq!(user(&known, "ana").missing.as_ref().map(|missing| missing.times), Some(times));
        assert_eq!(known.groups[0].members, ["AIDAana", "AIDAbob"]);
        assert_eq!(user(&known, "ana").confirmed, Some(at(0)), "keys age meanwhile");
        assert_eq!(kinds(&known), [FailureKind::Held]);
        assert!(known.errors[0].cause.contains("connection refused"), "{:?}", known.errors);
    }
    known = run(&table, Some(&known), 10);
    assert_eq!(names(&known), ["bob"]);
    assert!(known.errors.is_empty(), "{:?}", known.errors);
}

#[test]
fn a_held_user_who_is_seen_again_is_counted_from_zero() {
    let known = run(&two(), None, 0);
    let held = run(&ana_deleted_unconfirmably(), Some(&known), 5);
    let back = run(&two(), Some(&held), 10);
    assert_eq!(user(&back, "ana").missing, None);
    assert_eq!(user(&back, "ana").confirmed, Some(at(10)));
}

#[test]
fn force_removes_what_cannot_be_confirmed_but_still_asks() {
    let known = run(&two(), None, 0);
    let unconfirmed = ana_deleted_unconfirmably();
    let account = forced(&unconfirmed, Some(&known), 5, &["G", "H"]);
    assert_eq!(names(&account), ["bob"]);
    let flaky = two().forgetting("G", "bob", 1);
    let account = forced(&flaky, Some(&known), 5, &["G", "H"]);
    assert_eq!(names(&account), ["ana", "bob"], "ListGroupsForUser says that bob is a member");
}

/// ana is anna now, and bob is ana; one answer lacks anna. A source that is asked by name would answer for bob.
#[test]
fn who_lost_the_name_to_another_user_is_asked_for_by_id_or_looked_for_again() {
    let known = run(&two(), None, 0);
    let renamed = || {
        let mut table = two();
        let names = |names: [&str; 2]| names.map(str::to_owned);
        table.rename(&names(["ana", "bob"]), &names(["anna", "ana"]));
        table
    };
    let forgetful = || renamed().forgetting("G", "anna", 1).forgetting("H", "anna", 1);
    let ids = ["AIDAana", "AIDAbob"];
    for (table, is_by_id) in [(forgetful(), false), (forgetful(), true)] {
        let account = if is_by_id { by_id(&ById(&table), &known, 5) } else { run(&table, Some(&known), 5) };
        assert_eq!(
            (account.groups[0].members.as_slice(), account.errors.len()),
            (&ids.map(str::to_owned)[..], 0)
        );
        assert_eq!(table.asked("ListGroupsForUser"), usize::from(is_by_id));
        assert_eq!(user(&account, "ana").confirmed, Some(at(0)), "keys of the old name age");
    }

    let mut hurried = forgetful();
    hurried.short_of_time = true;
    let account = run(&hurried, Some(&known), 5);
    assert_eq!((account.users.len(), kinds(&account)), (2, vec![FailureKind::Held]));
    let cause = &account.errors[0].cause;
    assert!(cause.starts_with("another user has this name now, and no time was left"), "{cause}");

    let mut left = renamed();
    left.delete("anna");
    for is_by_id in [false, true] {
        let account = if is_by_id { by_id(&ById(&left), &known, 5) } else { run(&left, Some(&known), 5) };
        assert_eq!((names(&account), account.errors.len()), (vec!["ana"], 0), "by id: {is_by_id}");
        assert_eq!(account.users[0].id, "AIDAbob");
    }
}

/// Also listed by another answer, under the new name: that is the one to ask for.
#[test]
fn a_renamed_user_whom_one_group_lacks_is_asked_for_by_the_new_name() {
    let known = run(&two(), None, 0);
    let mut table = two();
    table.rename(&["ana".to_owned(), "bob".to_owned()], &["anna".to_owned(), "ana".to_owned()]);
    let table = table.forgetting("H", "anna", 1);
    let account = run(&table, Some(&known), 5);
    assert_eq!((&account.groups, account.errors.len()), (&known.groups, 0));
    assert!(table.asked.borrow().contains(&("ListGroupsForUser", "anna".to_owned())));
}
