//! Where users come from: two accounts, a file, and what AWS has to allow.

use serde_json::{Value, json};
use tests::boot::Booted;
use tests::login::{ADMINS, GROUP, Key};
use tests::{Account, INSTANCE_ROLE};

use crate::day::{installed, types};

/// Creates a key pair in /root. Returns the public key as it is uploaded.
fn key(host: &Booted, name: &str, kind: &str) -> String {
    host.done(&format!("ssh-keygen -q -t {kind} -N '' -C '' -f /root/{name}"));
    host.done(&format!("cut -d' ' -f1,2 /root/{name}.pub")).trim().to_owned()
}

#[test]
fn of_two_accounts_with_one_name_the_first_wins_and_why_says_so() {
    let Some(host) = installed() else { return };
    let ana = host.user("ana");
    let partner = Account::new();
    let [zoe, other] = ["zoe", "other"].map(|name| key(&host, name, "rsa"));
    let ids = partner.seed(json!({
        "users": [{"name": "ana", "keys": [{"body": other}]}, {"name": "zoe", "keys": [{"body": zoe}]}],
        "groups": {"Partners": ["ana", "zoe"]},
        "roles": [{"name": "Lookup", "external_id": "jump-hosts"}],
    }));
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0).says(&["1 user may log in: 'ana'"]);
    let account = |external_id: &str| {
        format!(
            "[[account]]\nname = \"partner\"\nrole = \"{}\"\n{external_id}groups = [\"Partners\"]\n",
            partner.role_arn("Lookup")
        )
    };
    host.write("/etc/nss-iam/config.d/20-partner.toml", &account(""));
    let role = partner.role_arn("Lookup");
    types(&host, "nss-iamctl refresh").exits(77).says(&[
        "sts:AssumeRole on",
        &role,
        "external_id is not set?",
    ]);
    assert!(host.logs_in("ana", &ana), "the first account is not affected");
    types(&host, "nss-iamctl policy --for partner --trust")
        .exits(0)
        .says(&["sts:AssumeRole", &host.account.role_arn(INSTANCE_ROLE).replace("role/", "")[..13]]);

    host.write("/etc/nss-iam/config.d/20-partner.toml", &account("external_id = \"jump-hosts\"\n"));
    types(&host, "nss-iamctl policy --for partner --trust")
        .exits(0)
        .says(&["\"sts:ExternalId\": \"jump-hosts\""]);
    types(&host, "nss-iamctl refresh").says(&["'zoe'"]);
    types(&host, "ssh zoe@HOST id -un").exits(0).says(&["zoe"]);
    types(&host, "nss-iamctl why zoe").exits(0).says(&[&format!("of AWS account {}", partner.id())]);

    assert!(host.logs_in("ana", &ana), "the first account wins");
    assert!(
        !host.logs_in("ana", &Key { file: "/root/other".into(), public: String::new() }),
        "and only that"
    );
    let id = ids["users"]["ana"]["id"].as_str().unwrap();
    let said = "there is also IAM user 'ana'";
    types(&host, "nss-iamctl why ana").exits(1).says(&[said, id, "of account 'partner'", "who was skipped"]);
    types(&host, &format!("nss-iamctl why {id}"))
        .exits(2)
        .says(&["'ana'", "aws iam tag-user --user-name ana"]);
    types(&host, "nss-iamctl doctor").exits(1).says(&["'ana'", "verdict: logins work"]);
    types(&host, "nss-iamctl users").exits(0).says(&["partner"]);
}

#[test]
fn a_json_file_replaces_aws_and_an_edit_of_it_takes_effect() {
    let Some(host) = installed() else { return };
    let keys = ["ana", "bob"].map(|name| key(&host, name, "ed25519"));
    let users = |names: &[&str]| -> String {
        let user = |name: &&str| {
            let body = &keys[usize::from(*name == "bob")];
            json!({"id": format!("u-{name}"), "name": name, "keys": [{"id": format!("k-{name}"), "body": body}]})
        };
        let members: Vec<_> = names.iter().map(|name| format!("u-{name}")).collect();
        let groups = json!([{"id": "g-ops", "name": "Ops", "members": members}]);
        let users: Vec<Value> = names.iter().map(user).collect();
        json!({"version": 1, "accounts": [{"groups": groups, "users": users}]}).to_string()
    };
    host.write("/srv/users.json", "{\"version\": 1, \"accounts\": [{\"users\": \"ana\"}]}");
    types(&host, "nss-iamctl listing validate /srv/users.json").exits(65).says(&["/srv/users.json", "users"]);
    host.write("/srv/users.json", &users(&["ana", "bob"]));
    types(&host, "nss-iamctl listing validate /srv/users.json").exits(0).says(&["2 users"]);
    host.write("/etc/nss-iam/config.d/20-source.toml", "[source]\nurl = \"file:///srv/users.json\"\n");
    types(&host, "nss-iamctl enable").exits(0).says(&["2 users may log in: 'ana', 'bob'"]).says_not("IAM");
    types(&host, "ssh ana@HOST id -Gn").exits(0).says(&["ops"]);
    types(&host, "ssh bob@HOST id -un").exits(0);
    assert_eq!(host.account.calls().len(), 0, "without AWS");

    host.write("/srv/users.json", &users(&["ana"]));
    types(&host, "nss-iamctl refresh").exits(0).says(&["-1"]);
    types(&host, "ssh bob@HOST id -un").exits(255);
    types(&host, "nss-iamctl why bob").exits(2).says(&["/srv/users.json"]).says_not("aws iam");
    types(&host, "ssh ana@HOST id -un").exits(0);

    // A half-written export takes nobody's access.
    host.write("/srv/users.json", &users(&["ana"])[..60]);
    let typed = types(&host, "nss-iamctl refresh");
    assert!(typed.status > Some(0), "{typed:?}");
    typed.says(&["/srv/users.json"]);
    types(&host, "ssh ana@HOST id -un").exits(0);
    types(&host, "nss-iamctl status --check").exits(1).says(&["NSS_IAM WARNING"]);
    host.write("/srv/users.json", &users(&["ana", "bob"]));
    types(&host, "nss-iamctl refresh").exits(0);
    types(&host, "ssh bob@HOST id -un").exits(0);
    types(&host, "nss-iamctl status --check").exits(0);
}

#[test]
fn the_printed_policy_is_all_that_the_role_needs() {
    let Some(host) = installed() else { return };
    let (ana, eve) = (host.user("ana"), host.user("eve"));
    host.account.seed(json!({"groups": {ADMINS: ["eve"]}}));
    host.account.change(json!({"do": "remove_member", "group": GROUP, "user": "eve"}));
    // Before anything is set up; somebody who creates the role needs it first.
    let asked = format!("nss-iamctl policy --group {GROUP} --account {}", host.account.id());
    let policy = |line: &str| -> Value { serde_json::from_str(&types(&host, line).exits(0).said).unwrap() };
    let groups = |policy: &Value| -> Vec<String> {
        let of_groups =
            policy["Statement"].as_array().unwrap().iter().find(|part| part["Action"] == "iam:GetGroup");
        let all = of_groups.unwrap()["Resource"].as_array().unwrap();
        all.iter().map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    let first = policy(&asked);
    assert!(groups(&first).iter().all(|name| name == GROUP), "{first}");
    host.account.enforce_policy(INSTANCE_ROLE, &first);
    types(&host, &format!("nss-iamctl enable --group {GROUP}")).exits(0).says(&["1 user may log in: 'ana'"]);
    assert_eq!(policy("nss-iamctl policy"), first, "with a known account and the configured group");

    types(&host, &format!("nss-iamctl enable --group {ADMINS}")).exits(0).says(&["AccessDenied", ADMINS]);
    types(&host, "nss-iamctl doctor").says(&["AccessDenied", "-> aws iam put-role-policy"]);
    let both = policy("nss-iamctl policy");
    assert!(groups(&both).iter().any(|name| name == ADMINS), "{both}");
    host.account.enforce_policy(INSTANCE_ROLE, &both);
    types(&host, "nss-iamctl refresh").exits(0);
    assert!(host.logs_in("ana", &ana) && host.logs_in("eve", &eve));
    types(&host, "nss-iamctl doctor").says_not("AccessDenied");

    // A removal needs more calls than an addition.
    host.account.change(json!({"do": "remove_member", "group": ADMINS, "user": "eve"}));
    types(&host, "nss-iamctl refresh").exits(0);
    assert!(!host.logs_in("eve", &eve));
    types(&host, "nss-iamctl policy --format cfn").exits(0).says(&["AWS::IAM::Role", GROUP, ADMINS]);
    types(&host, "nss-iamctl policy --format terraform").exits(0).says(&[
        "resource \"aws_iam_role\"",
        GROUP,
        ADMINS,
    ]);
}
