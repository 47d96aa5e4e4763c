//! What `enable` changed, so that `disable` can restore it: one file next to the cache, which only root can read.
//!
//! A file that was not edited since is restored byte for byte. From a file that was edited, only what `enable` added is
//! removed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::edit::file::{Edit, Kind};
use crate::host::Host;
use crate::host::files;
use crate::say::error::Error;

pub(crate) mod adopted;
pub(crate) mod copies;
mod stored;

/// The directory, which only root may enter.
pub(crate) const DIRECTORY: &str = "/var/lib/nss-iam/backup";
/// The file.
pub(crate) const PATH: &str = "/var/lib/nss-iam/backup/manifest.json";
const VERSION: u32 = 1;

/// Everything that `enable` changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    version: u32,
    /// In the order in which they were changed.
    pub files: Vec<Saved>,
    /// Directories that were created, and are removed if they are empty.
    pub directories: Vec<PathBuf>,
    /// The previous profile of authselect, and its features.
    pub authselect: Option<Vec<String>>,
    /// Whether the profile was enabled with pam-auth-update.
    pub pam_auth_update: bool,
    /// The systemd units that were enabled.
    pub units: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub path: PathBuf,
    pub kind: Kind,
    /// Its content before; `None` if it did not exist.
    #[serde(with = "stored")]
    pub original: Option<Vec<u8>>,
    /// SHA-256 of what was written; `None` if it was removed.
    written: Option<String>,
    pub mode: u32,
}

impl Manifest {
    /// What the last `enable` stored; empty if nothing is enabled.
    ///
    /// # Errors
    /// When it cannot be read, or is of another version.
    pub(crate) fn load(host: &Host) -> Result<Option<Self>, Error> {
        let path = host.path(PATH);
        let Some(json) = files::read(&path)? else { return Ok(None) };
        let refused = |why: String| {
            Error::configuration(format!("cannot use '{}': {why}", path.display()))
                .hint("it contains the original files; check its content, and move it away")
        };
        let manifest: Self = serde_json::from_slice(&json).map_err(|cause| refused(cause.to_string()))?;
        if manifest.version == VERSION {
            Ok(Some(manifest))
        } else {
            Err(refused("another version".to_owned()))
        }
    }

    /// The text of the manifest.
    ///
    /// # Errors
    /// A path that is not UTF-8, of which `enable` changes none.
    pub(crate) fn text(&self) -> Result<String, Error> {
        let manifest = Self { version: VERSION, ..self.clone() };
        let text = serde_json::to_string_pretty(&manifest);
        text.map_err(|cause| Error::other(format!("cannot write '{PATH}': {cause}")))
    }

    /// Records a change that is about to be made. The first saved content stays the original, unless the file was edited
    /// since; then the original is the edited file without what nss-iam added.
    ///
    /// # Errors
    /// When what nss-iam added cannot be identified.
    pub(crate) fn note(&mut self, edit: &Edit, mode: u32) -> Result<(), Error> {
        let written = edit.after.as_deref().map(hash);
        if let Some(saved) = self.files.iter_mut().find(|saved| saved.path == edit.path) {
            if !saved.is_untouched(edit.before.as_deref()) {
                saved.original = edit.kind.without_ours(&edit.path, edit.before.as_deref())?;
            }
            saved.written = written;
            return Ok(());
        }
        let original = edit.before.clone();
        self.files.push(Saved { path: edit.path.clone(), kind: edit.kind, original, written, mode });
        Ok(())
    }
}

impl Saved {
    /// Whether the file was not changed since.
    pub(crate) fn is_untouched(&self, current: Option<&[u8]>) -> bool {
        self.written == current.map(hash)
    }

    /// The content of the file without nss-iam.
    ///
    /// # Errors
    /// When what nss-iam added cannot be identified.
    pub(crate) fn restored(&self, current: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        if self.is_untouched(current) {
            return Ok(self.original.clone());
        }
        self.kind.without_ours(&self.path, current)
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::block;

    fn edit(before: &[u8], after: &[u8]) -> Edit {
        let [before, after] = [before, after].map(|bytes| Some(bytes.to_owned()));
        Edit { path: "/f".into(), kind: Kind::Block, before, after, mode: 0o644 }
    }

    #[test]
    fn an_untouched_file_gets_its_bytes_and_an_edited_one_loses_only_ours() {
        let ours = block::insert(b"a\n", 1, "x");
        let mut manifest = Manifest::default();
        manifest.note(&edit(b"a\n", &ours), 0o644).unwrap();
        let saved = &manifest.files[0];
        let edited = [b"new\n", &ours[..]].concat();
        assert_eq!(saved.restored(Some(&ours)).unwrap().as_deref(), Some(&b"a\n"[..]));
        assert_eq!(saved.restored(Some(&edited)).unwrap().as_deref(), Some(&b"new\na\n"[..]));
        assert_eq!(saved.restored(None).unwrap(), None, "a file that somebody removed stays away");
    }

    #[test]
    fn the_first_original_outlives_a_second_enable_and_an_edit_in_between_does_too() {
        let (first, second) = (block::insert(b"a\n", 1, "x"), block::insert(b"a\n", 1, "y"));
        let mut manifest = Manifest::default();
        manifest.note(&edit(b"a\n", &first), 0o644).unwrap();
        manifest.note(&edit(&first, &second), 0o644).unwrap();
        assert_eq!(manifest.files[0].original.as_deref(), Some(&b"a\n"[..]));
        manifest.note(&edit(&[b"b\n", &second[..]].concat(), &first), 0o644).unwrap();
        assert_eq!(manifest.files[0].original.as_deref(), Some(&b"b\na\n"[..]));
    }
}
