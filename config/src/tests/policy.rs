//! The shipped IAM policy allows exactly what the refresher calls.

use std::collections::BTreeMap;

use serde_json::Value;

/// Action -> the resources that it is allowed on.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let policy: Value = serde_json::from_str(include_str!("../../iam-policy.json")).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    let mut allowed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let keys: Vec<_> = statement.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["Action", "Effect", "Resource", "Sid"], "no NotAction, no NotResource");
        assert_eq!(statement["Effect"], "Allow");
        for action in texts(&statement["Action"]) {
            allowed.entry(action).or_default().extend(texts(&statement["Resource"]));
        }
    }
    allowed
}

/// IAM accepts one string in place of a list of one.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        _ => value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect(),
    }
}

#[test]
fn the_policy_allows_exactly_the_calls_of_fetch() {
    let allowed = allowed();
    let actions: Vec<_> = allowed.keys().map(String::as_str).collect();
    let calls = [
        "iam:GetGroup",
        "iam:GetSSHPublicKey",
        "iam:ListGroupsForUser",
        "iam:ListSSHPublicKeys",
        "iam:ListUserTags",
    ];
    assert_eq!(actions, calls);
}

#[test]
fn the_policy_names_the_kind_of_resource_of_each_call() {
    for (action, resources) in allowed() {
        let kind = if action == "iam:GetGroup" { "group" } else { "user" };
        assert_eq!(resources, [format!("arn:aws:iam::*:{kind}/*")], "{action}");
    }
}
