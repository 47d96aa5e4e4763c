//! `known.json`: the configuration of the last successful refresh, and the users who were read with it. It is used if the
//! current configuration is invalid, or the listing is missing or damaged. The apply half writes it, both halves read it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use config::{Config, Source};
use foldhash::HashSet;
use listing::{Account, Listing, User};
use nix::fcntl::OFlag;
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
    /// Of a valid configuration and a published listing. Keeps from `before` the users in `missing`, who are still published
    /// and whom the listing lacks, so that they are found again when a mistake in the configuration is corrected.
    fn new(
        configuration: Vec<(PathBuf, String)>,
        listing: &Listing,
        before: Option<Self>,
        missing: &BTreeSet<&str>,
    ) -> Self {
        let mut former: Vec<Listing> = before.map(|known| known.listings).unwrap_or_default();
        for known in &mut former {
            for account in &mut known.accounts {
                account.users.retain(|user| missing.contains(user.id.as_str()));
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
        let mut json = Vec::new();
        file(directory).ok()?.read_to_end(&mut json).ok()?;
        let known: Self = serde_json::from_slice(&json).ok()?;
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

    /// Writes the document if it differs from the present one. `published` are the UserIds of all users who are present. `gid`
    /// is the group of the fetch half, which reads it.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn record<'a>(
        directory: &Path,
        configuration: &[(PathBuf, String)],
        listing: &Listing,
        published: impl Iterator<Item = &'a str>,
        gid: Option<u32>,
    ) -> io::Result<()> {
        let path = directory.join(NAME);
        let users = listing.accounts.iter().flat_map(|account| &account.users);
        let listed: HashSet<&str> = users.map(|user| user.id.as_str()).collect();
        let missing: BTreeSet<&str> = published.filter(|id| !listed.contains(id)).collect();
        let before = if missing.is_empty() { None } else { Self::read(directory) };
        let known = Self::new(configuration.to_owned(), listing, before, &missing);
        if file(directory).is_ok_and(|file| known.is_in(file)) {
            return cache::replace::remove_leftovers(&path);
        }
        let mode = if gid.is_some() { 0o640 } else { 0o600 };
        replace::replace(&path, &serde_json::to_vec(&known)?, mode, gid)
    }

    /// Whether the rest of the file is this document as it is written, byte for byte: reading it takes longer.
    fn is_in(&self, file: File) -> bool {
        let mut same = Same(BufReader::with_capacity(64 << 10, file));
        serde_json::to_writer(&mut same, self).is_ok() && same.0.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}

/// The file, if it belongs to root and nobody else may be able to write it.
fn file(directory: &Path) -> io::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(directory.join(NAME))?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != 0 || found.mode() & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(file)
}

/// Compares what is written to it with what is read.
struct Same<R>(R);

impl<R: BufRead> Write for Same<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let present = self.0.fill_buf()?;
        let length = present.len().min(bytes.len());
        if length == 0 || present.get(..length) != bytes.get(..length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.0.consume(length);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Seek as _;

    use super::*;

    fn listing(json: &str) -> Listing {
        Listing::parse(json.as_bytes()).unwrap()
    }

    const ONE: &str = r#"{"version":1,"read":"2026-11-22T18:00:00Z","accounts":[{
        "groups":[{"id":"G","name":"Ops","members":["1","2"]}],
        "users":[{"id":"1","name":"ana","confirmed":"2026-11-22T18:00:00Z"},{"id":"2","name":"eve"}]}]}"#;
    const TWO: &str = r#"{"version":1,"accounts":[{"groups":[{"id":"G","name":"Ops","members":["2"]}],
        "users":[{"id":"2","name":"eve"}]}]}"#;

    fn known(listing: &Listing, before: Option<Known>, missing: &[&str]) -> Known {
        Known::new(Vec::new(), listing, before, &missing.iter().copied().collect())
    }

    #[test]
    fn only_a_file_of_exactly_this_content_is_left_as_it_is() {
        let known = known(&listing(ONE), None, &[]);
        let json = serde_json::to_vec(&known).unwrap();
        let is_in = |content: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content).unwrap();
            file.rewind().unwrap();
            known.is_in(file)
        };
        assert!(is_in(&json));
        let (cut, longer) = (&json[..json.len() - 1], [json.as_slice(), b" "].concat());
        let other = [&json[..20], b"x", &json[21..]].concat();
        for content in [cut, &longer, &other, b""] {
            assert!(!is_in(content), "{}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn times_do_not_count_and_users_who_are_missing_are_kept() {
        let one = known(&listing(ONE), None, &[]);
        let users = |known: Known| -> BTreeMap<String, Vec<String>> {
            let accounts = known.listings.into_iter().flat_map(|listing| listing.accounts);
            let users = accounts.flat_map(|account| {
                let members = account.groups.into_iter().flat_map(|group| group.members).collect::<Vec<_>>();
                account.users.into_iter().map(move |user| (user.name, members.clone()))
            });
            users.collect()
        };
        assert!(one.listings[0].accounts[0].users.iter().all(|user| user.confirmed.is_none()));
        let of = |name: &str, id: &str| (name.to_owned(), vec![id.to_owned()]);
        let kept = known(&listing(TWO), Some(one.clone()), &["1"]);
        assert_eq!(users(kept), BTreeMap::from([of("ana", "1"), of("eve", "2")]));
        let gone = known(&listing(TWO), Some(one), &[]);
        assert_eq!(users(gone), BTreeMap::from([of("eve", "2")]));
    }
}
