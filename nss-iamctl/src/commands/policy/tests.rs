//! JSON documents are parsed and inspected. Nothing here parses Terraform's language, so only its text is checked.

use config::{Config, TagUse};
use serde_json::{Value, json};

use super::{Wanted, actions, arn, cfn, policy, terraform};
use crate::cli::{Format, Policy};

fn wanted(
    groups: &[&str],
    role: Option<&str>,
    account: Option<&str>,
    config: &Config,
) -> Result<Wanted, String> {
    let args = Policy {
        format: Format::Json,
        groups: groups.iter().map(ToString::to_string).collect(),
        account: account.map(str::to_owned),
        role: role.map(str::to_owned),
    };
    Wanted::of(&args, config).map_err(|error| error.to_string())
}

fn document(wanted: &Wanted) -> Value {
    policy(wanted, &arn(wanted)).unwrap()
}

#[test]
fn the_policy_names_the_groups_and_no_more_calls_than_are_made() {
    let config = Config { groups: vec!["Ops".to_owned()], ..Config::default() };
    let of_config = document(&wanted(&[], None, Some("123456789012"), &config).unwrap());
    assert_eq!(
        of_config["Statement"],
        json!([
            {
                "Sid": "ReadMembersOfGroups", "Effect": "Allow", "Action": "iam:GetGroup",
                "Resource": ["arn:aws:iam::123456789012:group/Ops", "arn:aws:iam::123456789012:group/*/Ops"],
            },
            {
                "Sid": "ReadKeysGroupsAndTagsOfUsers", "Effect": "Allow",
                "Action": ["iam:GetSSHPublicKey", "iam:ListGroupsForUser", "iam:ListSSHPublicKeys"],
                "Resource": "arn:aws:iam::123456789012:user/*",
            },
        ])
    );
    let mut tagged = config.clone();
    tagged.tags.uses = vec![TagUse::SshKey];
    tagged.aws.role = Some("arn:aws-cn:iam::210987654321:role/x/Lookup".to_owned());
    let tagged = document(&wanted(&["A", "B"], None, None, &tagged).unwrap());
    assert!(tagged["Statement"][1]["Action"].as_array().unwrap().contains(&json!("iam:ListUserTags")));
    assert_eq!(tagged["Statement"][0]["Resource"][2], "arn:aws-cn:iam::210987654321:group/B");
    let any = document(&wanted(&["A"], None, None, &Config::default()).unwrap());
    assert_eq!(any["Statement"][1]["Resource"], "arn:aws:iam::*:user/*");
}

#[test]
fn what_is_no_name_is_not_put_into_a_policy() {
    let config = Config::default();
    for (groups, role, account, why) in [
        (&[][..], None, None, "no IAM group is configured"),
        (&["*"], None, None, "not a valid name of an IAM group"),
        (&["a\"b"], None, None, "not a valid name of an IAM group"),
        (&["A"], Some("r${x}"), None, "not a valid name of an IAM role"),
        (&["A"], None, Some("12345678901"), "twelve digits"),
        (&["A"], None, Some("12345678901*"), "twelve digits"),
    ] {
        let refused = wanted(groups, role, account, &config).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn the_template_makes_the_role_with_its_trust() {
    let mut config = Config::default();
    let own = cfn(&wanted(&["Ops"], None, None, &config).unwrap()).unwrap();
    let role = &own["Resources"]["InstanceRole"]["Properties"];
    assert_eq!(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
    assert_eq!(own["Resources"]["InstanceProfile"]["Properties"]["Roles"], json!([{"Ref": "InstanceRole"}]));
    config.aws.external_id = Some("jump".to_owned());
    config.aws.role = Some("/path/Lookup".to_owned());
    let assumed = cfn(&wanted(&["Ops"], None, None, &config).unwrap()).unwrap();
    let role = &assumed["Resources"]["LookupRole"]["Properties"];
    assert_eq!(role["RoleName"], "Lookup");
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Principal"]["AWS"], json!({"Ref": "InstanceRoleArn"}));
    assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], "jump");
    let statements = &role["Policies"][0]["PolicyDocument"]["Statement"];
    let group = "arn:${AWS::Partition}:iam::${AWS::AccountId}:group/Ops";
    assert_eq!(statements[0]["Resource"][0], json!({"Fn::Sub": group}));
    assert!(assumed["Parameters"]["InstanceRoleArn"].is_object());
}

#[test]
fn terraform_gets_the_same_policy_and_every_bracket_is_closed() {
    let mut config = Config::default();
    config.aws.external_id = Some("a\"${b}".to_owned());
    for role in [None, Some("Lookup")] {
        let text = terraform::text(&wanted(&["Ops"], role, None, &config).unwrap(), &actions().unwrap());
        for bracket in ["{}", "[]", "()"] {
            let count = |at: usize| text.matches(&bracket[at..=at]).count();
            assert_eq!(count(0), count(1), "{text}");
        }
        let account =
            "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}";
        assert!(
            text.contains(&format!("resources = [\"{account}:group/Ops\", \"{account}:group/*/Ops\"]")),
            "{text}"
        );
        assert!(
            text.contains("\"iam:GetSSHPublicKey\", \"iam:ListGroupsForUser\", \"iam:ListSSHPublicKeys\"]"),
            "{text}"
        );
        assert_eq!(text.contains("aws_iam_instance_profile"), role.is_none(), "{text}");
        assert_eq!(text.contains("var.instance_role_arn"), role.is_some(), "{text}");
        assert_eq!(text.contains(r#"values   = ["a\"$${b}"]"#), role.is_some(), "{text}");
    }
}
