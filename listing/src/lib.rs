//! The listing: what was read from a source, as one versioned JSON document.
//!
//! The fetch half writes it. The apply half reads it and does not trust it. The listing decides who is a user:
//! users in it are active, all others are disabled. A removal that the fetch half could not confirm therefore stays
//! in it, marked `missing`. The schema for people and other tools is `docs/reference/listing.schema.json`.
#![forbid(unsafe_code)]

mod failure;
pub mod regular;
pub mod signed;
mod warning;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use failure::{Failure, FailureCode, FailureKind};
use regular::{Links, Regular, Unread};
pub use warning::{Warning, WarningCode};

/// The `version` that this release writes and reads.
pub const VERSION: u32 = 1;

/// What to do with a document that is refused: the page that the packages install.
pub const FORMAT: &str = "/usr/share/doc/nss-iam/reference/listing.md describes the format";

/// The largest document that is read, in bytes: 50 000 users with five RSA keys and ten tags each fit.
pub const MAX_BYTES: u64 = 256 << 20;

/// One document, whatever the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// [`VERSION`].
    pub version: u32,
    /// The source: `iam:`, or the URL of a file.
    #[serde(default)]
    pub source: String,
    /// When it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Timestamp>,
    /// The fleet that a signed listing is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// Grows with each listing that a publisher signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The signed listing from which a publisher made this one: the next one is made from none that is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// UserId or GroupId, also of those who left, and the uid or gid that the publisher has assigned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<String, u32>,
    /// In the order of the configuration, which is the order of precedence for names.
    pub accounts: Vec<Account>,
}

/// Tells a signed listing from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// [`Listing::fleet`].
    pub fleet: String,
    /// [`Listing::generation`].
    pub generation: u64,
}

/// One AWS account, or one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name in the configuration; the first account's is empty.
    #[serde(default)]
    pub name: String,
    /// The AWS account id, twelve digits, or the id of an identity store; empty while unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Whether `users` and `groups` are complete. If not, no user of this account is disabled.
    #[serde(default = "yes")]
    pub complete: bool,
    /// When the memberships were last read completely. Older than `Listing::read` after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// The requested groups that exist.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Members of at least one of `groups`.
    #[serde(default)]
    pub users: Vec<User>,
    /// What failed in the last attempt, one entry per cause. All other data is then from an earlier attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Failure>,
    /// What an administrator should know although nothing failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// GroupId, `AGPA…`: it decides the gid.
    pub id: String,
    /// GroupName, as the source spells it. If the group was renamed there, the name in the configuration.
    pub name: String,
    /// UserIds.
    #[serde(default)]
    pub members: Vec<String>,
    /// The present GroupName, if the group was renamed at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// The configuration no longer names the group; its members stay because they would otherwise be disabled.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unconfigured: bool,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// UserId, `AIDA…`: it decides the uid. A re-created user has a different one.
    pub id: String,
    /// UserName, as the source spells it.
    pub name: String,
    /// CreateDate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Tags with the configured prefix, also those that the configuration does not use; keys include the prefix. Empty if it
    /// uses none: then tags are not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// SSH public keys, whatever their status.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// When `keys` and `tags` were last read; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Timestamp>,
    /// Set while answers about groups lack this user, and the removal could not be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// An SSH public key as the source has it; nothing in it is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// SSHPublicKeyId, `APKA…`: the body of an id never changes.
    #[serde(default)]
    pub id: String,
    /// Offered to sshd only if true.
    #[serde(default = "yes")]
    pub active: bool,
    /// SSHPublicKeyBody in authorized_keys form. May be empty for inactive keys.
    #[serde(default)]
    pub body: String,
}

/// A removal that is not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The last refresh that did not find the user and that counts (at least two minutes after the one before).
    pub last: Timestamp,
    /// The number of refreshes that did not find the user and that count.
    pub times: u32,
    /// GroupIds of the groups whose answers lack the user, sorted; empty in a listing of an earlier release:
    /// all groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not in the form of a listing; the message has line and column.
    #[error("not a listing: {0}")]
    Form(#[from] serde_json::Error),
    /// A different version.
    #[error("listing version {0} is not {VERSION}, the version that this release reads")]
    Version(u32),
    /// Two accounts with one name, two users or two groups with one id, a malformed id, or a member who is not
    /// in `users`.
    #[error("listing contradicts itself: {0}")]
    Contradiction(String),
}

/// Reads the file of a document, without trusting who wrote it.
///
/// # Errors
/// If it is not a regular file of at most [`MAX_BYTES`].
pub fn read(path: &Path, links: Links) -> Result<Regular, Unread> {
    regular::read(path, MAX_BYTES, links)
}

impl Listing {
    /// Parses and checks a document.
    ///
    /// # Errors
    /// See [`Error`]. Names, tags and key bodies are checked where they are used, not here.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let mut listing: Self = serde_json::from_slice(json).map_err(|cause| {
            let version = serde_json::from_slice::<Versioned>(json).ok().map(|document| document.version);
            version.filter(|version| *version != VERSION).map_or(Error::Form(cause), Error::Version)
        })?;
        if listing.version != VERSION {
            return Err(Error::Version(listing.version));
        }
        listing.check()?;
        // A parsed list has room for more.
        for account in &mut listing.accounts {
            account.users.shrink_to_fit();
            account.users.iter_mut().for_each(|user| user.keys.shrink_to_fit());
        }
        Ok(listing)
    }

    /// The accounts and their positions by name, for many searches.
    #[must_use]
    pub fn by_name(&self) -> HashMap<&str, (usize, &Account)> {
        let accounts = self.accounts.iter().enumerate();
        accounts.map(|(at, account)| (account.name.as_str(), (at, account))).collect()
    }

    fn check(&self) -> Result<(), Error> {
        let mut accounts = BTreeSet::new();
        let mut ids = HashSet::new();
        for account in &self.accounts {
            if !accounts.insert(&account.name) {
                return Err(Error::Contradiction(format!(
                    "two accounts have the name '{}'",
                    account.name.escape_default()
                )));
            }
            let users: HashSet<&str> = account.users.iter().map(|user| user.id.as_str()).collect();
            for id in
                account.users.iter().map(|user| &user.id).chain(account.groups.iter().map(|group| &group.id))
            {
                if !is_id(id) {
                    return Err(Error::Contradiction(format!(
                        "'{}' is not an id: 1 to 128 of A-Z a-z 0-9 _ -",
                        id.escape_default()
                    )));
                }
                if !ids.insert(id) {
                    return Err(Error::Contradiction(format!("id '{id}' occurs twice")));
                }
            }
            for group in &account.groups {
                if let Some(member) = group.members.iter().find(|member| !users.contains(member.as_str())) {
                    return Err(Error::Contradiction(format!(
                        "group '{}' has member '{}', who is not among the users",
                        group.name.escape_default(),
                        member.escape_default()
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The part of a document that all versions have.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Whether a listing accepts it as an id of a user or a group. Ids of IAM are upper-case letters and digits; ids of an Identity
/// Center contain lower-case letters and `-`. With a colon, a listing could take the id of a group of nss-iam
/// (`group:iam-users`).
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn yes() -> bool {
    true
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Listing, String> {
        Listing::parse(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_minimal_document_written_by_hand_is_read() {
        let listing = parse(
            r#"{"version": 1, "accounts": [{
                "groups": [{"id": "ops", "name": "Ops", "members": ["1"]}],
                "users": [{"id": "1", "name": "ana", "keys": [{"body": "ssh-ed25519 AAAA"}]}]
            }]}"#,
        )
        .unwrap();
        assert!(listing.accounts[0].complete);
        assert!(listing.accounts[0].users[0].keys[0].active);
    }

    #[test]
    fn a_written_document_is_read_back() {
        let text = r#"{"version": 1, "source": "iam:", "read": "2026-11-22T18:00:00Z", "accounts": [{
            "id": "123456789012", "complete": false, "users": [
                {"id": "AIDA1", "name": "ana", "missing": {"last": "2026-11-22T18:00:00Z", "times": 2}}],
            "errors": [{"call": "iam:GetGroup", "on": "G", "cause": "AccessDenied", "kind": "denied"}]}]}"#;
        let listing = parse(text).unwrap();
        assert_eq!(Listing::parse(&serde_json::to_vec(&listing).unwrap()).unwrap(), listing);
    }

    #[test]
    fn an_unsupported_or_contradictory_document_is_refused() {
        for (text, cause) in [
            (r#"{"version": 2, "accounts": [], "future": 1}"#, "listing version 2 is not 1"),
            (r#"{"version": 1, "accounts": [], "acounts": []}"#, "unknown field `acounts`"),
            (
                r#"{"version": 1, "accounts": [{"users": [{"id": "1", "name": "a"}, {"id": "1", "name": "b"}]}]}"#,
                "id '1' occurs twice",
            ),
            (
                r#"{"version": 1, "accounts": [{"users": [{"id": "1", "name": "a"}]}, {"name": "b", "users": [{"id": "1", "name": "a"}]}]}"#,
                "occurs twice",
            ),
            (r#"{"version": 1, "accounts": [{}, {}]}"#, "two accounts have the name ''"),
            (
                r#"{"version": 1, "accounts": [{"groups": [{"id": "g", "name": "G", "members": ["2"]}]}]}"#,
                "not among the users",
            ),
            (
                r#"{"version": 1, "accounts": [{"users": [{"id": "group:iam-users", "name": "a"}]}]}"#,
                "is not an id",
            ),
            (r#"{"version": 1, "accounts": [{"users": [{"id": "", "name": "a"}]}]}"#, "is not an id"),
            (r#"{"version": 1, "accounts": ["#, "EOF"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }
}
