//! `known.json`: what earlier releases wrote instead of `known.db`. It is used while it is there, and removed as soon as
//! `known.db` is written.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use cache::publish::Error;
use cache::replace;
use listing::Listing;
use serde::Deserialize;

/// The name of the file.
pub(super) const NAME: &str = "known.json";
const VERSION: u32 = 1;

/// The document.
#[derive(Deserialize)]
pub(super) struct Document {
    version: u32,
    pub(super) configuration: Vec<(PathBuf, String)>,
    pub(super) listings: Vec<Listing>,
}

/// `None` if it cannot be used.
pub(super) fn read(mut file: File) -> Option<Document> {
    let mut json = Vec::new();
    file.read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok().filter(|document: &Document| document.version == VERSION)
}

/// Removes it.
pub(super) fn remove(directory: &Path) -> Result<(), Error> {
    let path = directory.join(NAME);
    replace::remove_leftovers(&path).map_err(|cause| Error::Io {
        what: "remove what is left beside",
        path: path.clone(),
        cause,
    })?;
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::Io { what: "remove", path, cause }),
        _ => Ok(()),
    }
}
