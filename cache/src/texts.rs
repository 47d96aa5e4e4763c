//! Reading many rows without keeping equal long texts twice.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smol_str::SmolStr;

/// The room for this many texts takes 25 MiB.
const MOST: usize = 7 << 17;

/// Long texts that were read from the files of the cache. Equal ones are kept once: most of them are in several tables and files,
/// and a refresh holds all at once.
#[derive(Debug, Default)]
pub struct Texts {
    known: HashTable<SmolStr>,
    hasher: RandomState,
}

impl Texts {
    /// With room for those of a file of so many bytes.
    #[must_use]
    pub fn of_file(bytes: u64) -> Self {
        // A user has one to four, in 500 bytes.
        let texts = usize::try_from(bytes / 256).unwrap_or_default().min(MOST);
        Self { known: HashTable::with_capacity(texts), hasher: RandomState::default() }
    }

    /// A text. If it needs memory, it shares that of the equal ones before it.
    pub(crate) fn share(&mut self, text: &str) -> SmolStr {
        if text.len() <= SmolStr::INLINE_CAP {
            return SmolStr::new_inline(text);
        }
        let Self { known, hasher } = self;
        let hash = |text: &str| hasher.hash_one(text);
        // A set of the standard library would have to be searched twice.
        match known.entry(hash(text), |known| **known == *text, |known| hash(known)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(vacant) => vacant.insert(text.into()).get().clone(),
        }
    }
}
