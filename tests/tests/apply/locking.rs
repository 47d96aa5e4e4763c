//! Only one refresher runs at a time, and only a refresher can block it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::json;
use tests::{CACHE, Host, LISTING, REFRESHER, Ran, files, listing, user};

/// Starts the refresher and returns when it has opened the file that it locks.
fn start(host: &Host, line: &[&str], locked: &File) -> Child {
    let mut command = host.machine.command(line);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let inode = locked.metadata().unwrap().ino();
    loop {
        let open = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
        if open.filter_map(|fd| fs::metadata(fd.path()).ok()).any(|file| file.ino() == inode) {
            return child;
        }
        assert!(child.try_wait().unwrap().is_none(), "it did not wait for the lock");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

#[test]
fn two_refreshers_started_at_once_run_one_after_the_other() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("lo-11", "ana")]));
    let held = File::open(format!("{CACHE}/state.db")).unwrap();
    held.lock().unwrap();
    host.list(&listing(&[user("lo-11", "ana"), user("lo-12", "bob")]));
    let before = files(CACHE);
    let [one, two] = [(); 2].map(|()| start(&host, &[REFRESHER, "apply"], &held));
    assert!(files(CACHE) == before, "both wait");
    held.unlock().unwrap();
    let (one, two) = (end(one), end(two));
    assert_eq!((one.status, two.status), (Some(0), Some(0)), "{one:?} {two:?}");
    let mut said = [one.out.split(' ').next().unwrap(), two.out.split(' ').next().unwrap()];
    said.sort_unstable();
    assert_eq!(said, ["published", "unchanged"]);
}

/// This test takes 30 s, as long as a refresher waits.
#[test]
fn a_refresher_that_waits_too_long_exits_with_75_and_changes_nothing() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("lo-21", "ana")]));
    let directory = "/var/lib/nss-iam-fetch";
    let (state, fetch) = (File::open(format!("{CACHE}/state.db")).unwrap(), File::open(directory).unwrap());
    state.lock().unwrap();
    fetch.lock().unwrap();
    host.list(&listing(&[user("lo-22", "bob")]));
    let before = (files(CACHE), files(directory));
    let apply = start(&host, &[REFRESHER, "apply"], &state);
    let as_user = ["setpriv", "--reuid", "nss-iam-fetch", "--regid", "nss-iam-fetch", "--clear-groups"];
    let fetch = start(&host, &[&as_user[..], &[REFRESHER, "fetch"]].concat(), &fetch);
    for (ran, what, done) in
        [(end(apply), format!("{CACHE}/state.db"), "changed"), (end(fetch), directory.to_owned(), "done")]
    {
        assert_eq!((ran.status, ran.out.as_str()), (Some(75), ""), "{}", ran.err);
        let why = format!("error: another refresher still holds '{what}' after 30 s; nothing was {done}\n");
        assert_eq!(ran.err, why);
    }
    assert!((files(CACHE), files(directory)) == before);
}

#[test]
fn no_user_of_the_host_can_block_refreshes() {
    let Some(host) = Host::new() else { return };
    host.apply(&listing(&[user("lo-31", "ana")]));
    let uid = host.passwd("ana", 2);
    let open_to_all =
        [CACHE, "/var/lib/nss-iam/cache.db", "/var/lib/nss-iam/metrics.prom", "/var/lib/nss-iam/status.json"];
    let closed = ["/var/lib/nss-iam/keys.db", "/var/lib/nss-iam/state.db", "/var/lib/nss-iam-fetch", LISTING];
    let as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut held = Vec::new();
    for path in open_to_all {
        let file = File::open(path).unwrap();
        file.lock().unwrap();
        held.push(file);
    }
    for path in closed {
        let ran = host.run(&[&as_nobody[..], &["test", "-r", path]].concat());
        assert_eq!(ran.status, Some(1), "'{path}' is closed to others");
    }
    host.list(&listing(&[]));
    let ran = host.run(&["timeout", "25", REFRESHER, "apply"]);
    assert_eq!(ran.status, Some(0), "it waited for a lock that anyone could have: {}", ran.err);
    assert!(host.is_disabled("ana", &uid));
}

/// Its user can read `known.db`, and so keep it locked, and decides how much of it changes.
#[test]
fn the_fetch_half_cannot_make_the_apply_half_wait_again_and_again() {
    let Some(host) = Host::new() else { return };
    let people = |text: &str| {
        let note = text.repeat(4000);
        let people = (0..900).map(|number| {
            let mut user = user(&format!("lo-{number}"), &format!("user{number}"));
            user["tags"] = json!({"iam:note": note});
            user
        });
        listing(&people.collect::<Vec<_>>())
    };
    host.apply(&people("a"));
    let known = format!("{CACHE}/known.db");
    let reader = rusqlite::Connection::open(&known).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM part").unwrap();
    host.list(&people("b"));
    let ran = host.run(&["timeout", "25", REFRESHER, "apply"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let parts = cache::parts::read(known.as_ref(), cache::schema::KNOWN).unwrap();
    assert_eq!(parts.iter().filter(|(_, content)| content.contains("bbb")).count(), 900);
}
