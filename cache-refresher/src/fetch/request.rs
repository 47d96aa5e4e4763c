//! What a fetch is asked to read: as a whole, and of one account.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use config::{Config, Source, Tags};
use jiff::Timestamp;
use listing::{Account, Failure, Listing, User, VERSION};

use super::pace::Past;
use super::schedule::Schedule;

/// Receives the progress of the reading.
pub(crate) trait Progress: Debug + Send + Sync {
    /// This many steps were added.
    fn more(&self, steps: usize);
    /// One step is done.
    fn done(&self);
    /// A request is repeated; the text says to where, why, and which try this is. It holds until the next step.
    fn repeats(&self, text: &str);
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// By which it can be told whether it has changed since: the object's ETag, or what the file system says of the file.
    pub(crate) etag: Option<String>,
}

/// What to read.
pub(crate) struct Request<'a> {
    /// The whole configuration.
    pub(crate) config: &'a Config,
    /// What the last fetch returned.
    pub(crate) previous: Option<Listing>,
    /// Accounts of the same source that were published last, in case `previous` lacks them.
    pub(crate) remembered: Vec<Account>,
    /// The signed listing that was read last.
    pub(crate) stored: Option<Listing>,
    /// The document that was read last from an object in S3, accepted or not.
    pub(crate) kept: Option<Content>,
    /// The document, if it was read already.
    pub(crate) read: Option<Result<Content, Failure>>,
    /// Treat removals as confirmed.
    pub(crate) force: bool,
    /// The users whom a change of the configuration, or an export without users, may remove.
    pub(crate) release: &'a Release,
    /// What the fetches before say of the calls that they made.
    pub(crate) past: Past,
    /// What was read before this time is read again, even if it is not due.
    pub(crate) asked: Option<Timestamp>,
    /// The time of day.
    pub(crate) now: Timestamp,
    /// Receives the progress.
    pub(crate) progress: Arc<dyn Progress>,
}

/// The users whose removals are not held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Release {
    /// Everyone.
    pub(crate) all: bool,
    /// Users of these names, as the source spells them.
    pub(crate) names: BTreeSet<String>,
}

impl Release {
    /// Whether this user may be removed.
    pub(crate) fn lets_go(&self, user: &User) -> bool {
        self.all || self.names.contains(&user.name)
    }
}

impl Request<'_> {
    /// What is read this often is read again if it is due, unless all is.
    pub(crate) fn schedule(&self, every: Option<Duration>) -> Schedule {
        Schedule { every: every.filter(|_| !self.force), asked: self.asked, now: self.now }
    }

    /// The listing with these accounts.
    pub(crate) fn listing(&self, accounts: Vec<Account>) -> Listing {
        let source = self.config.source.url().to_owned();
        Listing { version: VERSION, source, read: Some(self.now), accounts, ..Listing::default() }
    }
}

/// What to read of one account, and by which rules.
pub(crate) struct AccountRequest<'a> {
    pub(crate) source: &'a Source,
    pub(crate) name: &'a str,
    pub(crate) groups: &'a [String],
    pub(crate) tags: &'a Tags,
    /// Concurrent calls; the rate is limited for each account separately.
    pub(crate) concurrency: usize,
    /// Why names of groups could not be found out.
    pub(crate) unresolved: &'a [Failure],
    /// Treat removals as confirmed.
    pub(crate) force: bool,
    /// The users who may leave with groups that are no longer configured.
    pub(crate) release: &'a Release,
    /// When memberships are read.
    pub(crate) members: Schedule,
    /// When keys are read.
    pub(crate) schedule: Schedule,
    /// Known keys are not read before this time, because AWS throttled such calls.
    pub(crate) keys_pause: Option<Timestamp>,
    pub(crate) now: Timestamp,
    pub(crate) progress: &'a dyn Progress,
}
