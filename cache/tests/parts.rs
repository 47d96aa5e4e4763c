//! A document in parts: what is written, and what happens to a file that cannot be changed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cache::parts;
use cache::schema::KNOWN;
use rusqlite::Connection;

type Parts = BTreeMap<String, String>;
type Way = fn(&Path);

fn write(directory: &Path, parts: &Parts) {
    let all = || parts.iter().map(|(name, content)| (name.clone(), content.clone()));
    parts::write(directory, KNOWN, Some(rustix::process::getegid().as_raw()), all).unwrap();
}

fn read(directory: &Path) -> Parts {
    parts::read(&directory.join(KNOWN.name), KNOWN).unwrap().into_iter().collect()
}

fn people(count: usize) -> Parts {
    (0..count).map(|number| (format!("user/{number:05}"), format!("{{\"name\":\"user{number}\"}}"))).collect()
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A directory with a file for these parts.
fn with(parts: &Parts) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), parts);
    let path = directory.path().join(KNOWN.name);
    (directory, path)
}

#[test]
fn what_is_read_is_what_was_written_last() {
    let documents = [
        people(3),
        people(0),
        people(40),
        people(12),
        Parts::from([("a".to_owned(), String::new()), ("user/00001".to_owned(), "other".to_owned())]),
        Parts::from([("a".to_owned(), "x".to_owned()), ("z".to_owned(), "ü".to_owned())]),
        people(7),
    ];
    let (directory, path) = with(&documents[0]);
    let inode = fs::metadata(&path).unwrap().ino();
    for (from, to) in documents.iter().flat_map(|from| documents.iter().map(move |to| (from, to))) {
        write(directory.path(), from);
        write(directory.path(), to);
        assert_eq!(&read(directory.path()), to);
    }
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "it was changed in its place");
    assert_eq!(names(directory.path()), [KNOWN.name]);
}

#[test]
fn a_change_costs_a_few_pages_and_no_change_nothing() {
    let mut parts = people(20_000);
    let (directory, path) = with(&parts);
    let before = fs::read(&path).unwrap();
    let differs = || {
        let pages = |bytes: Vec<u8>| bytes.chunks(4096).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let now = fs::read(&path).unwrap();
        pages(now).iter().zip(pages(before.clone())).filter(|(now, before)| *now != before).count()
    };
    write(directory.path(), &parts);
    assert_eq!(differs(), 0);
    parts.insert("user/10000".to_owned(), "{}".to_owned());
    parts.remove("user/10001");
    parts.insert("user/10001a".to_owned(), "{}".to_owned());
    write(directory.path(), &parts);
    let (pages, size) = (differs(), fs::metadata(&path).unwrap().len());
    assert!(pages <= 4 && size > 100 * 4096, "{pages} pages of {size} bytes");
    assert_eq!(read(directory.path()), parts);
}

/// Whatever is in its place, or beside it.
#[test]
fn a_file_that_cannot_be_changed_is_replaced() {
    let (old, new) = (people(300), people(301));
    let ways: [(&str, Way); 9] = [
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("garbage", |path| fs::write(path, "garbage").unwrap()),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("cut", |path| File::options().write(true).open(path).unwrap().set_len(9000).unwrap()),
        ("of a later release", |path| {
            Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 200").unwrap();
        }),
        ("writable for others", |path| fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap()),
        ("a link", |path| {
            fs::rename(path, path.with_file_name("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", path).unwrap();
        }),
        ("without its table", |path| {
            Connection::open(path).unwrap().execute_batch("ALTER TABLE part RENAME TO other").unwrap();
        }),
        ("a row that is no text", |path| {
            Connection::open(path).unwrap().execute_batch("UPDATE part SET content = x'00'").unwrap();
        }),
    ];
    for (what, break_it) in ways {
        let (directory, path) = with(&old);
        break_it(&path);
        write(directory.path(), &new);
        assert_eq!(read(directory.path()), new, "{what}");
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file() && found.mode() & 0o7777 == 0o640, "{what}");
    }
}

#[test]
fn one_who_keeps_it_open_delays_nobody() {
    let (directory, path) = with(&people(300));
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM part").unwrap();
    write(directory.path(), &people(301));
    assert_eq!(read(directory.path()), people(301));
    let seen: u32 = reader.query_row("SELECT count(*) FROM part", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 300, "it has the file of before");
}

/// A journal of SQLite for a transaction in which a process was killed, at a time when the file was partly written.
fn interrupted(path: &Path) -> Vec<u8> {
    let mut db = Connection::open(path).unwrap();
    // Pages that do not fit are written before the transaction ends.
    db.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1").unwrap();
    let transaction = db.transaction().unwrap();
    transaction.execute_batch("UPDATE part SET content = 'half' || content").unwrap();
    let copies = [path.to_owned(), path.with_extension("db-journal")].map(|path| fs::read(path).unwrap());
    drop(transaction);
    drop(db);
    let [half, journal] = copies;
    fs::write(path, half).unwrap();
    fs::write(path.with_extension("db-journal"), &journal).unwrap();
    journal
}

#[test]
fn an_interrupted_change_is_undone() {
    let (directory, path) = with(&people(3000));
    interrupted(&path);
    assert!(fs::read(&path).unwrap().windows(4).any(|bytes| bytes == b"half"), "it was partly written");
    assert_eq!(read(directory.path()), people(3000));
    interrupted(&path);
    write(directory.path(), &people(3001));
    assert_eq!(read(directory.path()), people(3001));
    assert_eq!(names(directory.path()), [KNOWN.name]);
}

/// SQLite would put its pages into the new file.
#[test]
fn the_journal_of_a_file_that_is_replaced_goes_with_it() {
    let (directory, path) = with(&people(3000));
    interrupted(&path);
    // A file that nobody can open any more, with a journal that could be used.
    File::options().write(true).open(&path).unwrap().write_all_at(b"nothing of SQLite", 0).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    write(directory.path(), &people(20));
    assert_eq!(names(directory.path()), [KNOWN.name]);
    assert_eq!(read(directory.path()), people(20));
}

#[test]
fn what_cannot_be_replaced_is_said() {
    let (directory, path) = with(&people(3));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let said = parts::write(directory.path(), KNOWN, None, std::iter::empty).unwrap_err().to_string();
    assert!(said.contains("cannot replace") && said.contains("Is a directory"), "{said}");
}

#[test]
fn a_document_that_is_almost_new_is_replaced() {
    let (directory, path) = with(&people(3000));
    let inode = fs::metadata(&path).unwrap().ino();
    let other = people(3000).into_keys().map(|name| (name, "other".to_owned())).collect();
    write(directory.path(), &other);
    assert_ne!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!(read(directory.path()), other);
}
