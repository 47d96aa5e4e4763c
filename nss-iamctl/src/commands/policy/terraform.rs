//! A role and its policies as a Terraform configuration.

use super::document::{ASSUME, Actions, DETAILS};
use super::wanted::{Grant, Reader, Wanted};

/// Replaces `arn:aws:iam::123456789012`.
const ARN: &str = "arn:${data.aws_partition.current.partition}:iam::";
const HEAD: &str = "\
data \"aws_caller_identity\" \"current\" {}
data \"aws_partition\" \"current\" {}
";

/// The configuration for a role that the host assumes, or for its own.
pub(super) fn text(wanted: &Wanted, role: Option<&Reader>, actions: &Actions) -> String {
    let reader = role.or(wanted.host.reads.as_ref());
    let mut statements = reader.map_or_else(Vec::new, |reader| of_reader(reader, actions));
    if role.is_none() {
        statements.extend(to_assume(wanted));
    }
    let document = document("nss_iam", &statements);
    let (variable, principal, named, profile) = match role {
        Some(role) => (
            "\nvariable \"instance_role_arn\" {\n  description = \"ARN of the role in the instances' profile\"\n  type        = string\n}\n",
            principal("AWS", "var.instance_role_arn"),
            format!(
                "name               = {}{}",
                quoted(role.role_name().unwrap_or_default()),
                role.role_path()
                    .map_or(String::new(), |path| format!("\n  path               = {}", quoted(&path)))
            ),
            "",
        ),
        None => (
            "",
            principal("Service", "\"ec2.amazonaws.com\""),
            "name_prefix        = \"nss-iam-\"".to_owned(),
            "\nresource \"aws_iam_instance_profile\" \"nss_iam\" {\n  name_prefix = \"nss-iam-\"\n  role        = aws_iam_role.nss_iam.name\n}\n",
        ),
    };
    let condition = role.and_then(|role| role.external_id.as_ref()).map_or(String::new(), |id| {
        format!(
            "    condition {{\n      test     = \"StringEquals\"\n      variable = \"sts:ExternalId\"\n      values   = [{}]\n    }}\n",
            quoted(id)
        )
    });
    let trust = format!("  statement {{\n    actions = [\"sts:AssumeRole\"]\n{principal}{condition}  }}\n");
    let trust = self::document("nss_iam_trust", &[trust]);
    format!(
        "{HEAD}{variable}\n{document}\n{trust}\nresource \"aws_iam_role\" \"nss_iam\" {{\n  {named}\n  \
         assume_role_policy = data.aws_iam_policy_document.nss_iam_trust.json\n}}\n\n\
         resource \"aws_iam_role_policy\" \"nss_iam\" {{\n  name   = \"nss-iam\"\n  role   = aws_iam_role.nss_iam.id\n  \
         policy = data.aws_iam_policy_document.nss_iam.json\n}}\n{profile}"
    )
}

fn prefix(account: Option<&str>) -> String {
    let account = account.unwrap_or("${data.aws_caller_identity.current.account_id}");
    format!("{ARN}{account}")
}

fn of_reader(reader: &Reader, actions: &Actions) -> Vec<String> {
    let mut statements = of_groups(reader, actions);
    for Grant { sid, actions, resource } in reader.grants(&prefix(reader.account.as_deref())) {
        let actions: Vec<String> = actions.iter().map(ToString::to_string).collect();
        statements.push(statement(sid, &actions, &[resource]));
    }
    statements
}

fn of_groups(reader: &Reader, actions: &Actions) -> Vec<String> {
    if reader.groups.is_empty() {
        return Vec::new();
    }
    let arn = prefix(reader.account.as_deref());
    if let Some(stores) = reader.store_arns(&arn) {
        return vec![statement("ReadMembersOfGroups", &actions.stores, &stores)];
    }
    let actions: Vec<String> =
        actions.users.iter().filter(|action| reader.tags || *action != "iam:ListUserTags").cloned().collect();
    let [action, sid] = DETAILS;
    let details = reader.details.then(|| statement(sid, &[action.to_owned()], &["*".to_owned()]));
    [
        statement("ReadMembersOfGroups", &["iam:GetGroup".to_owned()], &reader.group_arns(&arn)),
        statement("ReadKeysGroupsAndTagsOfUsers", &actions, &[format!("{arn}:user/*")]),
    ]
    .into_iter()
    .chain(details)
    .collect()
}

fn to_assume(wanted: &Wanted) -> Option<String> {
    let of_host = prefix(wanted.host.account.as_deref());
    let arns: Vec<String> = wanted.roles.iter().filter_map(|role| role.role_arn(&of_host)).collect();
    (!arns.is_empty()).then(|| statement(ASSUME, &["sts:AssumeRole".to_owned()], &arns))
}

fn document(name: &str, statements: &[String]) -> String {
    format!("data \"aws_iam_policy_document\" \"{name}\" {{\n{}}}\n", statements.concat())
}

fn statement(sid: &str, actions: &[String], resources: &[String]) -> String {
    format!(
        "  statement {{\n    sid       = \"{sid}\"\n    actions   = [{}]\n    resources = [{}]\n  }}\n",
        list(actions),
        list(resources)
    )
}

fn principal(kind: &str, identifier: &str) -> String {
    format!("    principals {{\n      type        = \"{kind}\"\n      identifiers = [{identifier}]\n    }}\n")
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    texts.join(", ")
}

/// A string literal for any text: `${` and `%{` would begin templates.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{text}\"")
}
