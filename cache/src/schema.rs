//! `schema.sql`, split into its four files, and their identification.

/// DDL of `cache.db`. Since minor version 1, `grp` has no private groups of inactive users, so the reader need not
/// search for them.
pub const CACHE: Schema = Schema { name: "cache.db", mode: 0o644, version: 101 };
/// DDL of `keys.db`. Minor version 1 added `forward_only`, 2 `principals`, 3 the accepted listing, 4 the digest.
pub const KEYS: Schema = Schema { name: "keys.db", mode: 0o640, version: 104 };
/// DDL of `state.db`.
pub const STATE: Schema = Schema { name: "state.db", mode: 0o600, version: 103 };
/// DDL of `known.db`, which the fetch half reads, too.
pub const KNOWN: Schema = Schema { name: "known.db", mode: 0o640, version: 100 };

/// The major version of all four.
pub const MAJOR: u32 = 1;

/// One of the files.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name in [`crate::DIRECTORY`].
    pub name: &'static str,
    /// Its permissions.
    pub mode: u32,
    /// `user_version`: [`MAJOR`]×100 + minor; a reader accepts any minor version of its major version.
    pub version: u32,
}

impl Schema {
    /// The statements that create the file, including `user_version`.
    #[must_use]
    pub fn ddl(&self) -> String {
        format!("{}\nPRAGMA user_version = {};", self.part(), self.version)
    }

    fn part(&self) -> &'static str {
        include_str!("schema.sql")
            .split("-- file: ")
            .find_map(|part| part.strip_prefix(self.name))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_own_application_id_and_tables() {
        let ids: Vec<i64> = [CACHE, KEYS, STATE, KNOWN]
            .iter()
            .map(|schema| {
                let db = rusqlite::Connection::open_in_memory().unwrap();
                db.execute_batch(&schema.ddl()).unwrap();
                let tables: i64 =
                    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
                assert!(tables > 0, "{}", schema.name);
                db.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap()
            })
            .collect();
        assert_eq!(ids, [0x6e69_6163, 0x6e69_616b, 0x6e69_6173, 0x6e69_616f]);
    }
}
