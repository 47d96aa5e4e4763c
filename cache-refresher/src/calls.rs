//! The file in which a fetch half or a publisher leaves what the next one has to know of its calls. Nothing else reads it.

use std::io;
use std::path::Path;

use listing::regular::{self, Links};

use crate::fetch::Past;
use crate::memo;

const NAME: &str = "calls.json";

/// Far more than a minute and a thousand accounts need.
const MAX_BYTES: u64 = 1 << 20;

/// What the last fetch left in this directory; nothing if the file is missing or damaged.
pub(crate) fn past(directory: &Path) -> Past {
    let path = directory.join(NAME);
    let content = regular::read(&path, MAX_BYTES, Links::Refuse).map(|file| file.bytes);
    memo::read(&path, content.map_err(io::Error::from), "no earlier calls and pauses are known")
}

/// Replaces the file; the caller holds the lock of the directory. Without the file, the next fetch makes its calls as if this one
/// had made none.
pub(crate) fn write(directory: &Path, past: &Past) {
    memo::write(&directory.join(NAME), past);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("calls.json");
        assert_eq!(past(directory.path()), Past::default());
        let cases: [&[u8]; 6] =
            [b"", b"{", b"[]", b"{\"sent\":{\"x\":1}}", b"{\"sent\":{\"1\":-1}}", b"\0\xff"];
        for damaged in cases {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(past(directory.path()), Past::default(), "{damaged:?}");
        }
        std::fs::write(&path, vec![b' '; 2 << 20]).unwrap();
        assert_eq!(past(directory.path()), Past::default());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(past(directory.path()), Past::default());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"{\"sent\":{\"7\":1},\"later\":true}").unwrap();
        assert_ne!(past(directory.path()), Past::default(), "of a later release");
    }
}
