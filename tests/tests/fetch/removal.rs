//! Users who left, and users who only seem to have left.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use listing::WarningCode;
use serde_json::json;
use tests::{Account, Fault, FaultProxy};

use crate::host::{Host, user};

fn denying_confirmation(action: &str) -> Fault {
    match action {
        "ListGroupsForUser" => Fault::access_denied("iam:ListGroupsForUser"),
        _ => Fault::Pass,
    }
}

#[test]
fn a_user_missing_from_one_answer_only_stays() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::drop_member("<UserName>bob</UserName>"),
        _ => Fault::Pass,
    });
    ended.told(0, &[]);
    assert_eq!(proxy.count("ListGroupsForUser"), 1);
    assert_eq!(ended.user("bob"), user(&before, "bob"));
    assert_eq!(ended.listing.unwrap().accounts[0].groups, before.accounts[0].groups);
}

#[test]
fn a_user_deleted_between_the_groups_and_the_keys_is_gone() {
    let Some((host, _)) = Host::refreshed() else { return };
    let account: Account = host.account.clone();
    let (ended, _proxy) = host.refresh_through(move |call| {
        let is_bob = call.params.get("UserName").is_some_and(|name| name == "bob");
        if call.action == "ListSSHPublicKeys" && is_bob {
            account.change(json!({"do": "delete_user", "user": "bob"}));
        }
        Fault::Pass
    });
    ended.told(0, &["IAM user 'bob' was deleted"]);
    assert_eq!(ended.names(), ["ana", "eve", "joe", "zoe"]);
}

#[test]
fn an_emptied_group_is_empty() {
    let Some((host, _)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "empty_group", "group": "G"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana"], "who is in H too");
    host.account.change(json!({"do": "empty_group", "group": "H"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert!(ended.names().is_empty());
    assert!(ended.listing.unwrap().accounts[0].complete);
}

#[test]
fn a_deleted_group_removes_its_members() {
    let Some((host, _)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "empty_group", "group": "G"}));
    host.account.change(json!({"do": "delete_group", "group": "G"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana"]);
    let warnings = &ended.listing.as_ref().unwrap().accounts[0].warnings;
    assert_eq!(warnings[0].code, Some(WarningCode::GroupGone));
    assert!(warnings[0].message.what().starts_with("IAM group 'G' no longer exists"), "{warnings:?}");
}

#[test]
fn a_group_that_never_existed_is_reported_and_the_others_are_read() {
    let Some((host, _)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "remove_member", "group": "G", "user": "zoe"}));
    host.machine.config("groups = [\"G\", \"H\", \"Typo\"]\n");
    let ended = host.refresh();
    ended.told(78, &["iam:GetGroup on 'Typo'", "NoSuchEntity", "hint: create the group"]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe"]);
}

#[test]
fn half_of_the_users_can_really_leave_but_half_an_answer_removes_nobody() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::Edit(Box::new(|body| {
            let (head, rest) = body.split_once("<Users>").unwrap();
            let (users, tail) = rest.split_once("</Users>").unwrap();
            let half = users.split_inclusive("</member>").skip(1).step_by(2).collect::<String>();
            format!("{head}<Users>{half}</Users>{tail}")
        })),
        _ => Fault::Pass,
    });
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "zoe"]);
    assert_eq!(ended.listing.unwrap().accounts[0].groups[0], before.accounts[0].groups[0]);

    for name in ["bob", "joe"] {
        host.account.change(json!({"do": "delete_user", "user": name}));
    }
    host.account.change(json!({"do": "remove_member", "group": "G", "user": "zoe"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "eve"]);
}

#[test]
fn if_confirmation_is_denied_groups_are_queried_again_ten_seconds_later() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = Arc::clone(&times);
    let (ended, proxy) = host.refresh_through(move |call| {
        if call.params.get("GroupName").is_some_and(|name| name == "G") {
            let mut times = seen.lock().unwrap();
            times.push(Instant::now());
            if times.len() == 1 {
                return Fault::drop_member("<UserName>bob</UserName>");
            }
        }
        denying_confirmation(&call.action)
    });
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe"], "zoe is missing twice, bob once");
    assert_eq!(ended.user("bob"), user(&before, "bob"));
    let times = times.lock().unwrap();
    assert_eq!((times.len(), proxy.count("GetGroup")), (2, 3), "H lost nobody");
    assert!(times[1] - times[0] >= Duration::from_secs(10));
}

#[test]
fn an_unconfirmed_removal_is_held_and_reported_until_it_is_forced() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    // Too short for the second query.
    host.give("9s");
    let proxy = FaultProxy::start(&host.account, |call| denying_confirmation(&call.action));
    let through = host.account.env(&proxy.url());
    for _ in 0..4 {
        let ended = host.refresh_with(&through, &[]);
        ended.told(65, &["iam:ListGroupsForUser on 'zoe'", "denied", "held (1 of 3", "hint: ", "--force"]);
        let zoe = ended.user("zoe");
        assert_eq!(zoe.missing.as_ref().map(|missing| missing.times), Some(1), "refreshes follow at once");
        assert_eq!((zoe.keys, zoe.confirmed), (user(&before, "zoe").keys, user(&before, "zoe").confirmed));
    }
    let ended = host.refresh_with(&through, &["--force"]);
    ended.told(0, &["'zoe' treated as removed without confirmation"]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe"]);
}

#[test]
fn a_recreated_user_is_a_different_user() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "bob"}));
    host.account.change(json!({"do": "add_user", "name": "bob", "keys": 1}));
    host.account.change(json!({"do": "add_member", "group": "G", "user": "bob"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "zoe"]);
    assert_ne!(ended.user("bob").id, user(&before, "bob").id);
}

#[test]
fn an_inactive_key_is_no_longer_active_and_a_deleted_one_is_gone() {
    let Some((host, before)) = Host::refreshed() else { return };
    let key = |name: &str| user(&before, name).keys[0].id.clone();
    host.account
        .change(json!({"do": "set_key_status", "user": "bob", "key": key("bob"), "status": "Inactive"}));
    host.account.change(json!({"do": "delete_key", "user": "eve", "key": key("eve")}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert!(!ended.user("bob").keys[0].active);
    assert!(ended.user("eve").keys.is_empty());
}
