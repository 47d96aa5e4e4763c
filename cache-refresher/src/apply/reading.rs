//! What was read from disk, and whether it still is there: the steps of a run let go of the lock, and read everything again
//! only if something was replaced meanwhile.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use cache::schema::{CACHE, KEYS, KNOWN, STATE};
use listing::Listing;

use super::on_disk::OnDisk;
use crate::handover::{CONFIRMED, DOCUMENT, LISTING};

/// The listing, and the files of the cache as it completes them.
pub(super) struct Reading {
    pub(super) stamp: Stamp,
    pub(super) listing: Listing,
    pub(super) disk: OnDisk<'static>,
}

/// Tells one content of the files from another. It is taken before they are read, with the lock: only the listing can be
/// replaced by somebody else then, and a listing that is newer than the stamp is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    files: Vec<Option<[i64; 6]>>,
    /// SQLite's file change counter (sqlite.org/fileformat2.html, 1.3.4): two writes can have one time.
    counter: [u8; 4],
}

impl Stamp {
    pub(super) fn now() -> Self {
        let directory = Path::new(cache::DIRECTORY);
        let state = directory.join(STATE.name);
        let names =
            [STATE.name, "state.db-journal", CACHE.name, KEYS.name, policy::confirmed::NAME, KNOWN.name];
        let listings = [LISTING, CONFIRMED, DOCUMENT].map(PathBuf::from);
        let paths = names.map(|name| directory.join(name)).into_iter().chain(listings);
        let mut counter = [0; 4];
        // Without a counter, the times decide.
        let _ = File::open(state).and_then(|file| file.read_exact_at(&mut counter, 24));
        Self { files: paths.map(|path| found(&path)).collect(), counter }
    }
}

fn found(path: &Path) -> Option<[i64; 6]> {
    let found = fs::symlink_metadata(path).ok()?;
    let inode = [found.dev(), found.ino()].map(u64::cast_signed);
    let [device, inode] = inode;
    // A change of size, owner or mode changes the ctime, too.
    Some([device, inode, found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()])
}
