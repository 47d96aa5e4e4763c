//! The identity of this host in AWS, and the role that reads an account.

use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, Credentials};
use listing::{Failure, FailureKind};

use super::credentials::Lack;
use super::sdk::{Aws, retries};
use super::watch::QUERY;
use crate::fetch::accounts::Configured;
use crate::fetch::failure::failure;

/// RoleSessionName if the configuration has none. CloudTrail shows it.
const SESSION: &str = "nss-iam@<instance-id>";

/// STS accepts 2 to 64 characters.
const LONGEST_SESSION: usize = 64;

/// The identity of this host in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    account: String,
    arn: String,
}

/// The role that reads an account.
pub(super) struct Role {
    /// The account's id.
    pub(super) account: String,
    /// For hints: `the role 'IAMKeyLookup'`.
    pub(super) called: String,
    /// `None`: the host's own.
    pub(super) credentials: Option<Credentials>,
}

impl Identity {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }

    fn role_arn(&self, role: &str) -> String {
        if role.starts_with("arn:") {
            return role.to_owned();
        }
        format!("arn:{}:iam::{}:role/{}", self.partition(), self.account, role.trim_start_matches('/'))
    }
}

impl Aws<'_> {
    /// By GetCallerIdentity, which needs no permission.
    pub(super) async fn identity(&self) -> Result<Identity, Failure> {
        let client = self.sts("base");
        let denied = "this call needs no permission: does a policy of the organization or of the VPC endpoint deny it?";
        let answer = self
            .caller(&QUERY, denied.to_owned())
            .call("sts:GetCallerIdentity", "this host", |watch| {
                client.get_caller_identity().customize().interceptor(watch).send()
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Err(self.why_no_credentials(refusal.failure).await),
        };
        match (answer.account, answer.arn) {
            (Some(account), Some(arn)) => Ok(Identity { account, arn }),
            _ => Err(failure(
                "sts:GetCallerIdentity",
                "this host",
                "an answer without account and ARN",
                "see [aws] endpoint_url_sts",
                FailureKind::Unavailable,
            )),
        }
    }

    /// The SDK reports an instance without a role in the same way as metadata that did not answer. The first needs an
    /// administrator, the second may be temporary.
    async fn why_no_credentials(&self, failure: Failure) -> Failure {
        if self.credentials.lack() != Some(Lack::Metadata) {
            return failure;
        }
        let (cause, hint, kind) = match self.imds.role(self.deadline).await {
            Ok(Some(_)) => {
                let hint = "instance metadata names a role; the next refresh asks again for its credentials";
                (failure.cause, hint, FailureKind::Unavailable)
            }
            Ok(None) => (
                "the instance has no role".to_owned(),
                "attach an instance profile to the instance",
                FailureKind::Denied,
            ),
            Err(unmet) => (unmet.cause, unmet.hint, unmet.kind),
        };
        self::failure(&failure.call, &failure.on, &format!("no credentials: {cause}"), hint, kind)
    }

    /// The configured role of the account, or the host's own.
    pub(super) async fn role(&self, identity: &Identity, account: &Configured<'_>) -> Result<Role, Failure> {
        let Some(role) = account.role else {
            return Ok(Role {
                account: identity.account.clone(),
                called: "the instance's role".to_owned(),
                credentials: None,
            });
        };
        let arn = identity.role_arn(role);
        let session = self.session_name().await;
        let client = self.sts(account.name);
        let denied = format!(
            "names of roles are case-sensitive; does the role exist, and does its trust policy name '{}'?",
            identity.arn
        );
        let answer = self
            .caller(&QUERY, denied)
            .call("sts:AssumeRole", &arn, |watch| {
                client
                    .assume_role()
                    .role_arn(&arn)
                    .role_session_name(session)
                    .set_external_id(account.external_id.map(str::to_owned))
                    .customize()
                    .interceptor(watch)
                    .send()
            })
            .await
            .map_err(|refusal| refusal.failure)?;
        let Some(given) = answer.credentials else {
            let cause = "an answer without credentials";
            return Err(failure("sts:AssumeRole", &arn, cause, "", FailureKind::Unavailable));
        };
        let credentials = Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            None,
            "AssumeRole",
        );
        Ok(Role {
            account: arn.split(':').nth(4).unwrap_or_default().to_owned(),
            called: format!("the role '{role}'"),
            credentials: Some(credentials),
        })
    }

    fn sts(&self, name: &str) -> Client {
        let mut builder = Builder::from(&self.sdk).retry_partition(retries("sts", name));
        if let Some(url) = &self.config.endpoint_url_sts {
            builder = builder.endpoint_url(url);
        }
        Client::from_conf(builder.build())
    }

    async fn session_name(&self) -> String {
        let name = self.config.session_name.as_deref().unwrap_or(SESSION);
        if !name.contains("<instance-id>") {
            return session(name);
        }
        let host = match self.imds.instance_id(self.deadline).await {
            Some(id) => id,
            None => nix::unistd::gethostname()
                .map(|host| host.to_string_lossy().into_owned())
                .unwrap_or_else(|_| "unknown".to_owned()),
        };
        session(&name.replace("<instance-id>", &host))
    }
}

/// A name that STS accepts: `[\w+=,.@-]{2,64}`.
fn session(name: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character);
    let name = name.chars().map(|character| if fits(character) { character } else { '-' });
    name.take(LONGEST_SESSION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_becomes_an_arn_in_the_callers_account_and_partition() {
        let identity = Identity {
            account: "123456789012".to_owned(),
            arn: "arn:aws-cn:sts::123456789012:assumed-role/Host/i-0".to_owned(),
        };
        assert_eq!(identity.role_arn("KeyLookup"), "arn:aws-cn:iam::123456789012:role/KeyLookup");
        assert_eq!(identity.role_arn("ops/KeyLookup"), "arn:aws-cn:iam::123456789012:role/ops/KeyLookup");
        let arn = "arn:aws:iam::210987654321:role/KeyLookup";
        assert_eq!(identity.role_arn(arn), arn);
    }

    #[test]
    fn a_session_name_is_what_sts_takes_whatever_the_host_is_called() {
        assert_eq!(session("nss-iam@i-0abc"), "nss-iam@i-0abc");
        assert_eq!(session("nss-iam@büro pc"), "nss-iam@b-ro-pc");
        assert_eq!(session(&"x".repeat(100)).len(), 64);
    }
}
