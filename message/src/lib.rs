//! Messages for administrators: what happened and why, and on a second line what to do about it.
//!
//! The two parts are kept apart until they are printed, so that text from elsewhere cannot look like a hint.
#![forbid(unsafe_code)]

pub mod near;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Two texts of one line each. Control characters are escaped in both.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Parts")]
pub struct Message {
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The form in a file; the file is not trusted.
#[derive(Deserialize)]
struct Parts {
    what: String,
    #[serde(default)]
    hint: Option<String>,
}

impl From<Parts> for Message {
    fn from(Parts { what, hint }: Parts) -> Self {
        Self::new(what).with_hint(hint.unwrap_or_default())
    }
}

impl Message {
    /// What happened: "cannot read '/x': permission denied".
    #[must_use]
    pub fn new(what: impl AsRef<str>) -> Self {
        Self { what: printable(what.as_ref()), hint: None }
    }

    /// A text of an earlier release, in which a hint is only another line.
    #[must_use]
    pub fn of_lines(text: &str) -> Self {
        Self::new(text.lines().collect::<Vec<_>>().join("; "))
    }

    /// Sets the hint, which says what to do. An empty text means no hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(printable(hint.as_ref())).filter(|hint| !hint.is_empty());
        self
    }

    /// Appends to what happened, after a semicolon: "nothing was changed".
    #[must_use]
    pub fn and(mut self, more: impl AsRef<str>) -> Self {
        self.what = format!("{}; {}", self.what, printable(more.as_ref()));
        self
    }

    /// Both parts on one line, for a list.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        match &self.hint {
            None => self.what.clone(),
            Some(hint) => format!("{}; hint: {hint}", self.what),
        }
    }

    /// What happened.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do, if there is a hint.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<T: AsRef<str>> From<T> for Message {
    fn from(what: T) -> Self {
        Self::new(what)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Letters of all scripts and printable ASCII stay; everything else is escaped, above all newlines and terminal
/// control sequences.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' | '…' => printed.push(character),
            _ if character.is_alphanumeric() => printed.push(character),
            _ => printed.extend(character.escape_unicode()),
        }
    }
    printed
}

/// `'ana', 'bob' and 4 more`, with at most `most` names, which are made printable.
#[must_use]
pub fn quoted(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<String> =
        names.iter().take(most).map(|name| format!("'{}'", printable(name.as_ref()))).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_most_are_counted() {
        let names = ["ana", "b'\n", "eve"];
        assert_eq!(quoted(&names, 3), "'ana', 'b'\\u{a}', 'eve'");
        assert_eq!(quoted(&names, 1), "'ana' and 2 more");
        assert_eq!(quoted(&names[..0], 1), "");
    }

    #[test]
    fn a_hint_has_a_line_of_its_own() {
        let message = Message::new("a failed: b").and("nothing was changed");
        assert_eq!(message.to_string(), "a failed: b; nothing was changed");
        let message = message.with_hint("do c");
        assert_eq!(message.to_string(), "a failed: b; nothing was changed\nhint: do c");
        assert_eq!((message.what(), message.hint()), ("a failed: b; nothing was changed", Some("do c")));
        assert_eq!(message.in_one_line(), "a failed: b; nothing was changed; hint: do c");
        let message = Message::new("a").with_hint("");
        assert_eq!((message.hint(), message.in_one_line()), (None, "a".to_owned()));
    }

    #[test]
    fn no_text_can_pass_for_a_hint_or_move_the_cursor() {
        let forged = "x\nhint: sudo rm -rf /\r\u{1b}[2J\u{202e}";
        let escaped = "x\\u{a}hint: sudo rm -rf /\\u{d}\\u{1b}[2J\\u{202e}";
        for message in [
            Message::new(forged),
            Message::new("").and(forged),
            serde_json::from_value(serde_json::json!({ "what": forged })).unwrap(),
        ] {
            assert!(message.what().ends_with(escaped), "{message:?}");
            assert_eq!((message.hint(), message.to_string().lines().count()), (None, 1));
        }
        let hint = Message::new("x").with_hint(forged);
        assert_eq!(hint.to_string(), format!("x\nhint: {escaped}"));
    }

    #[test]
    fn in_json_it_has_two_fields() {
        let json = |message: &Message| serde_json::to_value(message).unwrap();
        let message = Message::new("größe: [\"…\"]");
        assert_eq!(json(&message), serde_json::json!({ "what": "größe: [\"…\"]" }));
        let message = message.with_hint("b");
        assert_eq!(json(&message), serde_json::json!({ "what": "größe: [\"…\"]", "hint": "b" }));
        assert_eq!(serde_json::from_value::<Message>(json(&message)).unwrap(), message);
        let later = serde_json::json!({ "what": "a", "severity": 3 });
        assert_eq!(serde_json::from_value::<Message>(later).unwrap(), Message::new("a"));
    }
}
