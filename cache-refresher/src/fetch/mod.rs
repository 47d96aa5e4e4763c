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
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use config::{Config, Source};
use jiff::Timestamp;
use listing::{Failure, FailureKind, Listing};

pub(crate) use aws::Calls;
pub(crate) use aws::s3::Put;
pub(crate) use document::Judge;
use document::Judged;
pub(crate) use failure::held;
pub(crate) use object::Published;
use pace::Pace;
pub(crate) use pace::Past;
pub(crate) use request::{Content, Progress, Release, Request};
pub(crate) use session::Session;

/// What was read.
pub(crate) struct Fetched {
    pub(crate) listing: Listing,
    /// The document from which the listing is, if the source is one and it was accepted.
    pub(crate) document: Option<Content>,
    /// The document, if it was refused.
    pub(crate) refused: Option<Content>,
    /// Requests to AWS.
    pub(crate) calls: Calls,
    /// For the next fetch.
    pub(crate) past: Past,
    /// The `errors` of all accounts of the listing.
    pub(crate) failures: Vec<Failure>,
}

/// Reads the configured source, with what is kept of the fetches before, of the same configuration. Blocks, at most for
/// `[aws] timeout`.
pub(crate) fn fetch(request: Request<'_>, session: &Session) -> Fetched {
    let calls = Calls::default();
    // A listing has whole seconds.
    let now = Timestamp::from_second(request.now.as_second()).unwrap_or(request.now);
    // A listing of another source says nothing about this one.
    let previous = request.previous.filter(|listing| request.config.source.has_url(&listing.source));
    let pace =
        Pace::new(request.config.refresh.max_calls_per_minute, request.past.clone(), now, request.force);
    let request = Request { now, previous, ..request };
    let (listing, Judged { accepted, refused }) =
        session.wait(read(request, session, calls.clone(), pace.clone()));
    let failures: Vec<Failure> =
        listing.accounts.iter().flat_map(|account| account.errors.iter().cloned()).collect();
    // What only the configuration or the source can change is no reason.
    let is_reason =
        |failure: &Failure| !matches!(failure.kind, FailureKind::Configuration | FailureKind::Held);
    if failures.iter().any(is_reason) {
        session.reconnect();
    }
    Fetched { listing, document: accepted, refused, calls, past: pace.past(), failures }
}

/// Whether the document that is the source has changed.
pub(crate) enum Looked {
    /// It is still the same.
    Unchanged,
    /// It was read, as far as possible.
    Read(Result<Content, Failure>),
    /// Only a fetch can tell.
    Unknown,
}

/// What to look at.
pub(crate) struct Look<'a> {
    pub(crate) config: &'a Config,
    pub(crate) session: &'a Session,
    /// The tag of the document that was read last.
    pub(crate) known: &'a str,
    /// Counts the requests.
    pub(crate) calls: Calls,
    pub(crate) past: Past,
    pub(crate) now: Timestamp,
    pub(crate) progress: Arc<dyn Progress>,
}

/// Looks at the document that is the source: by one request, or at its file. Also returns what the next fetch has to know.
pub(crate) fn look(look: Look<'_>) -> (Looked, Past) {
    let Look { config, session, known, calls, past, now, progress } = look;
    let pace = Pace::new(config.refresh.max_calls_per_minute, past, now, false);
    let looked = match &config.source {
        Source::S3 { bucket, key, .. } => {
            let means = aws::Means { calls, pace: pace.clone(), link: session.link.clone(), progress };
            let object = object::Remote { config, bucket, key, means, kept: None };
            match session.wait(object.get(Some(known))) {
                Ok(None) => Looked::Unchanged,
                Ok(Some(content)) => Looked::Read(Ok(content)),
                Err(failure) => {
                    session.reconnect();
                    Looked::Read(Err(failure))
                }
            }
        }
        Source::File { path, .. } if file::is_unchanged(path, known) => Looked::Unchanged,
        Source::File { .. } | Source::Iam | Source::IdentityCenter => Looked::Unknown,
    };
    (looked, pace.past())
}

/// A source is either a set of accounts that are asked for groups and users, or one document.
async fn read(mut request: Request<'_>, session: &Session, calls: Calls, pace: Pace) -> (Listing, Judged) {
    let config = request.config;
    let link = session.link.clone();
    let means = aws::Means { calls, pace: pace.clone(), link, progress: Arc::clone(&request.progress) };
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
        Source::File { path, .. } => {
            let (listing, judged) = document::read(request, file::File(path)).await;
            // It costs nothing to read it again.
            return (listing, Judged { refused: None, ..judged });
        }
        Source::S3 { bucket, key, .. } => {
            let kept = request.kept.take();
            return document::read(request, object::Remote { config, bucket, key, means, kept }).await;
        }
    };
    (listing, Judged::default())
}
