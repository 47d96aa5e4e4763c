//! `[source] url`: the sources, and how they differ. The code that reads a source is in
//! `cache-refresher/src/fetch`.
//!
//! To add a source, begin with a variant here: the compiler then names each place that has to decide. No other code
//! compares URLs.

mod file_url;
mod remedy;

pub use remedy::Stored;

use std::path::PathBuf;

use crate::check::made_of;

/// `[source]`: where users and groups come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// IAM, in one or more AWS accounts.
    #[default]
    Iam,
    /// IAM Identity Center: one or more identity stores.
    IdentityCenter,
    /// A listing that another program writes.
    File {
        /// As in the configuration.
        url: String,
        /// The absolute path.
        path: PathBuf,
    },
    /// A listing that `cache-refresher publish` writes for many hosts.
    S3 {
        /// As in the configuration.
        url: String,
        /// Its bucket.
        bucket: String,
        /// The name of the object in the bucket.
        key: String,
    },
}

/// What is wrong, and what would be right.
pub(crate) type Wrong = (&'static str, &'static str);

const IAM: &str = "iam:";
const IDENTITY_CENTER: &str = "identity-center:";
const S3: &str = "s3://";
const NOT_A_SOURCE: Wrong = (
    "not a source",
    "\"iam:\", \"identity-center:\", \"s3://BUCKET/KEY\", or \"file://\" and an absolute path, so three '/' in all",
);

const NOT_AN_OBJECT: Wrong = (
    "not an object in S3",
    "\"s3://BUCKET/KEY\": a bucket has 3 to 63 lower-case letters, digits, '.' and '-', a key up to 1024 bytes without control \
     characters",
);

/// Only a document can be signed.
pub(crate) const NO_DOCUMENT: Wrong = (
    "only a listing in a file or in S3 can be signed",
    "remove it, or set [source] url = \"s3://BUCKET/KEY\" or \"file:///PATH\"",
);

/// An account that is read has no identity store.
pub(crate) const NO_STORE: Wrong = (
    "it needs an identity store",
    "add identity_store = \"d-…\" and region = \"…\": aws sso-admin list-instances shows the store",
);
/// An identity store is configured where there is none.
pub(crate) const OTHER_SOURCE: Wrong = (
    "only the source \"identity-center:\" has identity stores",
    "set [source] url = \"identity-center:\", or remove it; the region of other calls is [aws] region",
);

impl Source {
    pub(crate) fn parse(url: &str) -> Result<Self, Wrong> {
        for directory in [Self::Iam, Self::IdentityCenter] {
            if url == directory.url() {
                return Ok(directory);
            }
        }
        if let Some(object) = url.strip_prefix(S3) {
            let (bucket, key) = object_of(object).ok_or(NOT_AN_OBJECT)?;
            return Ok(Self::S3 { url: url.to_owned(), bucket: bucket.to_owned(), key: key.to_owned() });
        }
        let path = file_url::path(url)?.ok_or(NOT_A_SOURCE)?;
        Ok(Self::File { url: url.to_owned(), path })
    }

    /// The source that a listing names; none if this release does not know it.
    #[must_use]
    pub fn of_listing(url: &str) -> Option<Self> {
        Self::parse(url).ok()
    }

    /// The URL as in the configuration, in listings and in messages.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Iam => IAM,
            Self::IdentityCenter => IDENTITY_CENTER,
            Self::File { url, .. } | Self::S3 { url, .. } => url,
        }
    }

    /// Whether a listing names this source.
    #[must_use]
    pub fn has_url(&self, url: &str) -> bool {
        self.url() == url
    }

    /// Its name in messages.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Iam => "IAM",
            Self::IdentityCenter => "Identity Center",
            Self::File { .. } => "the file",
            Self::S3 { .. } => "the object in S3",
        }
    }

    /// What messages call a `user` or `group` of this source: `IAM user`.
    #[must_use]
    pub fn called(&self, what: &str) -> String {
        match self {
            Self::Iam | Self::IdentityCenter => format!("{} {what}", self.noun()),
            Self::File { .. } | Self::S3 { .. } => what.to_owned(),
        }
    }

    /// Whether it is queried, account by account, for the groups in the configuration and then for each member.
    /// Otherwise it is a document that is read as a whole, and every user in it is meant.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        match self {
            Self::Iam | Self::IdentityCenter => true,
            Self::File { .. } | Self::S3 { .. } => false,
        }
    }

    /// Whether a group can be configured by this, its id, and then only the group with this id is meant. An Identity Center
    /// allows a group whose display name is the id of another.
    #[must_use]
    pub fn is_group_id(&self, name: &str) -> bool {
        match self {
            Self::IdentityCenter => is_guid(name),
            Self::Iam | Self::File { .. } | Self::S3 { .. } => false,
        }
    }

    /// Whether the configuration means the group with this id and name when it says `configured`.
    #[must_use]
    pub fn is_group(&self, configured: &str, id: &str, name: &str) -> bool {
        if self.is_group_id(configured) {
            configured.eq_ignore_ascii_case(id)
        } else {
            configured.eq_ignore_ascii_case(name)
        }
    }

    /// A UserId or GroupId as listings have it: in the one case in which AWS writes those of this source.
    #[must_use]
    pub fn listed_id(&self, id: &str) -> String {
        match self {
            Self::Iam if is_unique_id(id) => id.to_ascii_uppercase(),
            Self::IdentityCenter if is_guid(id) => id.to_ascii_lowercase(),
            Self::Iam | Self::IdentityCenter | Self::File { .. } | Self::S3 { .. } => id.to_owned(),
        }
    }

    /// Whether it stores keys and tags of its users.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        match self {
            Self::Iam | Self::File { .. } | Self::S3 { .. } => true,
            Self::IdentityCenter => false,
        }
    }

    /// What an account of it is called, before its id.
    #[must_use]
    pub fn account(&self) -> &'static str {
        match self {
            Self::Iam => "AWS account",
            Self::IdentityCenter => "identity store",
            Self::File { .. } | Self::S3 { .. } => "account",
        }
    }

    /// The policy with the permissions that the refresher needs at the source, as the packages install it.
    #[must_use]
    pub fn policy(&self) -> &'static str {
        match self {
            Self::IdentityCenter => "/usr/share/nss-iam/identity-center-policy.json",
            Self::Iam | Self::File { .. } | Self::S3 { .. } => "/usr/share/nss-iam/iam-policy.json",
        }
    }

    /// Valid names of groups. Groups of a document are used only in `local_groups`.
    #[must_use]
    pub fn group_names(&self) -> GroupNames {
        match self {
            Self::Iam => GroupNames {
                fits: is_iam_group,
                of: "an IAM group",
                hint: "1 to 128 letters, digits and + = , . @ _ -, as IAM has it, without a path",
            },
            Self::IdentityCenter => GroupNames {
                fits: is_display_name,
                of: "a group of Identity Center",
                hint: "its display name, up to 1024 characters without control characters, or its GroupId",
            },
            Self::File { .. } | Self::S3 { .. } => GroupNames {
                fits: is_iam_group,
                of: "a group",
                hint: "1 to 128 letters, digits and + = , . @ _ -",
            },
        }
    }

    /// Whether a user can have this name there. IAM's rule: API reference, CreateUser.
    #[must_use]
    pub fn can_have_user(&self, name: &str) -> bool {
        match self {
            Self::Iam => made_of(name, "+=,.@_-", 1, 64),
            Self::IdentityCenter => (1..=128).contains(&name.chars().count()) && is_display_name(name),
            Self::File { .. } | Self::S3 { .. } => !name.is_empty(),
        }
    }

    /// What `keys.db` and `state.db` store about who confirmed a user's keys: `iam:123456789012`,
    /// `identity-center:d-1234567890`, or the URL of a document. The account is empty while it is unknown.
    #[must_use]
    pub fn origin(&self, account: &str) -> String {
        if self.is_directory() { format!("{}{account}", self.url()) } else { self.url().to_owned() }
    }
}

/// Valid names of a source's groups.
#[derive(Debug, Clone, Copy)]
pub struct GroupNames {
    /// Whether a name is valid.
    pub fits: fn(&str) -> bool,
    /// What has the name: `an IAM group`.
    pub of: &'static str,
    /// The form of a valid name.
    pub hint: &'static str,
}

/// Bucket and key. S3 User Guide, "General purpose bucket naming rules" and "Naming Amazon S3 objects".
fn object_of(object: &str) -> Option<(&str, &str)> {
    let (bucket, key) = object.split_once('/')?;
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_bucket = made_of(bucket, ".-", 3, 63)
        && !bucket.bytes().any(|byte| byte.is_ascii_uppercase())
        && edge(bucket.as_bytes().first())
        && edge(bucket.as_bytes().last())
        && !bucket.contains("..");
    let is_key = (1..=1024).contains(&key.len())
        && !key.contains(char::is_control)
        && !key.split('/').any(|part| [".", ".."].contains(&part));
    (is_bucket && is_key).then_some((bucket, key))
}

/// IAM's rule: API reference, CreateGroup.
fn is_iam_group(name: &str) -> bool {
    made_of(name, "+=,.@_-", 1, 128)
}

/// Identity Store API reference, CreateGroup, without the control characters that it allows.
fn is_display_name(name: &str) -> bool {
    (1..=1024).contains(&name.chars().count()) && !name.contains(char::is_control)
}

/// IAM User Guide, "IAM identifiers": users and groups.
fn is_unique_id(id: &str) -> bool {
    let prefix = id.get(..4).map(str::to_ascii_uppercase);
    prefix.is_some_and(|prefix| prefix == "AIDA" || prefix == "AGPA")
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// GroupId: Identity Store API reference, DescribeGroup. Old ids begin with ten more digits.
fn is_guid(id: &str) -> bool {
    let digits: Vec<usize> = id.split('-').map(str::len).collect();
    matches!(digits.as_slice(), [8, 4, 4, 4, 12] | [10, 8, 4, 4, 4, 12])
        && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Whether two origins (see [`Source::origin`]) can be the same: the account of one may be unknown.
#[must_use]
pub fn is_same_origin(one: &str, other: &str) -> bool {
    let is_of_any_account = |bare: &str, origin: &str| {
        let source = Source::of_listing(bare).filter(Source::is_directory);
        source.is_some_and(|source| origin.starts_with(source.url()))
    };
    one == other || is_of_any_account(one, other) || is_of_any_account(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_the_form_that_earlier_releases_stored() {
        let file = Source::of_listing("file:/srv/a%20b.json").unwrap();
        let origins =
            [Source::Iam.origin("123456789012"), Source::Iam.origin(""), file.origin("123456789012")];
        assert_eq!(origins, ["iam:123456789012", "iam:", "file:/srv/a%20b.json"]);
    }

    #[test]
    fn an_unknown_account_matches_any_account_of_the_same_source() {
        for (one, other, same) in [
            ("iam:1", "iam:1", true),
            ("iam:", "iam:1", true),
            ("iam:1", "iam:", true),
            ("iam:1", "iam:2", false),
            ("iam:", "file:///a", false),
            ("identity-center:", "identity-center:d-1234567890", true),
            ("iam:", "identity-center:d-1234567890", false),
            ("file:///a", "file:///a", true),
            ("file:///a", "file:///a/b", false),
            ("listing", "listing", true),
            ("", "iam:", false),
        ] {
            assert_eq!(is_same_origin(one, other), same, "{one} {other}");
        }
    }
    #[test]
    fn a_group_of_identity_center_that_is_called_like_the_id_of_another_is_never_meant_by_that_id() {
        let id = "90677d7f1c-f9f8fa1c-1234-4c4b-9c4a-0123456789ab";
        let source = Source::IdentityCenter;
        for (configured, id, name, is_meant) in [
            ("Ops", id, "ops", true),
            ("Ops", id, "Dev", false),
            (id, id, "Ops", true),
            (&id[11..], &id[11..], "Ops", true),
            (id, "another", id, false),
        ] {
            assert_eq!(source.is_group(configured, id, name), is_meant, "{configured} {id} {name}");
        }
        assert!(Source::Iam.is_group(id, "AGPA1", id));
    }
}
