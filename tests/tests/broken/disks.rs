//! The disk of the cache is full or read-only; times in files are wrong.

use std::fs::File;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use tests::CACHE;

use crate::*;

/// A small file system for the cache, with the present files.
fn small_disk(place: &Place) {
    if !place.held.borrow().is_empty() {
        return;
    }
    let kind = Some("tmpfs");
    fs::create_dir("/tmp/before").unwrap();
    let copy = |from: &str, to: &str| {
        assert!(
            Command::new("cp")
                .args(["-a", "--sparse=never", &format!("{from}/."), to])
                .status()
                .unwrap()
                .success()
        );
    };
    copy(CACHE, "/tmp/before");
    mount(kind, CACHE, kind, MsFlags::empty(), Some("size=1m,mode=0755")).unwrap();
    copy("/tmp/before", CACHE);
    place.held.borrow_mut().push(Box::new(()));
}

fn full(place: &Place) {
    small_disk(place);
    let mut file = File::options().create(true).append(true).open(format!("{CACHE}/filler")).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

fn read_only(place: &Place) {
    small_disk(place);
    mount(None::<&str>, CACHE, None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>).unwrap();
}

/// Listings with this time of reading, relative to now.
fn listed(seconds: i64) -> impl Fn(&Place) + Send + Sync + 'static {
    move |place| {
        let then = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        place.read.replace(then.to_string());
    }
}

/// Sets the time of the last run, relative to now.
fn remembered(seconds: i64) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| {
        let state = rusqlite::Connection::open(format!("{CACHE}/state.db")).unwrap();
        state.execute("UPDATE about SET asked = asked + ?1", [seconds]).unwrap();
    }
}

const YEAR: i64 = 365 * 24 * 60 * 60;

#[test]
fn disks() {
    all(&[
        row("the disk of the cache is full", full, waits(70, "full"), waits(0, "full")),
        // In a copy in memory, everything continues.
        row("the disk of the cache is read-only", read_only, enters(0, "copy in memory"), DONE),
    ]);
}

#[test]
fn clocks() {
    all(&[
        row("the listing is of tomorrow", listed(86_400), DONE, DONE),
        row("the listing is of next year", listed(YEAR), DONE, DONE),
        row("the listing is of last year", listed(-YEAR), DONE, DONE),
        row("the last run was next year", remembered(YEAR), DONE, DONE),
        row("the last run was last year", remembered(-YEAR), DONE, DONE),
    ]);
}
