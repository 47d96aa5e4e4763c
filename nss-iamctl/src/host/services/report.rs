//! What `refresh` prints of a report: changes and warnings, a summary, and at the end what failed.

use message::Message;
use status::{Skip, Status};

use crate::say::show::printable;

/// More lines of one kind than this are only counted.
const FEW: usize = 20;

/// The lines, in their order.
pub(super) struct Lines {
    pub notes: Vec<Message>,
    pub summary: String,
    pub errors: Vec<Message>,
}

pub(super) fn lines(status: &Status, verbose: bool) -> Lines {
    let mut notes = Vec::new();
    let some = |notes: &mut Vec<Message>, lines: Vec<Message>, what: &str| {
        if lines.len() > FEW && !verbose {
            notes.push(format!("{} {what}; --verbose lists them", lines.len()).into());
        } else {
            notes.extend(lines);
        }
    };
    some(&mut notes, status.changes.iter().map(|change| printable(change).into()).collect(), "changes");
    some(
        &mut notes,
        status.skips.iter().map(|skip| skipped(skip).into()).collect(),
        "users, groups and keys were skipped",
    );
    some(&mut notes, status.warnings.iter().map(|told| told.message.clone()).collect(), "warnings");
    let failures = status.accounts.iter().flat_map(|account| &account.errors);
    let mut errors: Vec<Message> = failures.map(listing::Failure::message).collect();
    errors.extend(status.held.iter().map(|told| told.message.clone()));
    errors.extend(status.error.iter().map(|told| told.message.clone()));
    Lines { notes, summary: summary(status), errors }
}

fn summary(status: &Status) -> String {
    let Status { users, groups, keys, added, removed, changed, .. } = status;
    if status.published {
        format!("published {users} users, {groups} groups, {keys} keys: +{added} -{removed} ~{changed}")
    } else {
        format!("unchanged {users} users, {groups} groups, {keys} keys")
    }
}

fn skipped(skip: &Skip) -> String {
    let of = if skip.account.is_empty() { String::new() } else { format!(" of account '{}'", skip.account) };
    printable(&format!("{} '{}'{of} skipped: {}", skip.what, skip.name, skip.text))
}

/// Whether users stay only until somebody confirms that they leave.
pub(super) fn holds_users(status: &Status) -> bool {
    let failures = status.accounts.iter().flat_map(|account| &account.errors);
    !status.held.is_empty() || failures.into_iter().any(|failure| !failure.users.is_empty())
}

#[cfg(test)]
mod tests {
    use listing::{Failure, FailureKind};

    use super::*;

    #[test]
    fn many_changes_are_counted_and_listed_if_asked() {
        let status = Status { changes: vec!["user 'x' added".to_owned(); 1500], ..Status::default() };
        let told = |verbose| lines(&status, verbose).notes;
        assert_eq!(told(false), [Message::new("1500 changes; --verbose lists them")]);
        assert_eq!(told(true).len(), 1500);
    }

    #[test]
    fn what_failed_comes_last() {
        let failure = Failure {
            call: "iam:GetGroup".to_owned(),
            on: "Ops".to_owned(),
            cause: "AccessDenied".to_owned(),
            hint: String::new(),
            kind: FailureKind::Denied,
            code: None,
            users: Vec::new(),
        };
        let account = status::Account { errors: vec![failure], ..status::Account::default() };
        let status = Status { users: 1, accounts: vec![account], ..Status::default() };
        let lines = lines(&status, false);
        assert_eq!(lines.summary, "unchanged 1 users, 0 groups, 0 keys");
        assert!(lines.errors[0].what().contains("AccessDenied"), "{:?}", lines.errors);
        assert!(!holds_users(&status));
    }
}
