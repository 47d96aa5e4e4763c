//! The disk is full, read-only or missing: what was published stays, and the message says what failed and why.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};

use nix::mount::{MsFlags, mount};
use serde_json::Value;
use tests::{CACHE, Host, files, listing, user};

pub(crate) const FILLER: &str = "/var/lib/nss-iam/filler";

/// Without keys, so that the cache needs the most space of all published files.
fn many(count: usize) -> Value {
    let mut users: Vec<Value> = (0..count).map(|n| user(&format!("dk-{n}"), &format!("user{n}"))).collect();
    for user in &mut users {
        user["keys"] = serde_json::json!([]);
    }
    listing(&users)
}

/// Mounts a small file system for the cache.
pub(crate) fn small_disk() {
    let kind = Some("tmpfs");
    mount(kind, CACHE, kind, MsFlags::empty(), Some("size=1m,mode=0755")).unwrap();
}

/// Leaves this many bytes free.
pub(crate) fn fill_up_to(free: u64) {
    let mut file = File::create(FILLER).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let size = file.metadata().unwrap().len();
    file.set_len(size.saturating_sub(free)).unwrap();
}

#[test]
fn on_a_full_disk_the_old_files_stay_and_the_next_run_with_room_publishes() {
    let Some(host) = Host::new() else { return };
    small_disk();
    host.apply(&many(1));
    let before = files(CACHE);
    host.list(&many(120));
    let mut failed = String::new();
    for free in (0..700).step_by(4).map(|kib| kib << 10) {
        fill_up_to(free);
        let ran = host.refresher(&["apply"]);
        fs::remove_file(FILLER).unwrap();
        let after = files(CACHE);
        if ran.status == Some(0) {
            break;
        }
        failed += &ran.err;
        assert_eq!((ran.status, ran.out.as_str()), (Some(70), ""), "{free}: {}", ran.err);
        let why = ["database or disk is full", "disk I/O error", "No space left on device"];
        assert!(why.iter().any(|why| ran.err.contains(why)), "{free}: {}", ran.err);
        assert!(ran.err.contains("error: cannot ") && !ran.err.contains("backup"), "{free}: {}", ran.err);
        assert!(after["cache.db"] == before["cache.db"], "{free}: readers see the old file");
        assert!(after.keys().all(|name| before.contains_key(name) || name == "state.db-journal"), "{free}");
        assert_eq!(host.getent("passwd", "user119"), None);
        assert!(host.getent("passwd", "user0").is_some());
    }
    for file in ["/state.db'", "/.cache.db.new-"] {
        assert!(failed.contains(file), "'{file}' was never what did not fit: {failed}");
    }
    assert!(host.getent("passwd", "user119").is_some());
    assert_eq!(files(CACHE).into_keys().collect::<Vec<_>>(), crate::FILES);
}

#[test]
fn on_a_read_only_disk_nothing_changes_and_readers_continue() {
    let Some(host) = Host::new() else { return };
    small_disk();
    host.apply(&many(1));
    let before = files(CACHE);
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, CACHE, None::<&str>, read_only, None::<&str>).unwrap();
    host.list(&many(2));
    let ran = host.refresher(&["apply"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(77), ""));
    let why = "Read-only file system (os error 30); nothing was changed";
    assert!(ran.err.contains("'/var/lib/nss-iam/state.db': ") && ran.err.contains(why), "{}", ran.err);
    assert!(files(CACHE) == before);
    assert!(host.getent("passwd", "user0").is_some());
}

#[test]
fn a_missing_directory_is_reported_and_not_created() {
    let Some(host) = Host::new() else { return };
    fs::remove_dir(CACHE).unwrap();
    host.list(&many(1));
    let ran = host.refresher(&["apply"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(70), ""));
    assert!(ran.err.contains("'/var/lib/nss-iam/state.db': No such file or directory"), "{}", ran.err);
    assert!(ran.err.contains("hint: run 'systemd-tmpfiles --create nss-iam.conf'"), "{}", ran.err);
    assert!(fs::metadata(CACHE).is_err(), "its owner and mode are decided elsewhere");
}

#[test]
fn files_that_readers_would_refuse_are_published_again() {
    let Some(host) = Host::new() else { return };
    host.apply(&many(1));
    let (cache, keys) = (format!("{CACHE}/cache.db"), format!("{CACHE}/keys.db"));
    let wanted = files(CACHE);
    let version =
        |minor: u8| File::options().write(true).open(&cache).unwrap().write_all_at(&[100 + minor], 63);
    let damage: [(&str, &dyn Fn()); 6] = [
        ("writable by others", &|| fs::set_permissions(&cache, Permissions::from_mode(0o666)).unwrap()),
        ("another owner", &|| chown(&cache, Some(1000), None).unwrap()),
        ("cut off", &|| File::options().write(true).open(&cache).unwrap().set_len(5000).unwrap()),
        ("gone", &|| fs::remove_file(&cache).unwrap()),
        ("of an earlier release", &|| version(0).unwrap()),
        ("keys closed to sshd", &|| chown(&keys, None, Some(0)).unwrap()),
    ];
    for (what, damage) in damage {
        damage();
        let ran = host.refresher(&["apply"]);
        assert_eq!(ran.status, Some(0), "{what}: {}", ran.err);
        let found = files(CACHE);
        for name in ["cache.db", "keys.db"] {
            let without_inode = |files: &std::collections::BTreeMap<String, (u64, u32, u32, Vec<u8>)>| {
                let (_, mode, owner, content) = files[name].clone();
                (mode, owner, content)
            };
            assert!(without_inode(&found) == without_inode(&wanted), "'{name}', {what}");
        }
        assert!(host.getent("passwd", "user0").is_some(), "{what}");
    }
    let group = host.run(&["stat", "-c", "%G", &keys]).out;
    assert_eq!(group, "nss-iam\n");
}
