//! `[source] url`: the sources, and how they differ. The code that reads a source is in
//! `cache-refresher/src/fetch`.
//!
//! To add a source, begin with a variant here: the compiler then names each place that has to decide. No other code
//! compares URLs.

mod file_url;
mod remedy;

use std::path::PathBuf;

use crate::check::made_of;

/// `[source]`: where users and groups come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// IAM, in one or more AWS accounts.
    #[default]
    Iam,
    /// A listing that another program writes.
    File {
        /// As in the configuration.
        url: String,
        /// The absolute path.
        path: PathBuf,
    },
}

/// What is wrong, and what would be right.
type Wrong = (&'static str, &'static str);

const IAM: &str = "iam:";
const NOT_A_SOURCE: Wrong =
    ("not a source", "\"iam:\", or \"file://\" and an absolute path, so three '/' in all");

impl Source {
    pub(crate) fn parse(url: &str) -> Result<Self, Wrong> {
        if url == IAM {
            return Ok(Self::Iam);
        }
        if url.starts_with("s3://") {
            return Err(("S3 is not supported in this release", "use \"iam:\" or \"file:///…\""));
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
            Self::File { url, .. } => url,
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
            Self::File { .. } => "the file",
        }
    }

    /// What messages call a `user` or `group` of this source: `IAM user`.
    #[must_use]
    pub fn called(&self, what: &str) -> String {
        match self {
            Self::Iam => format!("IAM {what}"),
            Self::File { .. } => what.to_owned(),
        }
    }

    /// Whether it is queried, account by account, for the groups in the configuration and then for each member.
    /// Otherwise it is a document that is read as a whole, and every user in it is meant.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        match self {
            Self::Iam => true,
            Self::File { .. } => false,
        }
    }

    /// Whether the configuration means the group with this name when it says `configured`.
    #[must_use]
    pub fn is_group(&self, configured: &str, _id: &str, name: &str) -> bool {
        configured.eq_ignore_ascii_case(name)
    }

    /// The policy with the permissions that the refresher needs at the source, as the packages install it.
    #[must_use]
    pub fn policy(&self) -> &'static str {
        "/usr/share/nss-iam/iam-policy.json"
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
            Self::File { .. } => GroupNames {
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
            Self::File { .. } => !name.is_empty(),
        }
    }

    /// What `keys.db` and `state.db` store about who confirmed a user's keys: `iam:123456789012`, or the URL of
    /// a document. The account is empty while it is unknown.
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

/// IAM's rule: API reference, CreateGroup.
fn is_iam_group(name: &str) -> bool {
    made_of(name, "+=,.@_-", 1, 128)
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
            ("file:///a", "file:///a", true),
            ("file:///a", "file:///a/b", false),
            ("listing", "listing", true),
            ("", "iam:", false),
        ] {
            assert_eq!(is_same_origin(one, other), same, "{one} {other}");
        }
    }
}
