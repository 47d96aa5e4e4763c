//! The report of a run: the summary line, `--json`, and `status.json` for everyone on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use cache::snapshot::{Cache, Keys, Login};
use config::Source;
use jiff::Timestamp;
use listing::{Failure, Listing};
use message::Message;
use policy::offer::Confirmation;
use status::{Account, Confirmed, Fetched, Signed, Skip, Status, Stop, Told, Warning, What, metrics};

use crate::apply::error::Error;
use crate::changes::{self, Change};
use crate::exit;
use crate::plan::Plan;
use crate::replace::replace;

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
    /// The same run had a fetch half.
    pub has_fetched: bool,
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
            confirmed: Confirmed { users: confirmed_users(listing), ..confirmed_keys(&plan.keys, now) },
            signed: signed(listing),
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
            version: env!("CARGO_PKG_VERSION").to_owned(),
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

    /// Counts what is published, for a run without a plan. `last` is the report of the last run.
    pub(crate) fn count_published(&mut self, directory: &Path, last: &Status) {
        let cache = Cache::read(&directory.join("cache.db")).unwrap_or_default();
        let keys = Keys::published(directory).unwrap_or_default();
        let status = &mut self.status;
        status.users = cache.users.iter().filter(|user| user.active).count();
        status.disabled = cache.users.len() - status.users;
        // The common group and iam-disabled do not come from a source.
        status.groups = changes::shared_groups(&cache).len().saturating_sub(2);
        status.keys = keys.logins.iter().map(|login| login.keys.len()).sum();
        status.signed.clone_from(&last.signed);
        let now = status.time.unwrap_or_default();
        status.confirmed = Confirmed { users: last.confirmed.users, ..confirmed_keys(&keys, now) };
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
        let fetch = self.status.fetch.as_ref().filter(|_| self.has_fetched);
        let calls = fetch.map(|fetch| format!(", {}", calls(&fetch.calls))).unwrap_or_default();
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

    /// Replaces the metrics and then `status.json` in `directory`.
    ///
    /// # Errors
    /// Of the operating system, with the name of the file.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), (&'static str, io::Error)> {
        let write = |name, bytes: &[u8]| {
            replace(&directory.join(name), bytes, 0o644, None).map_err(|cause| (name, cause))
        };
        let metrics = write(metrics::NAME, metrics::text(&self.status).as_bytes());
        let json = serde_json::to_vec(&self.status).map_err(|cause| (STATUS, cause.into()))?;
        write(STATUS, &json).and(metrics)
    }
}

/// When the memberships were last read completely, of the account for which that is longest ago.
fn confirmed_users(listing: &Listing) -> Option<Timestamp> {
    // No time is less than any other.
    listing.accounts.iter().map(|account| account.as_of).min().flatten()
}

/// What a signed listing says of itself.
fn signed(listing: &Listing) -> Option<Signed> {
    let Listing { fleet, generation, issued, expires, .. } = listing;
    let fleet = message::printable(fleet.as_deref().unwrap_or_default());
    generation.map(|generation| Signed { fleet, generation, issued: *issued, expires: *expires })
}

/// How old the keys are.
fn confirmed_keys(keys: &Keys, now: Timestamp) -> Confirmed {
    let known = || keys.logins.iter().map(|login| login.confirmed).filter(|confirmed| *confirmed > 0);
    let time = |seconds: Option<i64>| seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    // Whether they are of this machine is another question.
    let same: &[u8] = b"this";
    let is_too_old = |login: &&Login| {
        let (confirmed, max_age) = (login.confirmed, keys.max_age.into());
        let about =
            Confirmation { made_for: same, machine_id: same, confirmed, max_age, now: now.as_second() };
        !login.keys.is_empty() && about.age().is_err()
    };
    Confirmed {
        users: None,
        oldest_keys: time(known().min()),
        newest_keys: time(known().max()),
        max_age: keys.max_age,
        too_old: keys.logins.iter().filter(is_too_old).count(),
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
    use policy::{IamId, Id, KeyLine, Name};
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
        assert_eq!(report.summary(took), "published 412 users, 9 groups, 530 keys: +2 -1 ~3 in 1.8 s");
        report.has_fetched = true;
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
    fn the_oldest_and_newest_keys_are_those_that_were_ever_read_and_unknown_ages_count_as_too_old() {
        let now: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        let key = KeyLine::new("SHA256:x ssh-ed25519 AAAA").unwrap();
        let login = |number: u32, age: Option<i64>, has_key: bool| Login {
            uid: Id::pinned(2000 + number).unwrap(),
            name: Name::new(&format!("user{number}")).unwrap(),
            iam_id: IamId::new("AIDAX"),
            confirmed: age.map_or(0, |age| now.as_second() - age),
            source: "".into(),
            keys: if has_key { vec![key.clone()] } else { Vec::new() },
            forward_only: false,
            principals: Vec::new(),
        };
        let ages = [(Some(60), true), (Some(7200), true), (Some(9000), false), (None, true), (None, false)];
        let logins = (0..).zip(ages).map(|(number, (age, has_key))| login(number, age, has_key)).collect();
        let mut keys = Keys { max_age: 3600, logins, ..Keys::default() };
        let found = confirmed_keys(&keys, now);
        let seconds = |time: Option<Timestamp>| time.map(|time| now.as_second() - time.as_second());
        assert_eq!((seconds(found.oldest_keys), seconds(found.newest_keys)), (Some(9000), Some(60)));
        assert_eq!((found.max_age, found.too_old), (3600, 2));
        keys.max_age = 0;
        assert_eq!(confirmed_keys(&keys, now).too_old, 1, "only the one who has no age");
        assert_eq!(confirmed_keys(&Keys::default(), now), Confirmed::default());
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
