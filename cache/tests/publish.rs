//! Publishing on real files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cache::Accepted;
use cache::passwd::Passwd;
use cache::snapshot::{Cache, Group, Keys, Login, User};
use cache::state::{Identity, Rows, State, StateFile};
use cache::{Texts, publish, state};
use policy::{Field, IamId, Id, KeyLine, Name};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn users(names: &[&str]) -> Cache {
    let mut cache = Cache::default();
    for name in names {
        let uid = Id::computed(&IamId::new(name));
        let name = Name::new(name).unwrap();
        cache.users.push(User {
            uid,
            name: name.clone(),
            pinned: false,
            active: true,
            passwd: Passwd::new(
                Field::new(&format!("/home/{name}")).unwrap(),
                Field::new("/bin/bash").unwrap(),
                20_000,
            ),
            groups: vec![Id::computed(&IamId::new("AGPA"))],
            local: vec![27],
        });
        cache.groups.push(Group { gid: uid, name, pinned: false, members: Vec::new() });
    }
    cache.users.sort_by_key(|user| user.uid);
    cache.groups.sort_by_key(|group| group.gid);
    cache
}

fn keys(names: &[&str]) -> Keys {
    let line = KeyLine::new("SHA256:abc ssh-ed25519 AAAA").unwrap();
    let logins = users(names).users.into_iter().map(|user| Login {
        uid: user.uid,
        iam_id: IamId::new(user.name.as_str()),
        name: user.name,
        confirmed: 1_700_000_000,
        source: "iam:123456789012".into(),
        keys: vec![line.clone(), line.clone()],
        forward_only: false,
        principals: vec!["AIDAEXAMPLE".into()],
    });
    Keys {
        machine_id: "0".repeat(32),
        max_age: 60,
        options: "restrict".to_owned(),
        accepted: Accepted { fleet: "jump".to_owned(), generation: 7, listing: "file:///x".to_owned() },
        logins: logins.collect(),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn texts_that_two_files_have_in_common_are_kept_once() {
    let directory = directory();
    // Shorter ones need no memory.
    let people = ["ana.whose.name.is.rather.long", "bob.whose.name.is.rather.long"];
    publish::cache(directory.path(), &users(&people)).unwrap();
    publish::keys(directory.path(), &keys(&people), own_gid()).unwrap();
    let mut texts = Texts::of_file(0);
    let cache = Cache::read_with(&directory.path().join("cache.db"), &mut texts).unwrap();
    let (keys, _) = Keys::with_stored_times(directory.path(), &mut texts).unwrap();
    let one = |first: &str, second: &str| std::ptr::eq(first, second);
    for (user, login) in cache.users.iter().zip(&keys.logins) {
        assert!(one(user.name.as_str(), login.name.as_str()), "{}", user.name);
        // Here, the id at the source is the name.
        assert!(one(user.name.as_str(), login.iam_id.as_str()), "{}", user.name);
        assert!(one(login.keys[0].as_str(), login.keys[1].as_str()));
    }
}

#[test]
fn what_is_published_is_read_back() {
    let directory = directory();
    publish::cache(directory.path(), &users(&["ana", "bob"])).unwrap();
    publish::keys(directory.path(), &keys(&["ana", "bob"]), own_gid()).unwrap();
    assert_eq!(Cache::read(&directory.path().join("cache.db")).unwrap(), users(&["ana", "bob"]));
    assert_eq!(Keys::read(&directory.path().join("keys.db")).unwrap(), keys(&["ana", "bob"]));
    assert_eq!(names(directory.path()), ["cache.db", "keys.db"]);
}

#[test]
fn everyone_can_read_the_cache_and_only_the_group_the_keys() {
    let directory = directory();
    publish::cache(directory.path(), &users(&["ana"])).unwrap();
    publish::keys(directory.path(), &keys(&["ana"]), own_gid()).unwrap();
    let mode = |name: &str| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("cache.db"), mode("keys.db")), (0o644, 0o640));
}

#[test]
fn sqlite_itself_refuses_to_write_to_a_published_file() {
    let directory = directory();
    publish::cache(directory.path(), &users(&["ana"])).unwrap();
    let file = directory.path().join("cache.db");
    let before = fs::read(&file).unwrap();
    let db = rusqlite::Connection::open(&file).unwrap();
    for sql in [
        "DELETE FROM passwd",
        "VACUUM",
        "PRAGMA user_version = 7",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a)",
    ] {
        assert!(db.execute_batch(sql).is_err(), "{sql}");
    }
    drop(db);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn the_same_snapshot_gives_the_same_bytes() {
    let (a, b) = (directory(), directory());
    for directory in [&a, &b] {
        publish::cache(directory.path(), &users(&["ana", "bob"])).unwrap();
    }
    assert_eq!(fs::read(a.path().join("cache.db")).unwrap(), fs::read(b.path().join("cache.db")).unwrap());
}

#[test]
fn the_old_file_is_marked_as_retired_only_after_it_was_replaced() {
    let directory = directory();
    publish::cache(directory.path(), &users(&["ana"])).unwrap();
    let path = directory.path().join("cache.db");
    let held = directory.path().join("held");
    fs::hard_link(&path, &held).unwrap();
    let before = fs::read(&held).unwrap();
    assert_eq!(before[60] & 0x80, 0);
    publish::cache(directory.path(), &users(&["bob"])).unwrap();
    let after = fs::read(&held).unwrap();
    assert_eq!(after[60], before[60] | 0x80);
    assert_eq!((&after[..60], &after[61..]), (&before[..60], &before[61..]));
    assert_eq!(fs::read(&path).unwrap()[60] & 0x80, 0);
    assert_ne!(fs::metadata(&path).unwrap().ino(), fs::metadata(&held).unwrap().ino());
}

#[test]
fn leftovers_of_a_killed_refresher_are_removed_with_their_journals() {
    let directory = directory();
    for name in ["cache.db.new-1", "cache.db.new-1-journal", "cache.db.new-77-wal"] {
        fs::write(directory.path().join(name), "half").unwrap();
    }
    publish::cache(directory.path(), &users(&["ana"])).unwrap();
    assert_eq!(names(directory.path()), ["cache.db"]);
}

#[test]
fn a_failure_leaves_the_present_file_and_no_leftover() {
    let directory = directory();
    publish::cache(directory.path(), &users(&["ana"])).unwrap();
    let before = fs::read(directory.path().join("cache.db")).unwrap();
    let mut twice = users(&["ana"]);
    twice.users.push(twice.users[0].clone());
    let error = publish::cache(directory.path(), &twice).unwrap_err();
    assert!(error.to_string().contains("UNIQUE constraint failed"), "{error}");
    assert_eq!(fs::read(directory.path().join("cache.db")).unwrap(), before);
    assert_eq!(names(directory.path()), ["cache.db"]);
}

#[test]
fn an_assigned_id_is_never_changed_or_assigned_to_another() {
    let directory = directory();
    let mut file = StateFile::open(directory.path()).unwrap();
    let identity = |id| Identity { id: Id::pinned(id).unwrap(), pinned: false };
    let mut state = State::default();
    state.identities.insert(IamId::new("AIDA1"), identity(2000));
    file.save(&Rows::of(&state)).unwrap();
    let first = state.clone();

    state.identities.insert(IamId::new("AIDA2"), identity(2000));
    assert!(matches!(file.save(&Rows::of(&state)), Err(state::Error::Sqlite(_))));
    state = first.clone();
    state.identities.insert(IamId::new("AIDA1"), identity(2001));
    assert!(matches!(file.save(&Rows::of(&state)), Err(state::Error::Sqlite(_))));
    file.save(&Rows::of(&State::default())).unwrap();
    drop(file);

    assert_eq!(StateFile::open(directory.path()).unwrap().load().unwrap(), first);
    let mode = fs::metadata(directory.path().join("state.db")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600);
}

/// SQLite would wait for a writer of a FIFO.
#[test]
fn anything_but_a_regular_file_is_refused_without_waiting() {
    let directory = directory();
    let path = directory.path().join("cache.db");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(Cache::read(&path).unwrap_err().to_string().contains("it is not a regular file"));
    publish::cache(directory.path(), &users(&["ana"])).unwrap();
    assert_eq!(Cache::read(&path).unwrap(), users(&["ana"]));
}

#[test]
fn all_facts_about_a_user_are_stored_and_read_back() {
    let directory = directory();
    let mut file = StateFile::open(directory.path()).unwrap();
    let mut state = State::default();
    let iam_id = IamId::new("AIDA1");
    state.identities.insert(iam_id.clone(), Identity { id: Id::computed(&iam_id), pinned: false });
    let user = state::User {
        account: "two".into(),
        iam_name: "Ana+B".into(),
        created: "2026-01-01T00:00:00Z".into(),
        name: Name::new("ana_b").unwrap(),
        passwd: Passwd {
            gecos: Field::new("Ana").unwrap(),
            home: Field::new("/home/ana").unwrap(),
            shell: Field::new("/bin/sh").unwrap(),
            lastchg: 3,
        },
        groups: vec![IamId::new("AGPA1"), IamId::new("AGPA2")],
        disabled: Some(5),
        hidden: true,
        keys: vec![KeyLine::new("SHA256:abc ssh-rsa AA").unwrap()],
        confirmed: 9,
        source: "iam:".into(),
    };
    state.users.insert(iam_id, user);
    file.save(&Rows::of(&state)).unwrap();
    assert_eq!(file.load().unwrap(), state);
}

fn own_gid() -> u32 {
    rustix::process::getgid().as_raw()
}
