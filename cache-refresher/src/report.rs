//! The report of a run: the summary line, `--json`, and `status.json` for everyone on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use cache::snapshot::{Cache, Keys};
use config::Source;
use jiff::Timestamp;
use listing::{Failure, Listing};
use message::Message;
use status::{Account, Fetched, Skip, Status, Stop, Told, Warning, What};

use crate::apply::error::Error;
use crate::changes::{self, Change};
use crate::exit;
use crate::plan::Plan;

const STATUS: &str = "status.json";

/// What the apply half did, for status.json and for the caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// What is written and printed.
    pub status: Status,
    pub diff: Option<String>,
    /// The source of the listing.
    pub source: Option<Source>,
    /// Users who stay, and whom `--force` would disable.
    pub held_users: Vec<String>,
    /// It did not get the lock, so the report of the last run stays.
    pub is_shut_out: bool,
}

/// The report of the last run; an empty one if it is missing or cannot be read.
pub(crate) fn last(directory: &Path) -> Status {
    Status::read(&directory.join(STATUS)).unwrap_or_default()
}

impl Report {
    pub(crate) fn of(listing: &Listing, plan: &Plan, changes: &[Change], now: Timestamp) -> Self {
        let accounts = listing.accounts.iter().map(|account| Account {
            name: account.name.clone(),
            id: account.id.clone(),
            complete: account.complete,
            as_of: account.as_of,
            users: account.users.len(),
            errors: account.errors.clone(),
        });
        let active = plan.cache.users.iter().filter(|user| user.active).count();
        let changed = Self::of_changes(changes, now);
        let status = Status {
            exit: if plan.held.is_empty() { exit::OK } else { exit::HELD },
            users: active,
            disabled: plan.cache.users.len() - active,
            groups: plan.state.groups.len(),
            keys: plan.keys.logins.iter().map(|login| login.keys.len()).sum(),
            skips: plan.skips.clone(),
            warnings: warnings(listing).chain(plan.warnings.iter().cloned()).map(Told::from).collect(),
            held: plan.held.iter().cloned().map(Told::from).collect(),
            accounts: accounts.collect(),
            ..changed.status
        };
        let source = Source::of_listing(&listing.source);
        Self { status, source, held_users: held_users(listing, plan), ..changed }
    }

    /// Only what changed.
    pub(crate) fn of_changes(changes: &[Change], now: Timestamp) -> Self {
        let count = |kind: fn(&Change) -> bool| changes.iter().filter(|change| kind(change)).count();
        let status = Status {
            time: Some(now),
            added: count(|change| matches!(change, Change::Added(_))),
            removed: count(|change| matches!(change, Change::Removed(_))),
            changed: count(|change| matches!(change, Change::Changed(_))),
            changes: changes.iter().map(|change| change.text().to_owned()).collect(),
            ..Status::default()
        };
        Self { status, ..Self::default() }
    }

    /// Of an apply half that was stopped. `taken` are the changes of its first step.
    pub(crate) fn failed(error: &Error, taken: &[Change], now: Timestamp) -> Self {
        let mut report = Self::of_changes(taken, now);
        report.fail(error.exit(), error.stop(), error.message());
        report.is_shut_out = matches!(error, Error::Lock(_));
        report
    }

    /// Counts what is published, for a run without a plan.
    pub(crate) fn count_published(&mut self, directory: &Path) {
        let cache = Cache::read(&directory.join("cache.db")).unwrap_or_default();
        let keys = Keys::read(&directory.join("keys.db")).unwrap_or_default();
        let status = &mut self.status;
        status.users = cache.users.iter().filter(|user| user.active).count();
        status.disabled = cache.users.len() - status.users;
        // The common group and iam-disabled do not come from a source.
        status.groups = changes::shared_groups(&cache).len().saturating_sub(2);
        status.keys = keys.logins.iter().map(|login| login.keys.len()).sum();
    }

    /// Records what stopped this run.
    fn fail(&mut self, exit: u8, stop: Stop, message: Message) {
        let done = match self.status.removed {
            0 if self.status.changed > 0 => {
                "only keys and groups that were removed at the source were removed here".to_owned()
            }
            0 => "nothing was changed".to_owned(),
            1 => "one user who left or is locked was disabled, and nothing else changed".to_owned(),
            more => format!("{more} users who left or are locked were disabled, and nothing else changed"),
        };
        self.status.error = Some(Told::new(stop, message.and(done)));
        self.status.exit = exit;
    }

    /// Records that the configuration cannot be used.
    pub(crate) fn refuse(&mut self, cause: &config::Error) {
        let stop = match cause {
            config::Error::Read { .. } => Stop::ConfigUnreadable,
            config::Error::Writable { .. } => Stop::ConfigWritable,
            config::Error::Wrong { .. } => Stop::ConfigWrong,
        };
        self.fail(exit::CONFIGURATION, stop, cause.message());
    }

    /// `disabled 2 users`
    pub(crate) fn removals(&self) -> String {
        match self.status.removed {
            0 => "no user to disable".to_owned(),
            1 => "disabled 1 user".to_owned(),
            more => format!("disabled {more} users"),
        }
    }

    /// `published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s, 47 calls (…)`
    pub(crate) fn summary(&self, took: Duration) -> String {
        let Status { users, groups, keys, added, removed, changed, .. } = &self.status;
        let calls =
            self.status.fetch.as_ref().map(|fetch| format!(", {}", calls(&fetch.calls))).unwrap_or_default();
        let seconds = took.as_secs_f64();
        if self.status.published {
            format!(
                "published {users} users, {groups} groups, {keys} keys: +{added} -{removed} ~{changed} in {seconds:.1} s{calls}"
            )
        } else {
            format!("unchanged {users} users, {groups} groups, {keys} keys in {seconds:.1} s{calls}")
        }
    }

    /// Logs skips, warnings and what was held. A message that the last run already logged is repeated only on a terminal:
    /// otherwise the timer would fill the log with it. A group of the source that no host can have is no warning.
    pub(crate) fn log(&self, last: &Status) {
        let called =
            |what: &str| self.source.as_ref().map_or_else(|| what.to_owned(), |source| source.called(what));
        let level = |known: bool| if known { log::Level::Debug } else { log::Level::Warn };
        let of_skip = |skip: &Skip, known: bool| match level(known) {
            log::Level::Warn if skip.is_group_of_the_source_only() => log::Level::Info,
            level => level,
        };
        let known_skips: BTreeSet<&Skip> = last.skips.iter().collect();
        let known_warnings: BTreeSet<&Told<Warning>> = last.warnings.iter().collect();
        for skip in &self.status.skips {
            let Skip { account, what, name, text, .. } = skip;
            let of = if account.is_empty() { String::new() } else { format!(" of account '{account}'") };
            let level = of_skip(skip, known_skips.contains(skip));
            match what {
                What::User | What::Group => {
                    log::log!(level, "{} '{name}'{of} skipped: {text}", called(&what.to_string()));
                }
                What::Key | What::Tag | What::Other => {
                    log::log!(level, "{} '{name}'{of}: {text}; left out", called("user"));
                }
            }
        }
        for warning in &self.status.warnings {
            log::log!(level(known_warnings.contains(warning)), "{}", warning.message);
        }
        for held in &self.status.held {
            log::warn!("{}", held.message);
        }
        if let Some(error) = &self.status.error {
            log::error!("{}", error.message);
        }
    }

    /// Replaces `status.json` in `directory`.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        crate::replace::replace(
            &directory.join(STATUS),
            &serde_json::to_vec_pretty(&self.status)?,
            0o644,
            None,
        )
    }
}

/// The names of the users who are held, as the messages spell them, each once.
fn held_users(listing: &Listing, plan: &Plan) -> Vec<String> {
    let by_fetch = failures_of(listing).flat_map(|failure| failure.users.iter().cloned());
    let mut names: Vec<String> = by_fetch.chain(plan.held_users.iter().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn failures_of(listing: &Listing) -> impl Iterator<Item = &Failure> {
    listing.accounts.iter().flat_map(|account| &account.errors)
}

/// `read 412 users, 9 groups of 2 accounts in 1.8 s, 47 calls (…)`
pub(crate) fn fetched_summary(fetched: &Fetched) -> String {
    let Fetched { users, groups, accounts, seconds, .. } = fetched;
    format!(
        "read {users} users, {groups} groups of {accounts} accounts in {seconds:.1} s, {}",
        calls(&fetched.calls)
    )
}

/// The warnings of the fetch half.
fn warnings(listing: &Listing) -> impl Iterator<Item = Warning> {
    let accounts = listing.accounts.iter();
    accounts.flat_map(|account| {
        account.warnings.iter().map(|warning| Warning::of_source(&account.name, warning.clone()))
    })
}

/// `47 calls (1 GetGroup, 46 ListSSHPublicKeys)`
fn calls(calls: &BTreeMap<String, u64>) -> String {
    let total: u64 = calls.values().sum();
    let each: Vec<String> = calls
        .iter()
        .map(|(call, count)| format!("{count} {}", call.rsplit(':').next().unwrap_or(call).escape_default()))
        .collect();
    if each.is_empty() { format!("{total} calls") } else { format!("{total} calls ({})", each.join(", ")) }
}

/// The diff of a dry run, or a line saying that nothing would change.
pub(crate) fn shown_diff(report: &Report) -> String {
    match report.diff.as_deref() {
        None | Some("") => "nothing would change\n".to_owned(),
        Some(diff) => diff.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use listing::WarningCode;
    use status::Coded;

    use super::*;

    #[test]
    fn the_summary_is_the_documented_line() {
        let status = Status {
            published: true,
            users: 412,
            groups: 9,
            keys: 530,
            added: 2,
            removed: 1,
            changed: 3,
            ..Status::default()
        };
        let mut report = Report { status, ..Report::default() };
        let took = Duration::from_millis(1800);
        assert_eq!(report.summary(took), "published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s");
        let calls = [("iam:GetGroup".to_owned(), 1), ("iam:ListSSHPublicKeys".to_owned(), 46)].into();
        report.status.fetch = Some(Fetched { calls, ..Fetched::default() });
        assert_eq!(
            report.summary(took),
            "published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s, 47 calls (1 GetGroup, 46 ListSSHPublicKeys)"
        );
        report.status.published = false;
        assert!(
            report.summary(took).starts_with("unchanged 412 users, 9 groups, 530 keys in 1.8 s, 47 calls")
        );
    }

    #[test]
    fn what_the_fetch_half_warns_of_is_reported_and_cannot_move_the_cursor() {
        let account = listing::Account {
            name: "b".to_owned(),
            warnings: vec![
                listing::Warning::new(WarningCode::GroupRenamed, "G is called 'N'\u{1b}[2J", "write \"N\""),
                serde_json::from_str(r#""said by 0.1.0\nhint: x""#).unwrap(),
            ],
            ..listing::Account::default()
        };
        let listing = Listing { version: 1, accounts: vec![account], ..Listing::default() };
        let said: Vec<_> = warnings(&listing).map(|said| (said.code(), said.message().to_string())).collect();
        let told = |code, text: &str| (code, text.to_owned());
        assert_eq!(
            said,
            [
                told("group-renamed", "account 'b': G is called 'N'\\u{1b}[2J\nhint: write \"N\""),
                told("source-warning", "account 'b': said by 0.1.0; hint: x"),
            ]
        );
    }
}
