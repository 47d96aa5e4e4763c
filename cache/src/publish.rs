//! Replaces a file of the cache atomically: a reader, or a crash at any instant, sees either the old file or the
//! new one.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::OFlags;

use crate::replace::{self, Attributes, New};
use crate::schema::{self, Schema};
use crate::snapshot::{Cache, Keys};

/// Offset of the file format write version in SQLite's header. 3 makes SQLite refuse to write to the file
/// (sqlite.org/fileformat2.html, 1.3.3).
const WRITE_VERSION: u64 = 18;
const READ_ONLY: u8 = 3;
/// Offset of `user_version`, big-endian, in the header; its top bit marks a retired file.
const USER_VERSION: u64 = 60;
const RETIRED: u8 = 0x80;

/// Why nothing was published. Readers then still see the present file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the operating system.
    #[error("cannot {what} '{}': {cause}", path.display())]
    Io {
        /// The verb.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// An error of SQLite.
    #[error("cannot fill '{}': {cause}", path.display())]
    Sqlite {
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: rusqlite::Error,
    },
    /// The file does not contain what was written.
    #[error("'{}' does not contain what was written to it: {found}", path.display())]
    Differs {
        /// The path.
        path: PathBuf,
        /// What is different.
        found: String,
    },
}

impl Error {
    /// Whether the cause is file modes or a read-only file system.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Io { cause, .. }
            if matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
    }
}

/// Publishes `cache.db` in the directory `directory`.
///
/// # Errors
/// See [`Error`].
pub fn cache(directory: &Path, snapshot: &Cache) -> Result<(), Error> {
    publish(
        directory,
        schema::CACHE,
        None,
        |db| snapshot.write(db),
        |file| Cache::read(file).map(|read| read == *snapshot),
    )
}

/// Publishes `keys.db` in the directory `directory`, readable by the group `gid`.
///
/// # Errors
/// See [`Error`].
pub fn keys(directory: &Path, snapshot: &Keys, gid: u32) -> Result<(), Error> {
    publish(
        directory,
        schema::KEYS,
        Some(gid),
        |db| snapshot.write(db),
        |file| Keys::read(file).map(|read| read == *snapshot),
    )
}

fn publish(
    directory: &Path,
    schema: Schema,
    gid: Option<u32>,
    fill: impl Fn(&Connection) -> rusqlite::Result<()>,
    same: impl Fn(&Path) -> Result<bool, crate::snapshot::Error>,
) -> Result<(), Error> {
    let path = directory.join(schema.name);
    remove_leftovers(directory)?;
    let new = New::beside(&path).map_err(io_error("make a new file beside", &path))?;
    // An enumeration descends from the root once per leaf: for 50 000 users this is a fifth faster than with 4096.
    self::fill(new.path(), schema, 16384, fill)?;
    let io_error = |what| io_error(what, new.path());
    new.file().write_all_at(&[READ_ONLY], WRITE_VERSION).map_err(io_error("write"))?;
    let attributes = Attributes::of_mode(schema.mode).owned_by(None, gid).labelled_as(&path);
    attributes.give(new.file()).map_err(io_error("set group, label and mode of"))?;
    verify(new.path(), same)?;
    put(new, &path)
}

/// Removes the files that a killed refresher left. The caller holds the lock, so no other refresher is running.
///
/// # Errors
/// See [`Error`].
pub fn remove_leftovers(directory: &Path) -> Result<(), Error> {
    for schema in [schema::CACHE, schema::KEYS] {
        let path = directory.join(schema.name);
        replace::remove_leftovers(&path).map_err(io_error("remove what is left beside", &path))?;
    }
    Ok(())
}

/// Whether the present file has the type, owner, mode and version that readers require. Its content is not checked.
#[must_use]
pub fn is_sound(directory: &Path, schema: Schema, gid: Option<u32>) -> bool {
    let look = || {
        let file = options().open(directory.join(schema.name))?;
        let found = file.metadata()?;
        let mut header = [0; 64];
        file.read_exact_at(&mut header, 0)?;
        let [.., write_version, _] = header.first_chunk::<20>().copied().unwrap_or_default();
        Ok::<_, io::Error>(
            has_attributes(&found, schema.mode, gid)
                && write_version == READ_ONLY
                && header.ends_with(&schema.version.to_be_bytes()),
        )
    };
    look().unwrap_or(false)
}

/// Whether it is a regular file of this user and group, with this mode.
pub(crate) fn has_attributes(found: &Metadata, mode: u32, gid: Option<u32>) -> bool {
    found.is_file()
        && found.uid() == rustix::process::geteuid().as_raw()
        && gid.is_none_or(|gid| found.gid() == gid)
        && found.mode() & 0o7777 == mode
}

/// Reads a file to its end. The tables alone do not tell whether the disk returns the indexes, which readers need.
///
/// # Errors
/// Those of opening and reading.
pub fn read_to_end(path: &Path) -> io::Result<()> {
    io::copy(&mut options().open(path)?, &mut io::sink()).map(drop)
}

/// Opens for reading, without waiting for a FIFO or following a link.
fn options() -> OpenOptions {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags);
    options
}

/// Creates the tables of `schema` in the new file at `new`, has them filled, and checks the file.
pub(crate) fn fill(
    new: &Path,
    schema: Schema,
    page_size: u32,
    rows: impl Fn(&Connection) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    let attempt = || {
        let db = Connection::open(new)?;
        // Nobody reads this file yet, and a crash turns it into a leftover: no journal and no early sync are
        // needed.
        db.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
        db.execute_batch(&format!("PRAGMA page_size = {page_size};"))?;
        db.execute_batch(&format!("BEGIN; {}", schema.ddl()))?;
        rows(&db)?;
        db.execute_batch("COMMIT;")?;
        let found: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        db.close().map_err(|(_, cause)| cause)?;
        Ok(found)
    };
    match attempt() {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(Error::Differs { path: new.to_owned(), found }),
        Err(cause) => Err(Error::Sqlite { path: new.to_owned(), cause }),
    }
}

fn verify(new: &Path, same: impl Fn(&Path) -> Result<bool, crate::snapshot::Error>) -> Result<(), Error> {
    let found = match same(new) {
        Ok(true) => return Ok(()),
        Ok(false) => "rows differ".to_owned(),
        Err(cause) => cause.to_string(),
    };
    Err(Error::Differs { path: new.to_owned(), found })
}

fn put(new: New, path: &Path) -> Result<(), Error> {
    let old = options().write(true).open(path).ok();
    new.place().map_err(io_error("replace", path))?;
    if let Some(old) = old {
        // The new file is in place. Readers that still map the old one notice it by this mark, or later by
        // `stat`.
        let _ = retire(old);
    }
    Ok(())
}

/// Sets the mark. A reader that has the file mapped checks the path when it sees the mark, and must then find the
/// new file.
///
/// On this side, the kernel orders the two steps. rename(2) releases spinlocks after it has changed the path, and
/// opening the directory takes another lock (that of the descriptor table) before write(2) changes the byte. Stores
/// before the release reach every processor before stores after the next lock is taken, whichever locks they are
/// (`MP+unlocklockonceonce+fencermbonceonce` of Linux's tools/memory-model). On the reader's side, the load of the
/// byte is an acquire (`reader/src/header.rs`), so the following system call sees the path as rename(2) left it, or
/// newer.
///
/// The map and write(2) share one page (`mmap(2)`, MAP_SHARED), and one byte is written, so no reader sees half of
/// it. If a file system does not guarantee this (overlayfs), a reader notices the new file up to a second later,
/// because it also checks the path once a second without a mark.
fn retire(mut old: File) -> io::Result<()> {
    let mut byte = [0];
    old.seek(SeekFrom::Start(USER_VERSION))?;
    old.read_exact(&mut byte)?;
    old.seek(SeekFrom::Start(USER_VERSION))?;
    old.write_all(&byte.map(|byte| byte | RETIRED))
}

pub(crate) fn io_error<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |cause| Error::Io { what, path: path.to_owned(), cause }
}
