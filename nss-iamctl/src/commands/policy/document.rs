//! The policy documents of IAM.

use serde_json::{Value, json};

use super::wanted::{Grant, Own, Reader, Wanted};
use crate::say::error::Error;

/// The calls of the refresher, on all resources; the groups are filled in here.
const SHIPPED: &str = include_str!("../../../../config/iam-policy.json");
/// The same for identity stores.
const OF_STORES: &str = include_str!("../../../../config/identity-center-policy.json");
const VERSION: &str = "2012-10-17";

/// The call of `[aws] account_details`, and the name of its statement. It has no resource.
pub(super) const DETAILS: [&str; 2] = ["iam:GetAccountAuthorizationDetails", "ReadAllUsersAndGroups"];

/// The name of the statement that lets a host assume roles.
pub(super) const ASSUME: &str = "AssumeRolesThatReadGroupsAndKeys";

/// What a person has to replace if the host's role is not known.
const UNKNOWN_HOST: &str = "arn:aws:iam::ACCOUNT-OF-THE-HOST:root";

/// Everything: the policy of the host's own role alone if it needs no other, or the policies of all roles.
pub(super) fn all(wanted: &Wanted) -> Result<Value, Error> {
    let own = of_host(wanted, &wanted.host.prefix(), wanted.host.reads.as_ref().map(Reader::prefix))?;
    if wanted.roles.is_empty() {
        return Ok(own);
    }
    let roles: Result<Vec<Value>, Error> = wanted
        .roles
        .iter()
        .map(|role| {
            Ok(json!({
                "For": role.shown(),
                "Role": role.role_arn(&wanted.host.prefix()),
                "Policy": of_reader(role, &role.prefix())?,
                "TrustPolicy": of_trust(&wanted.host, role),
            }))
        })
        .collect();
    Ok(json!({ "HostRole": { "Policy": own }, "Roles": roles? }))
}

/// The policy of the host's own role. The prefixes are those of ARNs in its account and of those that it reads.
pub(super) fn of_host(wanted: &Wanted, prefix: &str, reads: Option<String>) -> Result<Value, Error> {
    let mut policy = match (&wanted.host.reads, reads) {
        (Some(reader), Some(prefix)) => of_reader(reader, &prefix)?,
        _ => json!({ "Version": VERSION, "Statement": [] }),
    };
    let arns: Vec<String> = wanted.roles.iter().filter_map(|role| role.role_arn(prefix)).collect();
    if let (Some(statements), false) =
        (policy.pointer_mut("/Statement").and_then(Value::as_array_mut), arns.is_empty())
    {
        statements
            .push(json!({ "Sid": ASSUME, "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arns }));
    }
    Ok(policy)
}

/// The policy of a role that reads, and where it publishes, writes.
pub(super) fn of_reader(reader: &Reader, prefix: &str) -> Result<Value, Error> {
    let mut policy = of_groups(reader, prefix)?;
    let listings = reader.grants(prefix).into_iter().map(|Grant { sid, actions, resource }| {
        let action = if let [one] = actions { json!(one) } else { json!(actions) };
        json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource })
    });
    if let Some(statements) = policy.pointer_mut("/Statement").and_then(Value::as_array_mut) {
        statements.extend(listings);
    }
    Ok(policy)
}

/// A tag is read only where tags are used.
fn of_groups(reader: &Reader, prefix: &str) -> Result<Value, Error> {
    if reader.groups.is_empty() {
        return Ok(json!({ "Version": VERSION, "Statement": [] }));
    }
    let stores = reader.store_arns(prefix);
    let mut policy = shipped(if stores.is_some() { OF_STORES } else { SHIPPED })?;
    if let (Some(arns), Some(resource)) = (stores, policy.pointer_mut("/Statement/0/Resource")) {
        *resource = json!(arns);
        return Ok(policy);
    }
    for statement in statements(&mut policy) {
        let of_groups = statement.pointer("/Action").and_then(Value::as_str) == Some("iam:GetGroup");
        if let Some(Value::Array(actions)) = statement.pointer_mut("/Action")
            && !reader.tags
        {
            actions.retain(|action| action.as_str() != Some("iam:ListUserTags"));
        }
        if let Some(resource) = statement.pointer_mut("/Resource") {
            *resource =
                if of_groups { json!(reader.group_arns(prefix)) } else { json!(format!("{prefix}:user/*")) };
        }
    }
    if let (true, Some(statements)) =
        (reader.details, policy.pointer_mut("/Statement").and_then(Value::as_array_mut))
    {
        let [action, sid] = DETAILS;
        statements.push(json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": "*" }));
    }
    Ok(policy)
}

/// The trust policy of a role that the host assumes.
pub(super) fn of_trust(host: &Own, role: &Reader) -> Value {
    let principal = host.principal().unwrap_or_else(|| UNKNOWN_HOST.to_owned());
    trust(&json!({ "AWS": principal }), role.external_id.as_deref())
}

pub(super) fn trust(principal: &Value, external_id: Option<&str>) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    if let (Some(id), Some(fields)) = (external_id, statement.as_object_mut()) {
        fields.insert("Condition".to_owned(), json!({ "StringEquals": { "sts:ExternalId": id } }));
    }
    json!({ "Version": VERSION, "Statement": [statement] })
}

pub(super) fn statements(policy: &mut Value) -> impl Iterator<Item = &mut Value> {
    policy.pointer_mut("/Statement").and_then(Value::as_array_mut).into_iter().flatten()
}

fn shipped(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|cause| Error::other(format!("the policy that is built in: {cause}")))
}

/// The calls of the refresher.
pub(super) struct Actions {
    /// On users of IAM, including tags.
    pub users: Vec<String>,
    /// On identity stores.
    pub stores: Vec<String>,
}

pub(super) fn actions() -> Result<Actions, Error> {
    let of = |text, at| -> Result<Vec<String>, Error> {
        let shipped = shipped(text)?;
        let actions = shipped.pointer(at).and_then(Value::as_array);
        Ok(actions.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    Ok(Actions { users: of(SHIPPED, "/Statement/1/Action")?, stores: of(OF_STORES, "/Statement/0/Action")? })
}
