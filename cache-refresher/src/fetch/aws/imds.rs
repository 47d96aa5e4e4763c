//! Instance metadata (IMDSv2): the instance's id and role, and the tag that names groups.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::imds::Client;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use config::GroupNames;
use listing::{Failure, FailureKind};
use tokio::time::timeout_at;

use super::deadline::Deadline;
use super::error::{cause_of, has_no_route};
use super::http::{Asked, Connections};
use super::place::host_of;
use crate::fetch::failure::failure;

/// The path of the instance's own tags, if its options allow to read them.
const TAGS: &str = "/latest/meta-data/tags/instance";

/// The same limit as the SDK's: the service is on this machine, or does not exist.
const PATIENCE: Duration = Duration::from_secs(1);

/// The metadata of this instance, which is reached without a proxy.
#[derive(Debug)]
pub(super) struct Imds {
    /// `None` if the environment disables it.
    client: Option<Client>,
    wire: Wire,
}

/// Why metadata could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmet {
    pub(super) cause: String,
    pub(super) hint: &'static str,
    pub(super) kind: FailureKind,
}

impl Imds {
    pub(super) fn new(connections: &Connections) -> Self {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
        let wire = Wire { pool: connections.pool(&settings), token: Arc::default(), asked: Asked::default() };
        #[expect(
            clippy::disallowed_methods,
            reason = "a variable of all SDKs, which this client alone does not obey"
        )]
        let disabled = std::env::var("AWS_EC2_METADATA_DISABLED");
        if disabled.is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
            return Self { client: None, wire };
        }
        let pool = SharedHttpConnector::new(wire.clone());
        let http = http_client_fn(move |_, _| pool.clone());
        let config = ProviderConfig::without_region().with_http_client(http);
        Self { client: Some(Client::builder().configure(&config).build()), wire }
    }

    /// `None` outside EC2, or if there is no answer.
    pub(super) async fn region(&self, deadline: Deadline) -> Option<String> {
        let region = self.get("/latest/meta-data/placement/region".to_owned(), deadline).await.ok()??;
        Some(region.trim().to_owned()).filter(|region| !region.is_empty())
    }

    /// `None` outside EC2.
    pub(super) async fn instance_id(&self, deadline: Deadline) -> Option<String> {
        let client = self.client.as_ref()?;
        let answer = timeout_at(deadline.at, client.get("/latest/meta-data/instance-id")).await.ok()?;
        answer.ok().map(|id| id.as_ref().trim().to_owned())
    }

    /// The role of the instance profile, if there is one.
    pub(super) async fn role(&self, deadline: Deadline) -> Result<Option<String>, Unmet> {
        self.get("/latest/meta-data/iam/security-credentials/".to_owned(), deadline).await
    }

    /// The groups that an instance tag names: none if the instance does not have the tag. It is an error if the instance
    /// does not show its tags.
    pub(super) async fn groups_in_tag(
        &self,
        tag: &str,
        names: GroupNames,
        deadline: Deadline,
    ) -> Result<Vec<String>, Failure> {
        let path = format!("{TAGS}/{tag}");
        let failed = |cause: &str, hint: &str, kind| failure("imds:GetInstanceTag", tag, cause, hint, kind);
        let unmet = |unmet: Unmet| failed(&unmet.cause, unmet.hint, unmet.kind);
        match self.get(path, deadline).await.map_err(unmet)? {
            Some(value) => split(&value, names.fits).map_err(|name| {
                let cause = format!("'{name}' is not a valid name of {}", names.of);
                failed(&cause, "separate group names with ':' or spaces", FailureKind::Configuration)
            }),
            None => match self.get(TAGS.to_owned(), deadline).await.map_err(unmet)? {
                Some(_) => Ok(Vec::new()),
                None => {
                    let hint = "set the option InstanceMetadataTags of the instance: aws ec2 modify-instance-metadata-options \
                                --instance-metadata-tags enabled --instance-id INSTANCE";
                    Err(failed("the instance shows no tags", hint, FailureKind::Configuration))
                }
            },
        }
    }

    /// `None` if it does not exist.
    async fn get(&self, path: String, deadline: Deadline) -> Result<Option<String>, Unmet> {
        let Some(client) = &self.client else {
            let hint =
                "unset AWS_EC2_METADATA_DISABLED, or give credentials in variables AWS_* or in a profile";
            let cause = "instance metadata is disabled by AWS_EC2_METADATA_DISABLED".to_owned();
            return Err(Unmet { cause, hint, kind: FailureKind::Denied });
        };
        let asked = async {
            match client.get(path).await {
                Ok(text) => Ok(Some(text.as_ref().to_owned())),
                Err(ImdsError::ErrorResponse(answer)) => match answer.response().status().as_u16() {
                    404 => Ok(None),
                    status => Err(refused(&self.wire.service(), status)),
                },
                Err(error) => Err(self.wire.why(&cause_of(&error)).await),
            }
        };
        let outcome = timeout_at(deadline.at, asked).await;
        outcome.unwrap_or_else(|_| Err(silent(&self.wire.service(), &deadline.missed())))
    }
}

/// The connection to instance metadata. It records how the last request for a token ended, which the client reports only as
/// text.
#[derive(Debug, Clone)]
struct Wire {
    pool: SharedHttpConnector,
    token: Arc<Mutex<Option<Token>>>,
    asked: Asked,
}

/// A request for a token, and the status of the answer, if there was one.
#[derive(Debug, Clone)]
struct Token {
    uri: String,
    status: Option<u16>,
}

/// The path of IMDSv2 for tokens, below the address of the metadata service.
const TOKEN: &str = "/latest/api/token";

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri().to_owned();
        self.asked.note(&uri);
        let answer = self.pool.call(request);
        let token = Arc::clone(&self.token);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            if uri.ends_with(TOKEN) {
                let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
                *token.lock().unwrap_or_else(PoisonError::into_inner) = Some(Token { uri, status });
            }
            answer
        })
    }
}

impl Wire {
    /// `instance metadata at '169.254.169.254'`
    fn service(&self) -> String {
        let at = self.asked.url().map_or_else(String::new, |url| format!(" at '{}'", host_of(&url)));
        format!("instance metadata{at}")
    }

    /// Why the client got no answer.
    async fn why(&self, cause: &str) -> Unmet {
        let service = self.service();
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match token {
            Some(Token { status: Some(status), .. }) if !(200..300).contains(&status) => {
                refused(&service, status)
            }
            Some(Token { status: None, uri }) if self.answers_without_token(&uri).await => Unmet {
                cause: format!("{service} answers, but not when asked for a token (IMDSv2)"),
                hint: "in a container its hop limit must be at least 2: aws ec2 modify-instance-metadata-options \
                       --instance-id ID --http-put-response-hop-limit 2",
                kind: FailureKind::Unavailable,
            },
            _ => silent(&service, cause),
        }
    }

    /// EC2 User Guide, "Use instance metadata service": the hop limit applies only to answers to PUT requests. A request
    /// without a token is answered, with 401 if tokens are required.
    async fn answers_without_token(&self, token: &str) -> bool {
        let Some(address) = token.strip_suffix(TOKEN) else {
            return false;
        };
        match HttpRequest::get(format!("{address}/latest/meta-data/")) {
            Ok(request) => self.pool.call(request).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// If nothing answers.
fn silent(service: &str, cause: &str) -> Unmet {
    Unmet {
        cause: format!("{service} did not answer: {cause}"),
        hint: if has_no_route(cause) {
            "this host has no route to instance metadata: is its network up ('ip route')? outside EC2, give \
             credentials in variables AWS_* or in the AWS configuration file"
        } else {
            "on EC2, is instance metadata reachable from here (firewall, namespace)? elsewhere, give credentials \
             in variables AWS_* or in a profile"
        },
        kind: FailureKind::Unavailable,
    }
}

/// If a request for a token, or with one, got this status.
fn refused(service: &str, status: u16) -> Unmet {
    let cause = format!("{service} did not answer: HTTP status {status}");
    match status {
        // EC2 User Guide, "Use instance metadata service": 403, "the IMDS is turned off".
        403 => Unmet {
            cause: format!("{service} is switched off: HTTP status {status}"),
            hint: "switch it on: aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled",
            kind: FailureKind::Denied,
        },
        401 => Unmet {
            cause: format!("{service} refused its own token: HTTP status {status}"),
            hint: "does every request reach the same instance's metadata, or is a proxy in between?",
            kind: FailureKind::Denied,
        },
        500.. => Unmet {
            cause,
            hint: "instance metadata limits the rate of requests; the next refresh asks again",
            kind: FailureKind::Unavailable,
        },
        _ => Unmet {
            cause,
            hint: "something other than EC2 answers: check AWS_EC2_METADATA_SERVICE_ENDPOINT",
            kind: FailureKind::Unavailable,
        },
    }
}

/// Splits `Ops:Admins` or `Ops Admins`. The error is a name that is not valid.
fn split(value: &str, is_name: fn(&str) -> bool) -> Result<Vec<String>, String> {
    value
        .split(|character: char| character == ':' || character.is_whitespace())
        .filter(|name| !name.is_empty())
        .map(|name| if is_name(name) { Ok(name.to_owned()) } else { Err(name.to_owned()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_network_gets_no_advice_about_roles() {
        let told = silent("x", "tcp connect error: Network is unreachable (os error 101)");
        assert!(told.hint.contains("is its network up") && !told.hint.contains("profile"), "{told:?}");
        assert!(silent("x", "timed out").hint.contains("firewall"));
    }

    #[test]
    fn every_kind_of_error_names_the_address_of_the_service() {
        let service = "instance metadata at '169.254.169.254'";
        let mut told = vec![silent(service, "no time left"), silent(service, "Network is unreachable")];
        told.extend([400, 401, 403, 404, 500, 503].map(|status| refused(service, status)));
        for Unmet { cause, .. } in told {
            assert!(cause.starts_with(service), "{cause}");
        }
    }

    #[test]
    fn groups_in_a_tag_are_parted_by_colons_or_spaces_and_nothing_else_is_taken() {
        let split = |value: &str| split(value, config::Source::Iam.group_names().fits);
        assert_eq!(split("Ops:Admins").unwrap(), ["Ops", "Admins"]);
        assert_eq!(split(" Ops  Admins: \n").unwrap(), ["Ops", "Admins"]);
        assert_eq!(split("").unwrap(), [""; 0]);
        assert_eq!(split("Ops:../x").unwrap_err(), "../x");
        assert_eq!(split(&"x".repeat(129)).unwrap_err().len(), 129);
    }
}
