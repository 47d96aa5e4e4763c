//! `known.json`: what the last refresh that succeeded went by. It stands in where something was lost or broken since: the
//! configuration that was right, and who was read, by their ids. The apply half writes it, both halves read it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use config::Config;
use listing::{Account, Listing, User};
use serde::{Deserialize, Serialize};

use crate::report;

const NAME: &str = "known.json";
const VERSION: u32 = 1;

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    version: u32,
    /// Paths and texts of the configuration, in the order in which they are merged.
    configuration: Vec<(PathBuf, String)>,
    /// Users and groups as they were listed, without times, which change with every refresh.
    listing: Option<Listing>,
}

impl Known {
    /// Of a configuration that is right, and a listing that was published.
    pub(crate) fn new(configuration: Vec<(PathBuf, String)>, listing: &Listing) -> Self {
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
            read: None,
            accounts: accounts.collect(),
        };
        Self { version: VERSION, configuration, listing: Some(listing) }
    }

    /// None if there is none that can be used, which is no error: it is a second line.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(NAME);
        // Root's own, which nobody else can write.
        let found = fs::symlink_metadata(&path).ok()?;
        if !found.is_file() || found.uid() != 0 || found.mode() & 0o022 != 0 {
            return None;
        }
        let known: Self = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        (known.version == VERSION).then_some(known)
    }

    /// The configuration whose main file is at `main`.
    pub(crate) fn configuration(&self, main: &Path) -> Option<Config> {
        self.configuration.first().filter(|(path, _)| path == main)?;
        Config::parse(&self.configuration).ok()
    }

    /// What was published last.
    pub(crate) fn into_listing(self) -> Option<Listing> {
        self.listing
    }

    /// Replaces the document, if it says something else. `gid`: the group of the fetch half, which reads it.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn write(&self, folder: &Path, gid: Option<u32>) -> io::Result<()> {
        if Self::read(folder).as_ref() == Some(self) {
            return Ok(());
        }
        let path = folder.join(NAME);
        report::replace(&path, if gid.is_some() { 0o640 } else { 0o600 }, &serde_json::to_vec(self)?)?;
        gid.map_or(Ok(()), |gid| chown(path, None, Some(gid)))
    }
}
