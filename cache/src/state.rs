//! `state.db`: all assigned ids, for ever, and since when users are disabled. Only apply reads it.

mod migrations;
mod rows;
mod stored;
mod table;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use smol_str::SmolStr;

use crate::Texts;
use crate::accepted::Accepted;
use crate::passwd::Passwd;
use crate::schema::STATE;
use policy::{IamId, Id, Invalid, KeyLine, Name};
use rows::{group, home, identity, name, put_user, rows, user};
pub use stored::{Saving, Stored};
use table::Table;

const USER: Table = Table {
    name: "user",
    key: "iam_id",
    values: &[
        &[
            "account",
            "iam_name",
            "created",
            "name",
            "groups",
            "disabled",
            "hidden",
            "keys",
            "confirmed",
            "source",
        ],
        &Passwd::COLUMNS,
    ],
};
const MEMBER_GROUP: Table = Table { name: "member_group", key: "iam_id", values: &[&["account", "name"]] };
const HOME: Table = Table { name: "home", key: "path", values: &[&["iam_id"]] };
const NAME: Table = Table { name: "name", key: "name", values: &[&["iam_id"]] };
const IDENTITIES: &str = "SELECT iam_id, id, pinned FROM identity";
const ABOUT: Table =
    Table { name: "about", key: "id", values: &[&["asked", "rebuilt", "held"], &Accepted::COLUMNS] };

/// Everything that is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// All ids that were ever assigned.
    pub identities: BTreeMap<IamId, Identity>,
    /// All users who were ever published.
    pub users: BTreeMap<IamId, User>,
    /// The IAM groups of the last publication.
    pub groups: BTreeMap<IamId, Group>,
    /// All homes that were ever assigned, with their users.
    pub homes: BTreeMap<SmolStr, IamId>,
    /// All names that were ever assigned, with the user or group that had each name last.
    pub names: BTreeMap<Name, IamId>,
    /// Until when assigned names were checked again on the host, seconds since 1970; 0: never.
    pub asked: i64,
    /// When the state was last rebuilt from `cache.db` after a loss, seconds since 1970.
    pub rebuilt: Option<i64>,
    /// How many users were active when `max_removed_percent` began to hold removals; none: no removals are
    /// held.
    pub held: Option<usize>,
    /// The last signed listing that was accepted.
    pub accepted: Accepted,
}

/// An assigned uid or gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The uid or gid.
    pub id: Id,
    /// Whether the id was set by an administrator.
    pub pinned: bool,
}

/// A user as last published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The account's name in the configuration.
    pub account: SmolStr,
    /// UserName.
    pub iam_name: SmolStr,
    /// CreateDate, RFC 3339; may be empty.
    pub created: SmolStr,
    /// The present or last login name.
    pub name: Name,
    /// As published while the user was active.
    pub passwd: Passwd,
    /// IAM groups that the user was a member of, sorted.
    pub groups: Vec<IamId>,
    /// Since when, in seconds since 1970; none: active.
    pub disabled: Option<i64>,
    /// No longer published.
    pub hidden: bool,
    /// As last confirmed.
    pub keys: Vec<KeyLine>,
    /// Seconds since 1970; 0: never.
    pub confirmed: i64,
    /// Which source confirmed them.
    pub source: SmolStr,
}

/// An IAM group as last published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The account's name in the configuration.
    pub account: String,
    /// The name of the Unix group.
    pub name: Name,
}

impl State {
    /// The state in the directory `directory`, with the times at which keys were confirmed last: see [`Stored::read`].
    ///
    /// # Errors
    /// See [`Error`]; a missing file is an error of SQLite.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        Stored::read(directory, &mut Texts::default()).map(|stored| stored.state)
    }

    /// Gives users and groups other ids, from pairs of the present id and the new one, wherever the state names them.
    pub fn rename(&mut self, ids: &BTreeMap<IamId, IamId>) {
        // All fields: one that names users and is left out would refer to nobody, and could not be saved.
        let Self { identities, users, groups, homes, names, asked: _, rebuilt: _, held: _, accepted: _ } =
            self;
        move_keys(identities, ids);
        move_keys(users, ids);
        move_keys(groups, ids);
        let rename = |id: &mut IamId| {
            if let Some(new) = ids.get(id) {
                id.clone_from(new);
            }
        };
        homes.values_mut().chain(names.values_mut()).for_each(rename);
        for user in users.values_mut() {
            user.groups.iter_mut().for_each(rename);
            user.groups.sort();
        }
    }
}

fn move_keys<T>(rows: &mut BTreeMap<IamId, T>, ids: &BTreeMap<IamId, IamId>) {
    for (id, new) in ids {
        if let Some(row) = rows.remove(id) {
            rows.insert(new.clone(), row);
        }
    }
}

/// Why the state cannot be used. In this case nothing is published, because ids could be assigned twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the operating system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An error of SQLite.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A value that nss-iam never writes.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// A later release wrote the file, and this one cannot use it.
    #[error("its format {version} is newer than {ours}, the format of this release", ours = STATE.version)]
    Later {
        /// `user_version`.
        version: u32,
        /// See [`Error::hint`].
        hint: String,
    },
    /// No release writes this version, or it is the database of another program.
    #[error("it is not a state.db of nss-iam (its version is {0})")]
    Foreign(i64),
    /// What SQLite's integrity check found.
    #[error("it contradicts itself: {0}")]
    Damaged(String),
    /// An earlier version that could not be copied and so was not changed.
    #[error(
        "it was written by an earlier release and cannot be copied to '{name}' before it is changed: {cause}"
    )]
    NotCopied {
        /// The name of the copy.
        name: String,
        /// The cause.
        cause: Box<Error>,
    },
}

impl Error {
    /// Whether the file itself is the problem, not the disk or the data to be written.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Sqlite(cause) => matches!(cause.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
            Self::Invalid(_) | Self::Foreign(_) | Self::Damaged(_) => true,
            Self::NotCopied { cause, .. } => cause.is_damage(),
            Self::Io(_) | Self::Later { .. } => false,
        }
    }

    /// The error of the operating system, if that is the cause.
    #[must_use]
    pub fn io(&self) -> Option<&std::io::Error> {
        match self {
            Self::Io(cause) => Some(cause),
            Self::NotCopied { cause, .. } => cause.io(),
            _ => None,
        }
    }

    /// What to do; may be empty.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            // A backup helps only if the file is damaged or not one of nss-iam.
            cause if cause.is_damage() => "restore it from a backup: it contains the assigned ids",
            Self::Later { hint, .. } => hint,
            Self::NotCopied { .. } => {
                "make room for the copy, or remove whatever already has its name; then run 'nss-iamctl refresh'"
            }
            _ => "",
        }
    }
}

/// The open file.
#[derive(Debug)]
pub struct StateFile(Connection);

impl StateFile {
    /// Opens or creates `state.db` in the directory `directory`. A file of an earlier version is copied and then
    /// migrated. The caller holds the lock of the refresher.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(STATE.name);
        // SQLite would create it with the umask's mode.
        OpenOptions::new().append(true).create(true).mode(STATE.mode).open(&path)?;
        let mut db = connect(&path)?;
        db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
        let version = migrations::version(&db, directory)?;
        if migrations::is_earlier(version) {
            migrations::back_up(&db, directory, version)?;
        }
        migrations::migrate(&mut db, version)?;
        Ok(Self(db))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(&self) -> Result<State, Error> {
        self.load_with(&mut Texts::default())
    }

    fn load_with(&self, texts: &mut Texts) -> Result<State, Error> {
        // All rows are of one state, whatever is written meanwhile.
        let db = self.0.unchecked_transaction()?;
        let About { asked, rebuilt, held, accepted } = About::load(&db)?;
        Ok(State {
            identities: rows(&db, IDENTITIES, texts, identity)?,
            users: rows(&db, &USER.select(), texts, user)?,
            groups: rows(&db, &MEMBER_GROUP.select(), texts, group)?,
            homes: rows(&db, &HOME.select(), texts, home)?,
            names: rows(&db, &NAME.select(), texts, name)?,
            asked,
            rebuilt,
            held: held.and_then(|held| usize::try_from(held).ok()),
            accepted,
        })
    }

    /// Writes a state in one transaction: only rows that differ. Identities are only added, never changed or removed, except those
    /// without a UserId after a loss (see [`IamId::of_lost`]).
    ///
    /// # Errors
    /// See [`Error`]; it is an error if an id would change or be shared.
    pub fn save(&mut self, next: &Rows<'_>) -> Result<(), Error> {
        let state = next.state;
        let db = self.0.transaction()?;
        // Rows may refer to an identity that is inserted later in the transaction.
        db.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        forget_lost(&db, state)?;
        give_all(&db, state)?;
        let is_same = |id: &IamId, present: &User, user: &User| {
            present.is_same_but_confirmed(user) && present.confirmed == next.confirmed(id, user)
        };
        USER.write(&db, &state.users, user, is_same, |upsert, id, user| {
            put_user(upsert, id, user, next.confirmed(id, user))
        })?;
        MEMBER_GROUP.write(&db, &state.groups, group, is_equal, |upsert, id, group| {
            upsert.execute([id.as_str(), &group.account, group.name.as_str()])
        })?;
        HOME.write(&db, &state.homes, home, is_equal, |upsert, home, id| {
            upsert.execute([home.as_str(), id.as_str()])
        })?;
        NAME.write(&db, &state.names, name, is_equal, |upsert, name, id| {
            upsert.execute([name.as_str(), id.as_str()])
        })?;
        let about = About::of(state);
        if About::load(&db)? != about {
            about.write(&db)?;
        }
        Ok(db.commit()?)
    }
}

/// A state, and the times that its rows get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<'a> {
    pub(crate) state: &'a State,
    /// Users whose row keeps another time than that of the state.
    pub(crate) confirmed: BTreeMap<&'a IamId, i64>,
}

impl<'a> Rows<'a> {
    /// With the times of the state.
    #[must_use]
    pub fn of(state: &'a State) -> Self {
        Self { state, confirmed: BTreeMap::new() }
    }

    /// The time in the row of this user.
    pub(crate) fn confirmed(&self, iam_id: &IamId, user: &User) -> i64 {
        self.confirmed.get(iam_id).copied().unwrap_or(user.confirmed)
    }
}

/// The row of [`ABOUT`].
#[derive(Default, PartialEq, Eq)]
struct About {
    asked: i64,
    rebuilt: Option<i64>,
    held: Option<i64>,
    accepted: Accepted,
}

impl About {
    fn of(state: &State) -> Self {
        Self {
            asked: state.asked,
            rebuilt: state.rebuilt,
            held: state.held.and_then(|held| i64::try_from(held).ok()),
            accepted: state.accepted.clone(),
        }
    }

    fn load(db: &Connection) -> rusqlite::Result<Self> {
        let read = |row: &Row<'_>| {
            Ok(Self {
                asked: row.get::<_, Option<i64>>("asked")?.unwrap_or(0),
                rebuilt: row.get("rebuilt")?,
                held: row.get("held")?,
                accepted: Accepted::read(row)?,
            })
        };
        Ok(db.query_row("SELECT * FROM about", [], read).optional()?.unwrap_or_default())
    }

    fn write(&self, db: &Connection) -> rusqlite::Result<usize> {
        let Accepted { fleet, listing, .. } = &self.accepted;
        let values =
            rusqlite::params![1, self.asked, self.rebuilt, self.held, fleet, self.accepted.stored(), listing];
        db.execute(&ABOUT.upsert(), values)
    }
}

/// Does not create a file. If the file cannot be written, SQLite opens it for reading.
pub(crate) fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // No other program uses the file, and a lock waits for this one.
    db.busy_timeout(std::time::Duration::from_millis(200))?;
    Ok(db)
}

/// Removes the placeholders of users whose UserId is known again.
fn forget_lost(db: &Connection, state: &State) -> Result<(), Error> {
    let lost: Vec<String> = db
        .prepare("SELECT iam_id FROM identity WHERE iam_id LIKE 'lost:%'")?
        .query_and_then([], |row| row.get(0))?
        .collect::<Result<_, rusqlite::Error>>()?;
    for iam_id in lost.iter().filter(|&iam_id| !state.identities.contains_key(&IamId::new(iam_id))) {
        db.execute("DELETE FROM identity WHERE iam_id = ?", [iam_id])?;
    }
    Ok(())
}

fn give_all(db: &Connection, state: &State) -> Result<(), Error> {
    let present = rows(db, IDENTITIES, &mut Texts::default(), identity)?;
    let is_new = |(id, identity): &(&IamId, &Identity)| present.get(id) != Some(identity);
    state.identities.iter().filter(is_new).try_for_each(|(id, identity)| give(db, id, *identity))
}

fn give(db: &Connection, iam_id: &IamId, identity: Identity) -> Result<(), Error> {
    let present: Option<u32> = db
        .prepare_cached("SELECT id FROM identity WHERE iam_id = ?")?
        .query_row([iam_id.as_str()], |row| row.get(0))
        .optional()?;
    let (id, pinned) = (identity.id.get(), identity.pinned);
    // The pin may come later than the id. The id must then be the same, or the insert fails.
    if present == Some(id) {
        db.prepare_cached("UPDATE identity SET pinned = ? WHERE iam_id = ?")?
            .execute(rusqlite::params![pinned, iam_id.as_str()])?;
    } else {
        db.prepare_cached("INSERT INTO identity (iam_id, id, pinned) VALUES (?,?,?)")?
            .execute(rusqlite::params![iam_id.as_str(), id, pinned])?;
    }
    Ok(())
}

fn is_equal<K, V: PartialEq>(_: &K, present: &V, row: &V) -> bool {
    present == row
}
