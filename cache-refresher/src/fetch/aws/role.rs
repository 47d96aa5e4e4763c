//! Who this host is in AWS, and the roles that it was given.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_sts::config::Credentials;

/// The identity of this host in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) account: String,
    pub(super) arn: String,
}

/// The identity of this host, and the credentials that it was given for the roles of accounts, by their names in the configuration.
#[derive(Debug, Default)]
pub(super) struct Roles(Mutex<(Option<Identity>, BTreeMap<String, Role>)>);

impl Roles {
    pub(super) fn lock(&self) -> MutexGuard<'_, (Option<Identity>, BTreeMap<String, Role>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The role that reads an account.
#[derive(Debug, Clone)]
pub(super) struct Role {
    /// The account's id.
    pub(super) account: String,
    /// What to do if a call is denied to it.
    pub(super) denied: String,
    /// `None`: the host's own.
    pub(super) credentials: Option<Credentials>,
}
