//! The half that uses the network and has no privileges: reads what the configuration names, and never fails as a whole.
//! What cannot be read stays as it is in the previous listing, and the failure is listed with it.

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
mod removal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use config::{Config, Source};
use jiff::Timestamp;
use listing::{Account, Failure, FailureKind, Listing, User, VERSION};

pub(crate) use aws::Calls;
use failure::failure;

/// Receives the progress of the reading.
pub(crate) trait Progress {
    /// This many steps were added.
    fn more(&self, steps: usize);
    /// One step is done.
    fn done(&self);
}

/// What to read.
pub(crate) struct Request<'a> {
    /// The whole configuration.
    pub(crate) config: &'a Config,
    /// What the last fetch returned.
    pub(crate) previous: Option<Listing>,
    /// What was published last of the same source, besides.
    pub(crate) remembered: Vec<Account>,
    /// Take removals for true that could not be confirmed.
    pub(crate) force: bool,
    /// Whom a change of the configuration, or an export without users, may remove.
    pub(crate) release: &'a Release,
    /// The time of day.
    pub(crate) now: Timestamp,
    /// Receives the progress.
    pub(crate) progress: &'a dyn Progress,
}

/// Who may be removed by what else is held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Release {
    /// Everyone.
    pub(crate) all: bool,
    /// Users of these names, as the source spells them.
    pub(crate) names: BTreeSet<String>,
}

impl Release {
    fn lets_go(&self, user: &User) -> bool {
        self.all || self.names.contains(&user.name)
    }

    /// Without those who may be removed.
    fn rest_of(&self, mut account: Account) -> Account {
        let gone =
            account.users.iter().filter(|user| self.lets_go(user)).map(|user| user.id.clone()).collect();
        merge::remove(&mut account, &gone);
        account
    }
}

/// What was read.
pub(crate) struct Fetched {
    pub(crate) listing: Listing,
    /// Requests to AWS.
    pub(crate) calls: Calls,
    /// Everything that went wrong: `errors` of all accounts of the listing.
    pub(crate) failures: Vec<Failure>,
}

/// Reads the configured source. Blocks; at most for `[aws] timeout`.
pub(crate) fn fetch(request: Request<'_>) -> Fetched {
    let calls = Calls::default();
    // A listing has no use for parts of a second.
    let now = Timestamp::from_second(request.now.as_second()).unwrap_or(request.now);
    // What another source said is no memory of this one.
    let previous = request.previous.filter(|listing| request.config.source.has_url(&listing.source));
    let request = Request { now, previous, ..request };
    let listing = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(read(request, calls.clone())),
        Err(error) => {
            let failure = failure("fetch", "this host", &error.to_string(), "", FailureKind::Other);
            kept(request, failure)
        }
    };
    let failures = listing.accounts.iter().flat_map(|account| account.errors.iter().cloned()).collect();
    Fetched { listing, calls, failures }
}

/// Each source by what it is made of: accounts that are asked for groups and users, or one document.
async fn read(request: Request<'_>, calls: Calls) -> Listing {
    let config = request.config;
    match &config.source {
        Source::Iam => accounts::read(request, aws::iam::connect(&config.aws, calls)).await,
        Source::File { path, .. } => document::read(request, file::File(path)).await,
    }
}

/// The previous listing where the source as a whole cannot be read; the failure stands with its first account.
fn kept(request: Request<'_>, failure: Failure) -> Listing {
    let mut accounts = request.previous.map(|listing| listing.accounts).unwrap_or_default().into_iter();
    let mut kept = vec![merge::kept(accounts.next(), "", vec![failure])];
    kept.extend(accounts.map(|account| Account { errors: Vec::new(), ..account }));
    listing(request.config, request.now, kept)
}

fn listing(config: &Config, now: Timestamp, accounts: Vec<Account>) -> Listing {
    Listing { version: VERSION, source: config.source.url().to_owned(), read: Some(now), accounts }
}

/// The last listing's accounts by name, and what is remembered besides: of an AWS account that the same name stood for before.
fn memory(previous: Option<Listing>, remembered: Vec<Account>) -> (BTreeMap<String, Account>, Vec<Account>) {
    let mut known: BTreeMap<String, Account> = BTreeMap::new();
    let mut rest = Vec::new();
    for account in previous.into_iter().flat_map(|listing| listing.accounts).chain(remembered) {
        match known.get(&account.name) {
            None => drop(known.insert(account.name.clone(), account)),
            Some(other) if other.id == account.id => {}
            Some(_) => rest.push(account),
        }
    }
    (known, rest)
}
