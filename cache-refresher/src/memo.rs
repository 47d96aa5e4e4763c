//! A JSON file that a process leaves in its directory for the next one. Nothing else reads it, and it may be lost.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::replace::replace;

/// What the file at `path` says, given its content; the default if it is missing or cannot be used. `otherwise` is the consequence
/// of that, for a warning.
pub(crate) fn read<T: DeserializeOwned + Default>(
    path: &Path,
    content: io::Result<Vec<u8>>,
    otherwise: &str,
) -> T {
    match content.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)) {
        Ok(said) => said,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => T::default(),
        Err(cause) => {
            log::warn!("cannot use '{}': {cause}; {otherwise}", path.display());
            T::default()
        }
    }
}

/// Replaces the file; the caller holds the lock of the directory. A failure is a warning.
pub(crate) fn write<T: Serialize>(path: &Path, said: &T) {
    let json = serde_json::to_vec(said).unwrap_or_default();
    if let Err(cause) = replace(path, &json, 0o600, None) {
        log::warn!("cannot write '{}': {cause}", path.display());
    }
}
