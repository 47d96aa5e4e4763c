//! Failures as the listing holds them: made printable, and those alike put together.

use std::fmt::Write as _;

use listing::{Failure, FailureKind};

/// Messages of a source repeat names and request ids; a hostile one could be of any length.
const LONGEST: usize = 1000;

/// Names in one message; more are counted.
const NAMED: usize = 3;

/// What an account did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) what: What,
    pub(crate) failure: Failure,
}

/// The refusals that mean something to a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// There is no such thing: an answer, if the question was whether it exists.
    NotFound,
    /// Not allowed.
    Denied,
    /// Everything else.
    Failed,
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

/// A removal that is held: these users stay, whom `--force` would disable.
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

/// `'ana', 'bob', 'eve' and 4 more`, with at most `most` names.
pub(crate) fn quoted(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).map(|name| format!("'{}'", name.as_ref())).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One failure for many of the same call and cause: a thousand users behind one throttled call are one message.
pub(crate) fn put_together(failures: Vec<Failure>, consequence: &str) -> Vec<Failure> {
    let mut alike: Vec<(Failure, Vec<String>)> = Vec::new();
    for failure in failures {
        match alike.iter_mut().find(|(first, _)| same_cause(first, &failure)) {
            Some((first, others)) => {
                others.push(failure.on);
                first.users.extend(failure.users);
            }
            None => alike.push((failure, Vec::new())),
        }
    }
    alike
        .into_iter()
        .map(|(mut first, others)| {
            if !others.is_empty() {
                let _ = write!(first.cause, "; the same for {}", quoted(&others, NAMED));
            }
            if !consequence.is_empty() {
                let _ = write!(first.cause, "; {consequence}");
            }
            first
        })
        .collect()
}

/// Messages of a source name the user, so that only what stands before the first colon tells causes apart.
fn same_cause(one: &Failure, other: &Failure) -> bool {
    let code = |failure: &Failure| failure.cause.split([':', ';']).next().map(str::to_owned);
    let is_told_by_name = !one.users.is_empty() || !other.users.is_empty();
    one.call == other.call && one.kind == other.kind && code(one) == code(other) && !is_told_by_name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(on: &str, cause: &str) -> Failure {
        failure("keys", on, cause, "", FailureKind::Unavailable)
    }

    #[test]
    fn a_hostile_message_can_neither_move_the_cursor_nor_fill_the_log() {
        let said = printable(&format!("\u{1b}[2Jno\n\u{202e}{}", "x".repeat(10_000)));
        assert!(said.starts_with("\\u{1b}[2Jno\\u{a}\\u{202e}xxx"), "{said}");
        assert!(said.len() < 1020 && said.ends_with("..."), "{}", said.len());
    }

    #[test]
    fn many_users_with_one_cause_are_one_message_and_another_cause_is_another() {
        let told = put_together(
            vec![
                refused("ana", "Throttling: ana is too fast"),
                refused("bob", "Throttling: bob is too fast"),
                refused("eve", "connection refused"),
                refused("c", "Throttling: c"),
                refused("d", "Throttling: d"),
                refused("e", "Throttling: e"),
            ],
            "kept their keys",
        );
        let causes: Vec<_> = told.iter().map(|failure| failure.cause.as_str()).collect();
        assert_eq!(
            causes,
            [
                "Throttling: ana is too fast; the same for 'bob', 'c', 'd' and 1 more; kept their keys",
                "connection refused; kept their keys"
            ]
        );
    }
}
