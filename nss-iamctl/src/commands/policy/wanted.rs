//! What the policy is for, from the command line and the configuration, validated.

use config::{Config, Source};

use crate::cli;
use crate::say::error::Error;
use crate::say::show::printable;

/// The validated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub groups: Vec<String>,
    /// Whether tags are read.
    pub tags: bool,
    pub partition: String,
    /// Twelve digits; `None` for any account.
    pub account: Option<String>,
    /// The role to create for the instance role to assume; `None` for the instance role itself.
    pub role: Option<String>,
    pub external_id: Option<String>,
}

impl Wanted {
    /// # Errors
    /// When no group is known, or a name or an account id is not valid.
    pub(super) fn of(args: &cli::Policy, config: &Config) -> Result<Self, Error> {
        let groups = if args.groups.is_empty() { config.groups.clone() } else { args.groups.clone() };
        let wrong = |what: String| Error::configuration(what);
        if groups.is_empty() {
            let error = wrong("no IAM group is configured, so there is nothing to allow".to_owned());
            return Err(error.hint("nss-iamctl policy --format json --group GROUP"));
        }
        if let Some(group) = groups.iter().find(|group| !is_name(group)) {
            return Err(wrong(format!("'{}' is not a valid name of an IAM group", printable(group))));
        }
        match &config.source {
            Source::Iam => {}
            Source::File { url, .. } => {
                crate::say::say(format!("users come from '{}', not from IAM", printable(url)));
            }
        }
        // arn:aws:iam::123456789012:role/path/Name
        let configured = config.aws.role.as_deref().unwrap_or_default();
        let mut parts = configured.split(':').skip(1);
        let (partition, account) = (parts.next().unwrap_or("aws"), parts.nth(2));
        let account = args.account.as_deref().or(account);
        if let Some(account) =
            account.filter(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(wrong(format!(
                "'{}' is not an AWS account id, which has twelve digits",
                printable(account)
            )));
        }
        let role = args
            .role
            .as_deref()
            .or(config.aws.role.as_deref())
            .map(|role| role.rsplit('/').next().unwrap_or(role));
        if let Some(role) = role.filter(|role| !is_name(role)) {
            return Err(wrong(format!("'{}' is not a valid name of an IAM role", printable(role))));
        }
        Ok(Self {
            groups,
            tags: !config.tags.uses.is_empty(),
            partition: partition.to_owned(),
            account: account.map(str::to_owned),
            role: role.map(str::to_owned),
            external_id: config.aws.external_id.clone(),
        })
    }

    /// The ARNs of a group, which may have a path that GetGroup does not ask for.
    pub(super) fn group_arns(&self, arn: &str) -> Vec<String> {
        self.groups
            .iter()
            .flat_map(|group| [format!("{arn}:group/{group}"), format!("{arn}:group/*/{group}")])
            .collect()
    }
}

/// IAM's own rule for names; none of these characters means anything in an ARN pattern, a template or HCL.
fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
}
