//! Membership, and the identity of members: by ids, not by names.

use super::*;
use crate::fetch::retention;

#[test]
fn members_and_their_keys_are_read_and_a_body_only_once() {
    let table = two();
    let first = run(&table, None, 0);
    assert_eq!(names(&first), ["ana", "bob"]);
    assert_eq!(first.groups[0].members, ["AIDAana", "AIDAbob"]);
    assert_eq!(first.groups[1].members, ["AIDAana"]);
    assert_eq!(user(&first, "ana").keys[0].body, "ssh-ed25519 ana");
    assert_eq!((first.id.as_str(), first.as_of, first.errors.len()), ("123456789012", Some(at(0)), 0));

    assert_eq!(table.asked("GetSSHPublicKey"), 2);
    let second = run(&table, Some(&first), 5);
    assert_eq!(table.asked("GetSSHPublicKey"), 2, "a body never changes under its id");
    assert_eq!(second.users[0].confirmed, Some(at(5)));
    assert_eq!(second.users[0].keys, first.users[0].keys);
    assert_eq!(table.asked("ListUserTags"), 0, "no tag is used");
}

#[test]
fn memberships_that_cannot_be_read_whole_leave_everything_as_it_was() {
    let known = run(&two(), None, 0);
    let failing = two().user("eve", &["G"]).refusing("GetGroup", "H", Reason::NoAnswer);
    let mut kept = run(&failing, Some(&known), 5);
    let cause = "connection refused; kept the listing of 2026-11-22T18:00Z (2 users)";
    assert_eq!(kept.errors[0].cause, cause);
    kept.errors.clear();
    assert_eq!(kept, known);
    assert_eq!(failing.asked("ListSSHPublicKeys"), 0);

    let denied = two().refusing("GetGroup", "G", Reason::Denied).refusing("GetGroup", "H", Reason::Denied);
    let mut kept = run(&denied, Some(&known), 5);
    kept.errors.clear();
    assert_eq!(kept, known, "a role that lost all its rights");
    let nothing = run(&denied, None, 5);
    assert!(!nothing.complete && nothing.users.is_empty() && nothing.as_of.is_none());
}

#[test]
fn complete_memberships_are_published_though_keys_fail() {
    let known = run(&two(), None, 0);
    let mut table = two().user("eve", &["G"]).user("joe", &["G"]);
    table.delete("bob");
    for name in ["ana", "eve"] {
        table = table.refusing("ListSSHPublicKeys", name, Reason::NoAnswer);
    }
    let account = run(&table, Some(&known), 5);
    assert_eq!(names(&account), ["ana", "eve", "joe"]);
    assert_eq!(user(&account, "ana"), user(&known, "ana"), "keys and their age");
    assert_eq!(user(&account, "eve").confirmed, None);
    assert_eq!(user(&account, "joe").confirmed, Some(at(5)));
    assert_eq!(account.errors.len(), 1);
    assert!(account.errors[0].cause.contains("the same for 'eve'"), "{:?}", account.errors[0]);
    assert_eq!(kinds(&account), [FailureKind::Unavailable]);
}

#[test]
fn a_deleted_group_is_empty_and_one_that_never_was_is_a_fault_of_the_configuration() {
    let known = run(&two(), None, 0);
    let mut table = two();
    table.groups.remove("G");
    let account = run(&table, Some(&known), 5);
    assert_eq!(names(&account), ["ana"]);
    assert!(account.errors.is_empty(), "{:?}", account.errors);

    let never = with(&two(), None, 0, &["G", "Typo"]);
    assert_eq!(names(&never), ["ana", "bob"]);
    assert_eq!(kinds(&never), [FailureKind::Configuration]);
    assert_eq!(never.errors[0].on, "Typo");
}

#[test]
fn a_recreated_user_is_another_and_the_old_one_is_gone_after_a_second_look() {
    let known = run(&two(), None, 0);
    let mut table = two();
    table.users.get_mut("bob").unwrap().id = "AIDAbob2".to_owned();
    let account = run(&table, Some(&known), 5);
    assert_eq!(account.groups[0].members, ["AIDAana", "AIDAbob2"]);
    assert_eq!(account.users.len(), 2);
    assert_eq!((table.asked("ListGroupsForUser"), table.asked("GetGroup")), (0, 3));
    assert_eq!(table.asked("GetSSHPublicKey"), 1, "a key of the old user is none of the new one's");
}

#[test]
fn a_renamed_user_stays_the_same_user() {
    let known = run(&two(), None, 0);
    let mut table = two();
    let bob = table.users.remove("bob").unwrap();
    table.users.insert("robert".to_owned(), bob);
    table.groups.get_mut("G").unwrap().1 = ["ana".to_owned(), "robert".to_owned()].into();
    let account = run(&table, Some(&known), 5);
    assert_eq!(names(&account), ["ana", "robert"]);
    assert_eq!(user(&account, "robert").id, "AIDAbob");
    assert_eq!(table.asked("GetSSHPublicKey"), 0);
}

#[test]
fn an_id_in_two_accounts_belongs_to_the_first_and_the_second_is_reported() {
    let first = run(&two(), None, 0);
    let mut second = Account { name: "second".to_owned(), ..first.clone() };
    second.users.push(User { id: "AIDAzoe".to_owned(), name: "zoe".to_owned(), ..User::default() });
    let mut accounts = vec![first.clone(), second];
    retention::each_id_once(&mut accounts);
    assert_eq!(accounts[0], first);
    assert_eq!(names(&accounts[1]), ["zoe"]);
    assert!(accounts[1].groups.is_empty());
    assert_eq!(kinds(&accounts[1]), [FailureKind::Configuration]);
}
