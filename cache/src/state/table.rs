//! Writes the rows of one table. An existing row keeps its values in columns that only a later minor version knows,
//! so a release can be downgraded and upgraded again without losing data.

use std::collections::BTreeMap;

use rusqlite::{Connection, Statement};

/// A table with a key of one column.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    /// The other columns, in the order in which they are bound after the key.
    pub(super) values: &'static [&'static [&'static str]],
}

impl Table {
    /// Replaces the table's content, which is `before`, with `rows`: only rows that differ are written. `put` binds a key and
    /// a row, and executes the statement.
    pub(super) fn write<K: Ord + ToString, V: PartialEq>(
        &self,
        db: &Connection,
        before: &BTreeMap<K, V>,
        rows: &BTreeMap<K, V>,
        put: impl Fn(&mut Statement<'_>, &str, &V) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<()> {
        let mut delete = db.prepare(&format!("DELETE FROM {} WHERE {} = ?", self.name, self.key))?;
        for key in before.keys().filter(|key| !rows.contains_key(key)) {
            delete.execute([key.to_string()])?;
        }
        let mut upsert = db.prepare(&self.upsert())?;
        for (key, row) in rows.iter().filter(|(key, row)| before.get(key) != Some(row)) {
            put(&mut upsert, &key.to_string(), row)?;
        }
        Ok(())
    }

    /// All rows: the key, then the other columns.
    pub(super) fn select(&self) -> String {
        format!("SELECT {}, {} FROM {}", self.key, self.values.concat().join(", "), self.name)
    }

    pub(super) fn upsert(&self) -> String {
        let Self { name, key, .. } = self;
        let values = self.values.concat();
        let marks = ",?".repeat(values.len());
        let set: Vec<String> = values.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        format!(
            "INSERT INTO {name} ({key}, {}) VALUES (?{marks}) ON CONFLICT ({key}) DO UPDATE SET {}",
            values.join(", "),
            set.join(", ")
        )
    }
}
