//! SIGKILL at every system call with which a run changes a file: readers see the old or the new snapshot and never
//! an error, and the next run is not affected by leftovers.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tests::{CACHE, Host, REFRESHER, Ran, files, listing, user};

use crate::reader::{Entry, Module};

/// System calls that change a file system or create a file. The `?` ignores a name that this architecture lacks.
const CHANGING: &str = "openat,write,pwrite64,pwritev,fsync,fdatasync,?rename,renameat,renameat2,?unlink,unlinkat,\
                        fchmod,?chmod,fchmodat,fchown,?chown,fchownat,ftruncate,fallocate,fsetxattr";

/// More calls than a run makes; otherwise a run that never survives would loop forever.
pub(crate) const LIMIT: u32 = 2000;

/// Runs `apply` and kills it just before its `n`th changing call. Returns whether it made that many.
pub(crate) fn kill_before(host: &Host, n: u32) -> bool {
    let inject = format!("inject={CHANGING}:signal=SIGKILL:when={n}");
    let trace = format!("trace={CHANGING}");
    let ran = host.run(&["strace", "-o", "/dev/null", "-e", &trace, "-e", &inject, REFRESHER, "apply"]);
    assert!(matches!(ran.status, None | Some(0)), "{ran:?}");
    ran.status.is_none()
}

/// The next run succeeds, removes what was left behind, and publishes whole files.
fn recovers(host: &Host, document: &Value, n: u32) {
    host.list(document);
    let ran = host.refresher(&["apply"]);
    assert_eq!(ran.status, Some(0), "after call {n}: {}", ran.err);
    let mut left = files(CACHE);
    // SQLite never reads a journal that begins with a zero, and leaves it there if it has nothing to write: if the run that
    // succeeded before was in the same second.
    left.retain(|name, (.., content)| {
        !name.ends_with(".db-journal") || content.first().is_some_and(|byte| *byte != 0)
    });
    let names: Vec<String> = left.into_keys().collect();
    assert_eq!(names, crate::FILES, "after call {n}");
    for name in names.iter().filter(|name| name.ends_with(".db")) {
        let db = rusqlite::Connection::open(format!("{CACHE}/{name}")).unwrap();
        let found: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "'{name}' after call {n}");
    }
}

/// Asks until it is stopped. Returns the different answers; none: no such user.
fn watch(module: &Module, name: &CStr, stop: &AtomicBool) -> BTreeSet<Option<Entry>> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        match module.passwd(name) {
            Ok(entry) => drop(seen.insert(Some(entry))),
            Err((0, libc::ENOENT)) => drop(seen.insert(None)),
            Err(failure) => panic!("{name:?}: status and errno {failure:?}"),
        }
        assert_eq!(module.passwd(c"nobody-such"), Err((0, libc::ENOENT)), "not unavailable");
        std::thread::yield_now();
    }
    seen
}

/// Every output of keys-cmd, which must succeed.
fn watch_keys(user: &str, uid: u32, stop: &AtomicBool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let asked = Command::new("/usr/libexec/nss-iam/keys-cmd").args([user, &uid.to_string()]).output();
        let ran = Ran::from(asked.unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
        seen.insert(ran.out);
    }
    seen
}

/// ana always, with a different comment each time; bob only in the first.
fn two_listings() -> [Value; 2] {
    let ana = |gecos: &str| {
        let mut ana = user("ki-1", "ana");
        ana["tags"] = json!({"nss-iam:gecos": gecos});
        ana
    };
    [listing(&[ana("one"), user("ki-2", "bob")]), listing(&[ana("two")])]
}

/// Kills a run at its first, second, third ... call, until one survives. Returns the number of calls.
fn kill_all_along(host: &Host, documents: &[Value; 2]) -> u32 {
    let mut published = 0;
    let uid = host.passwd("bob", 2);
    for n in 1..LIMIT {
        host.list(&documents[1 - published]);
        if !kill_before(host, n) {
            return n;
        }
        // Keys are published before their user, and removed before their user.
        let keys = host.run(&["/usr/libexec/nss-iam/keys-cmd", "bob", &uid]);
        let found = (host.getent("passwd", "bob").is_some(), !keys.out.is_empty());
        assert_ne!(found, if published == 0 { (false, true) } else { (true, false) }, "after call {n}");
        // Publishes in turn the new state and the old one.
        published = if n % 2 == 0 { 1 - published } else { published };
        recovers(host, &documents[published], n);
    }
    panic!("the calls of a run do not end");
}

#[test]
fn readers_see_the_old_or_the_new_snapshot_whenever_the_refresher_is_killed() {
    let Some(host) = Host::new() else { return };
    host.machine.config("[tags]\nuse = [\"gecos\"]\n");
    let documents = two_listings();
    host.apply(&documents[0]);
    let module = Module::load();
    let (ana, bob) = (module.passwd(c"ana").unwrap(), module.passwd(c"bob").unwrap());
    let (uid_of_ana, uid_of_bob, key) = (ana.uid, bob.uid, host.keys("bob"));
    let stop = &AtomicBool::new(false);
    let module = &module;
    std::thread::scope(|scope| {
        let of_ana = scope.spawn(|| watch(module, c"ana", stop));
        let of_bob = scope.spawn(|| watch(module, c"bob", stop));
        let keys_of_ana = scope.spawn(move || watch_keys("ana", uid_of_ana, stop));
        let keys_of_bob = scope.spawn(move || watch_keys("bob", uid_of_bob, stop));
        let killed = catch_unwind(AssertUnwindSafe(|| kill_all_along(&host, &documents)));
        stop.store(true, Ordering::Relaxed);
        let calls = killed.unwrap_or_else(|cause| resume_unwind(cause));
        assert!(calls > 40, "only {calls} calls: were they the refresher's?");

        let changed = Entry { gecos: "two".to_owned(), ..ana.clone() };
        assert_eq!(of_ana.join().unwrap(), [Some(ana), Some(changed)].into());
        assert_eq!(of_bob.join().unwrap(), [Some(bob), None].into());
        assert_eq!(keys_of_ana.join().unwrap(), [key.clone()].into());
        assert_eq!(keys_of_bob.join().unwrap(), [key, String::new()].into());
    });
}

#[test]
fn a_first_run_may_be_killed_at_any_call_and_later_assigns_the_same_ids() {
    let Some(host) = Host::new() else { return };
    let document = listing(&[user("AIDAEXAMPLE", "ana")]);
    for n in 1..LIMIT {
        fs::remove_dir_all(CACHE).unwrap();
        fs::create_dir(CACHE).unwrap();
        host.list(&document);
        if !kill_before(&host, n) {
            assert!(n > 40, "only {n} calls: were they the refresher's?");
            return;
        }
        recovers(&host, &document, n);
        assert_eq!(host.passwd("ana", 2), "1895840708");
    }
    panic!("the calls of a run do not end");
}
