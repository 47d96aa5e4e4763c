//! Removals and locks on a host where something is broken: in every row, users who left are locked out after the
//! next refresh, and locked users at once. Newcomers and unlocked users get in or wait, as the row says.
//!
//! A row is one line of data: its name, what breaks the host, and the results of a refresh, a lock and an unlock.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod breaks;
mod disks;
mod hosts;
mod ours;
mod services;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::{Duration, Instant};

use tests::{Host, Ran, directory, listing, user};

const FETCH: &str = "/var/lib/nss-iam-fetch";
const SOURCE: &str = "/srv/users.json";

/// Far longer than a lock takes on a busy machine, far shorter than anything that hangs here.
const AT_ONCE: Duration = Duration::from_secs(10);
/// The longest that anything may take, in seconds.
const HANGS: &str = "55";

/// The result of a program: exit status, words of standard error, and whether the user concerned can then log in.
#[derive(Debug, Clone, Copy)]
struct Ends {
    status: i32,
    says: &'static str,
    is_in: bool,
}

/// Success; the newcomer or the unlocked user is in.
const DONE: Ends = Ends { status: 0, says: "", is_in: true };

/// An error; the newcomer or the unlocked user is in nevertheless.
const fn enters(status: i32, says: &'static str) -> Ends {
    Ends { status, says, is_in: true }
}

/// The newcomer or the unlocked user has to wait.
const fn waits(status: i32, says: &'static str) -> Ends {
    Ends { status, says, is_in: false }
}

/// A row of the table.
struct Row {
    name: String,
    breaks: Box<dyn Fn(&Place) + Send + Sync>,
    /// The result of `cache-refresher`, with a newcomer.
    refresh: Ends,
    /// The result of `nss-iamctl unlock`.
    unlock: Ends,
    /// No listing can arrive, so it is not known that anyone left.
    has_no_listing: bool,
    /// No user is published any more.
    is_empty: bool,
}

fn row(
    name: impl Into<String>,
    breaks: impl Fn(&Place) + Send + Sync + 'static,
    refresh: Ends,
    unlock: Ends,
) -> Row {
    let (name, breaks) = (name.into(), Box::new(breaks));
    Row { name, breaks, refresh, unlock, has_no_listing: false, is_empty: false }
}

impl Row {
    /// It is not known that anyone left.
    fn no_listing(self) -> Self {
        Self { has_no_listing: true, ..self }
    }

    /// No user is published any more.
    fn nobody(self) -> Self {
        Self { is_empty: true, ..self }
    }
}

/// How the listing arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresh {
    /// From the source: both halves run.
    Whole,
    /// It is already there, and the fetch half cannot run.
    Left,
    /// The same, but it belongs to root.
    Roots,
    /// The same, but only the apply half runs.
    Apply,
}

/// The host of a row: ana, bob and eve are published.
struct Place {
    host: Host,
    uids: Vec<(&'static str, String)>,
    /// Kept open, mounted or running during the row.
    held: RefCell<Vec<Box<dyn Any>>>,
    way: Cell<Refresh>,
    /// When the listings were read.
    read: RefCell<String>,
}

impl Place {
    fn new() -> Option<Self> {
        let host = directory::host()?;
        host.machine.config(&format!("[source]\nurl = \"file://{SOURCE}\"\n"));
        fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
        fs::create_dir_all("/srv").unwrap();
        let read = jiff::Timestamp::now().to_string();
        let mut place = Self {
            host,
            uids: Vec::new(),
            held: RefCell::default(),
            way: Cell::new(Refresh::Whole),
            read: RefCell::new(read),
        };
        place.list(&["ana", "bob", "eve"]);
        let ran = place.host.refresher(&[]);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        place.uids =
            ["ana", "bob", "eve"].into_iter().map(|name| (name, place.host.passwd(name, 2))).collect();
        assert!(place.uids.iter().all(|(name, _)| place.is_in(name) && !place.has_no_key(name)));
        Some(place)
    }

    /// Writes the source, and the listing that the fetch half would make of it.
    fn list(&self, names: &[&str]) {
        let users: Vec<_> = names.iter().map(|name| user(&format!("U-{name}"), name)).collect();
        let mut document = listing(&users);
        document["source"] = format!("file://{SOURCE}").into();
        document["read"] = self.read.borrow().as_str().into();
        let put = |path: &str, mode| {
            let new = format!("{path}.new");
            fs::write(&new, document.to_string()).unwrap();
            fs::set_permissions(&new, Permissions::from_mode(mode)).unwrap();
            fs::rename(new, path).unwrap();
        };
        put(SOURCE, 0o644);
        if self.way.get() != Refresh::Whole {
            put(tests::LISTING, 0o600);
            let directory = fs::metadata(FETCH).unwrap();
            let owner = if self.way.get() == Refresh::Roots { 0 } else { directory.uid() };
            chown(tests::LISTING, Some(owner), None).unwrap();
        }
    }

    /// Whether glibc finds the user by name, with a shell.
    fn is_in(&self, name: &str) -> bool {
        self.host.getent("passwd", name).is_some_and(|line| line.ends_with("/bin/bash"))
    }

    fn has_no_key(&self, name: &str) -> bool {
        let uid = self.uids.iter().find(|(known, _)| *known == name).map_or("", |(_, uid)| uid);
        self.host.run(&["/usr/libexec/nss-iam/keys-cmd", name, uid]).out.is_empty()
    }

    /// Neither a key, nor a name, nor a password entry: sshd and PAM refuse.
    fn is_out(&self, name: &str) -> bool {
        self.has_no_key(name)
            && ["passwd", "shadow"].iter().all(|table| self.host.getent(table, name).is_none())
    }
}

/// The differences from the row.
fn differences(row: &Row) -> Option<(Vec<String>, Duration)> {
    let place = Place::new()?;
    let mut found = Vec::new();
    let mut check = |so: bool, what: String| {
        if !so {
            found.push(format!("{}: {what}", row.name));
        }
    };
    let said = |ran: &Ran, status: i32, says: &str| ran.status == Some(status) && ran.err.contains(says);

    (row.breaks)(&place);
    let bob = place.is_in("bob");
    let began = Instant::now();
    let ran = place.host.run(&["timeout", HANGS, "nss-iamctl", "lock", "ana"]);
    let took = began.elapsed();
    check(said(&ran, 0, ""), format!("lock: {ran:?}"));
    check(took < AT_ONCE, format!("lock took {took:?}"));
    check(place.is_out("ana"), format!("locked, and in: {ran:?}"));
    check(!bob || place.is_in("bob"), "the lock took bob".to_owned());

    (row.breaks)(&place);
    place.list(&["ana", "bob", "new"]);
    let words = if place.way.get() == Refresh::Apply { &["apply"][..] } else { &[] };
    let ran = place.host.run(&[&["timeout", HANGS, tests::REFRESHER], words].concat());
    check(said(&ran, row.refresh.status, row.refresh.says), format!("refresh: {ran:?}"));
    check(place.is_out("eve") != row.has_no_listing, format!("left, and in: {ran:?}"));
    check(place.is_in("new") == row.refresh.is_in, format!("newcomer: {ran:?}"));
    check(place.is_in("bob") != row.is_empty, format!("bob: {ran:?}"));

    (row.breaks)(&place);
    let ran = place.host.run(&["timeout", HANGS, "nss-iamctl", "unlock", "ana"]);
    check(said(&ran, row.unlock.status, row.unlock.says), format!("unlock: {ran:?}"));
    check(place.is_in("ana") == row.unlock.is_in, format!("unlocked: {ran:?}"));
    check(place.is_out("eve") != row.has_no_listing, format!("eve after the unlock: {ran:?}"));
    Some((found, took))
}

/// Runs every row on a separate host; a thread cannot leave its host.
fn all(rows: &[Row]) {
    let mut found = Vec::new();
    for row in rows {
        let done = std::thread::scope(|scope| scope.spawn(|| differences(row)).join());
        let (wrong, took) = match done {
            Ok(Some(done)) => done,
            Ok(None) => return,
            Err(_) => (vec![format!("{}: the test itself failed, see above", row.name)], Duration::ZERO),
        };
        let state = if wrong.is_empty() { "right" } else { "WRONG" };
        let _ = writeln!(std::io::stderr(), "{state} {:.2} s {}", took.as_secs_f64(), row.name);
        wrong.iter().for_each(|what| drop(writeln!(std::io::stderr(), "    {what}")));
        found.extend(wrong);
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
