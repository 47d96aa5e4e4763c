//! Sets up the AWS SDK for all accounts: region, connections, retries, limits of time, credentials.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_types::DateTime;
use jiff::Timestamp;
use listing::{Failure, FailureKind};
use tokio::time::Instant;

use super::calls::Means;
use super::credentials;
use super::deadline::Deadline;
use super::http::{self, Asked};
use super::imds::Imds;
use super::link::Reached;
use super::place::{self, Chosen, Place};
use super::role::Roles;
use crate::fetch::failure::failure;

/// IAM throttles per account, so a refresh of many users has to expect that any call is refused a few times. If every second
/// attempt is refused, ten attempts fail for one call in a thousand.
const ATTEMPTS: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// From the first byte sent to the last one received; IAM answers within a second.
const ATTEMPT: Duration = Duration::from_secs(20);

/// The SDK's own limit for credentials. At most half of the time allowed for the fetch, so that some is left to find out why
/// there are none.
const CREDENTIALS: Duration = Duration::from_secs(5);

/// Access to AWS, shared by all accounts.
pub(super) struct Aws<'a> {
    pub(super) config: &'a config::Aws,
    /// The file with the permissions that are needed, as the packages install it.
    pub(super) policy: &'static str,
    pub(super) reached: Arc<Reached>,
    pub(super) deadline: Deadline,
    pub(super) means: Means,
}

impl<'a> Aws<'a> {
    /// With what the link has kept, if it has anything.
    pub(super) async fn reach(
        config: &'a config::Aws,
        policy: &'static str,
        means: Means,
    ) -> Result<Self, Failure> {
        let deadline = Deadline::after(config.timeout);
        let reached = match means.link.kept() {
            Some(reached) => reached,
            None => means.link.keep(reach(config, deadline).await?),
        };
        Ok(Self { config, policy, reached, deadline, means })
    }

    /// Where calls about this account go; `id` and `name` are empty as long as they are not known.
    pub(super) fn place(&self, id: &str, name: &str) -> Place {
        Place {
            region: self.reached.region.clone(),
            proxy: self.config.https_proxy.as_deref().map(place::host_of),
            account: place::account(id, name),
        }
    }
}

/// Settings come from the configuration, then from the SDK's own environment variables and files, then from the
/// instance.
async fn reach(config: &config::Aws, deadline: Deadline) -> Result<Reached, Failure> {
    let connections = http::connections(config)?;
    let imds = Imds::new(&connections);
    let late =
        |_| failure("region", "this host", &deadline.missed(), "set [aws] region", FailureKind::Unavailable);
    let configured = tokio::time::timeout_at(deadline.at, place::region(config.region.as_deref()));
    let region = match configured.await.map_err(late)? {
        Some(region) => region,
        None => Chosen::of_instance(imds.region(deadline).await),
    };
    let asked = Asked::default();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.for_sdk())
        // The providers of credentials keep this client.
        .http_client(connections.noting(&asked))
        // Not `adaptive`, see docs/decisions/0006-standard-retries.md.
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_BACKOFF)
                .with_max_backoff(LONGEST_BACKOFF),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(http::CONNECT)
                .read_timeout(http::READ)
                .operation_attempt_timeout(ATTEMPT)
                .build(),
        )
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS.min(config.timeout / 2)).build());
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    // Only if set, since the environment may set it too.
    if config.use_fips {
        loader = loader.use_fips(true);
    }
    if config.use_dualstack {
        loader = loader.use_dual_stack(true);
    }
    let sdk = tokio::time::timeout_at(deadline.at, loader.load()).await.map_err(late)?;
    let sdk = sdk.into_builder().http_client(connections.client()).build();
    let (sdk, credentials) = credentials::watched(sdk, asked);
    Ok(Reached { sdk, region, credentials, imds, roles: Roles::default(), since: Instant::now() })
}

/// Retries without a budget: a call is repeated until the deadline anyway. The SDK's own budget would be shared by all
/// accounts, and a process that keeps running (`--loop`) would find it used up after an outage.
pub(super) fn retries(service: &str, account: &str) -> RetryPartition {
    RetryPartition::custom(format!("{service} {account}")).token_bucket(TokenBucket::unlimited()).build()
}

/// The SDK returns 1970 if an answer has no CreateDate.
pub(super) fn created(date: &DateTime) -> Option<Timestamp> {
    match date.secs() {
        0 => None,
        seconds => Timestamp::from_second(seconds).ok(),
    }
}
