//! Reads back what is published on this machine: `cache.db` for glibc, `keys.db` for sshd.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache::snapshot::{Cache, Keys};

use crate::CACHE;

/// An active user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// UserId.
    pub iam_id: String,
    /// Published groups of IAM, by name.
    pub groups: BTreeSet<String>,
    /// Gids of local groups.
    pub local: BTreeSet<u32>,
    /// Type and base64 of each.
    pub keys: BTreeSet<String>,
}

/// All active users, by name.
///
/// # Panics
/// If nothing is published.
#[must_use]
pub fn published() -> BTreeMap<String, Person> {
    let directory = Path::new(CACHE);
    let cache = Cache::read(&directory.join("cache.db")).unwrap();
    let keys = Keys::published(directory).unwrap();
    let names: BTreeMap<_, _> = cache.groups.iter().map(|group| (group.gid, group.name.as_str())).collect();
    let active = cache.users.iter().filter(|user| user.active);
    let people = active.map(|user| {
        let login = keys.logins.iter().find(|login| login.uid == user.uid);
        // After the fingerprint.
        let bodies =
            login.iter().flat_map(|login| &login.keys).filter_map(|key| key.as_str().split_once(' '));
        let person = Person {
            iam_id: login.map(|login| login.iam_id.as_str().to_owned()).unwrap_or_default(),
            groups: user.groups.iter().map(|gid| names.get(gid).copied().unwrap_or("?").to_owned()).collect(),
            local: user.local.iter().copied().collect(),
            keys: bodies.map(|(_, body)| body.to_owned()).collect(),
        };
        (user.name.as_str().to_owned(), person)
    });
    people.collect()
}

/// Moves the time until which this host was asked about names, by so many seconds: where it is stored, and where it counts.
///
/// # Panics
/// If nothing is published.
pub fn move_last_questions(by: i64) {
    let directory = Path::new(CACHE);
    let state = rusqlite::Connection::open(directory.join("state.db")).unwrap();
    state.execute("UPDATE about SET asked = asked + ?1", [by]).unwrap();
    let mut record = cache::confirmed::read(directory);
    record.state.iter_mut().for_each(|entry| entry.asked += by);
    let group = fs::metadata(directory.join("keys.db")).unwrap().gid();
    cache::confirmed::write(directory, &record, group).unwrap();
}
