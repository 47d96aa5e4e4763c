//! `known.json`: the configuration of the last successful refresh, and the users who were read with it. It is used if the
//! current configuration is invalid, or the listing is missing or damaged. The apply half writes it, both halves read it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config::{Config, Source};
use listing::{Account, Listing, User};
use serde::{Deserialize, Serialize};

use crate::replace;

const NAME: &str = "known.json";
const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    version: u32,
    /// Paths and texts of the configuration, in the order in which they are merged.
    configuration: Vec<(PathBuf, String)>,
    /// For each source of published users, the users and groups that it listed last. Without times, which change with every
    /// refresh.
    listings: Vec<Listing>,
}

impl Known {
    /// Of a valid configuration and a published listing. Keeps from `before` the users who are still published and whom the
    /// listing lacks, so that they are found again when a mistake in the configuration is corrected.
    pub(crate) fn new(
        configuration: Vec<(PathBuf, String)>,
        listing: &Listing,
        before: Option<Self>,
        published: &BTreeSet<&str>,
    ) -> Self {
        let listed: BTreeSet<&str> =
            listing.accounts.iter().flat_map(|account| &account.users).map(|user| user.id.as_str()).collect();
        let is_missing =
            |user: &User| published.contains(user.id.as_str()) && !listed.contains(user.id.as_str());
        let mut former: Vec<Listing> = before.map(|known| known.listings).unwrap_or_default();
        for known in &mut former {
            for account in &mut known.accounts {
                account.users.retain(is_missing);
                let ids: BTreeSet<&str> = account.users.iter().map(|user| user.id.as_str()).collect();
                account
                    .groups
                    .iter_mut()
                    .for_each(|group| group.members.retain(|id| ids.contains(id.as_str())));
            }
            known.accounts.retain(|account| !account.users.is_empty());
        }
        former.retain(|known| !known.accounts.is_empty());
        let accounts = listing.accounts.iter().map(|account| Account {
            name: account.name.clone(),
            id: account.id.clone(),
            complete: false,
            groups: account.groups.clone(),
            users: account
                .users
                .iter()
                .map(|user| User { confirmed: None, missing: None, ..user.clone() })
                .collect(),
            ..Account::default()
        });
        let listing = Listing {
            version: listing.version,
            source: listing.source.clone(),
            accounts: accounts.collect(),
            ..Listing::default()
        };
        Self { version: VERSION, configuration, listings: std::iter::once(listing).chain(former).collect() }
    }

    /// `None` if it cannot be used. That is no error, since it is only a fallback.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        let path = directory.join(NAME);
        // It must belong to root, and nobody else may be able to write it.
        let found = fs::symlink_metadata(&path).ok()?;
        if !found.is_file() || found.uid() != 0 || found.mode() & 0o022 != 0 {
            return None;
        }
        let known: Self = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        (known.version == VERSION).then_some(known)
    }

    /// The configuration, if its main file is at `main`.
    pub(crate) fn configuration(&self, main: &Path) -> Option<Config> {
        self.configuration.first().filter(|(path, _)| path == main)?;
        Config::parse(&self.configuration).ok()
    }

    /// The accounts of this source that were published, the latest first.
    pub(crate) fn accounts_of(self, source: &Source) -> Vec<Account> {
        let listings = self.listings.into_iter().filter(|listing| source.has_url(&listing.source));
        listings.flat_map(|listing| listing.accounts).collect()
    }

    /// Writes the document of [`Self::new`] if it differs from the present one. `gid` is the group of the fetch half, which
    /// reads it.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn record(
        directory: &Path,
        configuration: &[(PathBuf, String)],
        listing: &Listing,
        published: &BTreeSet<&str>,
        gid: Option<u32>,
    ) -> io::Result<()> {
        let path = directory.join(NAME);
        let before = Self::read(directory);
        if before.as_ref().is_some_and(|known| known.is_of(configuration, listing)) {
            return cache::replace::remove_leftovers(&path);
        }
        let known = Self::new(configuration.to_owned(), listing, before.clone(), published);
        if before.as_ref() == Some(&known) {
            return cache::replace::remove_leftovers(&path);
        }
        let mode = if gid.is_some() { 0o640 } else { 0o600 };
        replace::replace(&path, &serde_json::to_vec(&known)?, mode, gid)
    }

    /// Whether it is that of this configuration and this listing, and no user is kept from another one.
    fn is_of(&self, configuration: &[(PathBuf, String)], listing: &Listing) -> bool {
        let [known] = self.listings.as_slice() else { return false };
        let is_account = |(known, account): (&Account, &Account)| {
            let is_user = |(known, user): (&User, &User)| {
                (&known.id, &known.name, &known.created) == (&user.id, &user.name, &user.created)
                    && (&known.tags, &known.keys) == (&user.tags, &user.keys)
            };
            (&known.name, &known.id, &known.groups) == (&account.name, &account.id, &account.groups)
                && known.users.len() == account.users.len()
                && known.users.iter().zip(&account.users).all(is_user)
        };
        self.configuration == configuration
            && (known.version, &known.source) == (listing.version, &listing.source)
            && known.accounts.len() == listing.accounts.len()
            && known.accounts.iter().zip(&listing.accounts).all(is_account)
    }
}
