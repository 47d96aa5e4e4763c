//! The refresh of one account against a table that refuses, forgets and is cut short as a test wants.

mod configured;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use config::{TagUse, Tags};
use jiff::{SignedDuration, Timestamp};
use listing::{Account, FailureKind, Listing, User};
use proptest::prelude::*;

use super::account::{Plan, refresh};
use super::failure::What;
use super::merge;
use super::{Progress, Release};
use table::Table;

struct Quiet;

impl Progress for Quiet {
    fn more(&self, _: usize) {}
    fn done(&self) {}
}

/// Refreshes of the groups `G` and `H`, minutes after 2026-11-22T18:00Z.
fn run(table: &Table, known: Option<&Account>, minutes: i64) -> Account {
    run_with(table, known, minutes, &["G", "H"], &Tags::default(), false)
}

fn run_with(
    table: &Table,
    known: Option<&Account>,
    minutes: i64,
    groups: &[&str],
    tags: &Tags,
    force: bool,
) -> Account {
    let groups: Vec<String> = groups.iter().map(|name| (*name).to_owned()).collect();
    let now = at(minutes);
    let plan = Plan {
        name: "",
        groups: &groups,
        tags,
        concurrency: 3,
        unresolved: &[],
        force,
        release: &Release { all: force, ..Release::default() },
        now,
        progress: &Quiet,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let account = runtime.unwrap().block_on(refresh(&plan, table, "123456789012", known.cloned()));
    let listing = Listing { version: 1, source: "iam:".to_owned(), read: None, accounts: vec![account] };
    let text = serde_json::to_vec(&listing).unwrap();
    assert_eq!(Listing::parse(&text).unwrap(), listing, "a listing that apply would refuse");
    listing.accounts.into_iter().next().unwrap()
}

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

fn names(account: &Account) -> Vec<&str> {
    account.users.iter().map(|user| user.name.as_str()).collect()
}

fn kinds(account: &Account) -> Vec<FailureKind> {
    account.errors.iter().map(|failure| failure.kind).collect()
}

fn user<'a>(account: &'a Account, name: &str) -> &'a User {
    account.users.iter().find(|user| user.name == name).unwrap()
}

fn two() -> Table {
    Table::default().user("ana", &["G", "H"]).user("bob", &["G"])
}

/// Deletes `ana`, and denies the call that would confirm it.
fn ana_deleted_unconfirmably() -> Table {
    let mut table = two().refusing("ListGroupsForUser", "ana", What::Failed);
    table.delete("ana");
    table
}

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
fn memberships_that_cannot_be_read_whole_leave_everything_as_it_was() {
    let known = run(&two(), None, 0);
    let failing = two().user("eve", &["G"]).refusing("GetGroup", "H", What::Failed);
    let mut kept = run(&failing, Some(&known), 5);
    let cause = "Throttling: slow down; kept the listing of 2026-11-22T18:00Z (2 users)";
    assert_eq!(kept.errors[0].cause, cause);
    kept.errors.clear();
    assert_eq!(kept, known);
    assert_eq!(failing.asked("ListSSHPublicKeys"), 0);

    let denied = two().refusing("GetGroup", "G", What::Denied).refusing("GetGroup", "H", What::Denied);
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
        table = table.refusing("ListSSHPublicKeys", name, What::Failed);
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
fn a_deactivated_key_is_seen_though_a_new_one_cannot_be_read() {
    let known = run(&two(), None, 0);
    let mut table = two().refusing("GetSSHPublicKey", "APKAnew", What::Failed);
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
fn tags_are_read_only_if_used_and_only_those_that_are_used_are_kept() {
    let mut table = two();
    let tags = ["nss-iam:ssh-key", "nss-iam:ssh-key-2", "nss-iam:uid", "ssh-key", "nss-iam:ssh-keys"];
    table.users.get_mut("bob").unwrap().tags =
        tags.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect();
    let used = Tags { uses: vec![TagUse::SshKey], ..Tags::default() };
    let account = run_with(&table, None, 0, &["G", "H"], &used, false);
    let kept: Vec<_> = user(&account, "bob").tags.keys().collect();
    assert_eq!(kept, ["nss-iam:ssh-key", "nss-iam:ssh-key-2"]);

    let denied = table.clone().refusing("ListUserTags", "bob", What::Denied);
    let later = run_with(&denied, Some(&account), 5, &["G", "H"], &used, false);
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
    let table = two().refusing("ListSSHPublicKeys", "bob", What::NotFound).refusing(
        "ListGroupsForUser",
        "bob",
        What::NotFound,
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
        let table = two().refusing(call, "bob", What::NotFound);
        let account = run_with(&table, Some(&known), 5, &["G", "H"], &used, false);
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
    let failing = without().refusing("GetSSHPublicKey", "APKAbob", What::Failed);
    let kept = run(&failing, Some(&known), 5);
    assert_eq!(
        (keys(&kept), user(&kept, "bob").confirmed),
        (vec![("APKAbob".to_owned(), true)], Some(at(0)))
    );
    for what in [What::NotFound, What::Denied] {
        let gone = without().refusing("GetSSHPublicKey", "APKAbob", what);
        assert!(keys(&run(&gone, Some(&known), 5)).is_empty(), "{what:?}");
    }
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

/// One answer that came without members took a group, and what it gives, from users who were in another one too.
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
    let mut failing = left.refusing("ListGroupsForUser", "ana", What::Failed);
    for (minute, times) in [(5, 1), (6, 1), (8, 2)] {
        known = run(&failing, Some(&known), minute);
        let missing = user(&known, "ana").missing.clone().unwrap();
        assert_eq!((missing.times, missing.groups), (times, vec!["AGPAH".to_owned()]));
        assert_eq!((known.groups[1].members.len(), kinds(&known)), (1, vec![FailureKind::Held]));
    }
    // Missing from another group since: that is counted from the beginning.
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
fn a_deleted_group_is_empty_and_one_that_never_was_is_a_fault_of_the_configuration() {
    let known = run(&two(), None, 0);
    let mut table = two();
    table.groups.remove("G");
    let account = run(&table, Some(&known), 5);
    assert_eq!(names(&account), ["ana"]);
    assert!(account.errors.is_empty(), "{:?}", account.errors);

    let never = run_with(&two(), None, 0, &["G", "Typo"], &Tags::default(), false);
    assert_eq!(names(&never), ["ana", "bob"]);
    assert_eq!(kinds(&never), [FailureKind::Configuration]);
    assert_eq!(never.errors[0].on, "Typo");
}

#[test]
fn a_recreated_user_is_another_and_the_old_one_is_gone_unasked() {
    let known = run(&two(), None, 0);
    let mut table = two();
    table.users.get_mut("bob").unwrap().id = "AIDAbob2".to_owned();
    let account = run(&table, Some(&known), 5);
    assert_eq!(account.groups[0].members, ["AIDAana", "AIDAbob2"]);
    assert_eq!(account.users.len(), 2);
    assert_eq!(table.asked("ListGroupsForUser"), 0);
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
fn where_the_confirming_call_is_denied_the_groups_are_asked_again_once() {
    let known = run(&two(), None, 0);
    let denied = |table: Table| {
        table.refusing("ListGroupsForUser", "ana", What::Denied).refusing(
            "ListGroupsForUser",
            "bob",
            What::Denied,
        )
    };
    let mut gone = denied(two());
    gone.delete("ana");
    gone.delete("bob");
    let account = run(&gone, Some(&known), 5);
    assert!(account.users.is_empty() && account.errors.is_empty(), "{account:?}");
    assert_eq!(gone.asked("GetGroup"), 4);

    let flaky = denied(two()).forgetting("G", "bob", 1);
    let account = run(&flaky, Some(&known), 5);
    assert_eq!(user(&account, "bob"), user(&known, "bob"));
    assert_eq!(account.groups, known.groups);
    assert_eq!(flaky.asked("GetGroup"), 3, "only the group that lost someone");

    let mut hurried = denied(two());
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
        assert!(known.errors[0].cause.contains("Throttling"), "{:?}", known.errors);
    }
    known = run(&table, Some(&known), 10);
    assert_eq!(names(&known), ["bob"]);
    assert!(known.errors.is_empty(), "{:?}", known.errors);
}

#[test]
fn a_held_user_who_is_seen_again_starts_anew() {
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
    let account = run_with(&unconfirmed, Some(&known), 5, &["G", "H"], &Tags::default(), true);
    assert_eq!(names(&account), ["bob"]);
    let flaky = two().forgetting("G", "bob", 1);
    let account = run_with(&flaky, Some(&known), 5, &["G", "H"], &Tags::default(), true);
    assert_eq!(names(&account), ["ana", "bob"], "ListGroupsForUser says that bob is a member");
}

#[test]
fn users_confirmed_longest_ago_are_read_first() {
    let mut known = run(&two(), None, 0);
    known.users[0].confirmed = Some(at(3));
    let table = two().user("eve", &["G"]);
    run_with(&table, Some(&known), 5, &["G", "H"], &Tags::default(), false);
    let asked = table.asked.borrow();
    let order: Vec<_> = asked.iter().filter(|(call, _)| *call == "ListSSHPublicKeys").collect();
    let order: Vec<_> = order.iter().map(|(_, on)| on.as_str()).collect();
    assert_eq!(order, ["eve", "bob", "ana"]);
}

#[test]
fn an_id_in_two_accounts_belongs_to_the_first_and_the_second_is_told() {
    let first = run(&two(), None, 0);
    let mut second = Account { name: "second".to_owned(), ..first.clone() };
    second.users.push(User { id: "AIDAzoe".to_owned(), name: "zoe".to_owned(), ..User::default() });
    let mut accounts = vec![first.clone(), second];
    merge::each_id_once(&mut accounts);
    assert_eq!(accounts[0], first);
    assert_eq!(names(&accounts[1]), ["zoe"]);
    assert!(accounts[1].groups.is_empty());
    assert_eq!(kinds(&accounts[1]), [FailureKind::Configuration]);
}

/// Who is in `G`, in `H`, and which calls on which user or group are refused how.
fn any_table() -> impl Strategy<Value = Table> {
    let members = || proptest::collection::btree_set("[a-f]", 0..6);
    let refused = proptest::collection::btree_map(
        (
            prop::sample::select(vec![
                "GetGroup",
                "ListGroupsForUser",
                "ListSSHPublicKeys",
                "GetSSHPublicKey",
            ]),
            "[a-fGH]",
        ),
        prop::sample::select(vec![What::Denied, What::Failed]),
        0..8,
    );
    (members(), members(), refused).prop_map(|(in_g, in_h, refused)| {
        let mut table = Table::default();
        for name in in_g.union(&in_h) {
            let groups: Vec<&str> = [("G", &in_g), ("H", &in_h)]
                .into_iter()
                .filter(|(_, members)| members.contains(name))
                .map(|(group, _)| group)
                .collect();
            table = table.user(name, &groups);
        }
        for group in ["G", "H"] {
            table.groups.entry(group.to_owned()).or_insert((format!("AGPA{group}"), BTreeSet::new()));
        }
        for ((call, on), what) in refused {
            let on = if call == "GetSSHPublicKey" { format!("APKA{on}") } else { on };
            table.refuse.insert((call, on), what);
        }
        table
    })
}

proptest! {
    /// A failure never empties anything: who is a member now and was known stays, with at least the keys that
    /// were known, and a membership phase that failed changes nothing at all.
    #[test]
    fn no_failure_loses_a_member_or_a_key(before in any_table(), after in any_table()) {
        let honest = Table { refuse: BTreeMap::new(), ..before };
        let known = run(&honest, None, 0);
        let account = run(&after, Some(&known), 5);
        let refused = ["G", "H"].map(|group| after.refuse.get(&("GetGroup", group.to_owned())).copied());
        let failed = refused.contains(&Some(What::Failed)) || refused == [Some(What::Denied); 2];
        if failed {
            prop_assert_eq!(&Account { errors: Vec::new(), ..account.clone() }, &known);
            prop_assert!(!account.errors.is_empty());
        }
        for old in &known.users {
            let still = after.users.contains_key(&old.name);
            let new = account.users.iter().find(|user| user.id == old.id);
            prop_assert!(new.is_some() || !still, "{} lost", old.name);
            if let Some(new) = new {
                prop_assert_eq!(&new.keys, &old.keys);
            }
        }
    }

    /// Once nothing fails, the listing is the truth, whatever went before, and the same again a second time.
    #[test]
    fn the_first_refresh_without_a_failure_is_the_truth(before in any_table(), after in any_table()) {
        let known = run(&before, None, 0);
        let truth = Table { refuse: BTreeMap::new(), ..after };
        let account = run(&truth, Some(&known), 5);
        let fresh = run(&truth, None, 5);
        prop_assert_eq!(&account, &fresh);
        let again = run(&truth, Some(&account), 5);
        prop_assert_eq!(&again, &account);
    }
}
