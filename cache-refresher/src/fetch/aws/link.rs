//! What a process that fetches again and again keeps of AWS between two fetches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use super::credentials::Watched;
use super::imds::Imds;
use super::place::Chosen;
use super::role::Roles;

/// What does not change from one fetch to the next.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) sdk: SdkConfig,
    pub(super) region: Chosen,
    pub(super) credentials: Watched,
    pub(super) imds: Imds,
    pub(super) roles: Roles,
    pub(super) since: Instant,
}

/// How long it is kept. The credentials of a role are valid for 15 minutes at least (AssumeRole, DurationSeconds); a new file of
/// certificates, region or role of the instance counts after this time at the latest.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// What a process that fetches again and again keeps: connections, the credentials that it was given, and the region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link(Arc<Mutex<Option<Arc<Reached>>>>);

impl Link {
    /// The next call makes everything again.
    pub(crate) fn cut(&self) {
        *self.lock() = None;
    }

    pub(super) fn kept(&self) -> Option<Arc<Reached>> {
        self.lock().clone().filter(|reached| reached.since.elapsed() < KEPT)
    }

    pub(super) fn keep(&self, reached: Reached) -> Arc<Reached> {
        Arc::clone(self.lock().insert(Arc::new(reached)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Reached>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
