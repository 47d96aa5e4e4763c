//! The only directory that names the AWS SDK. None of the SDK's types leave it.

mod accounts;
mod calls;
mod credentials;
mod deadline;
mod error;
mod http;
pub(super) mod iam;
pub(super) mod identity_center;
mod imds;
mod pages;
mod place;
mod sdk;
mod sts;
mod watch;

use std::sync::Arc;

use super::pace::Pace;
use super::request::Progress;
pub(super) use accounts::connect;
pub(crate) use calls::Calls;

/// What every call needs, whatever it is about.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) calls: Calls,
    pub(super) pace: Pace,
    pub(super) progress: Arc<dyn Progress>,
}
