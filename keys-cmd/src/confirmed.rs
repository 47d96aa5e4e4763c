//! When the source last listed the keys, if that is newer than the time in `keys.db`: a refresh without news writes only the
//! record `confirmed`.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use policy::confirmed::{MAX_SIZE, Record};

/// Beside `keys.db`.
const PATH: &str = "/var/lib/nss-iam/confirmed";

/// The uid shown for owners that a user namespace does not map (`user_namespaces(7)`): as for `keys.db`.
const OVERFLOW_UID: u32 = 65534;

/// The record. One that is missing or cannot be trusted says nothing, and then the older times in `keys.db` count.
pub(crate) fn read() -> Record {
    text(Path::new(PATH)).ok().and_then(|text| Record::parse(&text)).unwrap_or_default()
}

/// The time that counts for a login of the `keys.db` with this digest.
pub(crate) fn now(record: &Record, digest: &[u8], stored: i64) -> i64 {
    let entry = str::from_utf8(digest).ok().and_then(|digest| record.of_keys(digest));
    entry.map_or(stored, |entry| entry.moves.now(stored))
}

fn text(path: &Path) -> io::Result<String> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || ![0, OVERFLOW_UID].contains(&found.uid()) || found.mode() & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut text = String::new();
    file.take(MAX_SIZE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use policy::confirmed::{Entry, Moves};

    use super::*;

    #[test]
    fn only_the_file_that_the_record_names_has_its_times() {
        let moves = Moves::between([(5, 9)]).unwrap_or_default();
        let digest = "0".repeat(64);
        let record =
            Record { keys: Some(Entry { digest: digest.clone(), asked: 0, moves }), state: Vec::new() };
        assert_eq!((now(&record, digest.as_bytes(), 5), now(&record, digest.as_bytes(), 6)), (9, 6));
        for other in ["", "1", &"1".repeat(64)] {
            assert_eq!(now(&record, other.as_bytes(), 5), 5);
        }
        assert_eq!((now(&record, b"\xff", 5), now(&Record::default(), b"", 5)), (5, 5));
    }
}
