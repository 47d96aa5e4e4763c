//! Refreshes of one account against a table that refuses calls and leaves out members as a test wants.

mod accounts;
mod configured;
mod keys;
mod members;
mod properties;
mod removals;
mod scheduled;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{Source, Tags};
use jiff::{SignedDuration, Timestamp};
use listing::{Account, FailureKind, Listing, User};

use super::account::refresh;
use super::directory::Directory;
use super::failure::Reason;
use super::request::{AccountRequest, Progress, Release};
use super::schedule::Schedule;
use table::{ById, Table};

/// Shows no progress.
#[derive(Debug)]
pub(super) struct Quiet;

impl Progress for Quiet {
    fn more(&self, _: usize) {}
    fn done(&self) {}
    fn repeats(&self, _: &str) {}
}

/// Refreshes of the groups `G` and `H`, minutes after 2026-11-22T18:00Z.
fn run(table: &Table, known: Option<&Account>, minutes: i64) -> Account {
    with(table, known, minutes, &["G", "H"])
}

/// Of the groups that the configuration names.
fn with(table: &Table, known: Option<&Account>, minutes: i64, groups: &[&str]) -> Account {
    run_with(table, known, minutes, groups, &Tags::default(), false)
}

/// With `--force`.
fn forced(table: &Table, known: Option<&Account>, minutes: i64, groups: &[&str]) -> Account {
    run_with(table, known, minutes, groups, &Tags::default(), true)
}

/// With these tags.
fn tagged(table: &Table, known: Option<&Account>, minutes: i64, tags: &Tags) -> Account {
    run_with(table, known, minutes, &["G", "H"], tags, false)
}

/// Of a source that is asked by id.
fn by_id(table: &ById<'_>, known: &Account, minutes: i64) -> Account {
    run_with(table, Some(known), minutes, &["G", "H"], &Tags::default(), false)
}

fn run_with<D: Directory>(
    table: &D,
    known: Option<&Account>,
    minutes: i64,
    groups: &[&str],
    tags: &Tags,
    force: bool,
) -> Account {
    let schedule = Schedule { every: None, asked: None, now: at(minutes) };
    run_by(schedule, table, known, groups, tags, force)
}

/// Reads again what is due by this schedule.
fn run_by<D: Directory>(
    schedule: Schedule,
    table: &D,
    known: Option<&Account>,
    groups: &[&str],
    tags: &Tags,
    force: bool,
) -> Account {
    run_as(schedule, None, table, known, groups, (tags, force))
}

/// Reads memberships again as often as `members` says.
fn run_as<D: Directory>(
    schedule: Schedule,
    members: Option<Duration>,
    table: &D,
    known: Option<&Account>,
    groups: &[&str],
    (tags, force): (&Tags, bool),
) -> Account {
    let groups: Vec<String> = groups.iter().map(|name| (*name).to_owned()).collect();
    let request = AccountRequest {
        source: &Source::Iam,
        name: "",
        groups: &groups,
        tags,
        concurrency: 3,
        unresolved: &[],
        force,
        release: &Release { all: force, ..Release::default() },
        members: Schedule { every: members, ..schedule },
        schedule,
        keys_pause: None,
        now: schedule.now,
        progress: &Quiet,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let account = runtime.unwrap().block_on(refresh(&request, table, "123456789012", known.cloned()));
    let listing =
        Listing { version: 1, source: "iam:".to_owned(), accounts: vec![account], ..Listing::default() };
    let text = serde_json::to_vec(&listing).unwrap();
    assert_eq!(Listing::parse(&text).unwrap(), listing, "a listing that apply would refuse");
    listing.accounts.into_iter().next().unwrap()
}

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

fn names(account: &Account) -> Vec<&str> {
    account.users.iter().map(|user| user.name.as_str()).collect()
}

fn kinds(account: &Account) -> Vec<FailureKind> {
    account.errors.iter().map(|failure| failure.kind).collect()
}

fn user<'a>(account: &'a Account, name: &str) -> &'a User {
    account.users.iter().find(|user| user.name == name).unwrap()
}

fn two() -> Table {
    Table::default().user("ana", &["G", "H"]).user("bob", &["G"])
}
