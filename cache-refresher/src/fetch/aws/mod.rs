//! The only directory that names the AWS SDK. None of the SDK's types leave it.

mod accounts;
mod calls;
mod credentials;
mod deadline;
mod details;
mod error;
mod http;
pub(super) mod iam;
pub(super) mod identity_center;
mod imds;
mod link;
mod pages;
mod place;
mod role;
pub(super) mod s3;
mod sdk;
mod sts;
mod watch;

pub(super) use accounts::connect;
pub(crate) use calls::Calls;
pub(super) use calls::Means;
pub(super) use link::Link;
