//! Cache files of any layout, made by SQLite itself, for the tests of the reader.

use cache::schema::{CACHE, Schema};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// A database under test: a connection of SQLite, and the published bytes.
pub(crate) struct Sample {
    pub(crate) sql: Connection,
    pub(crate) bytes: Vec<u8>,
    _directory: TempDir,
}

/// The layout of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) page_size: u32,
    pub(crate) reserved: i32,
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) name: String,
    pub(crate) active: bool,
    pub(crate) gecos: String,
    pub(crate) home: String,
    pub(crate) shell: String,
    pub(crate) lastchg: i64,
    pub(crate) groups: Vec<u32>,
    pub(crate) local: Vec<u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) gid: u32,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

/// The smallest pages give the deepest trees and the longest chains.
pub(crate) const SMALL: Layout = Layout { page_size: 512, reserved: 0 };

/// Whether the administrator set the id.
pub(crate) fn pinned(id: u32) -> bool {
    !(0x7000_0000..=0x7ffd_ffff).contains(&id)
}

impl Sample {
    /// A file with this schema, filled by `fill`.
    pub(crate) fn new(schema: Schema, layout: Layout, fill: impl FnOnce(&Connection)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(schema.name);
        let sql = Connection::open(&path).unwrap();
        reserve(&sql, layout.reserved);
        sql.execute_batch(&format!("PRAGMA page_size = {}; BEGIN;", layout.page_size)).unwrap();
        sql.execute_batch(&schema.ddl()).unwrap();
        fill(&sql);
        sql.execute_batch("COMMIT").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // The publisher's mark of a snapshot, the write version in the header.
        bytes[18] = 3;
        Sample { sql, bytes, _directory: directory }
    }

    pub(crate) fn cache(layout: Layout, users: &[User], groups: &[Group]) -> Self {
        Self::new(CACHE, layout, |sql| {
            for user in users {
                insert_user(sql, user);
            }
            for group in groups {
                insert_group(sql, group);
            }
        })
    }
}

pub(crate) fn insert_user(sql: &Connection, user: &User) {
    let gids = |gids: &[u32]| gids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let row = params![
        user.uid,
        user.name,
        user.uid,
        pinned(user.uid),
        user.active,
        user.gecos,
        user.home,
        user.shell,
        user.lastchg,
        if user.active { -1 } else { 1 },
        gids(&user.groups),
        gids(&user.local)
    ];
    let insert = "INSERT INTO passwd (uid, name, gid, pinned, active, gecos, home, shell, lastchg, expire, groups, local)
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sql.execute(insert, row).unwrap();
}

pub(crate) fn insert_group(sql: &Connection, group: &Group) {
    let count = i64::try_from(group.members.len()).unwrap();
    let row = params![group.gid, group.name, pinned(group.gid), count, group.members.join(",")];
    sql.execute("INSERT INTO grp (gid, name, pinned, count, members) VALUES (?, ?, ?, ?, ?)", row).unwrap();
}

/// An ordinary user.
pub(crate) fn user(n: u32) -> User {
    User {
        uid: 0x7000_0000 + n,
        name: format!("user{n}"),
        active: true,
        gecos: "AWS User".into(),
        home: format!("/home/user{n}"),
        shell: "/bin/bash".into(),
        lastchg: 20_000,
        groups: vec![0x7100_0000],
        local: vec![27],
    }
}

/// Reserves bytes at the end of each page of a new database, as extensions of SQLite do.
#[expect(unsafe_code, reason = "rusqlite has no safe way to reserve bytes")]
fn reserve(sql: &Connection, mut bytes: i32) {
    // SAFETY: the connection is open for as long as `sql` is borrowed.
    let handle = unsafe { sql.handle() };
    let (control, value) = (rusqlite::ffi::SQLITE_FCNTL_RESERVE_BYTES, (&raw mut bytes).cast());
    // SAFETY: the handle is valid, and this file control reads and writes an int (sqlite3.h).
    let code = unsafe { rusqlite::ffi::sqlite3_file_control(handle, c"main".as_ptr(), control, value) };
    assert_eq!(code, 0);
}
