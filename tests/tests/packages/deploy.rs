//! `deploy/` allows what `config/iam-policy.json` allows, and its templates are valid.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::{repository, text};

use crate::support::done;

/// Every call that the shipped policy allows.
fn allowed() -> BTreeSet<String> {
    let policy = fs::read_to_string(repository().join("config/iam-policy.json")).unwrap();
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let actions = policy["Statement"].as_array().unwrap().iter().map(|statement| &statement["Action"]);
    let words = |action: &Value| match action {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    };
    actions.flat_map(words).collect()
}

/// All `iam:…` and `sts:…` in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    words.filter(|word| word.starts_with("iam:") && word.len() > 4).map(str::to_owned).collect()
}

#[test]
fn the_templates_allow_what_the_shipped_policy_does_and_nothing_else() {
    for file in [
        "cloudformation/lookup.yaml",
        "terraform/lookup/main.tf",
        "cloudformation/bucket.yaml",
        "terraform/bucket/main.tf",
    ] {
        let file = format!("deploy/{file}");
        let text = fs::read_to_string(repository().join(&file)).unwrap();
        assert_eq!(named(&text.replace("arn:aws:iam::", "").replace(":iam::", "")), allowed(), "{file}");
    }
}

#[test]
fn cfn_lint_finds_nothing_wrong_with_the_templates() {
    let lint = repository().join(".venv/bin/cfn-lint");
    assert!(lint.is_file(), "'{}' is missing\nhint: make release", lint.display());
    let templates = fs::read_dir(repository().join("deploy/cloudformation")).unwrap();
    let templates = templates.map(|file| file.unwrap().path());
    let ran = Command::new(lint).args(templates).output().unwrap();
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
}

/// The trust policy of the role to assume, and what the instance's role allows, of a stack in a simulated account.
const STACK: &str = "
import json, sys
from unittest import mock
# moto's CloudFormation imports all services; this one is of API Gateway.
for name in ['', '.validation', '.validation.exceptions']:
    sys.modules['openapi_spec_validator' + name] = mock.MagicMock()
import boto3, moto
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
with moto.mock_aws():
    cfn = boto3.client('cloudformation', region_name='eu-central-1')
    iam = boto3.client('iam', region_name='eu-central-1')
    given = [{'ParameterKey': key, 'ParameterValue': value} for key, value in json.loads(sys.argv[2]).items()]
    cfn.create_stack(StackName='s', TemplateBody=open(sys.argv[1]).read(), Parameters=given)
    roles = {role['RoleName'] == 'IAMKeyLookup': role for role in iam.list_roles()['Roles']}
    stack = next(iter(cloudformation_backends['123456789012']['eu-central-1'].stacks.values()))
    # moto has no AWS::IAM::RolePolicy, but resolves what is in it.
    policy = lambda name: clean_json(stack.template_dict['Resources'][name]['Properties'], stack.resource_map)
    print(json.dumps({
        'host': roles[False]['Arn'], 'role': roles[True]['Arn'], 'trust': roles[True]['AssumeRolePolicyDocument'],
        'reads': policy('LookupPolicy')['PolicyDocument']['Statement'],
        # moto keeps AWS::NoValue in a list.
        'assumes': [one for one in policy('InstancePolicy')['PolicyDocument']['Statement'] if one]}))
";

/// What `nss-iamctl policy` prints for `external_id` and `[[account]]`, see `nss-iamctl/src/commands/policy/tests.rs`.
#[test]
fn a_stack_asks_for_the_external_id_and_lets_the_instance_assume_roles_of_other_accounts() {
    let stack = |parameters: Value| -> Value {
        let python = repository().join(".venv/bin/python");
        let file = repository().join("deploy/cloudformation/lookup.yaml");
        let words = ["-c", STACK, file.to_str().unwrap(), &parameters.to_string()];
        serde_json::from_str(&done(python.to_str().unwrap(), &words)).unwrap()
    };
    let bare = stack(json!({"Groups": "Ops"}));
    let trust = |condition: Option<Value>, host: &Value| {
        let mut statement =
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": host}});
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        json!({"Version": "2012-10-17", "Statement": [statement]})
    };
    let assume = |role: &Value| json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role});
    assert_eq!(bare["trust"], trust(None, &bare["host"]));
    assert_eq!(bare["assumes"], json!([assume(&bare["role"])]));
    let groups = ["arn:aws:iam::123456789012:group/Ops", "arn:aws:iam::123456789012:group/*/Ops"];
    assert_eq!(bare["reads"][0]["Resource"], json!(groups));

    let others = ["arn:aws:iam::210987654321:role/Look", "arn:aws:iam::210987654322:role/ops/Look"];
    let full = stack(json!({"ExternalId": "jump", "OtherRoles": others.join(",")}));
    let condition = json!({"StringEquals": {"sts:ExternalId": "jump"}});
    assert_eq!(full["trust"], trust(Some(condition), &full["host"]));
    assert_eq!(full["assumes"], json!([assume(&full["role"]), assume(&json!(others))]));
}

/// The policies of `bucket` in both languages, with placeholders for what both are given.
const POLICIES: &str = r#"
import hcl2, json, sys, yaml
class Loader(yaml.SafeLoader): pass
Loader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node)
    if isinstance(node, yaml.ScalarNode) else loader.construct_sequence(node, deep=True))
def listed(value):
    return value if isinstance(value, list) else [value]
def plain(value):
    names = {"AWS::Partition": "P", "Bucket": "B", "ListingKey": "K", "AWS::AccountId": "A",
             "data.aws_partition.current.partition": "P", "var.bucket": "B", "var.listing_key": "K",
             "data.aws_caller_identity.current.account_id": "A"}
    value = value.strip('"')
    while "${local." in value:
        name = value.split("${local.", 1)[1].split("}", 1)[0]
        value = value.replace("${local." + name + "}", local[name].strip('"'))
    for name, short in names.items():
        value = value.replace("${" + name + "}", short)
    return value
template = yaml.load(open(sys.argv[1] + "/cloudformation/bucket.yaml"), Loader)["Resources"]
module = hcl2.load(open(sys.argv[1] + "/terraform/bucket/main.tf"))
local = {name.strip('"'): value for name, value in module["locals"][0].items()}
documents = {}
for one in module["data"]:
    for name, about in one.get('"aws_iam_policy_document"', one.get("aws_iam_policy_document", {})).items():
        documents[name.strip('"')] = about["statement"]
of_cfn = lambda name: [[s["Sid"], sorted(listed(s["Action"])), sorted(map(plain, listed(s["Resource"])))]
                       for s in template[name]["Properties"]["PolicyDocument"]["Statement"] if "Sid" in s]
of_hcl = lambda name: [[plain(s["sid"]), sorted(map(plain, s["actions"])), sorted(map(plain, listed(s["resources"])))]
                       for s in documents[name]]
print(json.dumps({"cfn": {"host": of_cfn("HostPolicy"), "publisher": of_cfn("PublisherPolicy"), "bucket": of_cfn("BucketPolicy")[:1]},
                  "hcl": {"host": of_hcl("host"), "publisher": of_hcl("publisher"), "bucket": of_hcl("bucket")[:1]}}))
"#;

/// That those of CloudFormation are what `nss-iamctl policy` prints: `tests/tests/fetch/stack.rs`.
#[test]
fn the_policies_of_the_terraform_module_are_those_of_the_cloudformation_template() {
    let mut policies = python(POLICIES, "deploy");
    // A list of groups here, and a pattern there.
    for (language, group) in [("cfn", "${Groups}"), ("hcl", "${group}")] {
        let resources = policies[language]["publisher"][0][2].take().to_string();
        for path in ["", "*/"] {
            assert!(resources.contains(&format!(":group/{path}{group}")), "{resources}");
        }
    }
    assert_eq!(policies["cfn"], policies["hcl"]);
    assert_eq!(policies["cfn"]["host"], json!([["ReadListing", ["s3:GetObject"], ["arn:P:s3:::B/K"]]]));
}

/// `make lint` has Terraform check them against the provider's schema, and here the real provider does. It is in no package
/// registry, so this runs only where both are installed.
#[test]
fn terraform_finds_the_modules_formatted_and_valid() {
    let find = "find -L /opt /usr/share/terraform /usr/local/share/terraform -name 'terraform-provider-aws_*' -print -quit";
    let found = Command::new("sh").args(["-c", find]).output().unwrap();
    let (found, terraform) =
        (Path::new(text(&found.stdout).trim()), Command::new("terraform").arg("version").output());
    // HOST/hashicorp/aws/VERSION/PLATFORM/terraform-provider-aws_…
    let (Some(plugins), Ok(_)) = (found.ancestors().nth(6), terraform) else {
        let _ = writeln!(std::io::stdout(), "skipped: needs terraform and its provider for AWS");
        return;
    };
    let plugins = format!("-plugin-dir={}", plugins.display());
    for module in fs::read_dir(repository().join("deploy/terraform")).unwrap() {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(module.unwrap().path().join("main.tf"), directory.path().join("main.tf")).unwrap();
        for line in [&["fmt", "-check", "-diff"][..], &["init", "-backend=false", &plugins], &["validate"]] {
            let mut command = Command::new("terraform");
            command
                .args(line)
                .arg("-no-color")
                .current_dir(directory.path())
                .env("CHECKPOINT_DISABLE", "1")
                .env_remove("TF_CLI_CONFIG_FILE");
            let ran = command.output().unwrap();
            assert!(ran.status.success(), "{line:?}: {}{}", text(&ran.stdout), text(&ran.stderr));
        }
    }
}

/// `config/cloud-init.yaml`.
pub(crate) fn cloud_init() -> Value {
    python(
        "import yaml, json, sys; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
        "config/cloud-init.yaml",
    )
}

/// The result of a Python script for a file of the repository.
fn python(script: &str, file: &str) -> Value {
    let (python, file) = (repository().join(".venv/bin/python"), repository().join(file));
    let said = done(python.to_str().unwrap(), &["-c", script, file.to_str().unwrap()]);
    serde_json::from_str(&said).unwrap()
}

#[test]
fn the_cloud_init_snippet_is_a_cloud_config_that_enables_by_one_command() {
    let text = fs::read_to_string(repository().join("config/cloud-init.yaml")).unwrap();
    assert!(text.starts_with("#cloud-config\n"));
    let parsed = cloud_init();
    // The rules for the metadata, --imds, need nft.
    assert_eq!(parsed["packages"], serde_json::json!(["nss-iam", "nftables"]));
    assert_eq!(parsed["runcmd"][0][0], "nss-iamctl");
    assert_eq!(parsed["runcmd"][0][1], "enable");
}
