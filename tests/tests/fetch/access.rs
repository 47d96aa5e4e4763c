//! The host's identity in AWS: instance role, assumed roles, proxies and endpoints.

use serde_json::json;
use tests::{Account, Emulator, Fault, ForwardProxy, INSTANCE, Machine, text};

use crate::host::{Host, five};

fn with_role(role: &str) -> String {
    format!("groups = [\"G\", \"H\"]\n[aws]\nrole = \"{role}\"\n")
}

fn seeded_with_role(external_id: Option<&str>) -> Option<Host> {
    let mut wish = five();
    wish["roles"] = match external_id {
        Some(id) => json!([{"name": "KeyLookup", "external_id": id}]),
        None => json!([{"name": "KeyLookup"}]),
    };
    Host::seeded(&wish)
}

/// There are no access keys: the instance role may only assume the role, and the role may do what the shipped
/// policy allows.
#[test]
fn the_shipped_policy_on_an_assumed_role_is_enough() {
    let Some(host) = seeded_with_role(None) else { return };
    host.account.enforce("KeyLookup");
    host.machine.config(&with_role("KeyLookup"));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 5);
    let calls = host.account.calls();
    assert_eq!(calls[1]["params"]["RoleArn"], host.account.role_arn("KeyLookup"));
    assert_eq!(calls[1]["params"]["RoleSessionName"], format!("nss-iam@{INSTANCE}"));

    // All calls that a refresh can make.
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    host.machine.config(&format!("{}[tags]\nuse = [\"uid\"]\n", with_role("KeyLookup")));
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names().len(), 4);
    for action in ["ListGroupsForUser", "ListUserTags", "GetSSHPublicKey"] {
        assert!(host.account.actions().iter().any(|called| called == action), "{action}");
    }
}

/// The policy of the article that this program replaces has no ListGroupsForUser.
#[test]
fn the_policy_of_the_article_is_enough_too() {
    let Some(host) = seeded_with_role(None) else { return };
    let actions = ["ListUsers", "GetGroup", "GetSSHPublicKey", "ListSSHPublicKeys", "GetUser", "ListGroups"];
    let actions = actions.map(|action| format!("iam:{action}"));
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    });
    host.account.enforce_policy("KeyLookup", &policy);
    host.machine.config(&with_role("KeyLookup"));
    host.refresh().told(0, &[]);
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    let ended = host.refresh();
    ended.told(0, &["a removal needs two answers"]);
    assert_eq!(ended.names().len(), 4);
}

#[test]
fn a_role_in_the_wrong_case_is_denied_with_the_hint_that_names_are_case_sensitive() {
    let Some(host) = seeded_with_role(None) else { return };
    host.machine.config(&with_role("keylookup"));
    let ended = host.refresh();
    ended
        .told(77, &["sts:AssumeRole on 'arn:aws:iam::", "role/keylookup'", "AccessDenied", "case-sensitive"]);
    // The role of the instance, and not the ARN of this session.
    let trusted = format!("its trust policy name '{}'", host.account.role_arn(tests::INSTANCE_ROLE));
    ended.told(77, &[&trusted, "external_id is not set?"]);
    let listing = ended.listing.unwrap();
    assert!(!listing.accounts[0].complete, "nobody is disabled because of it");
}

#[test]
fn an_external_id_and_a_session_name_are_sent_as_configured() {
    let Some(host) = seeded_with_role(Some("jump-hosts")) else { return };
    host.machine.config(&with_role("KeyLookup"));
    let place = format!("from instance metadata, account '{}')", host.account.id());
    host.refresh().told(77, &["sts:AssumeRole", &place, "sts:ExternalId"]);
    let more = "external_id = \"jump-hosts\"\nsession_name = \"jump\"\n";
    host.machine.config(&format!("{}{more}", with_role("KeyLookup")));
    let ended = host.refresh();
    ended.told(0, &[]);
    let calls = host.account.calls();
    let assumed = calls.iter().rfind(|call| call["action"] == "AssumeRole").unwrap();
    assert_eq!(assumed["params"]["RoleSessionName"], "jump");
}

/// Two accounts, with roles that ask for external ids. The answer is what a first refresh and one after a deletion say.
fn under_the_printed_policies(host: &mut Host, without: Option<&str>) -> String {
    let kept = std::fs::read_dir("/var/lib/nss-iam-fetch").unwrap();
    kept.for_each(|file| std::fs::remove_file(file.unwrap().path()).unwrap());
    let mut wish = five();
    wish["roles"] = json!([{"name": "KeyLookup", "external_id": "jump-hosts"}]);
    host.account = Account::new();
    host.account.seed(wish);
    let second = Account::new();
    second.seed(json!({
        "users": [{"name": "max", "keys": 1}], "groups": {"M": ["max"]},
        "roles": [{"name": "Look", "external_id": "second-id"}],
    }));
    host.machine.config(&format!(
        "{}external_id = \"jump-hosts\"\n[tags]\nuse = [\"uid\"]\n[[account]]\nname = \"second\"\nrole = \"{}\"\n\
         external_id = \"second-id\"\ngroups = [\"M\"]\n",
        with_role("KeyLookup"),
        second.role_arn("Look")
    ));
    let printed = host.machine.run(&["nss-iamctl", "policy"]);
    let mut printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let mut reduced = |pointer: &str| {
        let mut policy = printed.pointer_mut(pointer).unwrap().take();
        let is_kept = |action: &serde_json::Value| action.as_str() != without;
        policy["Statement"].as_array_mut().unwrap().retain_mut(|statement| match &mut statement["Action"] {
            serde_json::Value::Array(actions) => {
                actions.retain(is_kept);
                true
            }
            action => is_kept(action),
        });
        // IAM refuses a policy without statements.
        let statements = policy["Statement"].as_array_mut().unwrap();
        statements.push(json!({"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}));
        policy
    };
    host.account.enforce_policy("KeyLookup", &reduced("/Roles/0/Policy"));
    second.enforce_policy("Look", &reduced("/Roles/1/Policy"));
    host.account.enforce_policy(tests::INSTANCE_ROLE, &reduced("/HostRole/Policy"));
    let first = host.refresh();
    host.account.change(json!({"do": "delete_user", "user": "zoe"}));
    let second = host.refresh();
    if without.is_none() {
        assert_eq!((first.names().len(), second.names().len()), (6, 5), "{first:?} {second:?}");
        assert_eq!((first.status, second.status), (Some(0), Some(0)), "{first:?} {second:?}");
    }
    first.said + &second.said
}

#[test]
fn the_printed_policies_are_enough_and_each_action_in_them_is_needed() {
    let Some(mut host) = Host::seeded(&five()) else { return };
    let said = under_the_printed_policies(&mut host, None);
    assert!(!said.contains("AccessDenied"), "{said}");
    for action in
        ["sts:AssumeRole", "iam:GetGroup", "iam:ListSSHPublicKeys", "iam:GetSSHPublicKey", "iam:ListUserTags"]
    {
        let said = under_the_printed_policies(&mut host, Some(action));
        let denied = said.lines().any(|line| line.contains(action) && line.to_lowercase().contains("denied"));
        assert!(denied, "{action}: {said}");
    }
    // Without this one, each removal takes longer.
    let said = under_the_printed_policies(&mut host, Some("iam:ListGroupsForUser"));
    assert!(said.contains("a removal needs two answers"), "{said}");
}

#[test]
fn expired_credentials_are_reported_as_expired() {
    let Some((host, before)) = Host::refreshed() else { return };
    let (ended, _proxy) = host.refresh_through(|call| match call.action.as_str() {
        "GetGroup" => Fault::expired_token(),
        _ => Fault::Pass,
    });
    ended.told(77, &["iam:GetGroup on '", "ExpiredToken", "hint: the credentials are no longer valid"]);
    ended.kept(&before);
}

#[test]
fn a_host_without_credentials_gets_a_hint_where_they_come_from() {
    let Some((host, before)) = Host::refreshed() else { return };
    let mut environment = host.account.direct();
    let nowhere = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    environment.retain(|(name, _)| *name != nowhere);
    environment.push((nowhere, "http://127.0.0.1:9".to_owned()));
    let ended = host.refresh_with(&environment, &[]);
    ended.told(
        75,
        &[
            "sts:GetCallerIdentity",
            "instance metadata at '127.0.0.1:9' did not answer",
            "give credentials in variables AWS_* or in a profile",
        ],
    );
    ended.kept(&before);
}

#[test]
fn an_instance_without_a_role_is_a_denial_and_not_an_outage() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.account.change(json!({"do": "detach_instance_role"}));
    let ended = host.refresh();
    ended
        .told(77, &["sts:GetCallerIdentity", "the instance has no role", "hint: attach an instance profile"]);
    ended.kept(&before);
}

/// A host whose groups are named by a tag of the instance, after a refresh.
fn tagged() -> Option<Host> {
    let mut wish = five();
    wish["instance_tags"] = json!({"nss-iam:groups": "H:h"});
    let host = Host::seeded(&wish)?;
    host.machine.config("groups_from_instance_tag = \"nss-iam:groups\"\n");
    let ended = host.refresh();
    ended.told(0, &[]);
    assert_eq!(ended.names(), ["ana"]);
    Some(host)
}

#[test]
fn groups_may_be_named_by_a_tag_of_the_instance() {
    tagged();
}

#[test]
fn an_impossible_name_in_the_tag_of_the_instance_is_reported_and_removes_nobody() {
    let Some(host) = tagged() else { return };
    host.account.seed(json!({"instance_tags": {"nss-iam:groups": "H ../G"}}));
    let ended = host.refresh();
    ended
        .told(78, &["imds:GetInstanceTag on 'nss-iam:groups'", "'../G' is not a valid name of an IAM group"]);
    assert_eq!(ended.names(), ["ana"], "what was known is kept");
}

/// It has no groups, which could be a mistake.
#[test]
fn an_instance_without_the_tag_holds_its_users_until_forced() {
    let Some(host) = tagged() else { return };
    host.machine.config("groups_from_instance_tag = \"another\"\n");
    let ended = host.refresh();
    ended.told(
        65,
        &[
            "configuration on 'H'",
            "'ana' would leave the group, which `groups` no longer names; they stay",
            "--force",
        ],
    );
    assert_eq!(ended.names(), ["ana"]);
    let ended = host.refresh_with(&host.account.direct(), &["--force"]);
    ended.told(0, &[]);
    assert!(ended.names().is_empty());
}

#[test]
fn an_instance_that_shows_no_tags_keeps_what_is_known() {
    let Some((host, before)) = Host::refreshed() else { return };
    host.machine.config("groups_from_instance_tag = \"nss-iam:groups\"\n");
    let ended = host.refresh();
    ended.told(78, &["imds:GetInstanceTag", "shows no tags", "hint: set the option InstanceMetadataTags"]);
    let groups = |listing: &listing::Listing| -> Vec<_> {
        listing.accounts[0].groups.iter().map(|group| (group.id.clone(), group.members.clone())).collect()
    };
    assert_eq!(groups(ended.listing.as_ref().unwrap()), groups(&before));
}

#[test]
fn tls_trusts_only_the_bundle_and_goes_through_the_proxy_unless_no_proxy_names_the_host() {
    let Some(machine) = Machine::enter() else { return };
    machine.install();
    let directory = tempfile::tempdir().unwrap();
    let emulator = Emulator::tls(directory.path());
    let account = Account::of(&emulator);
    account.seed(five());
    let proxy = ForwardProxy::start();
    let ca = "/etc/nss-iam/ca.pem";
    std::fs::copy(emulator.ca(), ca).unwrap();
    let config = format!(
        "groups = [\"G\", \"H\"]\n[aws]\nendpoint_url = \"https://{}\"\nhttps_proxy = \"{}\"\ntimeout = \"30s\"\n",
        emulator.tls_address(),
        proxy.url()
    );
    let metadata: Vec<_> =
        account.direct().into_iter().filter(|(name, _)| *name != "AWS_ENDPOINT_URL").collect();
    let run = |config: &str| {
        machine.config(config);
        let mut command = machine.command(&["/usr/libexec/nss-iam/cache-refresher", "fetch"]);
        command.envs(metadata.clone()).output().unwrap()
    };
    let ran = run(&format!("{config}ca_bundle = \"{ca}\"\n"));
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let tunnels = proxy.connections();
    assert!(tunnels > 0);
    assert_eq!(account.actions().len(), 3 + 5 + 5);

    // Without the bundle, the certificate is not trusted.
    let ran = run(&config.replace("30s", "3s"));
    assert_eq!(ran.status.code(), Some(75), "{}", text(&ran.stderr));
    assert!(text(&ran.stderr).contains("[aws] ca_bundle"), "{}", text(&ran.stderr));

    // Hosts in no_proxy are reached without the proxy.
    let used = proxy.connections();
    let ran = run(&format!("{config}ca_bundle = \"{ca}\"\nno_proxy = \"127.0.0.1\"\n"));
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert_eq!(proxy.connections(), used);
}

#[test]
fn the_endpoint_of_one_service_is_not_used_for_others() {
    let Some(host) = Host::seeded(&five()) else { return };
    let proxy = tests::FaultProxy::start(&host.account, |_| Fault::Pass);
    let address = host.account.address();
    host.machine.config(&format!(
        "groups = [\"G\", \"H\"]\n[aws]\nendpoint_url_iam = \"{}\"\nendpoint_url_sts = \"http://{address}\"\n",
        proxy.url()
    ));
    let environment = host.account.env("http://127.0.0.1:9");
    let ended = host.refresh_with(&environment, &[]);
    ended.told(0, &[]);
    assert_eq!((proxy.count("GetCallerIdentity"), proxy.count("GetGroup")), (0, 2));
}
