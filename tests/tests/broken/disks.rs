//! The disk of the cache is full, read-only, or cannot read a file; times in files are wrong.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use nix::libc;
use nix::mount::{MsFlags, mount};
use tests::CACHE;
use tests::crash::unmount;

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

/// Where the image of a bad disk is.
const IMAGE: &str = "/srv/disk.btrfs";

fn done(program: &str, words: &[&str]) {
    let ran = Command::new(program).args(words).output().unwrap();
    assert!(ran.status.success(), "{program} {words:?}: {}", tests::text(&ran.stderr));
}

/// Puts the cache on a disk that cannot read the present content of a file.
fn unreadable(file: &'static str) -> impl Fn(&Place) + Send + Sync + 'static {
    move |_| {
        spoil(file, |_| true);
    }
}

/// Puts the cache on a disk that cannot read some blocks of a file, by their numbers; returns whether there are any. The file system is btrfs, which compares
/// each block with its checksum, and returns EIO if it differs.
fn spoil(file: &str, is_bad: impl Fn(usize) -> bool) -> bool {
    if fs::metadata(IMAGE).is_err() {
        fs::File::create(IMAGE).unwrap().set_len(128 << 20).unwrap();
        done("mkfs.btrfs", &["--quiet", IMAGE]);
        // The machine's own /dev has no loop devices.
        done("mount", &["-t", "devtmpfs", "devtmpfs", "/dev"]);
        fs::rename(CACHE, "/var/lib/before").unwrap();
        fs::create_dir(CACHE).unwrap();
        done("mount", &["-o", "loop", IMAGE, CACHE]);
        done("cp", &["-a", "/var/lib/before/.", CACHE]);
    }
    let Ok(content) = fs::read(format!("{CACHE}/{file}")) else { return false };
    let others = ["cache.db", "keys.db"].into_iter().filter(|other| *other != file);
    let others: Vec<u8> =
        others.flat_map(|other| fs::read(format!("{CACHE}/{other}")).unwrap_or_default()).collect();
    // Another test's program that is just being started has a copy of all open files.
    unmount(Path::new(CACHE));
    let image = fs::read(IMAGE).unwrap();
    let disk = File::options().write(true).open(IMAGE).unwrap();
    let blocks = content.chunks_exact(4096).enumerate().filter(|(number, block)| {
        is_bad(*number)
            && block.iter().any(|byte| *byte != 0)
            && !others.chunks_exact(4096).any(|other| other == *block)
    });
    let mut found = 0;
    for (_, block) in blocks {
        for at in (0..image.len()).step_by(4096) {
            if image[at..].starts_with(block) {
                disk.write_all_at(&[!image[at]], at as u64).unwrap();
                found += 1;
            }
        }
    }
    drop(disk);
    done("mount", &["-o", "loop", IMAGE, CACHE]);
    let cause = fs::read(format!("{CACHE}/{file}")).err();
    assert_eq!(cause.and_then(|cause| cause.raw_os_error()), (found > 0).then_some(libc::EIO));
    found > 0
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
    move |_| tests::move_last_questions(seconds)
}

const YEAR: i64 = 365 * 24 * 60 * 60;

#[test]
fn disks() {
    all(&[
        row("the disk of the cache is full", full, waits(70, "No space left"), waits(0, "full")),
        // In a copy in memory, everything continues.
        row("the disk of the cache is read-only", read_only, enters(0, "copy in memory"), DONE),
        row("the disk cannot read cache.db", unreadable("cache.db"), DONE, DONE),
        row("the disk cannot read keys.db", unreadable("keys.db"), DONE, DONE),
        row(
            "the disk cannot read state.db",
            unreadable("state.db"),
            waits(70, "state.db"),
            waits(0, "state.db"),
        ),
    ]);
}

/// The status that a shell reports for a program that a signal ended is above this.
const SIGNALS: i32 = 128;

#[test]
fn an_unreadable_cache_ends_no_process_is_no_obstacle_to_root_and_is_replaced() {
    for file in ["cache.db", "keys.db"] {
        let done = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let Some(place) = Place::new() else { return };
                    let uid = place.host.passwd("ana", 2);
                    let root = place.host.run(&["id", "root"]).out;
                    unreadable(file)(&place);
                    let lines: &[&[&str]] = &[
                        &["id", "root"],
                        &["id", "ana"],
                        &["id", "nobody-has-this-name"],
                        &["su", "root", "-c", "id -un"],
                        &["getent", "passwd"],
                        &["getent", "group"],
                        &["getent", "group", "sudo"],
                        &["getent", "initgroups", "ana"],
                        &["getent", "shadow", "ana"],
                        &["/usr/libexec/nss-iam/keys-cmd", "ana", &uid],
                        &["nss-iamctl", "users", "--all"],
                        &["nss-iamctl", "why", "ana"],
                    ];
                    for line in lines {
                        let shell = ["sh", "-c", "\"$@\"", "sh"];
                        let ran = place.host.run(&[&shell, *line].concat());
                        assert!(
                            ran.status.is_some_and(|status| status < SIGNALS),
                            "{file}, {line:?}: {ran:?}"
                        );
                    }
                    assert_eq!(place.host.run(&["id", "root"]).out, root);
                    assert!(place.host.run(&["getent", "passwd"]).out.starts_with("root:"));
                    let path = format!("{CACHE}/{file}");
                    for line in [&["nss-iamctl", "status", "--check"][..], &["nss-iamctl", "doctor"]] {
                        let ran = place.host.run(line);
                        let said = format!("{}{}", ran.out, ran.err);
                        let named = said.contains(&path) && said.contains("Input/output error");
                        assert!(ran.status != Some(0) && named, "{file}, {line:?}: {ran:?}");
                    }
                    // The same users as before.
                    let ran = place.host.refresher(&[]);
                    assert!(ran.status == Some(0) && ran.err.contains(&path), "{ran:?}");
                    assert!(fs::read(path).is_ok() && place.is_in("ana") && !place.has_no_key("ana"));
                })
                .join()
        });
        assert!(done.is_ok());
    }
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

/// Every block of cache.db but the first, which has the header, and those that keys.db has, too: what does not need it is still
/// answered.
#[test]
fn with_one_unreadable_block_the_others_still_answer() {
    let Some(place) = Place::new() else { return };
    let uid = place.host.passwd("ana", 2);
    let path = format!("{CACHE}/cache.db");
    let blocks = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap() / 4096;
    let mut answered = Vec::new();
    for bad in 1..blocks {
        if !spoil("cache.db", |number| number == bad) {
            continue;
        }
        let asked = [["passwd", "ana"], ["passwd", &uid], ["group", "ops"]].map(|[table, key]| {
            let ran = place.host.run(&["sh", "-c", "getent \"$@\"", "sh", table, key]);
            assert!(ran.status.is_some_and(|status| status < SIGNALS), "block {bad}, {key}: {ran:?}");
            ran.status == Some(0)
        });
        answered.push(asked);
        assert_eq!(place.host.refresher(&[]).status, Some(0));
        assert!(place.is_in("ana"), "block {bad} was not replaced");
    }
    let some = |wanted: [bool; 3]| answered.contains(&wanted);
    assert!(some([false, false, true]) && some([true, true, false]), "{answered:?}");
}
