//! Failed calls to a source.

use message::Message;
use serde::{Deserialize, Serialize};

/// A failed call, in terms that an administrator can act on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// `iam:GetGroup`, `sts:AssumeRole`, `open`.
    pub call: String,
    /// The object of the call: the name of a group, user or role, or a file.
    pub on: String,
    /// `AccessDenied: …`, `no answer within 30s`.
    pub cause: String,
    /// What to do; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Decides the exit status.
    pub kind: FailureKind,
    /// A more specific cause, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// Users, as the source spells them, who stay because of this failure and whom `--force` would disable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

/// The kinds of failure that have different exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// 65: contradictory answers, or a removal that could not be confirmed.
    Held,
    /// 75: unreachable, throttled, timed out.
    Unavailable,
    /// 77: denied.
    Denied,
    /// 78: the configuration names something that does not exist.
    Configuration,
    /// 70: anything else.
    Other,
}

/// Causes with a specific remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The configuration names a group that does not exist.
    NoSuchGroup,
    /// The clocks of this host and of the source differ.
    Clock,
}

impl Failure {
    /// All values of [`Self::code`].
    pub const CODES: [&str; 7] = [
        "source-held",
        "source-unavailable",
        "source-denied",
        "source-configuration",
        "source-other",
        "source-no-such-group",
        "source-clock",
    ];

    /// The kind of failure, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match (self.code, self.kind) {
            (Some(FailureCode::NoSuchGroup), _) => "source-no-such-group",
            (Some(FailureCode::Clock), _) => "source-clock",
            (None, FailureKind::Held) => "source-held",
            (None, FailureKind::Unavailable) => "source-unavailable",
            (None, FailureKind::Denied) => "source-denied",
            (None, FailureKind::Configuration) => "source-configuration",
            (None, FailureKind::Other) => "source-other",
        }
    }

    /// The text for people: "iam:GetGroup on 'Ops' failed: AccessDenied".
    #[must_use]
    pub fn message(&self) -> Message {
        let Self { call, on, cause, hint, .. } = self;
        Message::new(format!("{call} on '{on}' failed: {cause}")).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_code_that_is_listed() {
        let kinds = ["held", "unavailable", "denied", "configuration", "other"];
        let known = ["no-such-group", "clock"];
        let failure = |kind: &str, code: Option<&str>| {
            let json =
                serde_json::json!({ "call": "c", "on": "o", "cause": "x", "kind": kind, "code": code });
            serde_json::from_value::<Failure>(json).unwrap()
        };
        let of_kinds = kinds.map(|kind| failure(kind, None).code());
        let codes = known.map(|code| failure("other", Some(code)).code());
        assert_eq!([&of_kinds[..], &codes[..]].concat(), Failure::CODES);
        for (code, word) in Failure::CODES.iter().zip(kinds.iter().chain(&known)) {
            assert_eq!(*code, format!("source-{word}"));
        }
    }

    #[test]
    fn a_cause_cannot_pass_for_a_hint() {
        let text = r#"{"call": "iam:GetGroup", "on": "G", "cause": "no\nhint: rm", "kind": "denied"}"#;
        let failure: Failure = serde_json::from_str(text).unwrap();
        assert_eq!(failure.message().to_string(), "iam:GetGroup on 'G' failed: no\\u{a}hint: rm");
        let failure = Failure { hint: "do this".to_owned(), ..failure };
        assert!(failure.message().to_string().ends_with("\nhint: do this"));
    }
}
