//! The source `identity-center:`: identity stores, which have users and groups, but no keys.

use std::collections::BTreeSet;
use std::sync::Mutex;

use listing::{Listing, WarningCode};
use serde_json::{Value, json};
use tests::{Account, Fault, INSTANCE_ROLE, REFRESHER, REGION, Ran, published, repository};

use crate::host::{Ended, Host};

const STORE: &str = "d-1234567890";
/// A region of Identity Center that is not this host's.
const ELSEWHERE: &str = "us-west-2";

fn config(groups: &str) -> String {
    in_region(groups, REGION)
}

fn in_region(groups: &str, region: &str) -> String {
    format!(
        "groups = {groups}\n[source]\nurl = \"identity-center:\"\nidentity_store = \"{STORE}\"\nregion = \"{region}\"\n"
    )
}

/// Four users; the display name of one group has a space.
fn store() -> Value {
    let users = ["ana", "bob", "eve", "zoe"].map(|name| json!({"name": format!("{name}@example.com")}));
    let member = |name: &str| format!("{name}@example.com");
    let (admins, ops) = (["ana", "bob", "eve"].map(member), [member("zoe")]);
    json!({"id": STORE, "users": users, "groups": {"AWS Admins": admins, "Ops": ops}})
}

fn both() -> String {
    config("[\"AWS Admins\", \"Ops\"]")
}

fn refreshed() -> Option<(Host, Listing, Value)> {
    let host = Host::seeded(&json!({}))?;
    let seeded = host.account.seed(json!({"stores": [store()]}));
    host.machine.config(&both());
    let first = host.refresh();
    first.told(0, &[]);
    assert_eq!(first.names(), ["ana", "bob", "eve", "zoe"].map(|name| format!("{name}@example.com")));
    Some((host, first.listing.unwrap(), seeded["stores"][STORE].clone()))
}

fn change(account: &Account, mut change: Value) {
    change["do"] = json!("store");
    change["store"] = json!(STORE);
    account.change(change);
}

/// The codes and texts of the first account's warnings.
fn warnings(ended: &Ended) -> Vec<(WarningCode, &str)> {
    let warnings = &ended.listing.as_ref().unwrap().accounts[0].warnings;
    warnings.iter().map(|warning| (warning.code.unwrap(), warning.message.what())).collect()
}

fn is_told(ended: &Ended, code: WarningCode, what: &str) -> bool {
    matches!(warnings(ended)[..], [(told, text)] if told == code && text.starts_with(what))
}

#[test]
fn a_store_that_tells_of_nobody_whether_they_are_disabled_is_logged() {
    let Some((host, ..)) = refreshed() else { return };
    let status = |name: &str, status: Value| {
        let user = format!("{name}@example.com");
        change(&host.account, json!({"what": "set_status", "user": user, "status": status}));
    };
    ["ana", "bob", "eve", "zoe"].iter().for_each(|name| status(name, Value::Null));
    let words = "identity store 'd-1234567890': none of 4 listed users has a UserStatus";
    let ended = host.refresh();
    ended.told(0, &[words]);
    assert_eq!(ended.said.matches(words).count(), 1, "{}", ended.said);
    assert_eq!(ended.names().len(), 4);
    status("eve", json!("DISABLED"));
    let ended = host.refresh();
    assert!(!ended.said.contains("UserStatus"), "{}", ended.said);
    assert_eq!(ended.names().len(), 3);
}

#[test]
fn members_join_leave_and_are_renamed_and_a_disabled_user_is_out_at_once() {
    let Some((host, before, ids)) = refreshed() else { return };
    let ana = before.accounts[0].users.iter().find(|user| user.name.starts_with("ana")).unwrap();
    assert_eq!(json!(ana.id), ids["users"]["ana@example.com"]);
    assert!(ana.confirmed.is_some() && ana.keys.is_empty());
    assert_eq!(before.accounts[0].id, STORE);

    for wish in [
        json!({"what": "add_user", "name": "new@example.com"}),
        json!({"what": "add_member", "group": "Ops", "user": "new@example.com"}),
        json!({"what": "remove_member", "group": "AWS Admins", "user": "bob@example.com"}),
        json!({"what": "rename_user", "user": "ana@example.com", "name": "Anna.K@example.com"}),
        json!({"what": "set_status", "user": "eve@example.com", "status": "DISABLED"}),
        json!({"what": "delete_user", "user": "zoe@example.com"}),
    ] {
        change(&host.account, wish);
    }
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["Anna.K@example.com", "new@example.com"]);
    assert_eq!(ended.user("Anna.K@example.com").id, ana.id);

    change(&host.account, json!({"what": "set_status", "user": "eve@example.com", "status": "ENABLED"}));
    let ended = host.refresh();
    assert_eq!(ended.names().len(), 3);
    assert_eq!(json!(ended.user("eve@example.com").id), ids["users"]["eve@example.com"]);
}

#[test]
fn a_group_is_configured_by_its_name_or_id_and_followed_if_it_is_renamed() {
    let Some((host, before, ids)) = refreshed() else { return };
    change(&host.account, json!({"what": "rename_group", "group": "AWS Admins", "name": "Admins"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    let told = "Identity Center group 'AWS Admins' is called 'Admins' now";
    assert!(is_told(&ended, WarningCode::GroupRenamed, told), "{ended:?}");
    assert_eq!(ended.names().len(), 4);

    let admins = ids["groups"]["AWS Admins"].as_str().unwrap();
    host.machine.config(&config(&format!("[\"{admins}\", \"Ops\"]")));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 4);
    let group =
        |listing: &Listing| listing.accounts[0].groups.iter().find(|group| group.id == admins).cloned();
    assert_eq!(group(&before).unwrap().name, "AWS Admins");
    assert_eq!(group(&ended.listing.unwrap()).unwrap().name, "Admins");

    // Whoever may create a group there cannot take the place of one that is meant by its id.
    change(&host.account, json!({"what": "delete_group", "group": "Admins"}));
    host.account.seed(
        json!({"stores": [{"id": STORE, "users": [{"name": "mallory"}], "groups": {admins: ["mallory"]}}]}),
    );
    let ended = host.refresh();
    ended.told(0, &[]);
    assert!(is_told(&ended, WarningCode::GroupGone, "Identity Center group"), "{ended:?}");
    assert_eq!(ended.names(), ["zoe@example.com"]);
}

#[test]
fn a_store_of_any_size_is_read_page_by_page_in_few_calls() {
    let name = |n: usize| format!("user{n}");
    let Some(host) = Host::seeded(&json!({})) else { return };
    let users: Vec<_> = (0..250).map(|n| json!({"name": name(n)})).collect();
    let all: Vec<String> = (0..230).map(name).collect();
    let few = [name(1), name(249)];
    host.account.seed(json!({"stores": [{"id": STORE, "users": users, "groups": {"All": all, "Few": few}}]}));
    let calls = |action: &str| host.account.actions().iter().filter(|name| *name == action).count();
    host.machine.config(&config("[\"All\"]"));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 230);
    let counted = ["GetGroupId", "ListGroupMemberships", "ListUsers", "DescribeUser"].map(calls);
    assert_eq!(counted, [1, 3, 3, 0]);

    host.account.forget_calls();
    host.machine.config(&config("[\"Few\"]"));
    let ended = host.refresh_with(&host.account.direct(), &["--force"]);
    ended.told(0, &[]);
    assert_eq!(ended.names(), [name(1), name(249)]);
    assert_eq!(["ListUsers", "DescribeUser"].map(calls), [1, 1]);
}

fn throttling() -> Fault {
    Fault::json_error(400, "ThrottlingException", "Rate exceeded")
}

#[test]
fn throttling_and_answers_that_are_cut_or_empty_lose_nobody() {
    let Some((host, before, _)) = refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match (call.service.as_str(), call.total % 2) {
        ("identitystore", 0) => throttling(),
        _ => Fault::Pass,
    });
    ended.told(0, &[]).kept(&again(&before, &ended.listing));
    let before = ended.listing.unwrap();

    host.machine.config(&format!("{}[aws]\ntimeout = \"3s\"\n", both()));
    let list = |fault: fn() -> Fault| {
        let (ended, _proxy) = host.refresh_through(move |call| match call.action.as_str() {
            "ListGroupMemberships" => fault(),
            _ => Fault::Pass,
        });
        ended
    };
    let faults: [(fn() -> _, _); 6] = [
        (|| Fault::CutOff(40), "no time left"),
        (|| Fault::change(|answer| *answer = json!({})), "truncated, or is not from AWS"),
        (|| Fault::json_error(500, "InternalServerException", "no"), "InternalServerException"),
        (
            || Fault::json_error(400, "ResourceNotFoundException", "no"),
            "is 'd-1234567890' the identity store",
        ),
        (|| Fault::Reset, "no time left"),
        // Afterwards, a refresh makes no calls for a while.
        (throttling, "ThrottlingException: Rate exceeded"),
    ];
    for (fault, words) in faults {
        let ended = list(fault);
        ended.kept(&before);
        assert!(ended.status != Some(0) && ended.said.contains(words), "{words}: {ended:?}");
    }
}

/// The second look at a group is one at its members, too.
#[test]
fn one_answer_that_a_member_does_not_exist_removes_nobody_where_no_other_call_is_allowed() {
    let Some((host, _, ids)) = refreshed() else { return };
    let ana = ids["users"]["ana@example.com"].as_str().unwrap().to_owned();
    let asked = Mutex::new(false);
    let (ended, _proxy) = host.refresh_through(move |call| match call.action.as_str() {
        "ListUsers" => Fault::change(|answer| answer["Users"] = json!([])),
        "ListGroupMembershipsForMember" => Fault::json_error(400, "AccessDeniedException", "no"),
        "DescribeUser" if call.params["UserId"] == ana && !std::mem::replace(&mut *asked.lock().unwrap(), true) => {
            let gone = json!({"__type": "ResourceNotFoundException", "Message": "USER not found.", "ResourceType": "USER"});
            Fault::Answer { status: 400, headers: Vec::new(), body: gone.to_string() }
        }
        _ => Fault::Pass,
    });
    assert_eq!(ended.names().len(), 4, "{ended:?}");
}

/// The times of a refresh that found the same are newer.
fn again(before: &Listing, now: &Option<Listing>) -> Listing {
    let now = now.as_ref().unwrap();
    let mut same = before.clone();
    for (account, now) in same.accounts.iter_mut().zip(&now.accounts) {
        account.as_of = now.as_of;
        for (user, now) in account.users.iter_mut().zip(&now.users) {
            user.confirmed = now.confirmed;
        }
    }
    same
}

#[test]
fn half_an_answer_removes_nobody_whom_a_second_call_finds() {
    let Some((host, _, _)) = refreshed() else { return };
    change(&host.account, json!({"what": "remove_member", "group": "AWS Admins", "user": "bob@example.com"}));
    let empty = |list: &'static str| Fault::change(move |answer| answer[list] = json!([]));
    let (ended, _proxy) = host.refresh_through(move |call| match call.action.as_str() {
        "ListGroupMemberships" => empty("GroupMemberships"),
        _ => Fault::Pass,
    });
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "eve", "zoe"].map(|name| format!("{name}@example.com")));

    // The list of users may lack some, too: they are asked for one by one.
    let (ended, _proxy) = host.refresh_through(move |call| match call.action.as_str() {
        "ListUsers" => empty("Users"),
        _ => Fault::Pass,
    });
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 3);
}

#[test]
fn a_wrong_region_or_store_is_a_mistake_in_the_configuration_and_removes_nobody() {
    let Some((host, before, _)) = refreshed() else { return };
    host.machine.config(&in_region("[\"AWS Admins\", \"Ops\"]", ELSEWHERE));
    let ended = host.refresh();
    ended.told(78, &["IDENTITY_STORE not found", "aws sso-admin list-instances"]);
    ended.told(78, &["region 'us-west-2' from the key region beside identity_store"]).kept(&before);

    host.machine.config(&both().replace(STORE, "d-0000000000"));
    let ended = host.refresh();
    ended.told(78, &["is 'd-0000000000' the identity store"]);
    assert!(!ended.listing.unwrap().accounts[0].complete, "nobody is disabled");

    host.machine.config(&both());
    let ended = host.refresh();
    ended.told(0, &[]).kept(&again(&before, &ended.listing));
}

#[test]
fn two_stores_in_two_regions_are_read_as_two_roles_with_the_shipped_policy() {
    let Some(host) = Host::seeded(&json!({})) else { return };
    let other = Account::new();
    host.account.seed(json!({"stores": [store()]}));
    let second = json!({"id": "d-00000000aa", "region": ELSEWHERE, "users": [{"name": "moe"}], "groups": {"Ops": ["moe"]}});
    other.seed(json!({"roles": [{"name": "Look"}], "stores": [second]}));
    let shipped = std::fs::read_to_string(repository().join("config/identity-center-policy.json")).unwrap();
    let policy: Value = serde_json::from_str(&shipped).unwrap();
    let mut own = policy.clone();
    own["Statement"]
        .as_array_mut()
        .unwrap()
        .push(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}));
    host.account.enforce_policy(INSTANCE_ROLE, &own);
    other.enforce_policy("Look", &policy);
    let account = format!(
        "[[account]]\nname = \"second\"\nrole = \"{}\"\ngroups = [\"Ops\"]\nidentity_store = \"d-00000000aa\"\nregion = \"{ELSEWHERE}\"\n",
        other.role_arn("Look")
    );
    host.machine.config(&format!("{}{account}", both()));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 5);

    // Every call of every kind of refresh is allowed by the shipped policy, and each is needed.
    change(&host.account, json!({"what": "rename_group", "group": "Ops", "name": "Operations"}));
    change(&host.account, json!({"what": "remove_member", "group": "AWS Admins", "user": "bob@example.com"}));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 4);
    assert!(is_told(&ended, WarningCode::GroupRenamed, "Identity Center group 'Ops'"), "{ended:?}");
    let made: BTreeSet<String> = [host.account.actions(), other.actions()].concat().into_iter().collect();
    let allowed = policy["Statement"][0]["Action"].as_array().unwrap();
    let allowed: BTreeSet<String> =
        allowed.iter().map(|action| action.as_str().unwrap()[14..].to_owned()).collect();
    let made: BTreeSet<String> = made
        .into_iter()
        .filter(|action| !["AssumeRole", "GetCallerIdentity"].contains(&action.as_str()))
        .collect();
    assert_eq!(made, allowed);

    // Its resources count, too.
    let mut less = own.clone();
    let resources = less["Statement"][0]["Resource"].as_array_mut().unwrap();
    resources.retain(|resource| !resource.as_str().unwrap().contains(":group/"));
    host.account.enforce_policy(INSTANCE_ROLE, &less);
    let ended = host.refresh();
    ended.told(77, &["identitystore:GetGroupId on resource: arn:aws:identitystore:::group/*"]);
    assert_eq!(ended.names().len(), 4);

    // Denied: everybody stays, and the message has the command that allows it.
    let none = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]});
    host.account.enforce_policy(INSTANCE_ROLE, &none);
    let ended = host.refresh();
    ended.told(77, &["AccessDeniedException", "file:///usr/share/nss-iam/identity-center-policy.json"]);
    assert_eq!(ended.names().len(), 4);
}

#[test]
fn a_user_who_leaves_while_the_store_is_read_is_no_contradiction() {
    let Some((host, _, _)) = refreshed() else { return };
    let account = host.account.clone();
    let deleted = Mutex::new(false);
    let (ended, _proxy) = host.refresh_through(move |call| {
        if call.action == "ListUsers" && !std::mem::replace(&mut *deleted.lock().unwrap(), true) {
            change(&account, json!({"what": "delete_user", "user": "eve@example.com"}));
        }
        Fault::Pass
    });
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana", "bob", "zoe"].map(|name| format!("{name}@example.com")));
}

#[test]
fn a_user_is_called_as_there_without_the_domain_and_joins_local_groups_by_name_or_id() {
    let Some(host) = tests::Host::new() else { return };
    let account = Account::new();
    let seeded = account.seed(json!({"stores": [store()]}));
    let refresh = || Ran::from(host.machine.command(&[REFRESHER]).envs(account.direct()).output().unwrap());
    let ops = seeded["stores"][STORE]["groups"]["Ops"].as_str().unwrap();
    let users = "[users]\nstrip_domains = [\"example.com\"]\n";
    host.machine.config(&format!(
        "{}{users}[local_groups]\n\"aws admins\" = [\"users\"]\n\"{ops}\" = [\"adm\"]\n",
        both()
    ));
    let ran = refresh();
    // A group of Linux cannot have this name; its members are users all the same.
    assert!(ran.status == Some(0) && ran.err.contains("'AWS Admins'"), "{ran:?}");
    let people = published();
    let local = |name: &str| people[name].local.iter().copied().collect::<Vec<_>>();
    assert_eq!((local("ana"), local("zoe")), (vec![100], vec![4]));
    assert_eq!(people["zoe"].groups, ["iam-users", "ops"].map(str::to_owned).into());
    assert!(people.values().all(|person| person.keys.is_empty()));

    change(&account, json!({"what": "set_status", "user": "ana@example.com", "status": "DISABLED"}));
    assert_eq!(refresh().status, Some(0));
    assert!(!published().contains_key("ana"));
}
