//! The input of a plan: values only, so that planning needs no host.

use cache::snapshot::{Cache, Keys};
use cache::state::State;
use config::{Config, Source};
use listing::Listing;

use super::leaving::{self, Leaving};
use crate::local::Local;

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub state: &'a State,
    pub listing: &'a Listing,
    pub config: &'a Config,
    pub local: &'a Local,
    /// The published cache.
    pub published: &'a Cache,
    /// The published keys.
    pub offered: &'a Keys,
    /// Seconds since 1970.
    pub now: i64,
    /// Disable every user whom the listing lacks.
    pub force: bool,
    /// Disable these users, by login name or by the source's name.
    pub release: &'a [String],
}

impl<'a> Input<'a> {
    /// The source of the listing; none if this release does not know it.
    pub(super) fn source(&self) -> Option<Source> {
        Source::of_listing(&self.listing.source)
    }

    /// What messages call a `user` or `group` of the source.
    pub(super) fn called(&self, what: &str) -> String {
        self.source().map_or_else(|| what.to_owned(), |source| source.called(what))
    }

    /// What messages call the source itself.
    pub(super) fn noun(&self) -> &'static str {
        self.source().map_or("the source", |source| source.noun())
    }

    /// The users who leave.
    pub(crate) fn leaving(&self) -> Leaving {
        leaving::leaving(leaving::Facts {
            state: self.state,
            listing: Some(self.listing),
            locked: &self.local.locked,
            max_removed_percent: self.config.safety.max_removed_percent,
            force: self.force,
            release: self.release,
        })
    }
}
