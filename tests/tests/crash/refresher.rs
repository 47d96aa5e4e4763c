//! What the shipped refresher publishes, cut at any instant.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cache::snapshot::{Cache, Keys};
use cache::state::State;
use serde_json::{Value, json};
use tests::crash::{Disk, FileSystem};
use tests::{CACHE, Host, REFRESHER};

use crate::support::{Without, cuts, install_shipped, preload, seed};

/// What is wrong after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bad {
    /// The file system cannot be mounted.
    NoMount,
    /// A file is missing, or cannot be read.
    Damaged,
    /// Somebody's id is a different one.
    Id,
    /// The cache has a uid that `state.db` does not know, which could be given to another user.
    Unremembered,
    /// A file is older than what a refresh that had ended published.
    Old,
}

/// Publication `number`: with each, two users come and one leaves, so that every report differs, and
/// everybody has another key.
fn publication(number: usize) -> Value {
    let users: Vec<Value> = (number..2 * number + 12)
        .map(|user| {
            // Any 32 bytes are a key of this type.
            let key = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}{number:06}", "A".repeat(37));
            json!({"id": format!("u-{user}"), "name": format!("n{user}"), "keys": [{"id": "k", "body": key}]})
        })
        .collect();
    let mut listing = tests::listing(&users);
    listing["accounts"][0]["groups"][0]["name"] = json!(format!("V{number}"));
    listing
}

/// The number in the name of the group, or at the end of a key.
fn version(text: &str) -> usize {
    let digits = text.trim_end_matches('=').trim_start_matches(['v', 'V']);
    digits[digits.len().saturating_sub(6)..].parse().unwrap_or(0)
}

/// What a correct host has seen.
struct Truth {
    /// All ids that were ever assigned.
    state: State,
    /// `status.json` after each publication, the last file that a refresh replaces.
    reports: Vec<Vec<u8>>,
}

/// What is wrong with the published files in `directory`, if this many publications had ended.
fn look(directory: &Path, truth: &Truth, finished: usize) -> BTreeMap<Bad, String> {
    let mut bad = BTreeMap::new();
    for file in ["state.db", "known.db", "cache.db", "keys.db"] {
        match integrity(&directory.join(file)) {
            Ok(found) if found == "ok" => {}
            other => drop(bad.insert(Bad::Damaged, format!("{file}: {other:?}"))),
        }
    }
    let state = State::read(directory).map_err(|cause| cause.to_string());
    let cache = Cache::read(&directory.join("cache.db")).map_err(|cause| cause.to_string());
    let keys = Keys::published(directory).map_err(|cause| cause.to_string());
    let (state, cache, keys) = match (state, cache, keys) {
        (Ok(state), Ok(cache), Ok(keys)) => (state, cache, keys),
        (state, cache, keys) => {
            let causes = [state.err(), cache.err(), keys.err()];
            bad.insert(Bad::Damaged, causes.into_iter().flatten().collect::<Vec<_>>().join("; "));
            return bad;
        }
    };
    for (iam_id, identity) in &state.identities {
        if truth.state.identities.get(iam_id) != Some(identity) {
            bad.insert(Bad::Id, format!("{iam_id:?}: {identity:?}"));
        }
    }
    let known: BTreeSet<u32> = state.identities.values().map(|identity| identity.id.get()).collect();
    if let Some(user) = cache.users.iter().find(|user| !known.contains(&user.uid.get())) {
        bad.insert(Bad::Unremembered, format!("'{}' in cache.db is not in state.db", user.name));
    }
    let versions = [
        ("state.db", state.groups.values().map(|group| version(group.name.as_str())).max()),
        ("cache.db", cache.groups.iter().map(|group| version(group.name.as_str())).max()),
        ("keys.db", keys.logins.iter().flat_map(|login| &login.keys).map(|key| version(key.as_str())).max()),
        ("status.json", reported(&directory.join("status.json"), truth)),
    ];
    for (file, version) in versions {
        if version.unwrap_or(0) < finished {
            bad.insert(Bad::Old, format!("{file} has publication {version:?} after {finished} ended"));
        }
    }
    bad
}

/// The last publication that left this report.
fn reported(file: &Path, truth: &Truth) -> Option<usize> {
    let report = fs::read(file).ok()?;
    truth.reports.iter().rposition(|known| *known == report).map(|position| position + 1)
}

fn integrity(file: &Path) -> rusqlite::Result<String> {
    // A file that is missing is not created.
    let db = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
}

/// Publishes, cuts, and looks. Returns how many cuts were bad in each way, with an example; none without root.
fn bad_cuts(
    kind: FileSystem,
    publications: usize,
    count: usize,
    without: Option<Without>,
) -> Option<BTreeMap<Bad, (usize, String)>> {
    let preload = preload();
    let host = Host::in_tree("login")?;
    install_shipped(&host.machine);
    let disk = Disk::new(&host.machine, kind);
    let mount = |from: &str, to: &str| assert_eq!(host.run(&["mount", "--bind", from, to]).err, "");
    mount(disk.root().to_str().unwrap(), CACHE);
    let (mut ended, mut reports) = (Vec::new(), Vec::new());
    for number in 1..=publications {
        host.list(&publication(number));
        let mut command = host.machine.command(&[REFRESHER, "--force", "apply"]);
        // The files that the others replace are on disk.
        if let Some(without) = without.filter(|_| number > 1) {
            without.apply(&mut command, &preload);
        }
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", tests::text(&ran.stderr));
        ended.push(disk.now());
        let report = fs::read(format!("{CACHE}/status.json")).unwrap();
        assert!(!reports.contains(&report), "publication {number} has the report of another one");
        reports.push(report);
    }
    let truth = Truth { state: State::read(Path::new(CACHE)).unwrap(), reports };
    assert_eq!(host.run(&["umount", CACHE]).err, "");
    let (replay, log) = disk.stop();
    let mut found: BTreeMap<Bad, (usize, String)> = BTreeMap::new();
    let mut bad_cuts = 0;
    let cuts = log.cuts(ended[0]..ended[publications - 1], count, seed());
    for cut in &cuts {
        let finished = ended.iter().filter(|end| **end <= cut.at).count();
        let bad = replay
            .mounted(cut, |root| look(root, &truth, finished))
            .unwrap_or_else(|cause| BTreeMap::from([(Bad::NoMount, cause)]));
        bad_cuts += usize::from(!bad.is_empty());
        for (bad, what) in bad {
            found.entry(bad).or_insert_with(|| (0, format!("{}: {what}", cut.name))).0 += 1;
        }
    }
    println!("{kind} without {without:?}: {} cuts, {bad_cuts} bad: {found:?}", cuts.len());
    Some(found)
}

fn survives(kind: FileSystem, publications: usize, count: usize) {
    let Some(found) = bad_cuts(kind, publications, cuts(count), None) else { return };
    assert!(found.is_empty(), "{found:?}\nhint: SEED={} repeats this", seed());
}

#[test]
fn no_cut_loses_or_mixes_what_was_published_on_ext4() {
    survives(FileSystem::Ext4, 8, 80);
}

#[test]
fn no_cut_loses_or_mixes_what_was_published_on_xfs() {
    survives(FileSystem::Xfs, 8, 30);
}

#[test]
fn no_cut_loses_or_mixes_what_was_published_on_btrfs() {
    survives(FileSystem::Btrfs, 8, 60);
}

/// The check notices a refresher that leaves these syncs out.
fn is_noticed(kind: FileSystem, without: Without, expected: Bad) {
    let Some(found) = bad_cuts(kind, 4, 40, Some(without)) else { return };
    assert!(found.contains_key(&expected), "{found:?}");
}

#[test]
fn a_refresher_that_never_syncs_is_noticed() {
    is_noticed(FileSystem::Ext4, Without::Any, Bad::Old);
}

#[test]
fn a_refresher_that_does_not_sync_folders_is_noticed() {
    // The sync of the next file also writes the renames before it, so only the last one, of status.json, can be lost.
    is_noticed(FileSystem::Ext4, Without::Folders, Bad::Old);
}

#[test]
fn a_state_that_is_saved_after_the_cache_is_noticed() {
    is_noticed(FileSystem::Ext4, Without::State, Bad::Unremembered);
}
