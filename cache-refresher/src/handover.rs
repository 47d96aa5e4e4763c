//! The files that the fetch half writes and the apply half reads: the listing, and a report about the fetch. The apply half checks
//! who could have written them, and parses them like any hostile input. If the configuration names keys that may sign, the apply
//! half takes users, groups and times only from the signed document, and verifies it.

mod times;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache::{Accepted, reserve};
use claims::nss::Files;
use config::{Config, Source};
use foldhash::HashSet;
use jiff::Timestamp;
use listing::regular::{self, Links, Unread as NoFile};
use listing::{Failure, Listing, signed};
use nix::unistd::geteuid;
use policy::confirmed;
use status::Fetched;

use crate::fetch::{self, Content, Judge, Release};
use crate::known::Known;
use crate::replace::{replace, replace_by};

/// The fetch half's own directory.
pub(crate) const DIRECTORY: &str = "/var/lib/nss-iam-fetch";
/// Where the fetch half leaves its listing.
pub(crate) const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
/// Which times in the listing are later by now.
pub(crate) const CONFIRMED: &str = "/var/lib/nss-iam-fetch/confirmed";
/// Where it leaves a signed document, as it was read.
pub(crate) const DOCUMENT: &str = "/var/lib/nss-iam-fetch/listing.signed";
/// Which object in S3 that document is: its ETag and URL, and the digest of the document. Written after it.
const ETAG: &str = "/var/lib/nss-iam-fetch/listing.etag";
/// The largest file of that, in bytes.
const LARGEST_ETAG: u64 = 8 << 10;
/// Its time changes when a fetch half that stays wants the apply half to run. A path unit watches it.
const DUE: &str = "/var/lib/nss-iam-fetch/due";
/// What the last fetch did. Nothing but monitoring depends on it.
pub(crate) const REPORT: &str = "/var/lib/nss-iam-fetch/report.json";
/// The largest report that is read, in bytes.
const LARGEST_REPORT: u64 = 1 << 20;
/// The user of the fetch half.
pub(crate) const FETCH_USER: &str = "nss-iam-fetch";

/// Why there is no listing to apply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("cannot {what} '{path}': {cause}")]
    Io { what: &'static str, path: &'static str, cause: io::Error },
    #[error("there is no listing '{0}' yet")]
    Missing(&'static str),
    #[error("listing '{path}' refused: {why}")]
    Untrusted { path: &'static str, why: String },
    #[error("listing '{LISTING}' refused: {0}")]
    Form(#[from] listing::Error),
    #[error("listing '{DOCUMENT}' refused: {}", .0.cause)]
    Refused(Box<Failure>),
}

/// What the apply half demands.
pub(crate) struct Wanted<'a> {
    pub(crate) config: &'a Config,
    /// The signed listings that were accepted last, as far as this host remembers.
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) release: Release,
    pub(crate) now: Timestamp,
}

/// The uid of [`FETCH_USER`].
pub(crate) fn fetcher(files: &Files) -> Option<u32> {
    files.users.get(FETCH_USER).copied()
}

/// The owner of the directory, which root made: the same uid, for when the local users cannot be read.
pub(crate) fn owner() -> Option<u32> {
    fs::symlink_metadata(DIRECTORY).ok().filter(fs::Metadata::is_dir).map(|found| found.uid())
}

/// Reads the listing for the apply half.
pub(crate) fn read(fetcher: Option<u32>, wanted: Wanted<'_>) -> Result<Listing, Unread> {
    let config = wanted.config;
    // With a signature, only the document says times.
    let record = if config.trust.verifies() { None } else { record(fetcher) };
    let said = checked(LISTING, listing::MAX_BYTES, fetcher)
        .and_then(|bytes| Ok(times::parse(&bytes, record.as_deref(), Some(wanted.now))?));
    if config.trust.verifies() {
        let listing = wanted.accept(&checked(DOCUMENT, listing::MAX_BYTES, fetcher)?)?;
        return Ok(with_errors(listing, said.ok()));
    }
    let url = config.source.url();
    if !config.source.is_directory() && wanted.accepted.iter().any(|accepted| accepted.listing == url) {
        let hint =
            "set [source] fleet and trusted_keys again; for a listing that nobody signs, use another url";
        let cause =
            "a signed listing of this source was accepted before, and none without a signature is now";
        return Err(Unread::Refused(Box::new(fetch::held("verify", url, cause, hint, &[]))));
    }
    // Only a signature says these.
    Ok(Listing { fleet: None, generation: None, ids: BTreeMap::new(), ..said? })
}

impl Wanted<'_> {
    fn accept(self, document: &[u8]) -> Result<Listing, Unread> {
        let Self { config, accepted, release, now } = self;
        let of_fleet = accepted.iter().filter(|accepted| accepted.fleet == config.trust.fleet);
        let known = Known::read(Path::new(cache::DIRECTORY)).map(|known| known.accounts_of(&config.source));
        let judge = Judge {
            config,
            generation: of_fleet.map(|accepted| accepted.generation).max(),
            was_signed: accepted.iter().any(|accepted| accepted.listing == config.source.url()),
            known: known.unwrap_or_default(),
            release: &release,
            now,
        };
        judge.accept(document, config.source.url()).map_err(|failure| Unread::Refused(Box::new(failure)))
    }
}

/// Adds what the fetch half says about its last attempt. It says nothing about users.
fn with_errors(mut listing: Listing, said: Option<Listing>) -> Listing {
    let mut of_accounts: Vec<Vec<Failure>> = vec![Vec::new(); listing.accounts.len()];
    let places = listing.by_name();
    for said in said.into_iter().flat_map(|said| said.accounts) {
        let place = places.get(said.name.as_str()).map_or(0, |(at, _)| *at);
        if let Some(errors) = of_accounts.get_mut(place) {
            errors.extend(said.errors);
        }
    }
    drop(places);
    for (account, said) in listing.accounts.iter_mut().zip(of_accounts) {
        let mut known: HashSet<&Failure> = account.errors.iter().collect();
        let new: Vec<Failure> = said.iter().filter(|error| known.insert(error)).cloned().collect();
        account.errors.extend(new);
    }
    listing
}

/// The record about the listing; one that somebody else could have written says nothing. It is read before the listing: if that is
/// replaced in between, the new one has newer times itself, and the record is about another.
fn record(fetcher: Option<u32>) -> Option<Vec<u8>> {
    checked(CONFIRMED, confirmed::MAX_SIZE, fetcher).ok()
}

/// The content of a file that must belong to the user of the fetch half or to root, and that nobody else may be able to write.
fn checked(path: &'static str, largest: u64, fetcher: Option<u32>) -> Result<Vec<u8>, Unread> {
    let untrusted = |why: String| Unread::Untrusted { path, why };
    let file = regular::read(Path::new(path), largest, Links::Refuse).map_err(|unread| match unread {
        NoFile::Open(cause) if cause.kind() == io::ErrorKind::NotFound => Unread::Missing(path),
        NoFile::Open(cause) => Unread::Io { what: "open", path, cause },
        NoFile::Read(cause) => Unread::Io { what: "read", path, cause },
        NoFile::NotRegular | NoFile::TooLarge(_) => untrusted(format!("it is {unread}")),
    })?;
    let (refused, found) = (|why: String| Err(untrusted(why)), file.about);
    if found.uid() != 0 && Some(found.uid()) != fetcher {
        return refused(format!("it belongs to uid {}, not to '{FETCH_USER}' or root", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return refused("users other than its owner can write it".to_owned());
    }
    Ok(file.bytes)
}

/// The signed listing that the fetch half read last, for the fetch half.
pub(crate) fn stored(config: &Config) -> Option<Listing> {
    let document = listing::read(Path::new(DOCUMENT), Links::Refuse).ok()?;
    let listing = signed::authentic(&document.bytes, &config.trust.keys).ok()?;
    (listing.fleet.as_ref() == Some(&config.trust.fleet)).then_some(listing)
}

/// The document that the fetch half read last, if it is this object in S3, and its ETag belongs to it.
pub(crate) fn kept(config: &Config) -> Option<Content> {
    let said = regular::read(Path::new(ETAG), LARGEST_ETAG, Links::Refuse).ok()?;
    let said = String::from_utf8(said.bytes).ok()?;
    let bytes = listing::read(Path::new(DOCUMENT), Links::Refuse).ok()?.bytes;
    let etag = said.lines().next()?.to_owned();
    (said == about(&etag, config.source.url(), &bytes)).then_some(Content { bytes, etag: Some(etag) })
}

/// The content of [`ETAG`].
fn about(etag: &str, url: &str, document: &[u8]) -> String {
    format!("{etag}\n{url}\n{}\n", confirmed::digest(document))
}

/// The report of the last fetch, if there is one that can be read.
pub(crate) fn report() -> Option<Fetched> {
    let json = checked(REPORT, LARGEST_REPORT, owner()).ok()?;
    serde_json::from_slice(&json).ok().map(Fetched::checked)
}

/// Replaces the report. What failed is in the listing.
pub(crate) fn write_report(fetched: &Fetched) -> io::Result<()> {
    let report = Fetched { failures: Vec::new(), listing: None, ..fetched.clone() };
    replace(Path::new(REPORT), &serde_json::to_vec(&report)?, 0o600, None)
}

/// The previous listing, for the fetch half, if it is of the same source.
pub(crate) fn previous(source: &Source) -> Option<Listing> {
    let record = record(owner());
    let unusable = match listing::read(Path::new(LISTING), Links::Refuse).map_err(io::Error::from) {
        Ok(file) => match times::parse(&file.bytes, record.as_deref(), None) {
            Ok(listing) if source.has_url(&listing.source) => return Some(listing),
            Ok(_) => None,
            Err(cause) => Some(cause.to_string()),
        },
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => Some(cause.to_string()),
    };
    if let Some(cause) = unusable {
        log::warn!("cannot use '{LISTING}': {cause}; using the data of the last successful refresh");
    }
    None
}

/// Asks for a run of the apply half.
pub(crate) fn call_apply() -> io::Result<()> {
    fs::write(DUE, "")
}

/// Which files the listing and the record about it are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Which([Option<(u64, u64, i64, i64)>; 2]);

/// Which files they are now; none if there is no listing.
pub(crate) fn which() -> Option<Which> {
    let which = Which([LISTING, CONFIRMED].map(|path| {
        let about = fs::symlink_metadata(path).ok()?;
        Some((about.dev(), about.ino(), about.mtime(), about.mtime_nsec()))
    }));
    matches!(which, Which([Some(_), _])).then_some(which)
}

/// Replaces a file if its content is another.
fn changed(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    reserve::with(directory, || replace(path, content, 0o600, None))
}

/// Writes the document, if it is one that the apply half verifies, and the listing. If the disk is full, the reserve makes
/// room: a listing with fewer users is what matters most. The listing is the same afterwards.
pub(crate) fn write(listing: &mut Listing, document: Option<&Content>, now: Timestamp) -> io::Result<()> {
    let (path, directory) = (Path::new(LISTING), Path::new(DIRECTORY));
    if let Some(document) = document {
        changed(directory, Path::new(DOCUMENT), &document.bytes)?;
        if let Some(etag) = document.etag.as_deref().filter(|etag| !etag.contains('\n')) {
            let about = about(etag, &listing.source, &document.bytes);
            changed(directory, Path::new(ETAG), about.as_bytes())?;
        }
    }
    if !confirm(directory, listing, now) {
        let write = |file: &mut dyn io::Write| Ok(serde_json::to_writer(file, listing)?);
        reserve::with(directory, || replace_by(path, 0o600, None, write))?;
        // It is about the listing that was replaced, so it says nothing from now on.
        let _ = fs::remove_file(CONFIRMED);
    }
    let size = fs::metadata(path).map_or(0, |about| about.len());
    let bytes = size + document.map_or(0, |document| document.bytes.len() as u64);
    if let Err(cause) = reserve::keep(directory, bytes) {
        log::warn!("cannot reserve space for the next listing in '{}': {cause}", directory.display());
    }
    Ok(())
}

/// Writes the record if that is enough: the present listing differs in nothing but times. Returns whether it was.
fn confirm(directory: &Path, listing: &mut Listing, now: Timestamp) -> bool {
    let Ok(present) = listing::read(Path::new(LISTING), Links::Refuse) else { return false };
    // One that somebody has put back may not be as this half writes it.
    let is_ours = present.about.uid() == geteuid().as_raw() && present.about.mode() & 0o7777 == 0o600;
    let record = if is_ours { times::record(&present.bytes, listing, now) } else { None };
    let Some(record) = record.map(|record| record.to_string()) else { return false };
    // If it cannot be written, the listing can perhaps.
    changed(directory, Path::new(CONFIRMED), record.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fetch_half_says_is_added_once_and_of_an_unknown_account_to_the_first() {
        let failed = |on: &str| fetch::held("open", on, "denied", "", &[on]);
        let account = |name: &str, errors: Vec<Failure>| listing::Account {
            name: name.to_owned(),
            errors,
            ..listing::Account::default()
        };
        let of = |accounts| Listing { accounts, ..Listing::default() };
        let listing = of(vec![account("", vec![failed("ana")]), account("b", Vec::new())]);
        let said = of(vec![
            account("", vec![failed("bob"), failed("ana")]),
            account("b", vec![failed("ana")]),
            account("gone", vec![failed("ana"), failed("eve")]),
        ]);
        let told = with_errors(listing, Some(said));
        let on = |account: &listing::Account| account.errors.iter().map(|error| error.on.clone()).collect();
        let on: Vec<Vec<String>> = told.accounts.iter().map(on).collect();
        assert_eq!(on, [vec!["ana", "bob", "eve"], vec!["ana"]]);
    }
}
