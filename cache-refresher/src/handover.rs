//! The listing that the fetch half hands over to the apply half. The apply half trusts neither its place nor its content.

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
/// Why there is no listing that could be believed.
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

/// The uid of that user.
pub(crate) fn fetcher(files: &Files) -> Option<u32> {
    files.users.get(FETCH_USER).copied()
}

/// Whom root gave the directory to, where the user cannot be found out.
pub(crate) fn owner() -> Option<u32> {
    let folder = Path::new(LISTING).parent()?;
    fs::symlink_metadata(folder).ok().filter(fs::Metadata::is_dir).map(|found| found.uid())
}

/// Reads what the fetch half left: a file of that user or of root, which nobody else can write.
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

/// The last listing is the fetch half's memory, if it is of the same source.
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

/// On a full disk a reserve makes room: a listing that has fewer users matters most.
pub(crate) fn write(listing: &Listing) -> io::Result<()> {
    let (path, json) = (Path::new(LISTING), serde_json::to_vec(listing)?);
    let folder = path.parent().unwrap_or(Path::new("/"));
    reserve::with(folder, || replace(path, &json, 0o600, None))?;
    if let Err(cause) = reserve::keep(folder, json.len() as u64) {
        log::warn!("cannot reserve space for the next listing in '{}': {cause}", folder.display());
    }
    Ok(())
}
