//! Files and directories of nss-iam.

use crate::breaks::*;
use crate::*;

const CONFIG: &str = "/etc/nss-iam/config.toml";
const DROP_IN: &str = "/etc/nss-iam/config.d/50-local.toml";
const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
const STATE: &str = "/var/lib/nss-iam/state.db";
const CACHE: &str = "/var/lib/nss-iam/cache.db";
const KEYS: &str = "/var/lib/nss-iam/keys.db";
const KNOWN: &str = "/var/lib/nss-iam/known.db";
const KNOWN_JOURNAL: &str = "/var/lib/nss-iam/known.db-journal";
const STATUS: &str = "/var/lib/nss-iam/status.json";
const LOCKED: &str = "/var/lib/nss-iam/locked";
const DIRECTORY: &str = "/var/lib/nss-iam";

fn at(path: &'static str, way: Way, refresh: Ends, unlock: Ends) -> Row {
    row(format!("'{path}': {way:?}"), broken(path, way), refresh, unlock)
}

/// None of these ways matters.
fn harmless(path: &'static str, ways: &[Way]) -> Vec<Row> {
    ways.iter().map(|&way| at(path, way, DONE, DONE)).collect()
}

/// Newcomers cannot get in, and the reason is reported.
fn closed(path: &'static str, status: i32, ways: &[(Way, &'static str)]) -> Vec<Row> {
    ways.iter().map(|&(way, why)| at(path, way, waits(status, why), waits(0, why))).collect()
}

/// Newcomers cannot get in, and users who left are removed.
#[test]
fn the_configuration() {
    const NO_FILE: &str = "not a regular file";
    const NO_TEXT: &str = "valid UTF-8";
    const WRITABLE: &str = "anyone can write to it";
    let bad = [
        (Directory, NO_FILE),
        (Garbage, NO_TEXT),
        (Latin1, NO_TEXT),
        (Fifo, NO_FILE),
        (Cut, "TOML"),
        (Mode, WRITABLE),
    ];
    all(&closed(CONFIG, 78, &[(Gone, "cannot read '/etc/nss-iam/config.toml'")]));
    all(&closed(CONFIG, 78, &bad));
    all(&closed(DROP_IN, 78, &bad));
    all(&harmless(CONFIG, &[Owner]));
    all(&harmless(DROP_IN, &[Gone, Owner]));
    let both = |place: &Place| {
        place.way.set(Refresh::Left);
        break_it(DROP_IN, Garbage);
        break_it(KNOWN, Gone);
    };
    all(&[row("a bad drop-in and no known.db", both, waits(78, NO_TEXT), waits(0, NO_TEXT))]);
}

#[test]
fn published_files() {
    const NO_PLACE: &str = "Is a directory";
    all(&harmless(CACHE, &[Gone, Garbage, Latin1, Fifo, Cut, Owner, Mode]));
    all(&harmless(KEYS, &[Gone, Garbage, Latin1, Fifo, Cut, Owner, Mode]));
    all(&harmless(STATUS, &[Gone, Directory, Garbage, Latin1, Fifo, Cut, Owner, Mode]));
    all(&[at(CACHE, Directory, waits(70, NO_PLACE), waits(0, NO_PLACE)).nobody()]);
    all(&closed(KEYS, 70, &[(Directory, NO_PLACE)]));
}

#[test]
fn the_stored_state() {
    const RESTORE: &str = "restore it from a backup";
    all(&harmless(KNOWN, &[Gone, Directory, Garbage, Latin1, Fifo, Cut, Owner, Mode]));
    all(&harmless(KNOWN_JOURNAL, &[Directory, Garbage, Latin1]));
    all(&harmless(STATE, &[Owner, Mode]));
    all(&[at(STATE, Gone, enters(65, "was lost"), DONE)]);
    all(&closed(STATE, 70, &[(Garbage, RESTORE), (Latin1, RESTORE), (Cut, RESTORE)]));
    all(&closed(STATE, 70, &[(Directory, "Is a directory"), (Fifo, "disk I/O error")]));
}

/// A file that only a later release knows, or one of an earlier release that cannot be copied before it is changed.
#[test]
fn a_state_of_another_release() {
    let state = |sql: &str| rusqlite::Connection::open(STATE).unwrap().execute_batch(sql).unwrap();
    let later = move |_: &Place| state("PRAGMA user_version = 200");
    let earlier = move |_: &Place| {
        let tables = "DROP TABLE IF EXISTS home; DROP TABLE IF EXISTS name; DROP TABLE IF EXISTS about;";
        state(&format!("{tables} PRAGMA user_version = 100"));
        fs::create_dir_all(format!("{STATE}.100/in-the-way")).unwrap();
    };
    const AGAIN: &str = "hint: reinstall the release that wrote it";
    const NO_COPY: &str = "cannot be copied to 'state.db.100'";
    all(&[
        row("state.db is of a later release", later, waits(70, AGAIN), waits(0, AGAIN)),
        row("state.db is of an earlier one", earlier, waits(70, NO_COPY), waits(0, NO_COPY)),
    ]);
}

/// A fetch replaces whatever is in place of the listing; an unlock does not wait for it.
#[test]
fn the_listing() {
    const NO_FILE: &str = "it is not a regular file";
    let found = |way, why| at(LISTING, way, DONE, waits(0, why));
    all(&[
        found(Gone, "there is no listing"),
        found(Garbage, "not a listing"),
        found(Latin1, "not a listing"),
        found(Fifo, NO_FILE),
        found(Cut, "not a listing"),
        found(Owner, "it belongs to uid 1000"),
        found(Mode, "users other than its owner can write it"),
    ]);
    all(&[at(LISTING, Directory, waits(65, NO_FILE), waits(0, NO_FILE)).no_listing()]);
}

#[test]
fn the_list_of_locks() {
    all(&harmless(LOCKED, &[Owner, Mode]));
    for way in [Gone, Cut] {
        all(&[at(LOCKED, way, DONE, enters(78, "'ana' is not locked"))]);
    }
    for way in [Garbage, Latin1] {
        all(&[at(LOCKED, way, DONE, enters(78, "'ana' is not locked"))]);
    }
    for way in [Directory, Fifo] {
        all(&[at(LOCKED, way, waits(70, "not a regular file"), waits(78, "'ana' is not locked"))]);
    }
}

#[test]
fn directories() {
    const MAKE: &str = "systemd-tmpfiles --create nss-iam.conf";
    all(&harmless(DIRECTORY, &[Owner, Mode]));
    all(&harmless(FETCH, &[Mode]));
    for way in [Gone, Garbage] {
        all(&[at(DIRECTORY, way, waits(70, "'/var/lib/nss-iam"), waits(78, "'ana' is not locked")).nobody()]);
    }
    all(&[at(FETCH, Gone, waits(70, MAKE), waits(0, "there is no listing")).no_listing()]);
    all(&[at(FETCH, Garbage, waits(70, "Not a directory"), waits(0, "Not a directory")).no_listing()]);
    let others = |place: &Place| {
        place.way.set(Refresh::Roots);
        break_it(FETCH, Owner);
    };
    all(&[row(
        "the directory of the fetch half belongs to another user",
        others,
        enters(77, "cannot lock"),
        DONE,
    )]);
}
