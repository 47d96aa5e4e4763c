//! `policy`: the minimum permissions, from config/iam-policy.json and the configuration: as a policy document, or with
//! the role and its trust policy as a template.

mod terraform;
#[cfg(test)]
mod tests;
mod wanted;

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::{self, Format};
use crate::edit::settings;
use crate::host::Host;
use crate::say::error::Error;
use crate::say::finding::written;
use wanted::Wanted;

/// The calls of the refresher, on all resources; the groups are filled in here.
const SHIPPED: &str = include_str!("../../../config/iam-policy.json");
const VERSION: &str = "2012-10-17";

pub(crate) fn run(host: &Host, args: &cli::Policy, out: &mut dyn Write) -> Result<u8, Error> {
    let wanted = Wanted::of(args, &settings::load(host)?)?;
    let text = match args.format {
        Format::Json => pretty(&policy(&wanted, &arn(&wanted))?)?,
        Format::Cfn => pretty(&cfn(&wanted)?)?,
        Format::Terraform => terraform::text(&wanted, &actions()?),
    };
    written(writeln!(out, "{}", text.trim_end()))?;
    if wanted.role.is_some() && args.format != Format::Json {
        crate::say::say(
            "hint: the instance's own role needs sts:AssumeRole on this role, too, if it is in another account",
        );
    }
    Ok(crate::say::error::OK)
}

/// `arn:aws:iam::123456789012`
fn arn(wanted: &Wanted) -> String {
    format!("arn:{}:iam::{}", wanted.partition, wanted.account.as_deref().unwrap_or("*"))
}

fn shipped() -> Result<Value, Error> {
    serde_json::from_str(SHIPPED)
        .map_err(|cause| Error::other(format!("the policy that is built in: {cause}")))
}

/// The policy document. A tag is read only where tags are used.
fn policy(wanted: &Wanted, arn: &str) -> Result<Value, Error> {
    let mut policy = shipped()?;
    for statement in policy.pointer_mut("/Statement").and_then(Value::as_array_mut).into_iter().flatten() {
        let of_groups = statement.pointer("/Action").and_then(Value::as_str) == Some("iam:GetGroup");
        if let Some(Value::Array(actions)) = statement.pointer_mut("/Action")
            && !wanted.tags
        {
            actions.retain(|action| action.as_str() != Some("iam:ListUserTags"));
        }
        if let Some(resource) = statement.pointer_mut("/Resource") {
            *resource =
                if of_groups { json!(wanted.group_arns(arn)) } else { json!(format!("{arn}:user/*")) };
        }
    }
    Ok(policy)
}

/// The calls on users, including tags.
fn actions() -> Result<Vec<String>, Error> {
    let shipped = shipped()?;
    let actions = shipped.pointer("/Statement/1/Action").and_then(Value::as_array);
    Ok(actions.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// A CloudFormation template, as JSON, which every tool reads.
fn cfn(wanted: &Wanted) -> Result<Value, Error> {
    let sub = |text: &str| json!({ "Fn::Sub": text });
    let account = wanted.account.as_deref().unwrap_or("${AWS::AccountId}");
    let mut document = policy(wanted, &format!("arn:${{AWS::Partition}}:iam::{account}"))?;
    for statement in document.pointer_mut("/Statement").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(resource) = statement.pointer_mut("/Resource") else { continue };
        *resource = match &*resource {
            Value::Array(arns) => arns.iter().filter_map(Value::as_str).map(sub).collect(),
            other => sub(other.as_str().unwrap_or_default()),
        };
    }
    let policies = json!([{ "PolicyName": "nss-iam", "PolicyDocument": document }]);
    let Some(role) = &wanted.role else {
        let trust = trust(json!({ "Service": "ec2.amazonaws.com" }), None);
        return Ok(json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "The role of instances with nss-iam: reads members and SSH keys of IAM groups",
            "Resources": {
                "InstanceRole": {
                    "Type": "AWS::IAM::Role",
                    "Properties": { "AssumeRolePolicyDocument": trust, "Policies": policies },
                },
                "InstanceProfile": {
                    "Type": "AWS::IAM::InstanceProfile",
                    "Properties": { "Roles": [{ "Ref": "InstanceRole" }] },
                },
            },
            "Outputs": { "InstanceProfile": { "Value": { "Ref": "InstanceProfile" } } },
        }));
    };
    let trust = trust(json!({ "AWS": { "Ref": "InstanceRoleArn" } }), wanted.external_id.as_deref());
    Ok(json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The role that instances with nss-iam assume: reads members and SSH keys of IAM groups",
        "Parameters": {
            "InstanceRoleArn": { "Type": "String", "Description": "ARN of the role in the instances' profile" },
        },
        "Resources": {
            "LookupRole": {
                "Type": "AWS::IAM::Role",
                "Properties": { "RoleName": role, "AssumeRolePolicyDocument": trust, "Policies": policies },
            },
        },
        "Outputs": { "RoleArn": { "Value": { "Fn::GetAtt": ["LookupRole", "Arn"] } } },
    }))
}

fn trust(principal: Value, external_id: Option<&str>) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    if let (Some(id), Some(fields)) = (external_id, statement.as_object_mut()) {
        fields.insert("Condition".to_owned(), json!({ "StringEquals": { "sts:ExternalId": id } }));
    }
    json!({ "Version": VERSION, "Statement": [statement] })
}

fn pretty(value: &Value) -> Result<String, Error> {
    serde_json::to_string_pretty(value)
        .map_err(|cause| Error::other(format!("cannot print the policy: {cause}")))
}
