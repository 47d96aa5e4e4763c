//! The published data as values: snapshots of `cache.db` and `keys.db`, and reading them back.

mod times;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use smol_str::SmolStr;

use policy::{IamId, Id, Invalid, KeyLine, Name};

use crate::Texts;
use crate::accepted::Accepted;
use crate::passwd::{Passwd, text};
pub use times::StoredTimes;

/// Content of `cache.db`. Equal snapshots give equal answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// By uid.
    pub users: Vec<User>,
    /// By gid. Includes the private groups of active users; other private groups do not exist by name.
    pub groups: Vec<Group>,
}

/// A row of passwd and shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Also the gid of the private group, which is in [`Cache::groups`] if the user is active.
    pub uid: Id,
    /// Login name.
    pub name: Name,
    /// Whether the id was set by an administrator.
    pub pinned: bool,
    /// Whether the user may log in. If not, the user is found by uid only.
    pub active: bool,
    /// The shell of a user who is not active is nologin.
    pub passwd: Passwd,
    /// Supplementary groups among [`Cache::groups`], sorted.
    pub groups: Vec<Id>,
    /// Supplementary groups of /etc/group, sorted; never 0.
    pub local: Vec<u32>,
}

impl User {
    /// Whether the user may log in, but only to forward connections.
    #[must_use]
    pub fn is_forward_only(&self) -> bool {
        self.active && self.passwd.shell.as_str() == policy::FORWARD_ONLY_SHELL
    }
}

/// A row of group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub gid: Id,
    /// Its name.
    pub name: Name,
    /// Whether the id was set by an administrator.
    pub pinned: bool,
    /// Login names of active users, sorted.
    pub members: Vec<Name>,
}

/// Content of `keys.db`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// machine-id(5) of this host.
    pub machine_id: String,
    /// Seconds; 0: no limit.
    pub max_age: u32,
    /// authorized_keys options before every key; may be empty.
    pub options: String,
    /// The signed listing that these keys come from.
    pub accepted: Accepted,
    /// By uid.
    pub logins: Vec<Login>,
}

/// An active user's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// As in [`User`].
    pub uid: Id,
    /// As in [`User`].
    pub name: Name,
    /// UserId.
    pub iam_id: IamId,
    /// When the source last listed these keys, seconds since 1970; 0: never.
    pub confirmed: i64,
    /// The source that listed them.
    pub source: SmolStr,
    /// In the source's order.
    pub keys: Vec<KeyLine>,
    /// Whether they are offered only to an sshd that lets the user do nothing but forward connections.
    pub forward_only: bool,
    /// What a certificate's principal may be instead of the name.
    pub principals: Vec<SmolStr>,
}

/// Why a file could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of SQLite.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A value that nss-iam never writes.
    #[error("{0}")]
    Invalid(#[from] Invalid),
}

impl Cache {
    /// Reads a published file back.
    ///
    /// # Errors
    /// If the file is missing or corrupt, or contains values that nss-iam never writes.
    pub fn read(file: &Path) -> Result<Self, Error> {
        Self::read_with(file, &mut Texts::default())
    }

    /// The same, and shares the texts that are known.
    ///
    /// # Errors
    /// As there.
    pub fn read_with(file: &Path, texts: &mut Texts) -> Result<Self, Error> {
        let db = open(file)?;
        let sql = format!(
            "SELECT uid, name, pinned, active, groups, local, {} FROM passwd ORDER BY uid",
            Passwd::COLUMNS.join(", ")
        );
        let users = rows(&db, &sql, |row| {
            Ok(User {
                uid: id(row)?,
                name: Name::stored(texts.share(text(row, 1)?))?,
                pinned: row.get(2)?,
                active: row.get(3)?,
                groups: exactly(words(row, 4)?.map(|gid| Ok::<_, Error>(Id::pinned(gid?)?)))?,
                local: exactly(words(row, 5)?)?,
                passwd: Passwd::read::<Error>(row, 6, texts)?,
            })
        })?;
        let groups = rows(&db, "SELECT gid, name, pinned, members FROM grp ORDER BY gid", |row| {
            let members = text(row, 3)?.split(',').filter(|name| !name.is_empty());
            Ok(Group {
                gid: id(row)?,
                name: Name::stored(texts.share(text(row, 1)?))?,
                pinned: row.get(2)?,
                members: exactly(members.map(|name| Name::stored(texts.share(name))))?,
            })
        })?;
        Ok(Self { users, groups })
    }

    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut passwd = db.prepare(&format!(
            "INSERT INTO passwd (uid, name, gid, pinned, active, expire, groups, local, {})
             VALUES (?,?,?,?,?,?,?,?{})",
            Passwd::COLUMNS.join(", "),
            ",?".repeat(Passwd::COLUMNS.len()),
        ))?;
        for user in &self.users {
            let uid = user.uid.get();
            // pam_unix refuses an account that expired on day 1; -1 means no expiry (shadow(5)).
            let expire = if user.active { -1 } else { 1 };
            let others = rusqlite::params![
                uid,
                user.name.as_str(),
                uid,
                user.pinned,
                user.active,
                expire,
                joined(&user.groups, " "),
                joined(&user.local, " "),
            ];
            user.passwd.insert(&mut passwd, others)?;
        }
        let mut grp = db.prepare("INSERT INTO grp (gid, name, pinned, count, members) VALUES (?,?,?,?,?)")?;
        for group in &self.groups {
            grp.execute(rusqlite::params![
                group.gid.get(),
                group.name.as_str(),
                group.pinned,
                u32::try_from(group.members.len()).unwrap_or(u32::MAX),
                joined(&group.members, ","),
            ])?;
        }
        Ok(())
    }
}

impl Keys {
    /// Reads only the signed listing that a published file was made from.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn accepted(file: &Path) -> Result<Accepted, Error> {
        Ok(open(file)?.query_row("SELECT * FROM about", [], Accepted::read)?)
    }

    /// Reads a published file back, with the times that it contains.
    ///
    /// # Errors
    /// If the file is missing or corrupt, or contains values that nss-iam never writes.
    pub fn read(file: &Path) -> Result<Self, Error> {
        Self::read_with(file, &mut Texts::default())
    }

    fn read_with(file: &Path, texts: &mut Texts) -> Result<Self, Error> {
        let db = open(file)?;
        let (machine_id, max_age, options, accepted) = db.query_row("SELECT * FROM about", [], |row| {
            let accepted = Accepted::read(row)?;
            Ok((row.get("machine_id")?, row.get("max_age")?, row.get("options")?, accepted))
        })?;
        let has =
            |column: &str| Ok::<_, Error>(db.prepare("SELECT * FROM login")?.column_index(column).is_ok());
        // Before version 101, there was no such user.
        let forward_only = if has("forward_only")? { "forward_only" } else { "0" };
        // Before version 102, only the name could be one.
        let principals = if has("principals")? { "principals" } else { "''" };
        let sql = format!(
            "SELECT uid, name, iam_id, confirmed, source, keys, {forward_only}, {principals} FROM login ORDER BY uid"
        );
        let logins = rows(&db, &sql, |row| {
            Ok(Login {
                uid: id(row)?,
                name: Name::stored(texts.share(text(row, 1)?))?,
                iam_id: texts.share(text(row, 2)?).into(),
                confirmed: row.get(3)?,
                source: texts.share(text(row, 4)?),
                keys: key_lines(text(row, 5)?, texts)?,
                forward_only: row.get(6)?,
                principals: exactly(text(row, 7)?.lines().map(|word| Ok::<_, Error>(texts.share(word))))?,
            })
        })?;
        Ok(Self { machine_id, max_age, options, accepted, logins })
    }

    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        db.execute(
            "INSERT INTO about (id, machine_id, max_age, options, fleet, generation, listing, digest)
             VALUES (1,?,?,?,?,?,?,?)",
            rusqlite::params![
                self.machine_id,
                self.max_age,
                self.options,
                self.accepted.fleet,
                self.accepted.stored(),
                self.accepted.listing,
                self.digest()
            ],
        )?;
        let mut login = db.prepare(
            "INSERT INTO login (uid, name, iam_id, confirmed, source, keys, forward_only, principals)
             VALUES (?,?,?,?,?,?,?,?)",
        )?;
        for user in &self.logins {
            login.execute(rusqlite::params![
                user.uid.get(),
                user.name.as_str(),
                user.iam_id.as_str(),
                user.confirmed,
                user.source.as_str(),
                joined(&user.keys, "\n"),
                user.forward_only,
                joined(&user.principals, "\n"),
            ])?;
        }
        Ok(())
    }
}

pub(crate) fn key_lines(text: &str, texts: &mut Texts) -> Result<Vec<KeyLine>, Invalid> {
    exactly(text.lines().map(|line| texts.share(line).try_into()))
}

/// Collects values that stay in memory for long, without room for more.
pub(crate) fn exactly<T, E>(values: impl Iterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
    values.collect::<Result<Box<[T]>, E>>().map(Vec::from)
}

pub(crate) fn joined<T: ToString>(values: &[T], with: &str) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(with)
}

/// A published file never changes, so SQLite needs no locks or journals. The name is fixed and contains no `?`.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    // Opening a FIFO would wait for a writer.
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        return Err(rusqlite::Error::SqliteFailure(code, Some("it is not a regular file".to_owned())));
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{}?immutable=1", file.display()), flags)
}

fn rows<T>(
    db: &Connection,
    sql: &str,
    row: impl FnMut(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    exactly(db.prepare(sql)?.query_and_then([], row)?)
}

/// The first column.
fn id(row: &Row<'_>) -> Result<Id, Error> {
    Ok(Id::pinned(row.get(0)?)?)
}

fn words<'r>(
    row: &'r Row<'_>,
    at: usize,
) -> Result<impl Iterator<Item = Result<u32, Error>> + use<'r>, Error> {
    let words = text(row, at)?.split_ascii_whitespace();
    Ok(words.map(|word| word.parse().map_err(|_| Invalid::Id(0).into())))
}

#[cfg(test)]
mod tests {
    use policy::Field;

    use super::*;
    use crate::schema::{CACHE, KEYS, Schema};

    /// A file as a later minor version creates it: each table has one more column.
    fn with_one_more_column(schema: Schema) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(&schema.ddl()).unwrap();
        for table in tables(&db) {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN later INTEGER NOT NULL DEFAULT 7"))
                .unwrap();
        }
        db
    }

    fn tables(db: &Connection) -> Vec<String> {
        let mut names =
            db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_insert_names_its_columns() {
        let (uid, name) = (Id::pinned(1003).unwrap(), Name::new("ana").unwrap());
        let field = Field::new("x").unwrap();
        let user = User {
            uid,
            name: name.clone(),
            pinned: true,
            active: true,
            passwd: Passwd::new(field.clone(), field, 1),
            groups: Vec::new(),
            local: Vec::new(),
        };
        let group = Group { gid: uid, name: name.clone(), pinned: true, members: Vec::new() };
        let login = Login {
            uid,
            name,
            iam_id: IamId::new("U1"),
            confirmed: 1,
            source: "".into(),
            keys: Vec::new(),
            forward_only: true,
            principals: Vec::new(),
        };
        let (cache, keys) = (with_one_more_column(CACHE), with_one_more_column(KEYS));
        Cache { users: vec![user], groups: vec![group] }.write(&cache).unwrap();
        Keys { logins: vec![login], ..Keys::default() }.write(&keys).unwrap();
        for db in [cache, keys] {
            for table in tables(&db) {
                let later: i64 =
                    db.query_row(&format!("SELECT later FROM {table}"), [], |row| row.get(0)).unwrap();
                assert_eq!(later, 7, "{table}");
            }
        }
    }
}
