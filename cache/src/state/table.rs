//! Writes the rows of one table. An existing row keeps its values in columns that only a later minor version knows,
//! so a release can be downgraded and upgraded again without losing data.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, Statement};

use super::Error;
use crate::Texts;

/// A table with a key of one column.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    /// The other columns, in the order in which they are bound after the key.
    pub(super) values: &'static [&'static [&'static str]],
}

impl Table {
    /// Replaces the table's content with `rows`: only rows that differ are written. `read` reads a row of [`Self::select`], and
    /// `is_same` compares it with one of `rows`; `put` binds a key and a row, and executes the statement.
    pub(super) fn write<K: Ord + ToString, V>(
        &self,
        db: &Connection,
        rows: &BTreeMap<K, V>,
        read: impl Fn(&Row<'_>, &mut Texts) -> Result<(K, V), Error>,
        is_same: impl Fn(&K, &V, &V) -> bool,
        put: impl Fn(&mut Statement<'_>, &K, &V) -> rusqlite::Result<usize>,
    ) -> Result<(), Error> {
        let (mut gone, mut kept) = (Vec::new(), BTreeSet::new());
        // One after the other: all of them need as much memory as `rows`.
        let mut select = db.prepare(&self.select())?;
        for present in select.query_and_then([], |row| read(row, &mut Texts::default()))? {
            let (key, present) = present?;
            match rows.get_key_value(&key) {
                Some((key, row)) if is_same(key, &present, row) => drop(kept.insert(key)),
                Some(_) => {}
                None => gone.push(key.to_string()),
            }
        }
        let mut delete = db.prepare(&format!("DELETE FROM {} WHERE {} = ?", self.name, self.key))?;
        for key in gone {
            delete.execute([key])?;
        }
        let mut upsert = db.prepare(&self.upsert())?;
        for (key, row) in rows.iter().filter(|(key, _)| !kept.contains(key)) {
            put(&mut upsert, key, row)?;
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
