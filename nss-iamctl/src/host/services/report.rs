//! What `refresh` prints of a report: changes and warnings, a summary, and at the end what failed.

use message::Message;
use status::{Skip, Status};

use crate::say::show::printable;

/// More lines of one kind than this are only counted.
const FEW: usize = 20;

/// Changes, skips and warnings.
pub(super) fn notes(status: &Status, verbose: bool) -> Vec<Message> {
    let changes = status.changes.iter().map(|change| printable(change).into()).collect();
    let skips = status.skips.iter().filter(|skip| verbose || !skip.is_group_of_the_source_only());
    let skips = skips.map(|skip| skipped(skip).into()).collect();
    let warnings = status.warnings.iter().map(|told| told.message.clone()).collect();
    let all: [(Vec<Message>, &str); 3] =
        [(changes, "changes"), (skips, "users, groups and keys were skipped"), (warnings, "warnings")];
    let few = |(lines, what): (Vec<Message>, &str)| match lines.len() {
        number if number > FEW && !verbose => vec![format!("{number} {what}; --verbose lists them").into()],
        _ => lines,
    };
    all.into_iter().flat_map(few).collect()
}

pub(super) fn summary(status: &Status) -> String {
    let Status { users, groups, keys, added, removed, changed, .. } = status;
    if status.published {
        format!("published {users} users, {groups} groups, {keys} keys: +{added} -{removed} ~{changed}")
    } else {
        format!("unchanged {users} users, {groups} groups, {keys} keys")
    }
}

/// What failed or was held, and what stopped the run.
pub(super) fn errors(status: &Status) -> Vec<Message> {
    let failures = status.accounts.iter().flat_map(|account| &account.errors).map(listing::Failure::message);
    let held = status.held.iter().map(|told| told.message.clone());
    failures.chain(held).chain(status.error.iter().map(|told| told.message.clone())).collect()
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
        let told = |verbose| notes(&status, verbose);
        assert_eq!(told(false), [Message::new("1500 changes; --verbose lists them")]);
        assert_eq!(told(true).len(), 1500);
    }

    #[test]
    fn what_failed_is_told_apart_from_the_summary() {
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
        assert_eq!(summary(&status), "unchanged 1 users, 0 groups, 0 keys");
        assert!(errors(&status)[0].what().contains("AccessDenied"), "{:?}", errors(&status));
        assert!(!holds_users(&status));
    }
}
