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
    /// Replaces the table's content with `rows`. `put` binds a key and a row, and executes the statement.
    pub(super) fn write<K: ToString, V>(
        &self,
        db: &Connection,
        rows: &BTreeMap<K, V>,
        put: impl Fn(&mut Statement<'_>, &str, &V) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<()> {
        let rows: BTreeMap<String, &V> = rows.iter().map(|(key, row)| (key.to_string(), row)).collect();
        let mut delete = db.prepare(&format!("DELETE FROM {} WHERE {} = ?", self.name, self.key))?;
        for key in self.keys(db)?.iter().filter(|key| !rows.contains_key(*key)) {
            delete.execute([key])?;
        }
        let mut upsert = db.prepare(&self.upsert())?;
        for (key, row) in &rows {
            put(&mut upsert, key, row)?;
        }
        Ok(())
    }

    fn keys(&self, db: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut select = db.prepare(&format!("SELECT {} FROM {}", self.key, self.name))?;
        select.query_map([], |row| row.get(0))?.collect()
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
