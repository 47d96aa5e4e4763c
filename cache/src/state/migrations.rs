//! Migrates a `state.db` of an earlier minor version: it is copied to `state.db.<version>`, then all steps run in
//! one transaction.

use std::fs;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, TransactionBehavior};

use super::{Error, connect};
use crate::replace::{self, Attributes, New};
use crate::schema::{MAJOR, STATE};

/// `application_id` of `state.db` in `schema.sql`.
const APPLICATION_ID: i64 = 0x6e69_6173;

/// What each earlier version lacks of the next one. A released step is never changed. Together, the steps turn the
/// first version into the schema of `schema.sql`.
const STEPS: [(u32, &str); 3] = [
    (
        100,
        "CREATE TABLE home (path TEXT PRIMARY KEY, iam_id TEXT NOT NULL REFERENCES identity (iam_id)) WITHOUT ROWID;
         CREATE TABLE name (name TEXT PRIMARY KEY, iam_id TEXT NOT NULL REFERENCES identity (iam_id)) WITHOUT ROWID;
         CREATE TABLE about (id INTEGER PRIMARY KEY CHECK (id = 1), asked INTEGER NOT NULL, rebuilt INTEGER);",
    ),
    (101, "ALTER TABLE about ADD COLUMN held INTEGER;"),
    (
        102,
        "ALTER TABLE about ADD COLUMN fleet TEXT;
         ALTER TABLE about ADD COLUMN generation INTEGER;
         ALTER TABLE about ADD COLUMN listing TEXT;",
    ),
];

/// The version of a file that this release can use; 0: the file is empty. Later minor versions can be used: see
/// `schema.sql`.
pub(super) fn version(db: &Connection, directory: &Path) -> Result<u32, Error> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (found, id) = (pragma("user_version")?, pragma("application_id")?);
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if found == 0 && tables == 0 {
        return Ok(0);
    }
    let version = u32::try_from(found).ok().filter(|_| id == APPLICATION_ID);
    match version {
        Some(version) if version / 100 == MAJOR => Ok(version),
        Some(version) if version / 100 > MAJOR => Err(Error::Later { version, hint: way_back(directory) }),
        _ => Err(Error::Foreign(found)),
    }
}

/// Whether a file of this version must be migrated and contains data.
pub(super) fn is_earlier(version: u32) -> bool {
    (1..STATE.version).contains(&version)
}

/// Migrates a file of `version` in one transaction.
pub(super) fn migrate(db: &mut Connection, version: u32) -> Result<(), Error> {
    if version >= STATE.version {
        return Ok(());
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version == 0 {
        transaction.execute_batch(&STATE.ddl())?;
    }
    for (_, step) in STEPS.iter().filter(|(from, _)| version > 0 && *from >= version) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STATE.version)?;
    Ok(transaction.commit()?)
}

/// Copies the whole file as SQLite sees it, after rolling back a journal that a crash left.
pub(super) fn copy(from: &Connection, to: &mut Connection) -> Result<(), Error> {
    match Backup::new(from, to)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            Err(rusqlite::Error::SqliteFailure(busy, Some("it is locked".to_owned())).into())
        }
    }
}

/// Creates `state.db.<version>`. A crash leaves no copy, the previous copy or a complete new one.
pub(super) fn back_up(db: &Connection, directory: &Path, version: u32) -> Result<(), Error> {
    let name = format!("{}.{version}", STATE.name);
    let path = directory.join(&name);
    // A leftover that cannot be removed does no harm.
    let _ = replace::remove_leftovers(&path);
    write(db, &path).map_err(|cause| Error::NotCopied { name, cause: Box::new(cause) })
}

fn write(db: &Connection, path: &Path) -> Result<(), Error> {
    let new = New::beside(path)?;
    let mut to = connect(new.path())?;
    // A crash turns it into a leftover: no journal and no early sync are needed.
    to.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
    copy(db, &mut to)?;
    let found: String = to.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Damaged(found));
    }
    to.close().map_err(|(_, cause)| cause)?;
    Attributes::of_mode(STATE.mode).give(new.file())?;
    Ok(new.place()?)
}

/// What to do with a file of a later release.
fn way_back(directory: &Path) -> String {
    let version = |name: &str| name.strip_prefix(STATE.name)?.strip_prefix('.')?.parse::<u32>().ok();
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let copies = names.filter_map(|name| version(name.to_str()?)).filter(|version| version / 100 == MAJOR);
    let file = directory.join(STATE.name).display().to_string();
    match copies.max() {
        Some(version) => format!(
            "reinstall the release that wrote it, or put back the copy that it made before: systemctl stop \
             nss-iam-refresh.timer; rm -f '{file}-journal'; cp '{file}.{version}' '{file}'"
        ),
        None => "reinstall the release that wrote it, or restore an earlier file from a backup".to_owned(),
    }
}
