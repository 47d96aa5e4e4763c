//! Reading many rows without keeping equal texts twice.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The room for this many texts takes 17 MiB.
const MOST: usize = 1 << 20;

/// Texts that were read from the files of the cache. Equal ones are kept once: most of them are in several tables and files, and
/// a refresh holds all at once.
#[derive(Debug, Default)]
pub struct Texts(HashSet<Arc<str>, RandomState>);

impl Texts {
    /// With room for those of a file of so many bytes.
    #[must_use]
    pub fn of_file(bytes: u64) -> Self {
        // A user has about four, in 500 bytes.
        let texts = usize::try_from(bytes / 128).unwrap_or_default().min(MOST);
        Self(HashSet::with_capacity_and_hasher(texts, RandomState::default()))
    }

    /// A text that shares its memory with the equal ones before it.
    pub(crate) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.0.insert(Arc::clone(&text));
        text
    }
}
