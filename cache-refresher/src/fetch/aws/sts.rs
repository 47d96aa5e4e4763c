//! The identity of this host in AWS, and the role that reads an account.

use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, Credentials};
use listing::{Failure, FailureKind};

use super::credentials::Lack;
use super::role::{Identity, Role};
use super::sdk::{Aws, retries};
use super::watch::QUERY;
use crate::fetch::accounts::Configured;
use crate::fetch::failure::failure;

/// RoleSessionName if the configuration has none. CloudTrail shows it.
const SESSION: &str = "nss-iam@<instance-id>";

/// STS accepts 2 to 64 characters.
const LONGEST_SESSION: usize = 64;

impl Identity {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }

    /// What a trust policy names: the role, and not one session of it. A session's ARN does not have the path of its role.
    fn principal(&self) -> String {
        let parts: Vec<&str> = self.arn.split([':', '/']).collect();
        match parts[..] {
            ["arn", partition, "sts", _, account, "assumed-role", role, _] => {
                format!("arn:{partition}:iam::{account}:role/{role}")
            }
            _ => self.arn.clone(),
        }
    }

    /// What to do if this identity may not assume a role.
    fn to_assume(&self, external_id: Option<&str>) -> String {
        let principal = self.principal();
        let path = match name_of_role(&principal) {
            Some(role) if principal != self.arn => {
                format!(", with the path of that role if it has one (aws iam get-role --role-name {role})")
            }
            _ => String::new(),
        };
        let external = match external_id {
            Some(id) => format!("does its sts:ExternalId equal external_id, '{id}'"),
            None => "does it ask for an sts:ExternalId, while external_id is not set".to_owned(),
        };
        format!(
            "names of roles are case-sensitive: does the role exist? does its trust policy name '{principal}'{path}? \
             {external}? may that identity call sts:AssumeRole? 'nss-iamctl policy' prints what both need"
        )
    }

    fn role_arn(&self, role: &str) -> String {
        if role.starts_with("arn:") {
            return role.to_owned();
        }
        format!("arn:{}:iam::{}:role/{}", self.partition(), self.account, role.trim_start_matches('/'))
    }
}

impl Aws<'_> {
    /// By GetCallerIdentity, which needs no permission, unless it is known.
    pub(super) async fn identity(&self) -> Result<Identity, Failure> {
        let known = self.reached.roles.lock().0.clone();
        if let Some(identity) = known {
            return Ok(identity);
        }
        let identity = self.ask_identity().await?;
        self.reached.roles.lock().0 = Some(identity.clone());
        Ok(identity)
    }

    async fn ask_identity(&self) -> Result<Identity, Failure> {
        let client = self.sts("base");
        let denied = "this call needs no permission: does a policy of the organization or of the VPC endpoint deny it?";
        let caller = self.caller(&QUERY, denied.to_owned(), self.place("", ""));
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
            _ => Err(caller.failure(
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
        if self.reached.credentials.lack() != Some(Lack::Metadata) {
            return failure;
        }
        let (cause, hint, kind) = match self.reached.imds.role(self.deadline).await {
            Ok(Some(_)) => {
                let hint = "instance metadata names a role; the next refresh asks again for its credentials";
                let cause = format!("no credentials: {}", failure.cause);
                return Failure { cause, hint: hint.to_owned(), kind: FailureKind::Unavailable, ..failure };
            }
            Ok(None) => (
                "the instance has no role".to_owned(),
                "attach an instance profile to the instance",
                FailureKind::Denied,
            ),
            Err(unmet) => (unmet.cause, unmet.hint, unmet.kind),
        };
        let cause = format!("no credentials: {cause}{}", self.place("", "").named(None));
        self::failure(&failure.call, &failure.on, &cause, hint, kind)
    }

    /// The configured role of the account, or the host's own.
    pub(super) async fn role(&self, identity: &Identity, account: &Configured<'_>) -> Result<Role, Failure> {
        let Some(role) = account.role else {
            return Ok(Role {
                account: identity.account.clone(),
                denied: to_allow(&identity.principal(), self.policy),
                credentials: None,
            });
        };
        let known = self.reached.roles.lock().1.get(account.name).cloned();
        if let Some(role) = known {
            return Ok(role);
        }
        let role = self.assume(identity, account, role).await?;
        self.reached.roles.lock().1.insert(account.name.to_owned(), role.clone());
        Ok(role)
    }

    async fn assume(
        &self,
        identity: &Identity,
        account: &Configured<'_>,
        role: &str,
    ) -> Result<Role, Failure> {
        let arn = identity.role_arn(role);
        let session = self.session_name().await;
        let client = self.sts(account.name);
        let denied = identity.to_assume(account.external_id);
        let id = account_of(&arn);
        let caller = self.caller(&QUERY, denied, self.place(id, account.name)).about(account.name);
        let answer = caller
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
            return Err(caller.failure(
                "sts:AssumeRole",
                &arn,
                cause,
                "see [aws] endpoint_url_sts",
                FailureKind::Unavailable,
            ));
        };
        let credentials = Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            None,
            "AssumeRole",
        );
        Ok(Role {
            account: id.to_owned(),
            denied: to_allow(&arn, self.policy),
            credentials: Some(credentials),
        })
    }

    fn sts(&self, name: &str) -> Client {
        let mut builder = Builder::from(&self.reached.sdk).retry_partition(retries("sts", name));
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
        let host = match self.reached.imds.instance_id(self.deadline).await {
            Some(id) => id,
            None => nix::unistd::gethostname()
                .map(|host| host.to_string_lossy().into_owned())
                .unwrap_or_else(|_| "unknown".to_owned()),
        };
        session(&name.replace("<instance-id>", &host))
    }
}

/// `123456789012`
fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The name of a role without its path, if this is the ARN of one. It becomes a word of a command line.
fn name_of_role(arn: &str) -> Option<&str> {
    let (_, path) = arn.split_once(":role/")?;
    let name = path.rsplit('/').next()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (!name.is_empty() && !name.starts_with('-') && name.bytes().all(fits)).then_some(name)
}

/// What to do if a call is denied to this role, or to a user, whom nss-iam should not be.
fn to_allow(arn: &str, policy: &str) -> String {
    match name_of_role(arn) {
        Some(role) => format!(
            "aws iam put-role-policy --role-name {role} --policy-name nss-iam --policy-document file://{policy}"
        ),
        None => format!("attach '{policy}' to '{arn}'"),
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

    fn identity(arn: &str) -> Identity {
        Identity { account: "123456789012".to_owned(), arn: arn.to_owned() }
    }

    #[test]
    fn a_trust_policy_names_the_role_and_not_one_session_of_it() {
        let of_instance = identity("arn:aws-cn:sts::123456789012:assumed-role/Host/i-0abc");
        assert_eq!(of_instance.principal(), "arn:aws-cn:iam::123456789012:role/Host");
        let told = of_instance.to_assume(Some("jump"));
        assert!(told.contains("name 'arn:aws-cn:iam::123456789012:role/Host', with the path"), "{told}");
        assert!(told.contains("--role-name Host)") && told.contains("external_id, 'jump'?"), "{told}");
        assert!(!told.contains("i-0abc"), "{told}");
        let of_user = identity("arn:aws:iam::123456789012:user/ana");
        assert_eq!(of_user.principal(), "arn:aws:iam::123456789012:user/ana");
        let told = of_user.to_assume(None);
        assert!(!told.contains("get-role") && told.contains("external_id is not set?"), "{told}");
    }

    #[test]
    fn the_policy_is_attached_by_a_command_unless_the_name_could_be_another_word_of_it() {
        let policy = "/usr/share/nss-iam/iam-policy.json";
        let told = to_allow("arn:aws:iam::123456789012:role/ops/Look", policy);
        let command = "aws iam put-role-policy --role-name Look --policy-name nss-iam --policy-document \
                       file:///usr/share/nss-iam/iam-policy.json";
        assert_eq!(told, command);
        for hostile in ["arn:aws:iam::1:role/$(id)", "arn:aws:iam::1:role/-x", "arn:aws:iam::1:user/ana"] {
            assert_eq!(to_allow(hostile, policy), format!("attach '{policy}' to '{hostile}'"));
        }
    }

    #[test]
    fn a_session_name_is_what_sts_takes_whatever_the_host_is_called() {
        assert_eq!(session("nss-iam@i-0abc"), "nss-iam@i-0abc");
        assert_eq!(session("nss-iam@büro pc"), "nss-iam@b-ro-pc");
        assert_eq!(session(&"x".repeat(100)).len(), 64);
    }
}
