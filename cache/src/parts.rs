//! A document that is stored in parts, in one file of SQLite: what writing it costs depends on the parts that changed, not on
//! its size. A program without privileges can read it; one that keeps it open delays nobody.

use std::cmp::Ordering;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction};

use crate::publish::{self, Error, io_error};
use crate::replace::{self, Attributes, New};
use crate::schema::Schema;
use crate::state::connect;

/// Changing one part costs a few pages, so they are small.
const PAGE_SIZE: u32 = 4096;
/// With more changes, replacing the file costs hardly more, and needs less memory.
const MOST: usize = 1000;
/// How long a reader without power waits for a change to be written.
const READER_WAITS: Duration = Duration::from_secs(5);

/// Reads all parts of the file at `path`, with their names, in the order of their names. The caller has checked who could have
/// written it.
///
/// # Errors
/// Of SQLite, also if the file has another major version.
pub fn read(path: &Path, schema: Schema) -> rusqlite::Result<Vec<(String, String)>> {
    let db = connect(path)?;
    // Root writes it, and waits for nobody who can only read it.
    if !rustix::process::geteuid().is_root() {
        db.busy_timeout(READER_WAITS)?;
    }
    check(&db, schema)?;
    let mut select = db.prepare(SELECT)?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Writes the document to the file of `schema` in the directory `directory`, readable by the group `gid`. `parts` gives all
/// parts with their names, in the order of their names, each name once; it may be called twice. Only parts that differ are
/// written; if the file cannot be changed, for whatever reason, it is replaced. The caller holds a lock.
///
/// # Errors
/// See [`Error`].
pub fn write<Parts: Iterator<Item = (String, String)>>(
    directory: &Path,
    schema: Schema,
    gid: Option<u32>,
    parts: impl Fn() -> Parts,
) -> Result<(), Error> {
    let path = directory.join(schema.name);
    replace::remove_leftovers(&path).map_err(io_error("remove what is left beside", &path))?;
    // Without the group of its readers, nobody else can read it.
    let mode = if gid.is_some() { schema.mode } else { schema.mode & 0o700 };
    let is_ours = fs::symlink_metadata(&path).is_ok_and(|found| publish::has_attributes(&found, mode, gid));
    if is_ours && matches!(update(&path, schema, parts()), Ok(true)) {
        return Ok(());
    }
    let new = New::beside(&path).map_err(io_error("make a new file beside", &path))?;
    publish::fill(new.path(), schema, PAGE_SIZE, |db| {
        let mut put = db.prepare(PUT)?;
        parts().try_for_each(|part| put.execute(part).map(drop))
    })?;
    let attributes = Attributes::of_mode(mode).owned_by(None, gid).labelled_as(&path);
    attributes.give(new.file()).map_err(io_error("set group, label and mode of", new.path()))?;
    forget_journal(&path).map_err(io_error("remove the journal of", &path))?;
    new.place().map_err(io_error("replace", &path))
}

const SELECT: &str = "SELECT name, content FROM part ORDER BY name";
const PUT: &str = "INSERT INTO part (name, content) VALUES (?, ?) \
                   ON CONFLICT (name) DO UPDATE SET content = excluded.content";

fn check(db: &Connection, schema: Schema) -> rusqlite::Result<()> {
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version / 100 != schema.version / 100 {
        return Err(rusqlite::Error::InvalidQuery);
    }
    Ok(())
}

/// Changes the file. Returns whether it has these parts then, and need not be replaced.
fn update(
    path: &Path,
    schema: Schema,
    parts: impl Iterator<Item = (String, String)>,
) -> rusqlite::Result<bool> {
    let mut db = connect(path)?;
    check(&db, schema)?;
    // Writing pages before the end would wait for readers again and again; so only the end waits, and once.
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_spill = OFF;")?;
    let transaction = db.transaction()?;
    let changes = changes(&transaction, parts)?;
    if changes.is_empty() || changes.len() > MOST {
        return Ok(changes.is_empty());
    }
    let mut put = transaction.prepare(PUT)?;
    let mut remove = transaction.prepare("DELETE FROM part WHERE name = ?")?;
    for (name, content) in changes {
        match content {
            Some(content) => put.execute((name, content))?,
            None => remove.execute([name])?,
        };
    }
    drop((put, remove));
    transaction.commit()?;
    Ok(true)
}

/// What differs from `parts`, in their order: a name, and the new content unless the part is gone. Ends after [`MOST`] changes and
/// one.
fn changes(
    db: &Transaction<'_>,
    parts: impl Iterator<Item = (String, String)>,
) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut select = db.prepare(SELECT)?;
    let mut rows = select.query([])?;
    let mut changes = Vec::new();
    let mut row = rows.next()?;
    for (name, content) in parts {
        let mut is_same = false;
        while let Some(present) = row {
            let found = present.get_ref(0)?.as_str()?;
            match found.cmp(name.as_str()) {
                Ordering::Less => changes.push((found.to_owned(), None)),
                Ordering::Equal => is_same = present.get_ref(1)?.as_str()? == content,
                Ordering::Greater => break,
            }
            row = rows.next()?;
        }
        if !is_same {
            changes.push((name, Some(content)));
        }
        if changes.len() > MOST {
            return Ok(changes);
        }
    }
    while let Some(gone) = row {
        changes.push((gone.get(0)?, None));
        row = rows.next()?;
    }
    Ok(changes)
}

/// Removes a journal of the file at `path`, which is to be replaced: SQLite would take it for the new file's. Without its
/// journal the present file may be worthless, so it goes first.
fn forget_journal(path: &Path) -> io::Result<()> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    let journal = PathBuf::from(journal);
    match fs::symlink_metadata(&journal) {
        Err(_) => return Ok(()),
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is not a regular file")),
        Ok(_) => {}
    }
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
        _ => replace::sync_directory(path)?,
    }
    fs::remove_file(&journal)?;
    replace::sync_directory(path)
}
