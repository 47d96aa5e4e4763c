//! Properties of any file in place of the cache: an answer that keeps all rules, or an error, never a panic, and
//! work in proportion to the file's size.
//!
//! The targets in `fuzz_targets/` pass this to libFuzzer; `tests/minute.rs` runs it with every test run.
#![forbid(unsafe_code)]
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a property that fails panics")]

use reader::{Cache, Group, Keys, Text, User, floor, name_is_ours};

/// Valid files, made by SQLite: pages of 512 bytes, trees of several levels, overflow chains of tables, indexes and
/// the schema.
pub const GOOD: [&[u8]; 3] = [
    include_bytes!("../good/small.db"),
    include_bytes!("../good/deep.db"),
    include_bytes!("../good/keys.db"),
];

/// Looks up everything in a file, as `cache.db` and as `keys.db`.
///
/// # Panics
/// If an answer breaks a rule.
pub fn ask(file: &[u8]) {
    if let Ok(cache) = Cache::open(file) {
        ask_cache(cache, file);
    }
    if let Ok(keys) = Keys::open(file) {
        let _ = keys.about().map(|about| all(about.options, |byte| matches!(byte, b' '..=b'~')));
        for login in
            [keys.login_by_name(b"user1"), keys.login_by_uid(0x7000_0001)].into_iter().flatten().flatten()
        {
            assert!(login.uid >= reader::LEAST && name_is_ours(&bytes(login.name)));
            all(login.keys, |byte| matches!(byte, b' '..=b'~' | b'\n'));
            bytes(login.iam_id);
            bytes(login.source);
        }
    }
}

fn ask_cache(cache: Cache<'_>, file: &[u8]) {
    let len = file.len();
    for n in [0u32, 1, 57, 119, 120, 5000] {
        let name = format!("user{n}");
        let by_name = cache.user_by_name(name.as_bytes());
        if let Ok(Some(user)) = &by_name {
            assert_eq!(bytes(user.name), name.as_bytes());
            assert!(user.active, "an inactive user found by name");
        }
        for user in [by_name, cache.user_by_uid(0x7000_0000 + n)].into_iter().flatten().flatten() {
            check_user(cache, &user, len);
        }
    }
    for name in ["all", "none", "user1", "user3", "user59"] {
        if let Ok(Some(group)) = cache.group_by_name(name.as_bytes()) {
            check_named(cache, &group, file);
        }
    }
    for gid in [0x7000_0000, 0x7000_0003, 0x7100_0000] {
        if let Ok(Some(group)) = cache.group_by_gid(gid) {
            assert_eq!(group.gid, gid);
            check_group(&group);
        }
    }
    // Each step returns a different row, and each row begins at a different byte.
    let mut last = 0;
    for step in 0.. {
        let Ok(Some(user)) = cache.user_after(last) else { break };
        assert!(user.uid > last && step < len, "an enumeration ends");
        assert!(user.active, "an inactive user in an enumeration");
        check_user(cache, &user, len);
        last = user.uid;
        if let Some(Ok(next)) = cache.user_behind(user.place, last) {
            assert!(next.uid > last, "an enumeration ends");
            assert!(next.active, "an inactive user in an enumeration");
            check_user(cache, &next, len);
        }
    }
    let mut last = 0;
    for step in 0.. {
        let Ok(Some(group)) = cache.group_after(last) else { break };
        assert!(group.gid > last && step < len, "an enumeration ends");
        check_named(cache, &group, file);
        last = group.gid;
        if let Some(Ok(next)) = cache.group_behind(group.place, last) {
            assert!(next.gid > last, "an enumeration ends");
            check_named(cache, &next, file);
        }
    }
}

fn check_user(cache: Cache<'_>, user: &User<'_>, len: usize) {
    assert!(floor(user.uid, true), "an id below the floor");
    assert!(name_is_ours(&bytes(user.name)));
    for field in [user.gecos, user.home, user.shell] {
        all(field, |byte| matches!(byte, b' '..=b'~') && byte != b':');
    }
    assert!(bytes(user.home).starts_with(b"/") && bytes(user.shell).starts_with(b"/"));
    if let Ok(dates) = user.dates() {
        assert!(dates.lastchg > 0 && (user.active || dates.expire == 1));
    }
    if let Ok(gids) = cache.supplementary(user) {
        for (step, gid) in gids.enumerate() {
            assert!(gid != Ok(0), "root's group");
            assert!(step < len, "a list of groups ends");
        }
    }
}

/// For files of minor version 0, which have these rows.
fn check_named(cache: Cache<'_>, group: &Group<'_>, file: &[u8]) {
    check_group(group);
    let version = file.get(60..).and_then(|header| header.first_chunk()).map(|at| u32::from_be_bytes(*at));
    if version.is_some_and(|version| (version & 0x7fff_ffff) % 100 == 0) {
        let user = cache.user_by_uid(group.gid);
        assert!(
            !matches!(user, Ok(Some(user)) if !user.active),
            "the group of an inactive user found by name"
        );
    }
}

fn check_group(group: &Group<'_>) {
    assert!(floor(group.gid, true), "an id below the floor");
    assert!(name_is_ours(&bytes(group.name)));
    let mut members = vec![b'?'; group.members.size()];
    let mut begins = Vec::new();
    if group.members.copy_to(&mut members, |at| begins.push(at)).is_ok() {
        let names: Vec<&[u8]> = members.split_inclusive(|byte| *byte == 0).collect();
        assert_eq!(names.len(), group.members.count());
        assert!(names.iter().all(|name| name_is_ours(&name[..name.len() - 1])));
        let starts: Vec<usize> =
            names.iter().map(|name| name.as_ptr().addr() - members.as_ptr().addr()).collect();
        assert_eq!(begins, starts);
    }
}

fn bytes(text: Text<'_>) -> Vec<u8> {
    let mut bytes = vec![0; text.len()];
    text.copy_to(&mut bytes).expect("a returned value can be read completely");
    bytes
}

fn all(text: Text<'_>, good: impl Fn(u8) -> bool) {
    assert!(bytes(text).into_iter().all(good), "an invalid character");
}

/// One of the valid files with some changes: the first byte selects the file, then each five bytes are a change: a
/// page of 512 bytes, an offset in it, the kind of change, and a value.
#[must_use]
pub fn changed(changes: &[u8]) -> Vec<u8> {
    let (which, changes) = changes.split_first().unwrap_or((&0, &[]));
    let mut file = GOOD[usize::from(*which) % GOOD.len()].to_vec();
    for change in changes.as_chunks().0 {
        let [page, low, high, how, value] = *change;
        let pages = file.len() / 512;
        if pages == 0 {
            break;
        }
        // Half of the changes are at the beginning of a page, where its structure is.
        let offset = usize::from(u16::from_le_bytes([low, high]));
        let offset = if how & 1 == 0 { offset % 24 } else { offset % 512 };
        let at = usize::from(page) % pages * 512 + offset;
        match how >> 1 & 7 {
            0..=2 => file[at] = value,
            3 => file[at] ^= 1 << (value & 7),
            4 => file[at] = file[at].wrapping_add(value),
            // A page from another place of the same file: its children were never in one tree.
            5 => {
                let from = usize::from(value) % pages * 512;
                let to = at / 512 * 512;
                file.copy_within(from..from + 512, to);
            }
            6 => file.truncate(at),
            _ => file[at] = [0, 1, 0x7f, 0x80, 0xff, 0x0d, 0x05, 0x0a][usize::from(value & 7)],
        }
    }
    file
}
