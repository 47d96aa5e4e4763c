//! What the apply half is asked to do.

use std::mem;
use std::path::PathBuf;

use cache::Accepted;
use config::Config;
use jiff::Timestamp;

use crate::fetch::Release;
use crate::handover::Wanted;

/// The options of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The current configuration, or the last valid one.
    pub config: &'a Config,
    /// The paths and texts of its files.
    pub texts: &'a [(PathBuf, String)],
    /// Whether there is a configuration; without one, `config` is the defaults.
    pub is_configured: bool,
    /// No plan follows: keys and memberships that the listing lacks are removed as well, and the others are confirmed.
    pub alone: bool,
    /// Only disable users who left or are locked.
    pub removals_only: bool,
    pub force: bool,
    /// Disable these users, whatever holds them.
    pub release: &'a [String],
    /// Only print what would be published.
    pub dry_run: bool,
    /// The process ends after it, or after one more that a person asks for.
    pub is_last: bool,
    pub now: Timestamp,
}

impl Request<'_> {
    /// What this run demands of the listing.
    pub(super) fn wanted(&self, accepted: Vec<Accepted>) -> Wanted<'_> {
        let release = Release { all: self.force, names: self.release.iter().cloned().collect() };
        Wanted { config: self.config, accepted, release, now: self.now }
    }

    /// Frees what was read or planned, unless the process ends anyway: with 50 000 users, a tenth of its processor time.
    pub(super) fn free<T>(&self, value: T) {
        if self.is_last { mem::forget(value) } else { drop(value) }
    }
}
