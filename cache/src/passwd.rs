//! The fields of passwd(5) and shadow(5) that `cache.db` publishes and `state.db` remembers, in columns with the same
//! names in both.
//!
//! A new field needs its column in `schema.sql`, new versions in `schema.rs`, a step in `state/migrations.rs`, and the
//! code in `reader`. [`crate::snapshot::Cache::read`] and `reader` must accept a `cache.db` of an earlier release, which lacks the
//! column.

use policy::{Field, Invalid};
use rusqlite::{Row, Statement, ToSql};

use crate::Texts;

/// The fields of an account besides its name, id and groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passwd {
    /// passwd(5).
    pub gecos: Field,
    /// passwd(5).
    pub home: Field,
    /// passwd(5). In the state, the shell while the user is active.
    pub shell: Field,
    /// Days since 1970, > 0.
    pub lastchg: u32,
}

impl Passwd {
    /// The columns, in the order in which they are bound.
    pub(crate) const COLUMNS: [&str; 4] = ["gecos", "home", "shell", "lastchg"];

    /// The fields that every account has; the others are empty.
    #[must_use]
    pub fn new(home: Field, shell: Field, lastchg: u32) -> Self {
        Self { gecos: Field::default(), home, shell, lastchg }
    }

    /// Reads these columns of a row, which begin at `first`.
    pub(crate) fn read<E: From<rusqlite::Error> + From<Invalid>>(
        row: &Row<'_>,
        first: usize,
        texts: &mut Texts,
    ) -> Result<Self, E> {
        let mut field = |at: usize| Ok::<_, E>(Field::try_from(texts.share(text(row, first + at)?))?);
        Ok(Self { gecos: field(0)?, home: field(1)?, shell: field(2)?, lastchg: row.get(first + 3)? })
    }

    /// Executes a statement with these values after `others`.
    pub(crate) fn insert(
        &self,
        statement: &mut Statement<'_>,
        others: &[&dyn ToSql],
    ) -> rusqlite::Result<usize> {
        let Self { gecos, home, shell, lastchg } = self;
        let own: [&dyn ToSql; Self::COLUMNS.len()] =
            [&gecos.as_str(), &home.as_str(), &shell.as_str(), lastchg];
        statement.execute([others, &own].concat().as_slice())
    }
}

/// The text in a column.
pub(crate) fn text<'r>(row: &'r Row<'_>, at: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(at)?.as_str()?)
}
