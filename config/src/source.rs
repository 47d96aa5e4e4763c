//! `[source] url`: the one place that knows which URLs are taken.

mod file_url;

use std::path::PathBuf;

/// `[source]`: where the listing comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it is written, for people.
    pub url: String,
    /// The absolute path that a `file:` URL names; none: `iam:`.
    pub file: Option<PathBuf>,
}

impl Default for Source {
    fn default() -> Self {
        Self { url: "iam:".to_owned(), file: None }
    }
}

/// What is wrong, and what would be right.
type Wrong = (&'static str, &'static str);

const NOT_A_SOURCE: Wrong =
    ("not a source", "\"iam:\", or \"file://\" and an absolute path, so three '/' in all");

impl Source {
    pub(crate) fn parse(url: &str) -> Result<Self, Wrong> {
        if url == "iam:" {
            return Ok(Self::default());
        }
        if url.starts_with("s3://") {
            return Err(("S3 is no source in this release", "\"iam:\" or \"file:///…\""));
        }
        let path = file_url::path(url)?.ok_or(NOT_A_SOURCE)?;
        Ok(Self { url: url.to_owned(), file: Some(path) })
    }
}
