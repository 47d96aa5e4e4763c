//! For any bytes there is an answer that keeps the rules (see `fuzz::ask`), or an error, within a short time, and
//! never a panic.

use proptest::prelude::*;
use reader::{Cache, Error};

use crate::support::{Group, SMALL, Sample, User, user};

/// A file with several levels, overflow chains of tables and of the schema, and every kind of page.
fn sample(users: u32) -> Sample {
    let users: Vec<User> = (0..users).map(user).collect();
    let members = users.iter().map(|user| user.name.clone()).collect();
    Sample::cache(SMALL, &users, &[Group { gid: 0x7100_0000, name: "all".into(), members }])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_break_a_rule(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)
    ) {
        thread_local!(static FILE: Vec<u8> = sample(120).bytes);
        let mut file = FILE.with(Clone::clone);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        fuzz::ask(&file);
    }

    /// Page headers, cell pointers and the numbers at the beginning of cells: the bytes that decide how the
    /// file is read.
    #[test]
    fn changed_pages_heads_never_break_a_rule(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..24usize, any::<u8>()), 1..12)
    ) {
        thread_local!(static FILE: Vec<u8> = sample(120).bytes);
        let mut file = FILE.with(Clone::clone);
        for (page, at, byte) in changes {
            let at = page.index(file.len() / 512) * 512 + at;
            // Not the file's magic, which is checked first.
            if at >= 24 {
                file[at] = byte;
            }
        }
        fuzz::ask(&file);
    }
}

#[test]
fn a_truncated_file_is_refused() {
    let whole = sample(60).bytes;
    assert!(Cache::open(&whole).is_ok());
    for len in (0..whole.len()).step_by(64) {
        assert!(Cache::open(&whole[..len]).is_err(), "{len} of {} bytes", whole.len());
    }
}

/// Every pointer of every page leads back to its own page.
#[test]
fn circles_end() {
    let whole = sample(400).bytes;
    for page in 1..whole.len() / 512 {
        let mut file = whole.clone();
        // The number of this page, as the first overflow pointer, right-most child and all left children.
        let number = u32::try_from(page + 1).unwrap().to_be_bytes();
        let start = page * 512;
        let interior = matches!(file[start], 2 | 5);
        if !interior && !matches!(file[start], 10 | 13) {
            file[start..start + 4].copy_from_slice(&number);
        } else if interior {
            file[start + 8..start + 12].copy_from_slice(&number);
            let cells = usize::from(u16::from_be_bytes([file[start + 3], file[start + 4]]));
            for cell in 0..cells {
                let at = start + 12 + 2 * cell;
                let at = start + usize::from(u16::from_be_bytes([file[at], file[at + 1]]));
                file[at..at + 4].copy_from_slice(&number);
            }
        }
        fuzz::ask(&file);
    }
}

#[test]
fn a_header_that_is_not_a_published_snapshots_is_refused() {
    let whole = sample(3).bytes;
    let foreign: [(&str, usize, &[u8]); 7] = [
        ("another magic", 0, b"sqlite"),
        ("not published yet", 18, &[1]),
        ("WAL", 18, &[2, 2]),
        ("UTF-16", 56, &[0, 0, 0, 2]),
        ("the application of keys.db", 68, b"niak"),
        ("major version 2", 60, &[0, 0, 0, 200]),
        ("major version 0", 60, &[0, 0, 0, 99]),
    ];
    for (what, at, change) in foreign {
        let mut file = whole.clone();
        file[at..at + change.len()].copy_from_slice(change);
        assert!(matches!(Cache::open(&file), Err(Error::Foreign(_))), "{what}");
    }
    let corrupt: [(&str, usize, &[u8]); 5] = [
        ("page size 0", 16, &[0, 0]),
        ("page size 256", 16, &[1, 0]),
        ("page size 513", 16, &[2, 1]),
        ("too few usable bytes", 20, &[33]),
        ("more pages than the file has", 28, &[0, 0, 1, 0]),
    ];
    for (what, at, change) in corrupt {
        let mut file = whole.clone();
        file[at..at + change.len()].copy_from_slice(change);
        assert!(matches!(Cache::open(&file), Err(Error::Corrupt(_))), "{what}");
    }
}

/// The publisher marks a file that it has replaced in the top bit of `user_version`; processes that have it open
/// still read it.
#[test]
fn a_replaced_file_still_answers() {
    let mut file = sample(3).bytes;
    file[60] |= 0x80;
    assert!(Cache::open(&file).unwrap().user_by_name(b"user1").unwrap().is_some());
}

#[test]
fn an_index_that_leads_to_another_row_or_to_none_is_corrupt() {
    let mut sample = sample(2);
    // The index row of 'user1' ends with its rowid; change it to that of 'user0'. The table has the name
    // elsewhere.
    let row = b"\x03\x17\x04user1\x70\0\0\x01";
    let mut places = sample.bytes.windows(row.len()).enumerate().filter(|(_, window)| window == row);
    let at = places.next().unwrap().0 + row.len() - 1;
    assert!(places.next().is_none());
    drop(places);
    sample.bytes[at] = 0;
    let cache = Cache::open(&sample.bytes).unwrap();
    assert!(matches!(cache.user_by_name(b"user1"), Err(Error::Corrupt(_))));
    sample.bytes[at] = 9;
    let cache = Cache::open(&sample.bytes).unwrap();
    assert!(matches!(cache.user_by_name(b"user1"), Err(Error::Corrupt(_))), "a rowid that no row has");
}
