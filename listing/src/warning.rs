//! Warnings about a source: what an administrator should know although nothing failed.

use message::Message;
use serde::{Deserialize, Serialize};

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Read")]
pub struct Warning {
    /// The kind; none in a listing of an earlier release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<WarningCode>,
    /// The text for people.
    #[serde(flatten)]
    pub message: Message,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// A group was renamed at the source; it is read by its id.
    GroupRenamed,
    /// A group was renamed at the source, and cannot be read by the new name.
    GroupRenamedUnread,
    /// A group is not found by its name, but still has members.
    GroupNotFound,
    /// A group no longer exists.
    GroupGone,
    /// It is not known whether a group still exists.
    GroupUnclear,
    /// Not all keys that were due were read.
    KeysLeft,
    /// The call that reads all memberships at once is denied.
    DetailsDenied,
}

/// The form in a document; release 0.1.0 wrote only a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Text(String),
    Coded(Coded),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coded {
    code: WarningCode,
    what: String,
    #[serde(default)]
    hint: String,
}

impl Warning {
    /// As this release writes it.
    #[must_use]
    pub fn new(code: WarningCode, what: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self { code: Some(code), message: Message::new(what).with_hint(hint) }
    }
}

impl From<Read> for Warning {
    fn from(read: Read) -> Self {
        match read {
            Read::Text(text) => Self { code: None, message: Message::of_lines(&text) },
            Read::Coded(Coded { code, what, hint }) => Self::new(code, what, hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_a_text_of_an_earlier_release_too() {
        let message = Message::new("a").with_hint("b");
        let warning = Warning { code: Some(WarningCode::GroupGone), message };
        let json = serde_json::to_string(&warning).unwrap();
        assert_eq!(json, r#"{"code":"group-gone","what":"a","hint":"b"}"#);
        assert_eq!(serde_json::from_str::<Warning>(&json).unwrap(), warning);
        let earlier: Warning = serde_json::from_str(r#""a\u001b\nhint: b""#).unwrap();
        assert_eq!(earlier, Warning { code: None, message: Message::new("a\u{1b}; hint: b") });
        for refused in [r#"{"code":"unit-runs-as","what":"a"}"#, r#"{"code":"group-gone","what":"a","x":1}"#]
        {
            assert!(serde_json::from_str::<Warning>(refused).is_err(), "{refused}");
        }
    }
}
