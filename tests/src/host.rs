//! A machine with the product installed, and the refresher on it: the tests provide listings and check answers.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Output;

use jiff::Timestamp;
use listing::Listing;
use policy::confirmed::{ListingTimes, Moves};
use serde_json::{Value, json};

use crate::{Machine, text};

/// The installed program.
pub const REFRESHER: &str = "/usr/libexec/nss-iam/cache-refresher";
/// The directory of the cache.
pub const CACHE: &str = "/var/lib/nss-iam";
/// The listing that the fetch half writes.
pub const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";
/// Which times in it are later by now.
pub const CONFIRMED: &str = "/var/lib/nss-iam-fetch/confirmed";

const BODY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINVgib+1IFE7gfaOcIKvZCB2gpfaIIBmuHp4bcE/W4oF";

/// A user of a listing, with one key.
#[must_use]
pub fn user(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "keys": [{"id": format!("APKA{id}"), "body": BODY}]})
}

/// A listing of one account, read just now, with these users, who are all members of the group `Ops`.
#[must_use]
pub fn listing(users: &[Value]) -> Value {
    let members: Vec<&Value> = users.iter().map(|user| &user["id"]).collect();
    let group = json!({"id": "g-ops", "name": "Ops", "members": members});
    let read = jiff::Timestamp::now().to_string();
    json!({"version": 1, "read": read, "accounts": [{"groups": [group], "users": users}]})
}

/// The listing that the fetch half has left, with the times that count now.
///
/// # Panics
/// If it is not a listing.
#[must_use]
pub fn left_listing() -> Option<Listing> {
    let record = fs::read_to_string(CONFIRMED).ok().and_then(|text| ListingTimes::parse(&text));
    let json = fs::read(LISTING).ok()?;
    let mut listing = Listing::parse(&json).expect("the fetch half writes a listing");
    let record = record.filter(|record| record.digest == policy::confirmed::digest(&json));
    if let Some(ListingTimes { accounts, users, .. }) = record {
        let now = |time: Option<Timestamp>, moves: &Moves| {
            time.and_then(|time| Timestamp::from_second(moves.now(time.as_second())).ok())
        };
        listing.read = now(listing.read, &accounts);
        for account in &mut listing.accounts {
            account.as_of = now(account.as_of, &accounts);
            account.users.iter_mut().for_each(|user| user.confirmed = now(user.confirmed, &users));
        }
    }
    Some(listing)
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let read = |bytes| text(bytes).to_owned();
        Self { status: output.status.code(), out: read(&output.stdout), err: read(&output.stderr) }
    }
}

/// A [`Machine`] with the product installed.
#[derive(Debug)]
pub struct Host {
    /// The machine.
    pub machine: Machine,
}

impl Host {
    /// Like [`Machine::enter`], with an empty configuration and a machine-id.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self::on(Machine::enter()?))
    }

    /// Like [`Machine::enter_tree`], with the same.
    #[must_use]
    pub fn in_tree(name: &str) -> Option<Self> {
        Some(Self::on(Machine::enter_tree(name)?))
    }

    /// One of many: with a machine-id of its own, and the programs as they were built ([`Machine::install_shared`]).
    #[must_use]
    pub fn of_fleet(machine: Machine, number: u8) -> Self {
        machine.install_shared();
        Self::set_up(machine, &format!("{number:032x}"))
    }

    fn on(machine: Machine) -> Self {
        machine.install();
        Self::set_up(machine, "0123456789abcdef0123456789abcdef")
    }

    fn set_up(machine: Machine, id: &str) -> Self {
        machine.config("");
        machine.nsswitch();
        fs::write("/etc/machine-id", format!("{id}\n")).unwrap();
        Self { machine }
    }

    /// Writes a listing where the apply half reads it, like the fetch half.
    pub fn list(&self, listing: &Value) {
        self.list_bytes(listing.to_string().as_bytes());
    }

    /// Like [`Host::list`], with any content.
    pub fn list_bytes(&self, listing: &[u8]) {
        let directory = fs::metadata(Path::new(LISTING).parent().unwrap()).unwrap();
        let new = format!("{LISTING}.test");
        fs::write(&new, listing).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        chown(&new, Some(directory.uid()), Some(directory.gid())).unwrap();
        fs::rename(new, LISTING).unwrap();
    }

    /// Runs the refresher with these arguments.
    #[must_use]
    pub fn refresher(&self, words: &[&str]) -> Ran {
        self.run(&[&[REFRESHER], words].concat())
    }

    /// Runs `cache-refresher apply`, which must succeed, on this listing.
    pub fn apply(&self, listing: &Value) -> Ran {
        self.list(listing);
        let ran = self.refresher(&["apply"]);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        ran
    }

    /// Runs any command to its end.
    #[must_use]
    pub fn run(&self, line: &[&str]) -> Ran {
        self.machine.run(line).into()
    }

    /// The line that `getent -s iam TABLE KEY` prints, if any.
    #[must_use]
    pub fn getent(&self, table: &str, key: &str) -> Option<String> {
        let ran = self.run(&["getent", "-s", "iam", table, key]);
        assert!(matches!(ran.status, Some(0 | 2)), "{ran:?}");
        (ran.status == Some(0)).then(|| ran.out.trim_end().to_owned())
    }

    /// A field of the user's line in passwd(5).
    ///
    /// # Panics
    /// If the user does not exist.
    #[must_use]
    pub fn passwd(&self, user: &str, field: usize) -> String {
        let line = self.getent("passwd", user).unwrap_or_else(|| panic!("no user '{user}'"));
        line.split(':').nth(field).unwrap().to_owned()
    }

    /// Whether this is the name of a disabled user: `ls -l` shows it for the uid, there is no shell, and
    /// lookups by name fail.
    ///
    /// # Panics
    /// If nobody has the uid.
    #[must_use]
    pub fn is_disabled(&self, name: &str, uid: &str) -> bool {
        let shown = ["passwd", "group"].map(|table| self.getent(table, uid));
        let shown = shown.map(|line| line.unwrap_or_else(|| panic!("nobody has the id {uid}")));
        let found = ["passwd", "shadow", "group"].map(|table| self.getent(table, name));
        shown[0].starts_with(&format!("{name}:x:{uid}:{uid}:"))
            && shown[0].ends_with(":/usr/sbin/nologin")
            && shown[1] == format!("{name}:x:{uid}:")
            && found.iter().all(Option::is_none)
    }

    /// What keys-cmd prints for a user; it must succeed.
    #[must_use]
    pub fn keys(&self, user: &str) -> String {
        let ran = self.run(&["/usr/libexec/nss-iam/keys-cmd", user]);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        ran.out
    }

    /// `status.json`.
    ///
    /// # Panics
    /// If it is not there, or not JSON.
    #[must_use]
    pub fn status(&self) -> Value {
        serde_json::from_slice(&fs::read(format!("{CACHE}/status.json")).unwrap()).unwrap()
    }
}

/// All files of a directory: name, inode, mode, owner, and content.
///
/// # Panics
/// If it contains anything but regular files.
#[must_use]
pub fn files(directory: &str) -> BTreeMap<String, (u64, u32, u32, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, (found.ino(), found.mode(), found.uid(), fs::read(path).unwrap()))
    });
    entries.collect()
}

/// All files of the two halves; those of the fetch half as `fetch/…`.
///
/// # Panics
/// If there is anything but regular files.
#[must_use]
pub fn files_of_both() -> BTreeMap<String, (u64, u32, u32, Vec<u8>)> {
    let of_fetch =
        files("/var/lib/nss-iam-fetch").into_iter().map(|(name, file)| (format!("fetch/{name}"), file));
    files(CACHE).into_iter().chain(of_fetch).collect()
}

/// The sizes of those of [`files_of_both`] that are other files than before.
///
/// # Panics
/// As [`files_of_both`].
#[must_use]
pub fn written_since(before: &BTreeMap<String, (u64, u32, u32, Vec<u8>)>) -> BTreeMap<String, usize> {
    let changed = files_of_both().into_iter().filter(|(name, file)| before.get(name) != Some(file));
    changed.map(|(name, (.., bytes))| (name, bytes.len())).collect()
}

/// A file or directory, as [`files_below`] finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    mode: u32,
    uid: u32,
    gid: u32,
    /// Of a symbolic link, the target.
    pub content: Vec<u8>,
}

impl Found {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// Everything below these directories.
///
/// # Panics
/// If one of them cannot be read.
#[must_use]
pub fn files_below(directories: &[&str]) -> BTreeMap<String, Found> {
    fn add(directory: &Path, all: &mut BTreeMap<String, Found>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let content = if found.is_dir() {
                add(&path, all);
                Vec::new()
            } else if found.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            let found = Found { mode: found.mode(), uid: found.uid(), gid: found.gid(), content };
            all.insert(path.display().to_string(), found);
        }
    }
    let mut all = BTreeMap::new();
    directories.iter().for_each(|directory| add(Path::new(directory), &mut all));
    all
}
