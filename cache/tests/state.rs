//! `state.db`: what is remembered, over releases and over a loss.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache::state::{Identity, State, StateFile};
use policy::{IamId, Id, Name};
use rusqlite::Connection;

fn identity(id: u32) -> Identity {
    Identity { id: Id::pinned(id).unwrap(), pinned: false }
}

#[test]
fn a_file_of_version_100_is_taken_over_with_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("state.db")).unwrap();
    // As 0.1.0 made it, as far as `load` reads it.
    old.execute_batch(
        "CREATE TABLE identity (iam_id TEXT PRIMARY KEY, id INTEGER NOT NULL UNIQUE, pinned INTEGER NOT NULL) WITHOUT ROWID;
         CREATE TABLE user (iam_id TEXT PRIMARY KEY, account TEXT, iam_name TEXT, created TEXT, name TEXT, gecos TEXT,
           home TEXT, shell TEXT, lastchg INTEGER, groups TEXT, disabled INTEGER, hidden INTEGER, keys TEXT,
           confirmed INTEGER, source TEXT) WITHOUT ROWID;
         CREATE TABLE member_group (iam_id TEXT PRIMARY KEY, account TEXT, name TEXT) WITHOUT ROWID;
         INSERT INTO identity VALUES ('U1', 1001, 1);
         INSERT INTO user VALUES ('U1', '', 'Ana', '', 'ana', '', '/home/ana', '/bin/sh', 1, '', NULL, 0, '', 0, '');
         PRAGMA user_version = 100;",
    )
    .unwrap();
    drop(old);
    let mut file = StateFile::open(folder.path()).unwrap();
    let mut state = file.load().unwrap();
    assert_eq!(state.users[&IamId::new("U1")].name, Name::new("ana").unwrap());
    assert_eq!((state.homes.len(), state.asked, state.rebuilt), (0, 0, None));
    state.homes.insert("/home/ana".to_owned(), IamId::new("U1"));
    state.names.insert(Name::new("ana").unwrap(), IamId::new("U1"));
    (state.asked, state.rebuilt, state.held) = (7, Some(8), Some(9));
    file.save(&state).unwrap();
    drop(file);
    assert_eq!(StateFile::open(folder.path()).unwrap().load().unwrap(), state);
}

#[test]
fn one_who_was_lost_is_known_again_with_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(folder.path()).unwrap();
    let lost = IamId::of_lost(Id::pinned(1001).unwrap());
    let mut state = State::default();
    state.identities.insert(lost.clone(), identity(1001));
    state.homes.insert("/home/ana".to_owned(), lost.clone());
    file.save(&state).unwrap();
    assert_eq!(file.load().unwrap(), state);
    let mut known = State::default();
    known.identities.insert(IamId::new("U1"), identity(1001));
    known.homes.insert("/home/ana".to_owned(), IamId::new("U1"));
    file.save(&known).unwrap();
    assert_eq!(file.load().unwrap(), known);
}

#[test]
fn an_id_that_was_given_is_neither_changed_nor_shared() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = StateFile::open(folder.path()).unwrap();
    let mut state = State::default();
    state.identities.insert(IamId::new("U1"), identity(1001));
    file.save(&state).unwrap();
    state.identities.insert(IamId::new("U1"), identity(1002));
    assert!(file.save(&state).is_err());
    let mut other = State::default();
    other.identities.insert(IamId::new("U2"), identity(1001));
    assert!(file.save(&other).is_err());
    assert_eq!(file.load().unwrap().identities[&IamId::new("U1")], identity(1001));
}
