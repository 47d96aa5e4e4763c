//! Reading many rows without keeping equal texts twice.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The room for this many texts takes 17 MiB.
const MOST: usize = 1 << 20;

/// Texts that were read from the files of the cache. Equal ones are kept once: most of them are in several tables and files, and
/// a refresh holds all at once.
#[derive(Debug, Default)]
pub struct Texts {
    known: HashTable<Arc<str>>,
    hasher: RandomState,
}

impl Texts {
    /// With room for those of a file of so many bytes.
    #[must_use]
    pub fn of_file(bytes: u64) -> Self {
        // A user has about four, in 500 bytes.
        let texts = usize::try_from(bytes / 128).unwrap_or_default().min(MOST);
        Self { known: HashTable::with_capacity(texts), hasher: RandomState::default() }
    }

    /// A text that shares its memory with the equal ones before it.
    pub(crate) fn share(&mut self, text: &str) -> Arc<str> {
        let Self { known, hasher } = self;
        let hash = |text: &str| hasher.hash_one(text);
        // A set of the standard library would have to be searched twice.
        match known.entry(hash(text), |known| **known == *text, |known| hash(known)) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(vacant) => Arc::clone(vacant.insert(text.into()).get()),
        }
    }
}
