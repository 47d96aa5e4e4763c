//! In a directory, with a fake refresher that obeys the list like the real one.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache::snapshot::Cache;
use tempfile::TempDir;

use crate::cli::{Lock, Unlock, Who};
use crate::fixtures::published;
use crate::host::{Host, Output, Programs};
use crate::say::error::{CONFIGURATION, Error};

/// `apply`: ana, the only member of the IAM group, is active unless locked.
struct Refresher {
    directory: PathBuf,
    works: bool,
}

impl Programs for Refresher {
    fn run(&self, line: &[&str], _: &str) -> io::Result<Output> {
        assert_eq!(line[..2], ["/usr/libexec/nss-iam/cache-refresher", "apply"]);
        let locks = self.directory.join("locked").metadata().unwrap().len() > 0;
        assert_eq!(
            &line[2..],
            if locks { &["--removals-only"][..] } else { &[] },
            "only an unlock asks the host"
        );
        if !self.works {
            return Ok(Output {
                code: Some(75),
                stderr: "cache-refresher: another refresher\n".to_owned(),
                ..Output::default()
            });
        }
        let locked = fs::read_to_string(self.directory.join("locked")).unwrap();
        let mut cache = published().cache.unwrap();
        let names: Vec<&str> = locked.lines().filter(|line| !line.starts_with('#')).collect();
        cache.users[0].active = !names.contains(&"*") && !names.contains(&"ana");
        publish(&self.directory, &cache);
        Ok(Output { code: Some(0), ..Output::default() })
    }
}

fn publish(directory: &Path, cache: &Cache) {
    cache::publish::cache(directory, cache).unwrap();
}

/// A host on which ana is active and bob left.
fn host(works: bool) -> (TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("var/lib/nss-iam");
    fs::create_dir_all(&directory).unwrap();
    publish(&directory, &published().cache.unwrap());
    let host = Host::of(root.path().to_owned(), Box::new(Refresher { directory, works }));
    (root, host)
}

#[test]
fn what_stands_in_the_place_of_the_list_keeps_nobody_from_locking() {
    type Break = fn(&Path);
    let breaks: [(&str, Break); 4] = [
        ("a directory", |list| fs::create_dir_all(list.join("x")).unwrap()),
        ("a socket", |list| drop(std::os::unix::net::UnixListener::bind(list).unwrap())),
        ("bytes", |list| fs::write(list, b"\xff\xfe\0\n").unwrap()),
        ("another administrator who hangs", |list| {
            let file = fs::File::create(list).unwrap();
            file.lock().unwrap();
            std::mem::forget(file);
        }),
    ];
    for (what, break_it) in breaks {
        let (root, host) = host(true);
        break_it(&root.path().join("var/lib/nss-iam/locked"));
        lock(&host, &who("ana"), &mut Vec::new()).unwrap();
        assert!(list(&root).lines().any(|line| line == "ana"), "{what}");
    }
}

#[test]
fn a_lock_needs_neither_a_cache_nor_its_directory() {
    let (root, host) = host(true);
    fs::write(root.path().join("var/lib/nss-iam/cache.db"), "damaged").unwrap();
    lock(&host, &who("ana"), &mut Vec::new()).unwrap();
    fs::remove_dir_all(root.path().join("var/lib/nss-iam")).unwrap();
    fs::create_dir_all(root.path().join("var/lib")).unwrap();
    lock(&host, &who("ana"), &mut Vec::new()).unwrap();
    assert_eq!(list(&root), "ana\n");
}

fn who(user: &str) -> Who {
    Who { user: Some(user.to_owned()), ..Who::default() }
}

/// As an earlier release reads it.
fn list(root: &TempDir) -> String {
    let text = fs::read_to_string(root.path().join("var/lib/nss-iam/locked")).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect()
}

const NOW: i64 = 1_795_716_000;

fn lock(host: &Host, who: &Who, out: &mut Vec<u8>) -> Result<u8, Error> {
    super::lock(host, &Lock { who: who.clone(), ..Lock::default() }, NOW, out)
}

fn unlock(host: &Host, who: &Who, out: &mut Vec<u8>) -> Result<u8, Error> {
    super::unlock(host, &Unlock { who: who.clone(), ..Unlock::default() }, out)
}

fn logged_in(root: &TempDir, uid: &str, environment: &str) {
    fs::create_dir_all(root.path().join("proc/self")).unwrap();
    fs::write(root.path().join("proc/self/loginuid"), uid).unwrap();
    fs::write(root.path().join("proc/self/environ"), environment).unwrap();
}

#[test]
fn who_locked_whom_and_why_is_in_the_list_and_in_the_log() {
    let (root, host) = host(true);
    logged_in(&root, "1001", "");
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/passwd"), "carl:x:1001:1001::/:/bin/sh\n").unwrap();
    fs::create_dir_all(root.path().join("dev")).unwrap();
    let log = std::os::unix::net::UnixDatagram::bind(root.path().join("dev/log")).unwrap();
    let mut line = [0; 1000];
    let mut logged = || {
        let length = log.recv(&mut line).unwrap();
        String::from_utf8_lossy(&line[..length]).into_owned()
    };
    let because = |reason: &str| Lock { who: who("ana"), reason: Some(reason.to_owned()), yes: false };
    super::lock(&host, &because("gone\" by=\"x\n<1>root\u{1b}"), NOW, &mut Vec::new()).unwrap();
    let told = logged();
    assert!(told.starts_with("<85>nss-iamctl["), "{told}");
    let expected = r#"]: lock user="ana" by="carl (uid 1001)" reason="gone\" by=\"x\\u{a}<1>root\\u{1b}""#;
    assert!(told.ends_with(expected), "{told}");
    let read = || status::Locked::read(&root.path().join("var/lib/nss-iam/locked")).unwrap();
    let first = read().notes["ana"].clone();
    assert_eq!((first.by.as_str(), first.at.unwrap().as_second()), ("carl (uid 1001)", NOW));

    logged_in(&root, "4294967295", "SUDO_USER=dora\0SUDO_UID=1002\0");
    lock(&host, &who("ana"), &mut Vec::new()).unwrap();
    assert_eq!(read().notes["ana"], first, "the first lock counts");
    assert!(logged().ends_with(r#"lock user="ana" by="dora, as sudo says""#));
    super::lock(&host, &because(&"x".repeat(1000)), NOW, &mut Vec::new()).unwrap();
    assert_eq!(read().notes["ana"].reason.len(), 300);
    let _ = logged();
    unlock(&host, &who("ana"), &mut Vec::new()).unwrap();
    assert!(logged().ends_with(r#"unlock user="ana" by="dora, as sudo says""#));
    assert_eq!(read(), status::Locked::default());
    lock(&host, &who("ana"), &mut Vec::new()).unwrap();
    let _ = logged();
    let back = Unlock { who: who("ana"), reason: Some("is back\" x".to_owned()) };
    super::unlock(&host, &back, &mut Vec::new()).unwrap();
    assert!(logged().ends_with(r#"unlock user="ana" by="dora, as sudo says" reason="is back\" x""#));
}

#[test]
fn oneself_is_locked_out_only_if_confirmed_and_others_without_a_question() {
    let ana = published().cache.unwrap().users[0].uid.get().to_string();
    let everyone = Who { all: true, ..Who::default() };
    for (uid, environment) in [
        (ana.as_str(), ""),
        ("4294967295", &*format!("SUDO_UID={ana}\0")),
        ("0", &format!("SUDO_UID={ana}\0")),
    ] {
        for whom in [who("ana"), everyone.clone()] {
            let (root, host) = host(true);
            logged_in(&root, uid, environment);
            let refused = lock(&host, &whom, &mut Vec::new()).unwrap_err();
            assert_eq!(refused.status(), CONFIGURATION);
            let refused = refused.to_string();
            assert!(
                refused.starts_with("this locks you out too, 'ana'")
                    && refused.ends_with("hint: --yes confirms it"),
                "{refused}"
            );
            assert_eq!(list(&root), "");
            lock(&host, &who("bob"), &mut Vec::new()).unwrap();
            let yes = Lock { who: whom, yes: true, ..Lock::default() };
            super::lock(&host, &yes, NOW, &mut Vec::new()).unwrap();
            // Once locked out, another lock is no news.
            lock(&host, &who("ana"), &mut Vec::new()).unwrap();
        }
    }
    let (root, host) = host(true);
    logged_in(&root, "1001", "SUDO_UID=1001\0");
    lock(&host, &everyone, &mut Vec::new()).unwrap();
}

#[test]
fn without_a_user_the_way_to_lock_everyone_is_named() {
    let (root, host) = host(true);
    for refused in
        [lock(&host, &Who::default(), &mut Vec::new()), unlock(&host, &Who::default(), &mut Vec::new())]
    {
        let refused = refused.unwrap_err();
        assert_eq!(refused.status(), CONFIGURATION);
        assert!(refused.to_string().contains("lock --all"), "{refused}");
    }
    assert_eq!(list(&root), "");
}

#[test]
fn a_lock_is_written_acts_at_once_and_is_undone() {
    let (root, host) = host(true);
    let mut out = Vec::new();
    assert_eq!(lock(&host, &who("ana"), &mut out), Ok(0));
    assert_eq!(list(&root), "ana\n");
    let mode = fs::metadata(root.path().join("var/lib/nss-iam/locked")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(lock(&host, &Who { all: true, ..Who::default() }, &mut out), Ok(0));
    assert_eq!(list(&root), "*\nana\n");
    assert_eq!(unlock(&host, &Who { all: true, ..Who::default() }, &mut out), Ok(0));
    assert_eq!(list(&root), "");
    assert_eq!(lock(&host, &who("ana"), &mut out), Ok(0));
    assert_eq!(unlock(&host, &who("ana"), &mut out), Ok(0));
    assert_eq!(list(&root), "");
    let told = String::from_utf8(out).unwrap();
    let told: Vec<&str> = told.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        told,
        ["locked 'ana'", "locked everyone", "unlocked everyone", "locked 'ana'", "unlocked 'ana'"]
    );
}

#[test]
fn names_that_nobody_has_are_refused_with_the_one_that_was_meant() {
    let (root, host) = host(true);
    std::fs::create_dir_all(host.path("/etc")).unwrap();
    std::fs::write(host.path("/etc/passwd"), "carl:x:1000:1000::/home/carl:/bin/sh\n").unwrap();
    for (name, hint) in [
        ("eve", "--force"),
        ("all", "--all"),
        ("Ana", "did you mean 'ana'?"),
        ("anna", "did you mean 'ana'?"),
        ("ana ", "did you mean 'ana'?"),
        ("ana@example.com", "'ana'"),
        ("carl", "usermod --lock --expiredate 1 carl"),
    ] {
        let refused = lock(&host, &who(name), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.status(), CONFIGURATION);
        assert!(refused.to_string().contains(hint), "{refused}");
    }
    let forced = |name: &str| lock(&host, &Who { force: true, ..who(name) }, &mut Vec::new());
    assert!(forced("a\nroot").is_err(), "a name a line");
    assert_eq!(list(&root), "");
    assert_eq!(forced("eve"), Ok(0));
    assert_eq!(list(&root), "eve\n");
}

#[test]
fn a_lock_that_does_not_act_is_a_failure_that_says_so() {
    let (root, host) = host(false);
    let failed = lock(&host, &who("ana"), &mut Vec::new()).unwrap_err().to_string();
    assert!(failed.contains("'ana' can still log in") && failed.contains("another refresher"), "{failed}");
    assert_eq!(list(&root), "ana\n", "and it acts with the next refresh");
}

#[test]
fn to_unlock_who_is_not_locked_is_an_error_that_says_who_is() {
    let (root, host) = host(true);
    let refused = |name: &str| unlock(&host, &who(name), &mut Vec::new()).unwrap_err().to_string();
    assert!(refused("ana").contains("hint: no user is locked"));
    lock(&host, &who("ana"), &mut Vec::new()).unwrap();
    assert!(refused("anna").contains("hint: locked: 'ana'"));
    lock(&host, &Who { all: true, ..Who::default() }, &mut Vec::new()).unwrap();
    assert!(refused("bob").contains("unlock --all"));
    assert_eq!(list(&root), "*\nana\n");
}

#[test]
fn who_left_meanwhile_stays_disabled_and_is_told() {
    let (_root, host) = host(true);
    lock(&host, &who("bob"), &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    assert_eq!(unlock(&host, &who("bob"), &mut out), Ok(0));
    assert_eq!(out, b"");
    crate::say::SAID
        .with_borrow(|said| assert!(said.contains("unlocked 'bob', but the user stays disabled"), "{said}"));
}
