//! JSON documents are parsed and inspected. Nothing here parses Terraform's language, so only its text is checked.

use std::collections::BTreeMap;

use config::{Config, TagUse};
use serde_json::{Value, json};

use super::text;
use super::wanted::Wanted;
use crate::cli::{Format, Policy};

fn args(groups: &[&str], role: Option<&str>, account: Option<&str>) -> Policy {
    Policy {
        format: Format::Json,
        role_of: None,
        trust: false,
        instance_role: None,
        groups: groups.iter().map(ToString::to_string).collect(),
        account: account.map(str::to_owned),
        role: role.map(str::to_owned),
    }
}

fn printed(args: &Policy, config: &Config, known: &[(&str, &str)]) -> Result<String, String> {
    let known: BTreeMap<String, String> =
        known.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect();
    Wanted::of(args, config, &known)
        .and_then(|wanted| text(&wanted, args))
        .map_err(|error| error.message().to_string())
}

/// What is printed as JSON.
fn document(args: &Policy, config: &Config) -> Value {
    serde_json::from_str(&printed(args, config, &[]).unwrap()).unwrap()
}

fn cfn(args: Policy, config: &Config) -> Value {
    document(&Policy { format: Format::Cfn, ..args }, config)
}

fn config(text: &str) -> Config {
    Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap()
}

/// Two accounts besides the first, one of them read by the host's own role.
const ACCOUNTS: &str = "groups = [\"Ops\"]\n[aws]\nrole = \"ops/Lookup\"\n\
    [[account]]\nname = \"second\"\nrole = \"arn:aws:iam::210987654321:role/Look\"\nexternal_id = \"jump\"\n\
    groups = [\"B\"]\n[[account]]\nname = \"own\"\ngroups = [\"C\"]\n";

#[test]
fn each_account_has_its_policy_and_trust_and_the_host_may_assume_each_role() {
    let known = [("", "123456789012"), ("own", "123456789012")];
    let of = |change: &dyn Fn(&mut Policy)| -> Value {
        let mut args = args(&[], None, None);
        change(&mut args);
        serde_json::from_str(&printed(&args, &config(ACCOUNTS), &known).unwrap()).unwrap()
    };
    let all = of(&|_| ());
    let own = &all["HostRole"]["Policy"]["Statement"];
    assert_eq!(own[0]["Resource"][0], "arn:aws:iam::123456789012:group/C");
    assert_eq!(
        own[2],
        json!({
            "Sid": "AssumeRolesThatReadGroupsAndKeys", "Effect": "Allow", "Action": "sts:AssumeRole",
            "Resource": [
                "arn:aws:iam::123456789012:role/ops/Lookup", "arn:aws:iam::210987654321:role/Look",
            ],
        })
    );
    let [first, second] = &all["Roles"].as_array().unwrap()[..] else { unreachable!("two roles") };
    assert_eq!((&first["For"], &second["For"]), (&json!("aws"), &json!("second")));
    assert_eq!(first["Policy"]["Statement"][1]["Resource"], "arn:aws:iam::123456789012:user/*");
    assert_eq!(second["Policy"]["Statement"][0]["Resource"][0], "arn:aws:iam::210987654321:group/B");
    let trust = &second["TrustPolicy"]["Statement"][0];
    assert_eq!(trust["Principal"]["AWS"], "arn:aws:iam::123456789012:root");
    assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], "jump");
    assert!(first["TrustPolicy"]["Statement"][0].get("Condition").is_none());
    assert!(!all.to_string().contains(":*:"), "every account is known: {all}");

    // One document at a time.
    let host = of(&|args| args.role_of = Some("host".to_owned()));
    assert_eq!(host, all["HostRole"]["Policy"]);
    let second_policy = of(&|args| args.role_of = Some("second".to_owned()));
    assert_eq!(second_policy, second["Policy"]);
    let arn = "arn:aws:iam::123456789012:role/Host";
    let trust = of(&|args| {
        (args.role_of, args.trust) = (Some("aws".to_owned()), true);
        args.instance_role = Some(arn.to_owned());
    });
    assert_eq!(trust["Statement"][0]["Principal"]["AWS"], arn);
}

#[test]
fn what_is_no_role_of_this_host_is_refused() {
    let refused = |change: &dyn Fn(&mut Policy)| {
        let mut args = args(&[], None, None);
        change(&mut args);
        printed(&args, &config(ACCOUNTS), &[]).unwrap_err()
    };
    let third = refused(&|args| args.role_of = Some("third".to_owned()));
    assert!(third.contains("no role for 'third'") && third.contains("'host', 'aws', 'second'"), "{third}");
    let host = refused(&|args| (args.role_of, args.trust) = (Some("host".to_owned()), true));
    assert!(host.contains("--for NAME --trust"), "{host}");
    for arn in ["Host", "arn:aws:sts::123456789012:assumed-role/Host/i-0", "arn:aws:iam::1:role/Host"] {
        let refused = refused(&|args| args.instance_role = Some(arn.to_owned()));
        assert!(refused.contains("not the ARN of an IAM role"), "{refused}");
    }
}

#[test]
fn the_templates_of_the_host_let_it_assume_each_role() {
    let config = config(ACCOUNTS);
    let for_host = |format| Policy { format, role_of: Some("host".to_owned()), ..args(&[], None, None) };
    let own = document(&for_host(Format::Cfn), &config);
    let policy = &own["Resources"]["InstanceRole"]["Properties"]["Policies"][0]["PolicyDocument"];
    assert_eq!(
        policy["Statement"][2]["Resource"],
        json!([
            {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/ops/Lookup"},
            {"Fn::Sub": "arn:aws:iam::210987654321:role/Look"},
        ])
    );
    let text = printed(&for_host(Format::Terraform), &config, &[]).unwrap();
    assert!(
        text.contains("actions   = [\"sts:AssumeRole\"]\n") && text.contains(":role/ops/Lookup\", "),
        "{text}"
    );
    let first = document(&Policy { format: Format::Cfn, ..args(&[], None, None) }, &config);
    assert_eq!(first["Resources"]["LookupRole"]["Properties"]["Path"], "/ops/");
}

#[test]
fn the_policy_names_the_groups_and_no_more_calls_than_are_made() {
    let config = Config { groups: vec!["Ops".to_owned()], ..Config::default() };
    let of_config = document(&args(&[], None, Some("123456789012")), &config);
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
    let tagged = document(&args(&["A", "B"], None, None), &tagged);
    let tagged = &tagged["Roles"][0]["Policy"];
    assert!(tagged["Statement"][1]["Action"].as_array().unwrap().contains(&json!("iam:ListUserTags")));
    assert_eq!(tagged["Statement"][0]["Resource"][2], "arn:aws-cn:iam::210987654321:group/B");
    let mut whole = config.clone();
    whole.aws.account_details = true;
    let whole = document(&args(&[], None, None), &whole);
    assert_eq!(
        whole["Statement"][2],
        json!({
            "Sid": "ReadAllUsersAndGroups", "Effect": "Allow", "Action": "iam:GetAccountAuthorizationDetails",
            "Resource": "*",
        })
    );
    let any = document(&args(&["A"], None, None), &Config::default());
    assert_eq!(any["Statement"][1]["Resource"], "arn:aws:iam::*:user/*");
}

#[test]
fn what_is_no_name_is_not_put_into_a_policy() {
    let config = Config::default();
    for (groups, role, account, why) in [
        (&[][..], None, None, "no group is configured"),
        (&["*"], None, None, "not a valid name of an IAM group"),
        (&["a\"b"], None, None, "not a valid name of an IAM group"),
        (&["A"], Some("r${x}"), None, "not a valid name of an IAM role"),
        (&["A"], None, Some("12345678901"), "twelve digits"),
        (&["A"], None, Some("12345678901*"), "twelve digits"),
    ] {
        let refused = printed(&args(groups, role, account), &config, &[]).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn the_template_makes_the_role_with_its_trust() {
    let mut config = Config::default();
    let own = cfn(args(&["Ops"], None, None), &config);
    let role = &own["Resources"]["InstanceRole"]["Properties"];
    assert_eq!(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"], "ec2.amazonaws.com");
    assert_eq!(own["Resources"]["InstanceProfile"]["Properties"]["Roles"], json!([{"Ref": "InstanceRole"}]));
    config.aws.external_id = Some("jump".to_owned());
    config.aws.role = Some("/path/Lookup".to_owned());
    let assumed = cfn(args(&["Ops"], None, None), &config);
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
fn an_identity_center_is_read_in_its_stores_and_nowhere_else() {
    let config = config(
        "groups = [\"AWS Admins\"]\n[source]\nurl = \"identity-center:\"\nidentity_store = \"d-1234567890\"\n\
         [[account]]\nname = \"b\"\ngroups = [\"Ops\"]\nidentity_store = \"d-00000000aa\"\n",
    );
    let args = args(&[], None, None);
    let known = [("", "d-1234567890")];
    let policy: Value = serde_json::from_str(&printed(&args, &config, &known).unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let arns = [
        "arn:aws:identitystore::*:identitystore/d-1234567890",
        "arn:aws:identitystore::*:identitystore/d-00000000aa",
        "arn:aws:identitystore:::group/*",
        "arn:aws:identitystore:::membership/*",
        "arn:aws:identitystore:::user/*",
    ];
    assert_eq!((statements.len(), &statements[0]["Resource"]), (1, &json!(arns)));
    let actions = statements[0]["Action"].as_array().unwrap();
    assert!(
        actions.iter().all(|action| action.as_str().unwrap().starts_with("identitystore:")),
        "{actions:?}"
    );

    let template = cfn(args.clone(), &config).to_string();
    assert!(
        template.contains("arn:${AWS::Partition}:identitystore::*:identitystore/d-1234567890"),
        "{template}"
    );
    let text = printed(&Policy { format: Format::Terraform, ..args }, &config, &known).unwrap();
    assert!(text.contains("partition}:identitystore:::group/*\"") && !text.contains(":iam::"), "{text}");
    assert!(text.contains("\"identitystore:DescribeGroup\", "), "{text}");
}

const PUBLISH: &str =
    "[publish]\nurl = \"s3://fleet/jump\"\nfleet = \"jump\"\nkey = \"/etc/nss-iam/publish.key\"\n";

#[test]
fn a_host_of_a_listing_reads_one_object_and_a_publisher_replaces_one_and_deletes_nothing() {
    let statements = |text: &str| -> Value {
        let printed = printed(&args(&[], None, None), &config(text), &[]).unwrap();
        serde_json::from_str::<Value>(&printed).unwrap()["Statement"].take()
    };
    let object = "arn:aws:s3:::fleet/jump";
    let read = json!({"Sid": "ReadListing", "Effect": "Allow", "Action": "s3:GetObject", "Resource": object});
    let source = "groups = [\"Ops\"]\n[source]\nurl = \"s3://fleet/jump\"\nunsigned = true\n";
    assert_eq!(statements(source), json!([read]));

    let publish = json!([
        {"Sid": "PublishListing", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": object},
        {"Sid": "SeeWhetherListingExists", "Effect": "Allow", "Action": "s3:ListBucket",
         "Resource": "arn:aws:s3:::fleet"},
    ]);
    assert_eq!(statements(&format!("[source]\nurl = \"file:///users.json\"\n{PUBLISH}")), publish);
    let all = statements(&format!("groups = [\"Ops\"]\n{PUBLISH}"));
    assert_eq!(all[0]["Action"], "iam:GetGroup");
    assert_eq!(json!([all[2], all[3]]), publish);
    assert_eq!(all.as_array().unwrap().len(), 4);
}

/// See `fetch/aws/s3.rs`.
#[test]
fn listings_are_read_and_written_with_the_role_of_the_first_account() {
    let text =
        format!("groups = [\"Ops\"]\n[aws]\nrole = \"arn:aws-cn:iam::210987654321:role/Look\"\n{PUBLISH}");
    let all = document(&args(&[], None, None), &config(&text));
    assert_eq!(all["HostRole"]["Policy"]["Statement"][0]["Action"], "sts:AssumeRole");
    assert_eq!(all["Roles"][0]["Policy"]["Statement"][2]["Resource"], "arn:aws-cn:s3:::fleet/jump");

    let template = cfn(args(&[], None, None), &config(&text));
    let policy = &template["Resources"]["LookupRole"]["Properties"]["Policies"][0]["PolicyDocument"];
    assert_eq!(policy["Statement"][3]["Resource"], json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::fleet"}));
    let terraform = Policy { format: Format::Terraform, ..args(&[], None, None) };
    let printed = printed(&terraform, &config(&text), &[]).unwrap();
    let object = "resources = [\"arn:${data.aws_partition.current.partition}:s3:::fleet/jump\"]";
    assert!(
        printed.contains(object) && printed.contains("[\"s3:GetObject\", \"s3:PutObject\"]"),
        "{printed}"
    );
}

#[test]
fn the_name_of_an_object_means_nothing_in_a_policy_or_template() {
    let source = "[source]\nurl = 's3://fleet/a*b?${c}\"\\%{d}é'\nunsigned = true\n";
    let policy = document(&args(&[], None, None), &config(source));
    assert_eq!(policy["Statement"][0]["Resource"], "arn:aws:s3:::fleet/a?b???c????".to_owned() + "?d??");
}

#[test]
fn terraform_gets_the_same_policy_and_every_bracket_is_closed() {
    let mut config = Config::default();
    config.aws.external_id = Some("a\"${b}".to_owned());
    for role in [None, Some("Lookup")] {
        let args = Policy { format: Format::Terraform, ..args(&["Ops"], role, None) };
        let text = printed(&args, &config, &[]).unwrap();
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
