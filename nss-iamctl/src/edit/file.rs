//! A change of one file, and which part of it nss-iam added.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::edit::{block, nsswitch};
use crate::say::error::Error;

/// A file is changed, created or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub path: PathBuf,
    pub kind: Kind,
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    /// Of a new file.
    pub mode: u32,
}

/// Which part of a file nss-iam added. It is needed if the file was edited since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// All of it.
    Whole,
    /// The words in nsswitch.conf.
    Nsswitch,
    /// What is between the markers.
    Block,
    /// Nothing: the administrator's settings, or another program's output.
    Theirs,
}

impl Kind {
    /// The file without what nss-iam added; `None` if it would not exist.
    ///
    /// # Errors
    /// When a marker is missing.
    pub(crate) fn without_ours(self, path: &Path, text: Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
        let Some(text) = text else { return Ok(None) };
        match self {
            Kind::Whole => Ok(None),
            Kind::Nsswitch => Ok(Some(nsswitch::disable(text))),
            Kind::Block => block::remove(text).map(Some).map_err(|block::Unclosed| {
                let message = format!("'{}' has '{}' without its end", path.display(), block::BEGIN);
                Error::configuration(message).hint("remove the lines of nss-iam and both markers by hand")
            }),
            Kind::Theirs => Ok(Some(text.to_owned())),
        }
    }
}
