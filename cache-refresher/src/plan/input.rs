//! The input of a plan: values only, so that planning needs no host.

use cache::snapshot::Cache;
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
    /// What is published.
    pub published: &'a Cache,
    /// Seconds since 1970.
    pub now: i64,
    /// Disable everyone whom the listing lacks.
    pub force: bool,
    /// Or these, by login name or as the source spells it.
    pub release: &'a [String],
}

impl<'a> Input<'a> {
    /// The source of the listing; none: one that this release does not know.
    pub(super) fn source(&self) -> Option<Source> {
        Source::of_listing(&self.listing.source)
    }

    /// What messages call a `user` or `group` of it.
    pub(super) fn called(&self, what: &str) -> String {
        self.source().map_or_else(|| what.to_owned(), |source| source.called(what))
    }

    /// What messages call the source itself.
    pub(super) fn noun(&self) -> &'static str {
        self.source().map_or("the source", |source| source.noun())
    }

    /// Who leaves.
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
