//! The reader compared with SQLite: the same answers from valid files, no wrong answers from invalid files.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod differential;
mod floor;
mod hostile;
mod rules;
mod support;

use reader::Text;

fn bytes(text: Text<'_>) -> Vec<u8> {
    let mut bytes = vec![0; text.len()];
    text.copy_to(&mut bytes).unwrap();
    bytes
}
