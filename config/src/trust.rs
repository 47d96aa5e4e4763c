//! `[source] fleet`, `trusted_keys`, `unsigned`: which listings of a document a host believes.

use policy::KeyLine;

use crate::check::{list, made_of};
use crate::source::NO_DOCUMENT;
use crate::tree::{Item, Section};
use crate::{Error, Source};

/// Types of keys whose signatures can be verified, as in a `.pub` file.
pub const SIGNING: [&str; 5] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Which listings are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The fleet whose listings are meant; empty if `keys` is.
    pub fleet: String,
    /// Public keys of those who may sign, `<type> <base64>`; none: listings are not signed.
    pub keys: Vec<String>,
    /// Whether a listing without a signature is accepted, too, until the first one with a signature.
    pub unsigned: bool,
}

impl Trust {
    /// Whether the apply half verifies what the fetch half has read.
    #[must_use]
    pub fn verifies(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The keys of `[source]`.
    ///
    /// # Errors
    /// A value that is wrong, or that does not fit the source.
    pub(crate) fn read(section: &mut Section, source: &Source, url: Option<&Item>) -> Result<Self, Error> {
        let fleet = section.take("fleet");
        let keys = section.take("trusted_keys");
        let unsigned = section.take("unsigned");
        if let Some(item) = [&fleet, &keys, &unsigned].into_iter().flatten().next()
            && source.is_directory()
        {
            return Err(item.wrong(NO_DOCUMENT.0, NO_DOCUMENT.1));
        }
        let trust = Self {
            fleet: fleet.as_ref().map(fleet_name).transpose()?.unwrap_or_default(),
            keys: keys.as_ref().map(list(trusted_key)).transpose()?.unwrap_or_default(),
            unsigned: unsigned.as_ref().map(Item::bool).transpose()?.unwrap_or_default(),
        };
        match (&fleet, &keys, url) {
            (None, Some(keys), _) if trust.verifies() => Err(keys.wrong(
                "it needs the fleet whose listings are meant",
                "add fleet = \"NAME\", as in [publish] of the publisher",
            )),
            (Some(fleet), _, _) if !trust.verifies() => Err(fleet.wrong(
                "only a signed listing has a fleet",
                "add trusted_keys = [\"ssh-ed25519 …\"], the public keys of the publisher",
            )),
            (_, _, Some(url))
                if matches!(source, Source::S3 { .. }) && !trust.verifies() && !trust.unsigned =>
            {
                Err(url.wrong(
                    "anybody who can write to the bucket would decide who can log in",
                    "add fleet and trusted_keys, the public keys of the publisher; or unsigned = true",
                ))
            }
            _ => Ok(trust),
        }
    }
}

/// The name of a fleet.
pub(crate) fn fleet_name(item: &Item) -> Result<String, Error> {
    let name = item.text()?;
    if made_of(name, "._-", 1, 64) {
        return Ok(name.to_owned());
    }
    Err(item.wrong("not the name of a fleet", "1 to 64 letters, digits and . _ -"))
}

/// A line of a `.pub` file, without its comment.
pub(crate) fn trusted_key(item: &Item) -> Result<String, Error> {
    let hint = format!("a line of a .pub file, of one of these types: {}", SIGNING.join(", "));
    let line = KeyLine::read(item.text()?).map_err(|_| item.wrong("not a public key", &hint))?;
    if !SIGNING.contains(&line.kind()) {
        return Err(item.wrong("signatures of this type of key cannot be verified", &hint));
    }
    Ok(line.line().to_owned())
}
