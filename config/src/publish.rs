//! `[publish]`: the signed listing that `cache-refresher publish` writes.

use std::path::PathBuf;
use std::time::Duration;

use crate::check::{self, list};
use crate::tree::Section;
use crate::trust::{fleet_name, trusted_key};
use crate::{Error, Source};

/// What is published, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The URL of the object, as in the configuration.
    pub url: String,
    /// Its bucket.
    pub bucket: String,
    /// The name of the object in the bucket.
    pub object: String,
    /// The fleet that it is made for.
    pub fleet: String,
    /// The file with the private key that signs it; an absolute path.
    pub key: PathBuf,
    /// For how long hosts accept it; longer than `again`.
    pub valid: Duration,
    /// After which time it is signed again, although nothing has changed.
    pub again: Duration,
    /// Further keys, `<type> <base64>`, that may have signed the present object.
    pub trusted_keys: Vec<String>,
}

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Publish {
    /// `None`: the section is empty.
    ///
    /// # Errors
    /// A value that is wrong, or a key that is missing.
    pub(crate) fn read(mut section: Section, source: &Source) -> Result<Option<Self>, Error> {
        let (url, fleet, key) = (section.take("url"), section.take("fleet"), section.take("key"));
        let (valid, again) = (section.take("valid"), section.take("again"));
        let trusted = section.take("trusted_keys");
        section.end()?;
        let all = [&url, &fleet, &key, &valid, &again, &trusted];
        let Some(first) = all.into_iter().flatten().next() else { return Ok(None) };
        let missing = |name: &str| first.wrong(&format!("[publish] also needs '{name}'"), NEEDED);
        let url = url.as_ref().ok_or_else(|| missing("url"))?;
        let Source::S3 { bucket, key: object, url: text } = check::source(url)? else {
            return Err(url.wrong("not an object in S3", "such as \"s3://example-users/jump-hosts\""));
        };
        if source.has_url(&text) {
            return Err(url.wrong("it is also [source] url", "publish what comes from another source"));
        }
        let lasting = valid.as_ref().map(check::duration).transpose()?.unwrap_or(24 * HOUR);
        let repeated = again.as_ref().map(check::duration).transpose()?.unwrap_or(HOUR);
        if repeated >= lasting {
            let item = again.as_ref().or(valid.as_ref()).unwrap_or(first);
            return Err(item
                .wrong("the listing would expire before it is signed again", "set valid longer than again"));
        }
        Ok(Some(Self {
            url: text,
            bucket,
            object,
            fleet: fleet_name(fleet.as_ref().ok_or_else(|| missing("fleet"))?)?,
            key: check::absolute_path(key.as_ref().ok_or_else(|| missing("key"))?)?.into(),
            valid: lasting,
            again: repeated,
            trusted_keys: trusted.as_ref().map(list(trusted_key)).transpose()?.unwrap_or_default(),
        }))
    }
}

const NEEDED: &str = "url = \"s3://BUCKET/KEY\", fleet = \"NAME\" and key = \"/etc/nss-iam/publish.key\"";
