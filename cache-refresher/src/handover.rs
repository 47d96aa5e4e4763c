//! The file with the listing, which the fetch half writes and the apply half reads. The apply half checks who could have
//! written it, and parses it like any hostile input.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache::reserve;
use claims::nss::Files;
use config::Source;
use listing::Listing;
use listing::regular::{Links, Unread as NoFile};

use crate::replace::replace;

/// Where the fetch half leaves its listing.
pub(crate) const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
/// The user of the fetch half.
pub(crate) const FETCH_USER: &str = "nss-iam-fetch";

/// Why there is no listing to apply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("cannot {what} '{LISTING}': {cause}")]
    Io { what: &'static str, cause: io::Error },
    #[error("there is no listing '{LISTING}' yet")]
    Missing,
    #[error("listing '{LISTING}' refused: {0}")]
    Untrusted(String),
    #[error("listing '{LISTING}' refused: {0}")]
    Form(#[from] listing::Error),
}

/// The uid of [`FETCH_USER`].
pub(crate) fn fetcher(files: &Files) -> Option<u32> {
    files.users.get(FETCH_USER).copied()
}

/// The owner of the directory, which root made: the same uid, for when the local users cannot be read.
pub(crate) fn owner() -> Option<u32> {
    let directory = Path::new(LISTING).parent()?;
    fs::symlink_metadata(directory).ok().filter(fs::Metadata::is_dir).map(|found| found.uid())
}

/// Reads the listing for the apply half. It must belong to the user of the fetch half or to root, and nobody else may be
/// able to write it.
pub(crate) fn read(fetcher: Option<u32>) -> Result<Listing, Unread> {
    let file = listing::read(Path::new(LISTING), Links::Refuse).map_err(|unread| match unread {
        NoFile::Open(cause) if cause.kind() == io::ErrorKind::NotFound => Unread::Missing,
        NoFile::Open(cause) => Unread::Io { what: "open", cause },
        NoFile::Read(cause) => Unread::Io { what: "read", cause },
        NoFile::NotRegular | NoFile::TooLarge(_) => Unread::Untrusted(format!("it is {unread}")),
    })?;
    let (refused, found) = (|cause: String| Err(Unread::Untrusted(cause)), file.about);
    if found.uid() != 0 && Some(found.uid()) != fetcher {
        return refused(format!("it belongs to uid {}, not to '{FETCH_USER}' or root", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return refused("users other than its owner can write it".to_owned());
    }
    Ok(Listing::parse(&file.bytes)?)
}

/// The previous listing, for the fetch half, if it is of the same source.
pub(crate) fn previous(source: &Source) -> Option<Listing> {
    let unusable = match listing::read(Path::new(LISTING), Links::Refuse).map_err(io::Error::from) {
        Ok(file) => match Listing::parse(&file.bytes) {
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

/// Replaces the listing. If the disk is full, the reserve makes room: a listing with fewer users is what matters most.
pub(crate) fn write(listing: &Listing) -> io::Result<()> {
    let (path, json) = (Path::new(LISTING), serde_json::to_vec(listing)?);
    let directory = path.parent().unwrap_or(Path::new("/"));
    reserve::with(directory, || replace(path, &json, 0o600, None))?;
    if let Err(cause) = reserve::keep(directory, json.len() as u64) {
        log::warn!("cannot reserve space for the next listing in '{}': {cause}", directory.display());
    }
    Ok(())
}
