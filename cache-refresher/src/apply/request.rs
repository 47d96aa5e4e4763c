//! What the apply half is asked to do.

use std::path::PathBuf;

use config::Config;
use jiff::Timestamp;

/// What the caller decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The present configuration, or the last one that was right.
    pub config: &'a Config,
    /// Its files as they were read.
    pub texts: &'a [(PathBuf, String)],
    /// Whether `config` is more than the defaults.
    pub is_configured: bool,
    /// No plan will be made: keys and groups are taken away, too, and those that stay are confirmed.
    pub alone: bool,
    /// Only take away: those who left, and those who are locked.
    pub removals_only: bool,
    pub force: bool,
    /// Disable these, whatever holds them.
    pub release: &'a [String],
    /// Only say what would be published.
    pub dry_run: bool,
    pub now: Timestamp,
}
