//! `state.db` of other releases: an earlier one is copied and migrated, a later one is used or refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache::Accepted;
use cache::state::{Error, Identity, Rows, State, StateFile};
use policy::{IamId, Id, Name};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

const PRESENT: u32 = 103;
const FIRST: &str = "0.1.0";
/// The tables of the first version.
const TABLES: [&str; 3] = ["identity", "user", "member_group"];

/// A directory with the `state.db` of a fixture.
fn directory(fixture: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(Path::new("tests/fixtures").join(fixture).join("state.db"), state(&directory)).unwrap();
    fs::set_permissions(state(&directory), fs::Permissions::from_mode(0o600)).unwrap();
    directory
}

fn state(directory: &TempDir) -> PathBuf {
    directory.path().join("state.db")
}

fn open(directory: &TempDir) -> Result<StateFile, Error> {
    StateFile::open(directory.path())
}

fn sql(file: &Path, sql: &str) {
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

fn version(file: &Path) -> u32 {
    Connection::open(file).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// Every value of a table, in the order of its columns and keys.
fn rows(file: &Path, table: &str) -> Vec<Vec<Value>> {
    let db = Connection::open(file).unwrap();
    let mut select = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
    let columns = select.column_count();
    let rows = select.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// All files of a directory.
fn bytes(directory: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

/// The statements that created a file, without comments and blanks.
fn schema(db: &Connection) -> Vec<String> {
    let mut select = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let statements = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let code = |sql: String| {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
        lines.collect::<String>().split_whitespace().collect::<String>()
    };
    statements.map(|sql| code(sql.unwrap())).collect()
}

#[test]
fn what_0_1_0_wrote_is_taken_over_value_by_value_and_copied_first() {
    let directory = directory(FIRST);
    let before = TABLES.map(|table| rows(&state(&directory), table));
    let state_now = open(&directory).unwrap().load().unwrap();

    let copy = directory.path().join("state.db.100");
    assert_eq!((version(&state(&directory)), version(&copy)), (PRESENT, 100));
    for file in [state(&directory), copy] {
        assert_eq!(TABLES.map(|table| rows(&file, table)), before, "{}", file.display());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    let ids: Vec<_> = state_now
        .identities
        .iter()
        .map(|(iam_id, identity)| (iam_id.as_str(), identity.id.get(), identity.pinned))
        .collect();
    assert_eq!(
        ids,
        [
            ("AGPAADMINS", 2_007_140_171, false),
            ("AGPAOPS", 2_084_616_035, false),
            ("AGPAOPS2", 2_056_478_520, false),
            ("AIDAANA", 1_879_737_969, false),
            ("AIDABOB", 1003, true),
            ("AIDACY", 2_009_866_010, false),
            ("AIDAEVE", 1_908_126_216, false),
            ("AIDAHAL", 1_982_697_966, false),
            ("group:iam-disabled", 1_945_488_412, false),
            ("group:iam-users", 1_962_406_056, false),
        ]
    );
    let users: Vec<_> = state_now
        .users
        .values()
        .map(|user| {
            (user.name.as_str(), user.passwd.home.as_str(), user.disabled, user.hidden, user.keys.len())
        })
        .collect();
    assert_eq!(
        users,
        [
            ("ana.maria@example.com", "/home/ana.maria@example.com", None, false, 2),
            ("bob", "/home/bob", None, false, 1),
            ("cy", "/home/cy", None, false, 0),
            ("eve", "/home/eve", Some(1_795_700_062), false, 1),
            ("hal", "/home/hal", Some(1_795_700_057), true, 1),
        ]
    );
    assert_eq!((state_now.homes.len(), state_now.names.len()), (0, 0));
    assert_eq!((state_now.asked, state_now.rebuilt, state_now.held), (0, None, None));
}

#[test]
fn what_101_wrote_is_taken_over_with_homes_and_names() {
    let directory = directory("101");
    let tables = ["identity", "user", "member_group", "home", "name"];
    let before = tables.map(|table| rows(&state(&directory), table));
    let state_now = open(&directory).unwrap().load().unwrap();
    assert_eq!(tables.map(|table| rows(&state(&directory), table)), before);
    assert_eq!(
        (version(&state(&directory)), version(&directory.path().join("state.db.101"))),
        (PRESENT, 101)
    );
    assert_eq!(state_now.homes["/home/eve"], IamId::new("AIDAEVE"));
    assert_eq!(state_now.names[&Name::new("night.shift").unwrap()], IamId::new("AGPAOPS2"));
    assert_eq!((state_now.asked, state_now.rebuilt, state_now.held), (1_795_700_114, None, None));
}

#[test]
fn a_migrated_file_has_the_schema_of_a_new_one_and_stores_the_same_data() {
    let empty = tempfile::tempdir().unwrap();
    drop(StateFile::open(empty.path()).unwrap());
    let new = schema(&Connection::open(empty.path().join("state.db")).unwrap());
    assert!(new.len() >= 6, "{new:?}");
    for fixture in [FIRST, "101"] {
        let directory = directory(fixture);
        let mut file = open(&directory).unwrap();
        assert_eq!(schema(&Connection::open(state(&directory)).unwrap()), new, "{fixture}");
        let mut wanted = file.load().unwrap();
        wanted.homes.insert("/home/ana".into(), IamId::new("AIDAANA"));
        wanted.names.insert(Name::new("ana").unwrap(), IamId::new("AIDAANA"));
        (wanted.asked, wanted.rebuilt, wanted.held) = (7, Some(8), Some(9));
        wanted.accepted =
            Accepted { fleet: "jump".to_owned(), generation: 10, listing: "s3://abc/x".to_owned() };
        file.save(&Rows::of(&wanted)).unwrap();
        drop(file);
        let before = bytes(&directory);
        assert_eq!(open(&directory).unwrap().load().unwrap(), wanted, "{fixture}");
        assert!(bytes(&directory) == before, "{fixture}: the second time there is nothing to migrate");
    }
}

#[test]
fn reading_does_not_migrate_the_file() {
    for fixture in [FIRST, "101"] {
        let directory = directory(fixture);
        // An administrator may have changed the page size.
        sql(&state(&directory), "PRAGMA page_size = 16384; VACUUM;");
        let before = bytes(&directory);
        let read = State::read(directory.path()).unwrap();
        assert!(bytes(&directory) == before, "{fixture}");
        assert_eq!(read, open(&directory).unwrap().load().unwrap(), "{fixture}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(State::read(empty.path()).is_err());
    assert!(bytes(&empty).is_empty(), "nor is it made");
    fs::write(empty.path().join("state.db"), "").unwrap();
    assert_eq!(State::read(empty.path()).unwrap(), State::default());
    assert_eq!(fs::metadata(empty.path().join("state.db")).unwrap().len(), 0);
}

#[test]
fn the_copy_also_rolls_back_the_journal_of_a_crash() {
    let (before, crashed) = (directory(FIRST), tempfile::tempdir().unwrap());
    let wanted = State::read(before.path()).unwrap();
    let db = Connection::open(state(&before)).unwrap();
    db.execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE user SET name = 'mallory', keys = '';").unwrap();
    for n in 0..2000 {
        db.execute(
            "INSERT INTO identity (iam_id, id, pinned) VALUES (?1, ?2, 0)",
            (format!("X{n}"), 5000 + n),
        )
        .unwrap();
    }
    for name in ["state.db", "state.db-journal"] {
        fs::copy(before.path().join(name), crashed.path().join(name)).unwrap();
    }
    let torn = fs::read(crashed.path().join("state.db")).unwrap();
    assert!(torn.windows(7).any(|bytes| bytes == b"mallory"), "without the journal it would be wrong");
    assert_eq!(open(&crashed).unwrap().load().unwrap(), wanted);
    for table in TABLES {
        let fixture = directory(FIRST);
        assert_eq!(rows(&crashed.path().join("state.db.100"), table), rows(&state(&fixture), table));
    }
}

#[test]
fn a_later_major_version_is_refused_and_not_touched() {
    let directory = directory(FIRST);
    drop(open(&directory).unwrap());
    sql(&state(&directory), "CREATE TABLE later (x); PRAGMA user_version = 200;");
    fs::write(directory.path().join("state.db.old"), "").unwrap();
    let before = bytes(&directory);
    let refused = [open(&directory).map(drop).unwrap_err(), State::read(directory.path()).unwrap_err()];
    for error in refused {
        assert!(matches!(error, Error::Later { version: 200, .. }), "{error}");
        assert_eq!(error.to_string(), "its format 200 is newer than 103, the format of this release");
        let file = state(&directory).display().to_string();
        let way = format!("rm -f '{file}-journal'; cp '{file}.100' '{file}'");
        assert!(
            error.hint().contains("install the release") && error.hint().ends_with(&way),
            "{}",
            error.hint()
        );
        assert!(!error.is_damage());
    }
    assert!(bytes(&directory) == before);
    fs::remove_file(directory.path().join("state.db.100")).unwrap();
    let error = State::read(directory.path()).unwrap_err();
    assert!(!error.hint().contains("cp "), "there is nothing to be put back: {}", error.hint());
}

/// The version alone does not make a file one of nss-iam: `cache.db` has the same.
#[test]
fn another_database_is_refused_as_damaged_and_not_touched() {
    for statement in [
        "PRAGMA user_version = 7",
        "PRAGMA user_version = -1",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 0x6e696163",
        "PRAGMA application_id = 0x6e696163; PRAGMA user_version = 900",
        "PRAGMA application_id = 0",
    ] {
        let directory = directory(FIRST);
        sql(&state(&directory), statement);
        let before = bytes(&directory);
        let error = open(&directory).unwrap_err();
        assert!(matches!(error, Error::Foreign(_)) && error.is_damage(), "{statement}: {error}");
        assert!(error.hint().contains("backup"), "{statement}");
        assert!(matches!(State::read(directory.path()), Err(Error::Foreign(_))), "{statement}");
        assert_eq!(bytes(&directory), before, "{statement}");
    }
}

fn of_a_later_minor() -> TempDir {
    let directory = directory("101");
    drop(open(&directory).unwrap());
    fs::remove_file(directory.path().join("state.db.101")).unwrap();
    let db = Connection::open(state(&directory)).unwrap();
    db.execute("INSERT OR REPLACE INTO about (id, asked) VALUES (1, 5)", []).unwrap();
    for table in ["identity", "user", "member_group", "home", "name", "about"] {
        db.execute_batch(&format!(
            "ALTER TABLE {table} ADD COLUMN later TEXT NOT NULL DEFAULT 'default'; UPDATE {table} SET later = 'kept';"
        ))
        .unwrap();
    }
    db.execute_batch(
        "CREATE TABLE later (iam_id TEXT PRIMARY KEY REFERENCES identity (iam_id), what TEXT);
         INSERT INTO later (iam_id, what) VALUES ('AIDABOB', 'kept');
         PRAGMA user_version = 103;",
    )
    .unwrap();
    directory
}

#[test]
fn a_later_minor_version_is_used_and_keeps_its_extra_columns() {
    let directory = of_a_later_minor();
    let mut file = open(&directory).unwrap();
    let mut wanted = file.load().unwrap();
    let (ana, bob, new) = (IamId::new("AIDAANA"), IamId::new("AIDABOB"), IamId::new("AIDANEW"));
    wanted.users.get_mut(&ana).unwrap().disabled = Some(9);
    let user = wanted.users[&bob].clone();
    wanted.users.remove(&bob);
    wanted.users.insert(new.clone(), user);
    wanted.identities.insert(new.clone(), Identity { id: Id::pinned(1004).unwrap(), pinned: false });
    wanted.homes.insert("/home/bob".into(), new.clone());
    wanted.names.remove(&Name::new("eve").unwrap());
    wanted.names.insert(Name::new("new").unwrap(), new);
    wanted.groups.remove(&IamId::new("AGPAOPS2"));
    wanted.asked = 6;
    file.save(&Rows::of(&wanted)).unwrap();
    drop(file);

    assert_eq!(State::read(directory.path()).unwrap(), wanted);
    assert_eq!(version(&state(&directory)), 103, "the later release finds what it expects");
    assert_eq!(bytes(&directory).into_keys().collect::<Vec<_>>(), ["state.db"], "nothing is migrated");
    let later = |table: &str, key: &str| {
        let rows = rows(&state(&directory), table);
        let row = rows.iter().find(|row| matches!(row.first(), Some(Value::Text(found)) if found == key));
        match row.and_then(|row| row.last()) {
            Some(Value::Text(text)) => text.clone(),
            _ => panic!("'{key}' is not in '{table}'"),
        }
    };
    for (table, key, text) in [
        ("identity", "AIDABOB", "kept"),
        ("identity", "AIDANEW", "default"),
        ("user", "AIDAANA", "kept"),
        ("user", "AIDAEVE", "kept"),
        ("user", "AIDANEW", "default"),
        ("member_group", "AGPAOPS", "kept"),
        ("home", "/home/bob", "kept"),
        ("name", "new", "default"),
        ("later", "AIDABOB", "kept"),
    ] {
        assert_eq!(later(table, key), text, "'{key}' in '{table}'");
    }
    assert_eq!(rows(&state(&directory), "about")[0].last(), Some(&Value::Text("kept".to_owned())));
}

#[test]
fn a_failed_step_leaves_the_old_file() {
    let directory = directory(FIRST);
    // The first step creates `home` and `name`, then fails.
    sql(&state(&directory), "CREATE TABLE about (x);");
    let before = bytes(&directory);
    let error = open(&directory).map(drop).unwrap_err();
    assert!(error.to_string().contains("about already exists"), "{error}");
    assert!(bytes(&directory)["state.db"] == before["state.db"]);
    assert_eq!(version(&directory.path().join("state.db.100")), 100);
    sql(&state(&directory), "DROP TABLE about;");
    assert_eq!(open(&directory).unwrap().load().unwrap().users.len(), 5);
}

#[test]
fn a_file_that_cannot_be_copied_is_not_migrated_but_can_be_read() {
    let directory = directory(FIRST);
    fs::create_dir_all(directory.path().join("state.db.100/full")).unwrap();
    let before = bytes(&directory);
    let error = open(&directory).map(drop).unwrap_err();
    assert!(matches!(&error, Error::NotCopied { name, .. } if name == "state.db.100"), "{error}");
    assert!(error.to_string().contains("Is a directory") && error.hint().contains("room"), "{error}");
    assert!(!error.is_damage() && error.io().is_some());
    assert!(bytes(&directory) == before, "no leftover, and the same file");
    assert_eq!(State::read(directory.path()).unwrap().users.len(), 5);
}

#[test]
fn a_damaged_file_is_not_migrated() {
    let directory = directory(FIRST);
    let mut damaged = fs::read(state(&directory)).unwrap();
    // The second page belongs to the first table.
    damaged[4096..8192].fill(0xff);
    fs::write(state(&directory), &damaged).unwrap();
    let error = open(&directory).map(drop).unwrap_err();
    assert!(error.is_damage() && error.hint().contains("backup"), "{error}");
    assert_eq!(bytes(&directory).into_keys().collect::<Vec<_>>(), ["state.db"]);
    assert!(fs::read(state(&directory)).unwrap() == damaged);
}
