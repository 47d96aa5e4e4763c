//! Faults between the refresher and AWS. A failure never empties anything.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use serde_json::{Value, json};
use tests::{Account, Call, Fault};

use crate::host::{Host, five, user};

#[test]
fn all_pages_of_groups_and_keys_are_read() {
    let mut wish = five();
    wish["page_size"] = json!(2);
    wish["users"][1]["keys"] = json!(5);
    let Some(host) = Host::seeded(&wish) else { return };
    host.machine.config(crate::host::GROUPS);
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "zoe"]);
    assert_eq!(ended.user("bob").keys.len(), 5);
    assert!(ended.user("bob").keys.iter().all(|key| key.body.starts_with("ssh-rsa ")));
    let group_pages = host.account.actions().iter().filter(|action| *action == "GetGroup").count();
    assert_eq!(group_pages, 3 + 1);
}

/// API reference of GetGroup: "IAM might return fewer than the MaxItems number of results, even when there are more results
/// available. In that case, the IsTruncated response element returns true".
#[test]
fn short_and_empty_pages_are_not_the_end() {
    let Some(host) = Host::seeded(&five()) else { return };
    host.machine.config(crate::host::GROUPS);
    let before = host.refresh();
    before.told(0, &[]);
    host.account.seed(json!({"page_size": 2, "sparse_pages": true}));
    host.account.forget_calls();
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), before.names());
    assert!(ended.names().iter().all(|name| ended.user(name).keys == before.user(name).keys));
    let actions = host.account.actions();
    assert_eq!(
        actions.iter().filter(|action| *action == "GetGroup").count(),
        2 * (3 + 1),
        "an empty page before each"
    );
    assert!(
        !actions.iter().any(|action| action == "ListGroupsForUser"),
        "nobody seemed to have left: {actions:?}"
    );
}

#[test]
fn a_second_refresh_requests_no_key_body_again() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.forget_calls();
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.user("ana").keys, user(&before, "ana").keys);
    let mut actions = host.account.actions();
    actions.sort();
    let keys = ["ListSSHPublicKeys"; 5];
    assert_eq!(actions, [&["GetCallerIdentity", "GetGroup", "GetGroup"], &keys[..]].concat());
}

/// With the SDK's adaptive mode, this would take minutes (docs/decisions/0006-standard-retries.md).
#[test]
fn one_throttled_call_in_ten_does_not_matter() {
    let names: Vec<_> = (0..100).map(|n| format!("user{n}")).collect();
    let users: Vec<_> = names.iter().map(|name| json!({"name": name, "keys": 1})).collect();
    let Some(host) = Host::seeded(&json!({"users": users, "groups": {"G": names, "H": []}})) else { return };
    host.give("60s");
    let (ended, proxy) = host.refresh_through(|call| match call.total % 10 {
        3 => Fault::throttling(),
        _ => Fault::Pass,
    });
    ended.told(0, &[]);
    assert_eq!(proxy.calls().len(), 203 + 23, "each throttled call is made once more");
    let listing = ended.listing.unwrap();
    assert_eq!(listing.accounts[0].users.len(), 100);
    assert!(listing.accounts[0].users.iter().all(|user| user.keys.len() == 1 && user.confirmed.is_some()));
    let report: Value =
        serde_json::from_slice(&fs::read("/var/lib/nss-iam-fetch/report.json").unwrap()).unwrap();
    let sum = |pointer: &str| -> u64 {
        report.pointer(pointer).unwrap().as_object().unwrap().values().filter_map(Value::as_u64).sum()
    };
    assert_eq!((sum("/calls"), sum("/throttled"), sum("/totals/throttled")), (226, 23, 23), "{report}");
}

/// Each of these happens to the first two attempts of every call, and then to all of them.
fn passing_then_lasting(fault: fn() -> Fault, words: &[&str]) {
    let Some((host, _)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    let attempts = Mutex::new(BTreeMap::<String, u32>::new());
    let (ended, _proxy) = host.refresh_through(move |call| {
        let of = |name| call.params.get(name).map_or("", String::as_str);
        let call = format!("{} {}{}", call.action, of("GroupName"), of("UserName"));
        let mut attempts = attempts.lock().unwrap();
        let nth = attempts.entry(call).or_default();
        *nth += 1;
        if *nth <= 2 { fault() } else { Fault::Pass }
    });
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe"]);

    let before = ended.listing.unwrap();
    host.give("2s");
    let (ended, _proxy) = host.refresh_through(move |_| fault());
    ended.told(75, words).told(75, &["sts:GetCallerIdentity", "kept the listing of", "(4 users)", "hint: "]);
    ended.kept(&before);
}

#[test]
fn throttling_is_retried_or_everything_is_kept() {
    passing_then_lasting(Fault::throttling, &["Throttling: Rate exceeded", "limits the rate"]);
}

#[test]
fn a_fault_of_aws_is_retried_or_everything_is_kept() {
    passing_then_lasting(Fault::internal, &["InternalFailure"]);
}

#[test]
fn an_unavailable_aws_is_retried_or_everything_is_kept() {
    passing_then_lasting(Fault::unavailable, &["ServiceUnavailable"]);
}

#[test]
fn a_reset_connection_is_retried_or_everything_is_kept() {
    passing_then_lasting(|| Fault::Reset, &["no time left of the 2 s"]);
}

#[test]
fn a_truncated_body_is_retried_or_everything_is_kept() {
    passing_then_lasting(|| Fault::CutOff(60), &["no time left of the 2 s"]);
}

#[test]
fn a_server_that_never_answers_is_abandoned_at_the_deadline() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.give("2s");
    let (ended, _proxy) = host.refresh_through(|_| Fault::Hang);
    ended.told(75, &["sts:GetCallerIdentity", "no time left of the 2 s", "hint: is AWS reachable"]);
    ended.kept(&before);
}

#[test]
fn an_unreachable_aws_changes_nothing() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.give("2s");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let ended = host.refresh_with(&host.account.env(&url), &[]);
    ended.told(75, &["sts:GetCallerIdentity", "onnection refused", "hint: is AWS reachable"]);
    let endpoint = url.trim_start_matches("http://");
    let region = format!("region '{}' from instance metadata", tests::REGION);
    ended.told(75, &[&format!("(endpoint '{endpoint}', {region}, account not known yet)")]);
    ended.kept(&before);
}

/// Only calls to STS depend on the region.
#[test]
fn a_region_that_does_not_exist_is_named_with_where_it_comes_from() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.machine.config(&format!("{}[aws]\nregion = \"eu-wset-1\"\ntimeout = \"3s\"\n", crate::host::GROUPS));
    let mut environment = host.account.direct();
    environment.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
    let ended = host.refresh_with(&environment, &[]);
    ended.told(
        75,
        &[
            "dns error",
            "(endpoint 'sts.eu-wset-1.amazonaws.com', region 'eu-wset-1' from [aws] region, ",
            "hint: does region 'eu-wset-1' exist? it comes from [aws] region",
        ],
    );
    ended.kept(&before);
}

/// The SDK's XML reader would accept this as a group with one member.
#[test]
fn an_answer_that_ends_between_two_members_is_not_a_group_of_one() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::Edit(Box::new(|body| {
            let end = body.find("</member>").unwrap() + "</member>".len();
            body[..end].to_owned()
        })),
        _ => Fault::Pass,
    });
    ended.told(75, &["iam:GetGroup on 'G'", "truncated", "kept the listing of"]).kept(&before);
}

#[test]
fn a_captive_portal_is_not_an_answer() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::Answer {
            status: 200,
            headers: vec![("Content-Type".into(), "text/html".into())],
            body: "<html><body>Welcome to the hotel</body></html>".into(),
        },
        _ => Fault::Pass,
    });
    ended.told(75, &["iam:GetGroup on 'G'", "hint: "]).kept(&before);
}

#[test]
fn a_page_that_says_more_follows_but_not_where_is_a_contradiction() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::Edit(Box::new(|body| {
            let edited = body.replace("<IsTruncated>false<", "<IsTruncated>true<");
            assert_ne!(edited, body);
            edited
        })),
        _ => Fault::Pass,
    });
    ended.told(65, &["iam:GetGroup on 'G'", "but not where", "kept the listing of"]).kept(&before);
}

#[test]
fn a_denied_first_call_keeps_everything() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match call.total {
        1 => Fault::access_denied("sts:GetCallerIdentity"),
        _ => Fault::Pass,
    });
    ended.told(77, &["sts:GetCallerIdentity", "AccessDenied", "kept the listing of", "hint: "]).kept(&before);
}

#[test]
fn a_denied_group_keeps_its_members_and_no_one_who_was_deleted() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    let (ended, proxy) = host.refresh_through(|call| match call.total {
        3 => Fault::access_denied("iam:GetGroup"),
        _ => Fault::Pass,
    });
    assert_eq!(proxy.calls()[2].action, "GetGroup");
    ended.told(
        77,
        &["iam:GetGroup on '", "AccessDenied: User: ", "hint: aws iam put-role-policy --role-name "],
    );
    let mut names = before.accounts[0].users.iter().map(|user| user.name.clone()).collect::<Vec<_>>();
    names.retain(|name| name != "zoe");
    names.sort();
    let mut now = ended.names();
    now.sort();
    assert_eq!(now, names);
}

#[test]
fn a_denied_last_call_keeps_only_that_users_keys_with_their_age() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    host.account.change(json!({"do": "add_user", "name": "new", "keys": 1}));
    host.account.change(json!({"do": "add_member", "group": "G", "user": "new"}));
    let (ended, proxy) = host.refresh_through(|call| match call.params.get("UserName").map(String::as_str) {
        Some("joe") => Fault::access_denied("iam:ListSSHPublicKeys"),
        _ => Fault::Pass,
    });
    assert_eq!(proxy.count("ListSSHPublicKeys"), 5);
    ended.told(
        77,
        &[
            "iam:ListSSHPublicKeys on 'joe'",
            "AccessDenied",
            "kept the known keys",
            "hint: aws iam put-role-policy ",
        ],
    );
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "new"]);
    assert_eq!(ended.user("joe"), user(&before, "joe"));
    assert_eq!(ended.user("new").keys.len(), 1);
    assert_ne!(ended.user("new").confirmed, None);
}

#[test]
fn a_second_account_that_is_denied_holds_nothing_back_in_the_first() {
    let Some(host) = Host::seeded(&five()) else { return };
    let second = Account::new();
    second.seed(json!({
        "users": [{"name": "max", "keys": 1}, {"name": "moe", "keys": 1}],
        "groups": {"M": ["max", "moe"]},
        "roles": [{"name": "Look"}],
    }));
    let role = second.role_arn("Look");
    let config = format!("[[account]]\nname = \"second\"\nrole = \"{role}\"\ngroups = [\"M\"]\n");
    host.machine.config(&format!("{}{config}", crate::host::GROUPS));
    let first = host.refresh();
    first.told(0, &[]);
    let before = first.listing.unwrap();
    assert_eq!(crate::host::names(&before), ["ana", "bob", "eve", "joe", "max", "moe", "zoe"]);
    assert_eq!(before.accounts[1].id, second.id());

    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    second.change(json!({"do": "delete_user", "user": "moe"}));
    for (action, words) in [
        ("AssumeRole", ["sts:AssumeRole on 'second/arn:aws:iam::", "case-sensitive"]),
        ("GetGroup", ["iam:GetGroup on 'second/M'", "hint: aws iam put-role-policy --role-name Look "]),
    ] {
        let (ended, _proxy) = host.refresh_through(move |call| {
            let its_group = call.params.get("GroupName").is_none_or(|name| name == "M");
            if call.action == action && its_group { Fault::access_denied(action) } else { Fault::Pass }
        });
        ended.told(77, &words);
        assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "max", "moe"]);
        let after = ended.listing.unwrap();
        assert_eq!(after.accounts[1].users, before.accounts[1].users);
        assert_eq!(after.accounts[1].as_of, before.accounts[1].as_of);
        assert!(after.accounts[0].errors.is_empty());
    }
}

#[test]
fn keys_throttled_while_memberships_are_complete_publishes_who_left_and_who_came() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    host.account.change(json!({"do": "add_user", "name": "new", "keys": 1}));
    host.account.change(json!({"do": "add_member", "group": "G", "user": "new"}));
    host.give("6s");
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "ListSSHPublicKeys" => Fault::throttling(),
        _ => Fault::Pass,
    });
    ended.told(
        75,
        &["iam:ListSSHPublicKeys on '", "Throttling", "the same for ", "hint: AWS limits the rate"],
    );
    assert_eq!(ended.names(), ["ana", "bob", "eve", "joe", "new"]);
    for name in ["ana", "bob", "eve", "joe"] {
        assert_eq!(ended.user(name), user(&before, name), "old keys at their old age");
    }
    let new = ended.user("new");
    assert!(new.keys.is_empty() && new.confirmed.is_none());
}

#[test]
fn data_read_before_the_deadline_is_kept_and_the_next_refresh_continues() {
    let Some(host) = Host::seeded(&five()) else { return };
    host.give("6s");
    let two_bodies = |call: &Call| match call.action.as_str() {
        "GetSSHPublicKey" if call.nth_of_action > 2 => Fault::throttling(),
        _ => Fault::Pass,
    };
    let (ended, _proxy) = host.refresh_through(two_bodies);
    ended.told(75, &["iam:GetSSHPublicKey on '", "Throttling"]);
    let read = |ended: &crate::host::Ended| {
        let listing = ended.listing.as_ref().unwrap();
        listing.accounts[0].users.iter().filter(|user| user.confirmed.is_some()).count()
    };
    assert_eq!((ended.names().len(), read(&ended)), (5, 2));

    host.account.forget_calls();
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(read(&ended), 5);
    let bodies = host.account.actions().iter().filter(|action| *action == "GetSSHPublicKey").count();
    assert_eq!(bodies, 3, "the two that were read are not read again");
}
