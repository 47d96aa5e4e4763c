//! Groups that are renamed or deleted in IAM, under the policies that hosts have; and truncated answers when only
//! published data is left.

use std::fs;

use serde_json::{Value, json};
use tests::{Account, INSTANCE_ROLE, LISTING, published};

use crate::site::{CONFIG, Site, State, Told, eve_leaves, holds};

fn narrow(actions: &[&str], groups: &[&str]) -> Value {
    let groups: Vec<_> = groups.iter().map(|name| format!("arn:aws:iam::*:group/{name}")).collect();
    let actions: Vec<_> = actions.iter().map(|action| format!("iam:{action}")).collect();
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:GetGroup", "Resource": groups},
        {"Effect": "Allow", "Action": actions, "Resource": "*"},
    ]})
}

const SHIPPED: [&str; 4] = ["GetSSHPublicKey", "ListGroupsForUser", "ListSSHPublicKeys", "ListUserTags"];
const ARTICLES: [&str; 5] = ["ListUsers", "GetSSHPublicKey", "ListSSHPublicKeys", "GetUser", "ListGroups"];

/// G is renamed in IAM, and this policy is in force (None: the shipped one).
fn renamed(policy: Option<Value>, words: &[&str], is_followed: bool, is_asked: bool) {
    let enforce = |account: &Account| {
        match &policy {
            None => account.enforce(INSTANCE_ROLE),
            Some(policy) => account.enforce_policy(INSTANCE_ROLE, policy),
        };
    };
    let Some(site) = Site::new(|_| CONFIG.to_owned(), enforce) else { return };
    site.account.change(json!({"do": "rename_group", "group": "G", "name": "New"}));
    site.account.change(json!({"do": "add_member", "group": "New", "user": "max"}));
    let joined: &[&str] = if is_followed { &["max"] } else { &[] };
    let leaver = if is_asked { eve_leaves() } else { None };
    let forced: &[&str] = match (is_followed, is_asked) {
        (true, _) => &["ana", "bob", "max", "zoe"],
        (false, true) => &["ana", "bob", "zoe"],
        // A group that cannot be queried counts as gone.
        (false, false) => &["ana", "zoe"],
    };
    // A message is not repeated when the timer runs, but it is in status.json.
    let status = if is_followed { 0 } else { 65 };
    let ran = site.refresh(&[]);
    ran.told(status, words);
    let warning = &site.host.status()["warnings"][0];
    let text = |field: &str| warning[field].as_str().unwrap_or_default().to_owned();
    let told = format!("{}; hint: {}", text("what"), text("hint"));
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    // Its members are queried one by one, and still cannot be read.
    let after = if is_asked { status } else { 0 };
    holds(&site, &State { status, words: &[], joined, leaver, forced: (forced, after) });
}

#[test]
fn a_group_renamed_in_iam_is_followed_with_the_shipped_policy() {
    renamed(None, &["IAM group 'G' is called 'New' now", "hint: write \"New\" in `groups`"], true, true);
}

#[test]
fn a_group_renamed_in_iam_is_followed_with_the_articles_policy() {
    let policy = narrow(&ARTICLES, &["*"]);
    renamed(
        Some(policy),
        &["IAM group 'G' is called 'New' now", "hint: write \"New\" in `groups`"],
        true,
        true,
    );
}

#[test]
fn a_new_name_that_the_policy_does_not_allow_keeps_the_members_and_lets_nobody_join() {
    let words =
        ["IAM group 'G' is called 'New' now", "nobody can join", "AccessDenied", "in the policy of the role"];
    renamed(Some(narrow(&SHIPPED, &["G", "H"])), &words, false, true);
}

#[test]
fn a_new_name_that_the_policy_does_not_reveal_keeps_the_members() {
    let words = ["IAM group 'G' is called 'New' now", "nobody can join"];
    renamed(Some(narrow(&ARTICLES, &["G", "H"])), &words, false, false);
    let Some(site) = Site::new(
        |_| CONFIG.to_owned(),
        |account| drop(account.enforce_policy(INSTANCE_ROLE, &narrow(&ARTICLES[..4], &["G", "H"]))),
    ) else {
        return;
    };
    site.account.change(json!({"do": "rename_group", "group": "G", "name": "New"}));
    let ran = site.refresh(&[]);
    ran.told(65, &["'G' was deleted or renamed, and no call can tell which", "its members stay", "hint: "]);
    assert!(site.all_stay_but(&[], &ran).is_empty());
}

fn deleted(policy: Option<Value>) {
    let enforce = |account: &Account| {
        if let Some(policy) = &policy {
            account.enforce_policy(INSTANCE_ROLE, policy);
        }
    };
    let Some(site) = Site::new(|_| CONFIG.to_owned(), enforce) else { return };
    site.account.change(json!({"do": "empty_group", "group": "G"}));
    site.account.change(json!({"do": "delete_group", "group": "G"}));
    let ran = site.refresh(&[]);
    ran.told(0, &["IAM group 'G' no longer exists; treated as empty"]);
    let now = published();
    assert_eq!(now.keys().collect::<Vec<_>>(), ["ana", "zoe"]);
    assert!(now["ana"].local.is_empty());
    assert_eq!(now["zoe"], site.before["zoe"]);
    // From now on, it is a name that never existed.
    let ran = site.refresh(&[]);
    ran.told(78, &["iam:GetGroup on 'G'", "NoSuchEntity", "create the group in IAM, or correct its name"]);
    assert_eq!(published(), now);
}

#[test]
fn a_group_that_is_emptied_and_deleted_in_iam_is_gone() {
    deleted(None);
}

#[test]
fn a_group_that_is_emptied_and_deleted_is_gone_with_the_articles_policy_too() {
    deleted(Some(narrow(&ARTICLES, &["*"])));
}

#[test]
fn half_an_answer_after_the_listing_was_lost_removes_only_who_was_deleted() {
    let Some(site) = Site::start() else { return };
    for _ in 0..2 {
        fs::remove_file(LISTING).unwrap();
        let ran = site.refresh_on_half_an_answer();
        ran.told(0, &[]);
        assert_eq!(published(), site.before);
    }
    fs::remove_file(LISTING).unwrap();
    site.account.change(json!({"do": "delete_user", "user": "eve"}));
    let ran = site.refresh_on_half_an_answer();
    ran.told(0, &[]);
    assert!(site.all_stay_but(&["eve"], &ran).is_empty());
    assert!(!published().contains_key("eve"));
}
