//! One object in S3: read if it changed, and replaced only if nobody else replaced it meanwhile.

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::result::ConnectorError;
use config::Config;
use listing::{Failure, FailureKind, MAX_BYTES};

use super::calls::Means;
use super::place::{Chosen, Place};
use super::sdk::{Aws, retries};
use super::watch::{Caller, Service, Watch};
use crate::fetch::accounts::Configured;
use crate::fetch::failure::{Reason, Refusal};

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";

/// A body is checked while it is read, against the length that its head states.
const SERVICE: Service = Service { is_missing: |code, _| code == NO_SUCH_KEY, is_whole: |_, _| true };

const NO_SUCH_KEY: &str = "NoSuchKey";

/// The limit for one attempt to upload: the largest listing at 40 Mbit/s.
const UPLOAD: Duration = Duration::from_secs(60);

/// An object in S3, with the permissions of one role.
#[derive(Debug)]
pub(crate) struct Object {
    client: Client,
    caller: Caller,
    bucket: String,
    key: String,
    region: Chosen,
    /// The role that is assumed, if one is.
    role: Option<String>,
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// It is still the one with the known ETag.
    Unchanged,
    /// Its ETag and content.
    Content(String, Vec<u8>),
}

/// The outcome of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Written,
    /// It is not the expected object any more, or another write is in progress.
    Raced,
}

impl Object {
    /// Uses the role of the first account. Without one, STS is not asked for anything: hosts that read an object every few
    /// seconds would only load it.
    pub(crate) async fn open(
        config: &Config,
        (bucket, key): (&str, &str),
        means: Means,
    ) -> Result<Self, Failure> {
        let aws = Aws::reach(&config.aws, config.source.policy(), means).await?;
        let mut place = Place { account: "credentials of this host".to_owned(), ..aws.place("", "") };
        let mut builder = Builder::from(&aws.reached.sdk).retry_partition(retries("s3", bucket));
        if config.aws.role.is_some() {
            let account = Configured::first(config);
            let role = aws.role(&aws.identity().await?, &account).await?;
            place = aws.place(&role.account, account.name);
            if let Some(credentials) = role.credentials {
                builder = builder.credentials_provider(credentials);
            }
        }
        let endpoint = config.aws.endpoint_url_s3.as_deref();
        if let Some(url) = endpoint {
            builder = builder.endpoint_url(url);
        }
        let is_path_style = is_path_style(bucket, endpoint.or(aws.reached.sdk.endpoint_url()));
        let region = place.region.clone();
        Ok(Self {
            client: Client::from_conf(builder.force_path_style(is_path_style).build()),
            caller: aws.caller(&SERVICE, String::new(), place),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            region,
            role: config.aws.role.clone(),
        })
    }

    /// Reads the object, unless it has this ETag.
    pub(crate) async fn get(&self, known: Option<&str>) -> Result<Got, Refusal> {
        let call = self.client.get_object().bucket(&self.bucket).key(&self.key);
        let call = call.set_if_none_match(known.map(str::to_owned));
        let read = self
            .call(GET, |watch| async {
                let answer = call.customize().interceptor(watch).send().await?;
                let body = body(answer.body, answer.content_length).await;
                // No answer of S3, but of the connection.
                let body = body.map_err(|cause| SdkError::dispatch_failure(ConnectorError::io(cause)))?;
                Ok((answer.e_tag, body))
            })
            .await;
        match read {
            Ok((Some(etag), Some(body))) => Ok(Got::Content(etag, body)),
            Ok((None, _)) => Err(self.caller.contradiction(GET, &self.name(), "an object without an ETag")),
            Ok((_, None)) => {
                let cause = format!("the object is larger than {} MiB", MAX_BYTES >> 20);
                let failure = self.caller.failure(GET, &self.name(), &cause, "", FailureKind::Held);
                Err(Refusal { reason: Reason::Contradiction, failure })
            }
            Err(refusal) if known.is_some() && refusal.reason == Reason::Status(304) => Ok(Got::Unchanged),
            Err(refusal) => Err(refusal),
        }
    }

    /// Writes the object if the one there has this ETag; `None`: if there is none.
    pub(crate) async fn put(&self, content: Vec<u8>, over: Option<&str>) -> Result<Put, Refusal> {
        let attempt = TimeoutConfig::builder().read_timeout(UPLOAD).operation_attempt_timeout(UPLOAD).build();
        let call = self.client.put_object().bucket(&self.bucket).key(&self.key);
        let call = match over {
            Some(etag) => call.if_match(etag),
            None => call.if_none_match("*"),
        };
        let call = call.content_type("application/octet-stream").body(ByteStream::from(content));
        let put = self
            .call(PUT, |watch| {
                call.customize()
                    .interceptor(watch)
                    .config_override(Builder::default().timeout_config(attempt))
                    .send()
            })
            .await;
        match put {
            Ok(_) => Ok(Put::Written),
            Err(refusal) if is_raced(&refusal.reason, over.is_some()) => Ok(Put::Raced),
            Err(refusal) => Err(refusal),
        }
    }

    /// `bucket/key`
    fn name(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    /// Makes one call.
    async fn call<T, E, F>(
        &self,
        action: &'static str,
        send: impl FnOnce(Watch<E>) -> F,
    ) -> Result<T, Refusal>
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let called = self.caller.call(action, &self.name(), send).await;
        called.map_err(|refusal| {
            let (kind, hint) = match self.remedy(action, &refusal) {
                Some((kind, hint)) => (kind, hint),
                None => return refusal,
            };
            Refusal { failure: Failure { kind, hint, ..refusal.failure }, ..refusal }
        })
    }

    /// What to do about what only S3 answers.
    fn remedy(&self, action: &str, refusal: &Refusal) -> Option<(FailureKind, String)> {
        use FailureKind::{Configuration, Denied};
        let (bucket, region) = (&self.bucket, &self.region.region);
        let code = match &refusal.reason {
            Reason::Denied => return Some((Denied, self.to_allow(action, &refusal.failure.cause))),
            Reason::NotFound => NO_SUCH_KEY,
            Reason::Code(code) => code,
            Reason::Status(301 | 307) => "PermanentRedirect",
            _ => return None,
        };
        match code {
            NO_SUCH_KEY => Some((
                Configuration,
                format!("was the object ever published? aws s3 ls 's3://{bucket}/{}'", self.key),
            )),
            "NoSuchBucket" | "InvalidBucketName" => Some((
                Configuration,
                format!("is '{bucket}' the name of the bucket? aws s3api head-bucket --bucket '{bucket}'"),
            )),
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => Some((
                Configuration,
                format!(
                    "region '{region}' comes from {}, and the bucket is in another one: aws s3api get-bucket-location \
                     --bucket '{bucket}'; set [aws] region",
                    self.region.from
                ),
            )),
            _ => None,
        }
    }

    /// Who lacks a permission.
    fn caller_role(&self) -> String {
        self.role
            .as_ref()
            .map_or_else(|| "the role of this host".to_owned(), |role| format!("the role '{role}'"))
    }

    fn to_allow(&self, action: &str, cause: &str) -> String {
        if cause.contains("kms:") {
            let more = if action == PUT { " and kms:GenerateDataKey" } else { "" };
            return format!(
                "the bucket is encrypted: allow kms:Decrypt{more} on its key to {}",
                self.caller_role()
            );
        }
        let partition = partition(&self.region.region);
        let missing = match action {
            GET => "; S3 denies this, too, if there is no such object and s3:ListBucket is not allowed",
            _ => "",
        };
        format!(
            "allow {action} on 'arn:{partition}:s3:::{}' to {}, and check the policy of the bucket{missing}",
            self.name(),
            self.caller_role()
        )
    }
}

/// Whether the bucket is named in the path, not in the host: other endpoints need not have a host for each bucket, and no
/// certificate is for a name with a bucket's dots before the endpoint's.
fn is_path_style(bucket: &str, endpoint: Option<&str>) -> bool {
    endpoint.is_some() || bucket.contains('.')
}

/// AWS General Reference, "Amazon Resource Names".
fn partition(region: &str) -> &'static str {
    match region.split_once('-') {
        Some(("cn", _)) => "aws-cn",
        Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// S3 User Guide, "How to prevent object overwrites with conditional writes". An object that was to be replaced and was
/// deleted is not found.
fn is_raced(reason: &Reason, is_replaced: bool) -> bool {
    match reason {
        Reason::Code(code) => ["PreconditionFailed", "ConditionalRequestConflict"].contains(&code.as_str()),
        Reason::Status(409 | 412) => true,
        Reason::NotFound => is_replaced,
        _ => false,
    }
}

/// The whole body. `None`: it is larger than a listing can be.
async fn body(
    mut body: ByteStream,
    stated: Option<i64>,
) -> Result<Option<Vec<u8>>, Box<dyn StdError + Send + Sync>> {
    let stated = stated.and_then(|length| u64::try_from(length).ok());
    if stated.is_some_and(|length| length > MAX_BYTES) {
        return Ok(None);
    }
    let mut read = Vec::new();
    while let Some(part) = body.try_next().await? {
        if (read.len() + part.len()) as u64 > MAX_BYTES {
            return Ok(None);
        }
        read.extend_from_slice(&part);
    }
    match stated {
        Some(length) if length != read.len() as u64 => {
            Err(format!("the object was cut off after {} of {length} bytes", read.len()).into())
        }
        _ => Ok(Some(read)),
    }
}

#[cfg(test)]
mod tests;
