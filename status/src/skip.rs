//! Parts of the listing that were skipped.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::coded::Kind;
use crate::reason::{SkipReason, escaped};

/// The kinds of things that can be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A user.
    User,
    /// A group; its members are still users.
    Group,
    /// A key of a published user.
    Key,
    /// A tag of a published user.
    Tag,
    /// Something that only another release skips.
    #[serde(other)]
    Other,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Key => "key",
            Self::Tag => "tag",
            Self::Other => "entry",
        })
    }
}

/// Exactly what was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The user.
    User,
    /// The group.
    Group,
    /// The user's key with this SSHPublicKeyId.
    Key(&'a str),
    /// The user's key in this tag.
    KeyInTag(&'a str),
    /// The user's key in parts, in these tags.
    KeyInTags(&'a [&'a str]),
    /// The user's tag.
    Tag(&'a str),
}

/// Something in the listing that is not published as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Read")]
pub struct Skip {
    /// The account's name in the configuration.
    pub account: String,
    /// The kind.
    pub what: What,
    /// The user or group, as the source spells it, [`escaped`].
    pub name: String,
    /// UserId or GroupId.
    pub id: String,
    /// The tag, or the tag with the key; of a key in parts, the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// All tags of a key in parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// The SSHPublicKeyId of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The reason, for programs.
    #[serde(flatten)]
    pub reason: Kind<SkipReason>,
    /// The reason, for people.
    #[serde(rename = "reason")]
    pub text: String,
}

impl Skip {
    /// `part` of the user or group `name` of `account`, with the id `id`.
    #[must_use]
    pub fn new(account: &str, part: Part<'_>, name: &str, id: &str, reason: SkipReason) -> Self {
        let (what, tag, key) = match part {
            Part::User => (What::User, None, None),
            Part::Group => (What::Group, None, None),
            Part::Key(key) => (What::Key, None, Some(escaped(key))),
            Part::KeyInTag(tag) => (What::Key, Some(escaped(tag)), None),
            Part::KeyInTags(tags) => (What::Key, tags.first().map(|tag| escaped(tag)), None),
            Part::Tag(tag) => (What::Tag, Some(escaped(tag)), None),
        };
        let parts = if let Part::KeyInTags(tags) = part { tags } else { &[] };
        let text = match (&tag, &key) {
            (Some(tag), _) => format!("tag '{tag}': {reason}"),
            (None, Some(key)) => format!("key '{key}': {reason}"),
            (None, None) => reason.to_string(),
        };
        Self {
            account: escaped(account),
            what,
            name: escaped(name),
            id: id.to_owned(),
            tag,
            parts: parts.iter().map(|tag| escaped(tag)).collect(),
            key,
            reason: Kind::Known(reason),
            text: message::printable(&text),
        }
    }
}

impl Skip {
    /// Whether it is a group whose name no group of a host can have. That is no fault: its members are users, and the
    /// configuration names it as the source does.
    #[must_use]
    pub fn is_group_of_the_source_only(&self) -> bool {
        use SkipReason as R;
        self.what == What::Group
            && matches!(
                self.reason.known(),
                Some(
                    R::NameEmpty
                        | R::NameLong { .. }
                        | R::NameCharacter { .. }
                        | R::NameFirst { .. }
                        | R::NameDigits
                        | R::NameNumber { .. }
                )
            )
    }
}

/// The form in a file.
#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    account: String,
    what: What,
    #[serde(default)]
    name: String,
    #[serde(default)]
    id: String,
    tag: Option<String>,
    #[serde(default)]
    parts: Vec<String>,
    key: Option<String>,
    code: Option<String>,
    details: Option<Value>,
    #[serde(default)]
    reason: String,
}

impl From<Read> for Skip {
    fn from(read: Read) -> Self {
        let Read { account, what, name, id, tag, parts, key, code, details, reason } = read;
        let text = message::printable(&reason);
        Self { account, what, name, id, tag, parts, key, reason: Kind::read(code, details), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_group_with_a_name_that_no_host_can_have_is_no_fault() {
        let space = SkipReason::NameCharacter { character: ' ' };
        let taken = SkipReason::NameReserved { name: "docker".to_owned() };
        for (part, reason, expected) in [
            (Part::Group, &space, true),
            (Part::Group, &SkipReason::NameLong { bytes: 40 }, true),
            (Part::User, &space, false),
            (Part::Group, &taken, false),
            (Part::Tag("name"), &space, false),
        ] {
            let skip = Skip::new("", part, "Jump Hosts", "AGPA1", reason.clone());
            assert_eq!(skip.is_group_of_the_source_only(), expected, "{part:?} {reason:?}");
        }
    }
}
