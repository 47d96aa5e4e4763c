//! Who the host is, and the role that reads an account.

use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use listing::{Failure, FailureKind};

use super::Aws;
use super::credentials::Lack;
use super::iam::Iam;
use super::watch::Caller;
use crate::fetch::failure::failure;

/// RoleSessionName where the configuration has none; it stands in CloudTrail.
const SESSION: &str = "nss-iam@<instance-id>";

/// STS takes 2 to 64 characters.
const LONGEST_SESSION: usize = 64;

/// Who this host is in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    pub(crate) arn: String,
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
    /// GetCallerIdentity, which needs no permission.
    pub(crate) async fn identity(&self) -> Result<Identity, Failure> {
        let client = self.sts("base");
        let caller = Caller {
            deadline: self.deadline,
            calls: self.calls.clone(),
            who: "the instance's role".to_owned(),
        };
        let answer = caller
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

    /// The SDK says in one and the same way that an instance has no role and that its metadata did not answer: the
    /// first needs a person, the second may pass.
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

    /// An account as `role` sees it, or as this host does, and the account's id.
    pub(crate) async fn account(
        &self,
        identity: &Identity,
        name: &str,
        role: Option<&str>,
        external_id: Option<&str>,
    ) -> Result<(Iam, String), Failure> {
        let Some(role) = role else {
            return Ok((self.iam(name, "the instance's role".to_owned(), None), identity.account.clone()));
        };
        let arn = identity.role_arn(role);
        let session = self.session_name().await;
        let client = self.sts(name);
        let caller =
            Caller { deadline: self.deadline, calls: self.calls.clone(), who: format!("'{}'", identity.arn) };
        let answer = caller
            .call("sts:AssumeRole", &arn, |watch| {
                client
                    .assume_role()
                    .role_arn(&arn)
                    .role_session_name(session)
                    .set_external_id(external_id.map(str::to_owned))
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
        let credentials = aws_sdk_sts::config::Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            None,
            "AssumeRole",
        );
        let id = arn.split(':').nth(4).unwrap_or_default().to_owned();
        Ok((self.iam(name, format!("the role '{role}'"), Some(credentials)), id))
    }

    fn sts(&self, name: &str) -> Client {
        let mut builder = Builder::from(&self.sdk).retry_partition(super::retries("sts", name));
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

/// What STS takes: `[\w+=,.@-]{2,64}`.
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
