//! The fields of passwd(5) and shadow(5) that `cache.db` publishes and `state.db` remembers, in columns with the same
//! names in both.
//!
//! A new field needs its column in `schema.sql`, new versions in `schema.rs`, a step in `state/migrations.rs`, and the
//! code in `reader`. [`Passwd::read`] and `reader` must accept a `cache.db` of an earlier release, which lacks the column.

use policy::{Field, Invalid};
use rusqlite::{Row, Statement, ToSql};

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

    pub(crate) fn read<E: From<rusqlite::Error> + From<Invalid>>(row: &Row<'_>) -> Result<Self, E> {
        let field = |column: &str| Ok::<_, E>(Field::new(&row.get::<_, String>(column)?)?);
        Ok(Self {
            gecos: field("gecos")?,
            home: field("home")?,
            shell: field("shell")?,
            lastchg: row.get("lastchg")?,
        })
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
