//! The last signed listing that was accepted: `state.db` and `keys.db` both record it, so that a copy of one of them, put back,
//! lets no older listing in.

use policy::confirmed::Content;
use rusqlite::Row;

/// A signed listing. The default: none was accepted yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The fleet that it was made for.
    pub fleet: String,
    /// Its generation.
    pub generation: u64,
    /// Where it came from, as `[source] url` has it.
    pub listing: String,
}

impl Accepted {
    /// Its columns in `about`.
    pub(crate) const COLUMNS: [&str; 3] = ["fleet", "generation", "listing"];

    /// From a row of `about`, in which an earlier version lacks the columns.
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let [fleet, generation, listing] = Self::COLUMNS;
        if row.as_ref().column_index(fleet).is_err() {
            return Ok(Self::default());
        }
        let text = |column: &str| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
        let generation = row.get::<_, Option<i64>>(generation)?.and_then(|it| u64::try_from(it).ok());
        Ok(Self { fleet: text(fleet)?, generation: generation.unwrap_or_default(), listing: text(listing)? })
    }

    /// Adds it to what identifies the content of a file.
    pub(crate) fn add_to(&self, content: &mut Content) {
        content.text(&self.fleet);
        content.number(self.stored());
        content.text(&self.listing);
    }

    /// The generation as SQLite stores it.
    pub(crate) fn stored(&self) -> i64 {
        i64::try_from(self.generation).unwrap_or(i64::MAX)
    }
}
