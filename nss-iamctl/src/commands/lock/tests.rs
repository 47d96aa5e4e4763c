//! In a directory, with a fake refresher that obeys the list like the real one.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache::snapshot::Cache;
use tempfile::TempDir;

use super::{lock, unlock};
use crate::cli::Who;
use crate::fixtures::published;
use crate::host::{Host, Output, Programs};
use crate::say::error::CONFIGURATION;

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
        let names: Vec<&str> = locked.lines().collect();
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

fn list(root: &TempDir) -> String {
    fs::read_to_string(root.path().join("var/lib/nss-iam/locked")).unwrap_or_default()
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
    for (name, hint) in [("eve", "--force"), ("Ana", "did you mean 'ana'?"), ("ana@example.com", "'ana'")] {
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
