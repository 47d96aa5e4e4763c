//! What a run has to say: the summary line, `--json`, and `status.json` for everyone on the host.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use cache::snapshot::{Cache, Keys};
use config::Source;
use jiff::Timestamp;
use listing::regular::{self, Links};
use listing::{Failure, Listing};
use serde::{Deserialize, Serialize};

use crate::changes::{self, Change};
use crate::exit;
use crate::plan::{Plan, Skip};

/// Calls by their names, `iam:GetGroup`.
pub(crate) type Calls = BTreeMap<String, u64>;

const STATUS: &str = "status.json";

/// What the fetch half tells the one that started it, on standard output.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Fetched {
    pub exit: u8,
    pub seconds: f64,
    pub users: usize,
    pub groups: usize,
    pub accounts: usize,
    pub calls: Calls,
    pub failures: Vec<Failure>,
    /// In a dry run only, which leaves none on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
}

/// What the apply half did.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    pub time: Timestamp,
    pub exit: u8,
    /// Whether an answer changed.
    pub published: bool,
    /// Active users.
    pub users: usize,
    pub disabled: usize,
    /// Groups of the source.
    pub groups: usize,
    pub keys: usize,
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
    pub changes: Vec<String>,
    pub skips: Vec<Skip>,
    pub warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// What stopped this run, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub accounts: Vec<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Fetched>,
    #[serde(skip)]
    pub diff: Option<String>,
    /// Of the listing.
    #[serde(skip)]
    pub source: Option<Source>,
    /// Users who stay, and whom `--force` would disable.
    #[serde(skip)]
    pub held_users: Vec<String>,
    /// It never had the lock, so the report of the last run stays.
    #[serde(skip)]
    pub is_shut_out: bool,
}

/// How an account stands.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Account {
    pub name: String,
    pub id: String,
    pub complete: bool,
    pub as_of: Option<Timestamp>,
    pub users: usize,
    pub errors: Vec<Failure>,
}

/// What the last run said, as far as it was written to `status.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Last {
    skips: Vec<Skip>,
    warnings: Vec<String>,
}

impl Last {
    /// Nothing, if there was no last run that can be read.
    pub(crate) fn read(folder: &Path) -> Self {
        let file = regular::read(&folder.join(STATUS), listing::MAX_BYTES, Links::Refuse);
        file.ok().and_then(|file| serde_json::from_slice(&file.bytes).ok()).unwrap_or_default()
    }
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
        Self {
            time: now,
            exit: if plan.held.is_some() { exit::HELD } else { exit::OK },
            users: active,
            disabled: plan.cache.users.len() - active,
            groups: plan.state.groups.len(),
            keys: plan.keys.logins.iter().map(|login| login.keys.len()).sum(),
            skips: plan.skips.clone(),
            warnings: warnings(listing).chain(plan.warnings.iter().cloned()).collect(),
            held: plan.held.clone(),
            held_users: held_users(listing, plan),
            accounts: accounts.collect(),
            source: Source::of_listing(&listing.source),
            ..Self::of_changes(changes, now)
        }
    }

    /// What changed, and no more.
    pub(crate) fn of_changes(changes: &[Change], now: Timestamp) -> Self {
        let count = |kind: fn(&Change) -> bool| changes.iter().filter(|change| kind(change)).count();
        Self {
            time: now,
            added: count(|change| matches!(change, Change::Added(_))),
            removed: count(|change| matches!(change, Change::Removed(_))),
            changed: count(|change| matches!(change, Change::Changed(_))),
            changes: changes.iter().map(|change| change.text().to_owned()).collect(),
            ..Self::default()
        }
    }

    /// What stopped the apply half, after it had taken away those who left.
    pub(crate) fn failed(error: &crate::apply::Error, taken: &[Change], now: Timestamp) -> Self {
        let mut report = Self::of_changes(taken, now);
        report.fail(error.exit(), &error.to_string(), error.hint());
        report.is_shut_out = matches!(error, crate::apply::Error::Lock(_));
        report
    }

    /// Counts what is published, where there is no plan that would tell.
    pub(crate) fn count_published(&mut self, folder: &Path) {
        let cache = Cache::read(&folder.join("cache.db")).unwrap_or_default();
        let keys = Keys::read(&folder.join("keys.db")).unwrap_or_default();
        self.users = cache.users.iter().filter(|user| user.active).count();
        self.disabled = cache.users.len() - self.users;
        // The common group and iam-disabled are in no source.
        self.groups = changes::shared_groups(&cache).len().saturating_sub(2);
        self.keys = keys.logins.iter().map(|login| login.keys.len()).sum();
    }

    /// Notes what stopped this run.
    pub(crate) fn fail(&mut self, exit: u8, what: &str, hint: &str) {
        let done = match self.removed {
            0 if self.changed > 0 => {
                "only keys and groups that were lost at the source were taken away".to_owned()
            }
            0 => "nothing was changed".to_owned(),
            1 => "one user who left or is locked was disabled, and nothing else changed".to_owned(),
            more => format!("{more} users who left or are locked were disabled, and nothing else changed"),
        };
        let hint = if hint.is_empty() { String::new() } else { format!("\nhint: {hint}") };
        self.error = Some(format!("{what}; {done}{hint}"));
        self.exit = exit;
    }

    /// Notes that the configuration cannot be used.
    pub(crate) fn refuse(&mut self, cause: &config::Error) {
        let message = cause.message();
        self.fail(exit::CONFIGURATION, message.what(), message.hint().unwrap_or_default());
    }

    /// `disabled 2 users`
    pub(crate) fn removals(&self) -> String {
        match self.removed {
            0 => "nobody is to be disabled".to_owned(),
            1 => "disabled 1 user".to_owned(),
            more => format!("disabled {more} users"),
        }
    }

    /// `published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s, 47 calls (…)`
    pub(crate) fn summary(&self, took: Duration) -> String {
        let Self { users, groups, keys, added, removed, changed, .. } = self;
        let calls = self.fetch.as_ref().map(|fetch| format!(", {}", calls(&fetch.calls))).unwrap_or_default();
        let seconds = took.as_secs_f64();
        if self.published {
            format!(
                "published {users} users, {groups} groups, {keys} keys: +{added} -{removed} ~{changed} in {seconds:.1} s{calls}"
            )
        } else {
            format!("unchanged {users} users, {groups} groups, {keys} keys in {seconds:.1} s{calls}")
        }
    }

    /// Skips, warnings and what was held, for the log. What the last run said already is said again only to
    /// whoever watches: the timer would fill the log with it.
    pub(crate) fn log(&self, last: &Last) {
        let called =
            |what: &str| self.source.as_ref().map_or_else(|| what.to_owned(), |source| source.called(what));
        let level = |known: bool| if known { log::Level::Debug } else { log::Level::Warn };
        for skip in &self.skips {
            let Skip { account, what, name, reason, .. } = skip;
            let account = account.escape_default().to_string();
            let of = if account.is_empty() { String::new() } else { format!(" of account '{account}'") };
            let level = level(last.skips.contains(skip));
            match what.as_str() {
                "user" | "group" => log::log!(level, "{} '{name}'{of} skipped: {reason}", called(what)),
                _ => log::log!(level, "{} '{name}'{of}: {reason}; left out", called("user")),
            }
        }
        for text in &self.warnings {
            log::log!(level(last.warnings.contains(text)), "{text}");
        }
        if let Some(held) = &self.held {
            log::warn!("{held}");
        }
        if let Some(error) = &self.error {
            log::error!("{error}");
        }
    }

    /// Replaces `status.json` in `folder`.
    ///
    /// # Errors
    /// Of the operating system.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        crate::replace::replace(&folder.join(STATUS), &serde_json::to_vec_pretty(self)?, 0o644, None)
    }
}

/// Each once, by the names that the messages have.
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

impl Fetched {
    /// `read 412 users, 9 groups of 2 accounts in 1.8 s, 47 calls (…)`
    pub(crate) fn summary(&self) -> String {
        let Self { users, groups, accounts, seconds, .. } = self;
        format!(
            "read {users} users, {groups} groups of {accounts} accounts in {seconds:.1} s, {}",
            calls(&self.calls)
        )
    }
}

/// What the fetch half found out, made printable: the listing is not trusted.
fn warnings(listing: &Listing) -> impl Iterator<Item = String> {
    let of = |account: &listing::Account, text: &str| {
        let text = match account.name.as_str() {
            "" => text.to_owned(),
            name => format!("account '{name}': {text}"),
        };
        let lines = text.lines().map(|line| {
            let escaped = |character: char| match character {
                ' '..='~' => character.to_string(),
                _ => character.escape_unicode().to_string(),
            };
            line.chars().map(escaped).collect::<String>()
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    listing
        .accounts
        .iter()
        .flat_map(move |account| account.warnings.iter().map(move |text| of(account, text)))
}

/// `47 calls (1 GetGroup, 46 ListSSHPublicKeys)`
fn calls(calls: &Calls) -> String {
    let total: u64 = calls.values().sum();
    let each: Vec<String> = calls
        .iter()
        .map(|(call, count)| format!("{count} {}", call.rsplit(':').next().unwrap_or(call).escape_default()))
        .collect();
    if each.is_empty() { format!("{total} calls") } else { format!("{total} calls ({})", each.join(", ")) }
}

/// The diff of a dry run, or a word that there is none.
pub(crate) fn shown_diff(report: &Report) -> String {
    match report.diff.as_deref() {
        None | Some("") => "nothing would change\n".to_owned(),
        Some(diff) => diff.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_the_documented_line() {
        let mut report = Report {
            published: true,
            users: 412,
            groups: 9,
            keys: 530,
            added: 2,
            removed: 1,
            changed: 3,
            ..Report::default()
        };
        let took = Duration::from_millis(1800);
        assert_eq!(report.summary(took), "published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s");
        let calls = [("iam:GetGroup".to_owned(), 1), ("iam:ListSSHPublicKeys".to_owned(), 46)].into();
        report.fetch = Some(Fetched { calls, ..Fetched::default() });
        assert_eq!(
            report.summary(took),
            "published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s, 47 calls (1 GetGroup, 46 ListSSHPublicKeys)"
        );
        report.published = false;
        assert!(
            report.summary(took).starts_with("unchanged 412 users, 9 groups, 530 keys in 1.8 s, 47 calls")
        );
    }

    #[test]
    fn what_the_fetch_half_warns_of_is_reported_and_cannot_move_the_cursor() {
        let account = listing::Account {
            name: "b".to_owned(),
            warnings: vec!["G is called 'N'\u{1b}[2J\nhint: write \"N\"".to_owned()],
            ..listing::Account::default()
        };
        let listing = Listing { version: 1, source: String::new(), read: None, accounts: vec![account] };
        let said: Vec<String> = warnings(&listing).collect();
        assert_eq!(said, ["account 'b': G is called 'N'\\u{1b}[2J\nhint: write \"N\""]);
    }
}
