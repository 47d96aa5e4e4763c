use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Texts that were read from the files of the cache. Equal ones are kept once: most of them are in several tables and files, and
/// a refresh holds all at once.
#[derive(Debug, Default)]
pub struct Texts(HashSet<Arc<str>, RandomState>);

impl Texts {
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
