//! Failures as they are listed: made printable, and one for many of the same reason.

use std::fmt::Write as _;

use foldhash::{HashMap, HashMapExt as _};
use listing::{Failure, FailureKind};
use message::quoted;

/// The longest text of a failure, in bytes: a hostile source could send any length.
const LONGEST: usize = 1000;

/// How many names one message has. Further ones are counted.
const NAMED: usize = 3;

/// A call that a source did not answer as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) failure: Failure,
}

impl Refusal {
    /// Whether the call may succeed another time, so that nothing follows from this.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self.reason, Reason::NotFound | Reason::Denied)
    }

    /// For [`put_together`].
    pub(crate) fn with_reason(self) -> (Reason, Failure) {
        (self.reason, self.failure)
    }
}

/// Why a call failed. Failures of the same reason become one message; their texts differ, since they name users and
/// requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// There is no such thing, which is an answer if the question was whether it exists.
    NotFound,
    /// Not allowed.
    Denied,
    /// Not allowed, and the group that the call was about is not found.
    DeniedAndNotFound,
    /// Another error code of the source.
    Code(String),
    /// The HTTP status of an answer without a code.
    Status(u16),
    /// An answer that could not be read.
    NotUnderstood,
    /// Only one of the two answers that a removal needs.
    OneAnswer,
    /// An answer that contradicts itself, the question or another answer.
    Contradiction,
    /// No connection, or no credentials.
    NoAnswer,
    /// The deadline of the fetch has passed.
    NoTime,
    /// `max_calls_per_minute` allows no more calls before the deadline.
    NoCalls,
}

/// A failure with everything that came from outside made printable.
pub(crate) fn failure(call: &str, on: &str, cause: &str, hint: &str, kind: FailureKind) -> Failure {
    Failure {
        call: call.to_owned(),
        on: printable(on),
        cause: printable(cause),
        hint: printable(hint),
        kind,
        code: None,
        users: Vec::new(),
    }
}

/// A removal that is held. These users stay, and `--force` would disable them.
pub(crate) fn held(call: &str, on: &str, cause: &str, hint: &str, users: &[&str]) -> Failure {
    let users = users.iter().map(|name| printable(name)).collect();
    Failure { users, ..failure(call, on, cause, hint, FailureKind::Held) }
}

/// Control and non-ASCII characters are escaped: the text ends up in terminals and logs.
pub(crate) fn printable(text: &str) -> String {
    let mut printed = String::with_capacity(text.len().min(LONGEST));
    for character in text.chars() {
        if printed.len() >= LONGEST {
            printed.push_str("...");
            break;
        }
        match character {
            ' '..='~' => printed.push(character),
            _ => printed.extend(character.escape_unicode()),
        }
    }
    printed
}

/// One failure for many of the same call and reason: a thousand users behind one throttled call are one message. Failures
/// that hold users stay apart, since each names its own.
pub(crate) fn put_together(failures: Vec<(Reason, Failure)>) -> Vec<Failure> {
    let mut alike: Vec<(Failure, Vec<String>)> = Vec::new();
    let mut firsts = HashMap::new();
    for (reason, failure) in failures {
        if failure.users.is_empty() {
            let first = *firsts.entry((reason, failure.call.clone(), failure.kind)).or_insert(alike.len());
            if let Some((_, others)) = alike.get_mut(first) {
                others.push(failure.on);
                continue;
            }
        }
        alike.push((failure, Vec::new()));
    }
    let told = |(mut first, others): (Failure, Vec<String>)| {
        if !others.is_empty() {
            let _ = write!(first.cause, "; the same for {}", quoted(&others, NAMED));
        }
        first
    };
    alike.into_iter().map(told).collect()
}

/// Adds to each failure what it means for the listing.
pub(crate) fn add_consequence(failures: &mut [Failure], consequence: &str) {
    for failure in failures {
        let _ = write!(failure.cause, "; {consequence}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(on: &str, reason: Reason, cause: &str) -> (Reason, Failure) {
        (reason, failure("keys", on, cause, "", FailureKind::Unavailable))
    }

    #[test]
    fn a_hostile_message_can_neither_move_the_cursor_nor_fill_the_log() {
        let said = printable(&format!("\u{1b}[2Jno\n\u{202e}{}", "x".repeat(10_000)));
        assert!(said.starts_with("\\u{1b}[2Jno\\u{a}\\u{202e}xxx"), "{said}");
        assert!(said.len() < 1020 && said.ends_with("..."), "{}", said.len());
    }

    #[test]
    fn many_users_with_one_reason_are_one_message_and_another_reason_is_another() {
        let throttled = |on: &str, cause: &str| refused(on, Reason::Code("Throttling".to_owned()), cause);
        let mut told = put_together(vec![
            throttled("ana", "Throttling: ana is too fast"),
            throttled("bob", "Throttling: bob is too fast"),
            refused("eve", Reason::NoAnswer, "connection refused"),
            throttled("c", "Throttling"),
            throttled("d", "slow: down"),
            throttled("e", "Throttling: e"),
            refused("f", Reason::Code("ServiceFailure".to_owned()), "Throttling: f"),
        ]);
        add_consequence(&mut told, "kept their keys");
        let causes: Vec<_> = told.iter().map(|failure| failure.cause.as_str()).collect();
        assert_eq!(
            causes,
            [
                "Throttling: ana is too fast; the same for 'bob', 'c', 'd' and 1 more; kept their keys",
                "connection refused; kept their keys",
                "Throttling: f; kept their keys"
            ]
        );
    }

    #[test]
    fn failures_that_hold_users_stay_apart() {
        let held = |on: &str, users: &[&str]| (Reason::Denied, held("groups", on, "denied", "", users));
        let told =
            put_together(vec![held("ana", &["ana"]), held("bob", &["bob"]), held("c", &[]), held("d", &[])]);
        let on: Vec<_> = told.iter().map(|failure| (failure.on.as_str(), failure.cause.as_str())).collect();
        assert_eq!(on, [("ana", "denied"), ("bob", "denied"), ("c", "denied; the same for 'd'")]);
    }
}
