//! Keys and tags: what is asked for, and what stays when it cannot be read.

use config::TagUse;

use super::*;

#[test]
fn an_inactive_key_is_listed_without_asking_for_its_body_and_asked_for_when_it_becomes_active() {
    let mut table = two();
    table.users.get_mut("bob").unwrap().keys.get_mut("APKAbob").unwrap().0 = false;
    let first = run(&table, None, 0);
    let key = &user(&first, "bob").keys[0];
    assert!(!key.active && key.body.is_empty());
    table.users.get_mut("bob").unwrap().keys.get_mut("APKAbob").unwrap().0 = true;
    let second = run(&table, Some(&first), 5);
    assert_eq!(user(&second, "bob").keys[0].body, "ssh-ed25519 bob");
}

#[test]
fn a_deactivated_key_is_seen_though_a_new_one_cannot_be_read() {
    let known = run(&two(), None, 0);
    let mut table = two().refusing("GetSSHPublicKey", "APKAnew", Reason::NoAnswer);
    let bob = table.users.get_mut("bob").unwrap();
    bob.keys.get_mut("APKAbob").unwrap().0 = false;
    bob.keys.insert("APKAnew".to_owned(), (true, "ssh-ed25519 new".to_owned()));
    let account = run(&table, Some(&known), 5);
    let bob = user(&account, "bob");
    assert_eq!(
        bob.keys.iter().map(|key| (key.id.as_str(), key.active)).collect::<Vec<_>>(),
        [("APKAbob", false)]
    );
    assert_eq!(bob.confirmed, Some(at(0)), "what is not whole is not confirmed");
}

#[test]
fn tags_are_read_only_if_one_is_used_and_only_those_that_could_be_used_are_kept() {
    let mut table = two();
    let tags = [
        "nss-iam:ssh-key",
        "nss-iam:ssh-key-2",
        "nss-iam:uid",
        "ssh-key",
        "nss-iam:ssh-keys",
        "nss-iam:ssh-key-old",
    ];
    table.users.get_mut("bob").unwrap().tags =
        tags.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect();
    let used = Tags { uses: vec![TagUse::SshKey], ..Tags::default() };
    let account = tagged(&table, None, 0, &used);
    let kept: Vec<_> = user(&account, "bob").tags.keys().collect();
    assert_eq!(kept, ["nss-iam:ssh-key", "nss-iam:ssh-key-2", "nss-iam:uid"]);
    let unread = tagged(&table, None, 0, &Tags::default());
    assert!(user(&unread, "bob").tags.is_empty(), "no call more than is needed");

    let denied = table.clone().refusing("ListUserTags", "bob", Reason::Denied);
    let later = tagged(&denied, Some(&account), 5, &used);
    assert_eq!(user(&later, "bob"), user(&account, "bob"), "tags and age are kept");
}

#[test]
fn of_a_source_without_keys_the_members_are_confirmed_and_nothing_else_is_asked() {
    let keyless = |table: Table| Table { keyless: true, ..table };
    let known = run(&keyless(two()), None, 0);
    assert!(known.users.iter().all(|user| user.keys.is_empty() && user.confirmed == Some(at(0))));
    let mut table = keyless(two()).forgetting("G", "bob", 1);
    table.delete("ana");
    let account = run(&table, Some(&known), 5);
    assert_eq!(
        (names(&account), account.errors.len()),
        (vec!["bob"], 0),
        "removals are confirmed all the same"
    );
    assert_eq!(user(&account, "bob").confirmed, Some(at(0)), "no answer of a group has this user");
    assert_eq!(table.asked("ListSSHPublicKeys") + table.asked("ListUserTags"), 0);
}

#[test]
fn a_user_deleted_between_the_groups_and_the_keys_is_gone_without_a_failure() {
    let known = run(&two(), None, 0);
    let table = two().refusing("ListSSHPublicKeys", "bob", Reason::NotFound).refusing(
        "ListGroupsForUser",
        "bob",
        Reason::NotFound,
    );
    let account = run(&table, Some(&known), 5);
    assert_eq!(names(&account), ["ana"]);
    assert_eq!(account.groups[0].members, ["AIDAana"]);
    assert!(account.errors.is_empty(), "{:?}", account.errors);
}

#[test]
fn one_answer_that_there_is_no_such_user_takes_nothing() {
    let known = run(&two(), None, 0);
    let used = Tags { uses: vec![TagUse::SshKey], ..Tags::default() };
    for call in ["ListSSHPublicKeys", "ListUserTags"] {
        let table = two().refusing(call, "bob", Reason::NotFound);
        let account = tagged(&table, Some(&known), 5, &used);
        assert_eq!(user(&account, "bob"), user(&known, "bob"), "{call}");
        assert_eq!(kinds(&account), [FailureKind::Held], "{call}");
    }
}

#[test]
fn a_key_that_a_list_lacks_stays_as_long_as_it_can_be_read() {
    let known = run(&two(), None, 0);
    let without = || {
        let mut table = two();
        table.hidden.insert("APKAbob".to_owned());
        table
    };
    let keys = |account: &Account| -> Vec<(String, bool)> {
        user(account, "bob").keys.iter().map(|key| (key.id.clone(), key.active)).collect()
    };
    let half = run(&without(), Some(&known), 5);
    assert_eq!(keys(&half), [("APKAbob".to_owned(), true)]);
    let mut inactive = without();
    inactive.users.get_mut("bob").unwrap().keys.get_mut("APKAbob").unwrap().0 = false;
    assert_eq!(keys(&run(&inactive, Some(&known), 5)), [("APKAbob".to_owned(), false)]);
    let failing = without().refusing("GetSSHPublicKey", "APKAbob", Reason::NoAnswer);
    let kept = run(&failing, Some(&known), 5);
    assert_eq!(
        (keys(&kept), user(&kept, "bob").confirmed),
        (vec![("APKAbob".to_owned(), true)], Some(at(0)))
    );
    for reason in [Reason::NotFound, Reason::Denied] {
        let gone = without().refusing("GetSSHPublicKey", "APKAbob", reason.clone());
        assert!(keys(&run(&gone, Some(&known), 5)).is_empty(), "{reason:?}");
    }
}

#[test]
fn users_confirmed_longest_ago_are_read_first() {
    let mut known = run(&two(), None, 0);
    known.users[0].confirmed = Some(at(3));
    let table = two().user("eve", &["G"]);
    with(&table, Some(&known), 5, &["G", "H"]);
    let asked = table.asked.borrow();
    let order: Vec<_> = asked.iter().filter(|(call, _)| *call == "ListSSHPublicKeys").collect();
    let order: Vec<_> = order.iter().map(|(_, on)| on.as_str()).collect();
    assert_eq!(order, ["eve", "bob", "ana"]);
}
