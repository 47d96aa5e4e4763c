//! The policy and role as a Terraform configuration.

use crate::commands::policy::wanted::Wanted;

/// Replaces `arn:aws:iam::123456789012`.
const ARN: &str = "arn:${data.aws_partition.current.partition}:iam::";
const HEAD: &str = "\
data \"aws_caller_identity\" \"current\" {}
data \"aws_partition\" \"current\" {}
";

pub(super) fn text(wanted: &Wanted, actions: &[String]) -> String {
    let account = wanted.account.as_deref().unwrap_or("${data.aws_caller_identity.current.account_id}");
    let arn = format!("{ARN}{account}");
    let actions: Vec<String> =
        actions.iter().filter(|action| wanted.tags || *action != "iam:ListUserTags").cloned().collect();
    let document = document(
        "nss_iam",
        &[
            statement("ReadMembersOfGroups", &["iam:GetGroup".to_owned()], &wanted.group_arns(&arn)),
            statement("ReadKeysGroupsAndTagsOfUsers", &actions, &[format!("{arn}:user/*")]),
        ],
    );
    let (variable, principal, role, profile) = match &wanted.role {
        Some(role) => (
            "\nvariable \"instance_role_arn\" {\n  description = \"ARN of the role in the instances' profile\"\n  type        = string\n}\n",
            principal("AWS", "var.instance_role_arn"),
            format!("name               = {}", quoted(role)),
            "",
        ),
        None => (
            "",
            principal("Service", "\"ec2.amazonaws.com\""),
            "name_prefix        = \"nss-iam-\"".to_owned(),
            "\nresource \"aws_iam_instance_profile\" \"nss_iam\" {\n  name_prefix = \"nss-iam-\"\n  role        = aws_iam_role.nss_iam.name\n}\n",
        ),
    };
    let condition = wanted.external_id.as_ref().filter(|_| wanted.role.is_some()).map_or(String::new(), |id| {
        format!(
            "    condition {{\n      test     = \"StringEquals\"\n      variable = \"sts:ExternalId\"\n      values   = [{}]\n    }}\n",
            quoted(id)
        )
    });
    let trust = format!("  statement {{\n    actions = [\"sts:AssumeRole\"]\n{principal}{condition}  }}\n");
    let trust = self::document("nss_iam_trust", &[trust]);
    format!(
        "{HEAD}{variable}\n{document}\n{trust}\nresource \"aws_iam_role\" \"nss_iam\" {{\n  {role}\n  \
         assume_role_policy = data.aws_iam_policy_document.nss_iam_trust.json\n}}\n\n\
         resource \"aws_iam_role_policy\" \"nss_iam\" {{\n  name   = \"nss-iam\"\n  role   = aws_iam_role.nss_iam.id\n  \
         policy = data.aws_iam_policy_document.nss_iam.json\n}}\n{profile}"
    )
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
