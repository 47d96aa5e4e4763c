//! A role and its policies as a CloudFormation template, as JSON, which every tool reads.

use serde_json::{Value, json};

use super::document::{of_host, of_reader, statements, trust};
use super::wanted::{Reader, Wanted};
use crate::say::error::Error;

/// The account in which the template is used.
const HERE: &str = "${AWS::AccountId}";

/// The template for a role that the host assumes, or for its own.
pub(super) fn template(wanted: &Wanted, role: Option<&Reader>) -> Result<Value, Error> {
    match role {
        Some(role) => of_role(role),
        None => of_instance(wanted),
    }
}

fn prefix(account: Option<&str>) -> String {
    format!("arn:${{AWS::Partition}}:iam::{}", account.unwrap_or(HERE))
}

/// ARNs with the parameters of the template filled in.
fn substituted(mut policy: Value) -> Value {
    let sub = |text: &str| json!({ "Fn::Sub": text });
    for statement in statements(&mut policy) {
        let Some(resource) = statement.pointer_mut("/Resource") else { continue };
        *resource = match &*resource {
            Value::Array(arns) => arns.iter().filter_map(Value::as_str).map(sub).collect(),
            other => sub(other.as_str().unwrap_or_default()),
        };
    }
    json!([{ "PolicyName": "nss-iam", "PolicyDocument": policy }])
}

fn of_instance(wanted: &Wanted) -> Result<Value, Error> {
    let reads = wanted.host.reads.as_ref().map(|reader| prefix(reader.account.as_deref()));
    let policy = of_host(wanted, &prefix(wanted.host.account.as_deref()), reads)?;
    let trust = trust(&json!({ "Service": "ec2.amazonaws.com" }), None);
    Ok(json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The role of instances with nss-iam",
        "Resources": {
            "InstanceRole": {
                "Type": "AWS::IAM::Role",
                "Properties": { "AssumeRolePolicyDocument": trust, "Policies": substituted(policy) },
            },
            "InstanceProfile": {
                "Type": "AWS::IAM::InstanceProfile",
                "Properties": { "Roles": [{ "Ref": "InstanceRole" }] },
            },
        },
        "Outputs": { "InstanceProfile": { "Value": { "Ref": "InstanceProfile" } } },
    }))
}

fn of_role(role: &Reader) -> Result<Value, Error> {
    let policy = of_reader(role, &prefix(role.account.as_deref()))?;
    let trust = trust(&json!({ "AWS": { "Ref": "InstanceRoleArn" } }), role.external_id.as_deref());
    let mut properties = json!({
        "RoleName": role.role_name(), "AssumeRolePolicyDocument": trust, "Policies": substituted(policy),
    });
    if let (Some(path), Some(fields)) = (role.role_path(), properties.as_object_mut()) {
        fields.insert("Path".to_owned(), json!(path));
    }
    Ok(json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The role that instances with nss-iam assume",
        "Parameters": {
            "InstanceRoleArn": { "Type": "String", "Description": "ARN of the role in the instances' profile" },
        },
        "Resources": { "LookupRole": { "Type": "AWS::IAM::Role", "Properties": properties } },
        "Outputs": { "RoleArn": { "Value": { "Fn::GetAtt": ["LookupRole", "Arn"] } } },
    }))
}
