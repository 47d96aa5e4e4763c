//! The half that uses the network and has no privileges. It reads what the configuration names, and never fails as a whole:
//! what cannot be read is kept from the previous listing, and the failure is listed with it.

mod account;
mod accounts;
mod aws;
mod confirm;
mod directory;
mod document;
mod failure;
mod file;
mod groups;
mod keys;
mod merge;
mod object;
mod pace;
mod removal;
mod request;
mod retention;
mod schedule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use config::Source;
use jiff::Timestamp;
use listing::{Failure, FailureKind, Listing};

pub(crate) use aws::Calls;
pub(crate) use aws::s3::Put;
pub(crate) use document::Judge;
use failure::failure;
pub(crate) use failure::held;
pub(crate) use object::Published;
use pace::Pace;
pub(crate) use pace::Past;
pub(crate) use request::{Content, Progress, Release, Request};

/// What was read.
pub(crate) struct Fetched {
    pub(crate) listing: Listing,
    /// The document from which the listing is, if the source is one and it was accepted.
    pub(crate) document: Option<Content>,
    /// Requests to AWS.
    pub(crate) calls: Calls,
    /// For the next fetch.
    pub(crate) past: Past,
    /// The `errors` of all accounts of the listing.
    pub(crate) failures: Vec<Failure>,
}

/// Reads the configured source. Blocks, at most for `[aws] timeout`.
pub(crate) fn fetch(request: Request<'_>) -> Fetched {
    let calls = Calls::default();
    // A listing has whole seconds.
    let now = Timestamp::from_second(request.now.as_second()).unwrap_or(request.now);
    // A listing of another source says nothing about this one.
    let previous = request.previous.filter(|listing| request.config.source.has_url(&listing.source));
    let pace =
        Pace::new(request.config.refresh.max_calls_per_minute, request.past.clone(), now, request.force);
    let request = Request { now, previous, ..request };
    let (listing, document) = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(read(request, calls.clone(), pace.clone())),
        Err(error) => {
            let failure = failure("fetch", "this host", &error.to_string(), "", FailureKind::Other);
            (retention::keep_listing(request, failure), None)
        }
    };
    let failures = listing.accounts.iter().flat_map(|account| account.errors.iter().cloned()).collect();
    Fetched { listing, document, calls, past: pace.past(), failures }
}

/// A source is either a set of accounts that are asked for groups and users, or one document.
async fn read(request: Request<'_>, calls: Calls, pace: Pace) -> (Listing, Option<Content>) {
    let config = request.config;
    let means = aws::Means { calls, pace: pace.clone(), progress: Arc::clone(&request.progress) };
    let listing = match &config.source {
        Source::Iam => {
            accounts::read(request, &pace, aws::connect::<aws::iam::Iam>(&config.aws, means)).await
        }
        Source::IdentityCenter => {
            accounts::read(
                request,
                &pace,
                aws::connect::<aws::identity_center::IdentityStore>(&config.aws, means),
            )
            .await
        }
        Source::File { path, .. } => return document::read(request, file::File(path)).await,
        Source::S3 { bucket, key, .. } => {
            let kept = request.kept.clone();
            return document::read(request, object::Remote { config, bucket, key, means, kept }).await;
        }
    };
    (listing, None)
}
