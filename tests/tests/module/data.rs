//! The data that the tests publish.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::RwLock;

use cache::passwd::Passwd;
use cache::snapshot::{Cache, Group, User};
use policy::{Field, IamId, Id, Name};

pub(crate) const DIRECTORY: &str = "/var/lib/nss-iam";
pub(crate) const FILE: &str = "/var/lib/nss-iam/cache.db";

/// The byte of the header whose top bit marks a replaced file.
const MARK: u64 = 60;

/// The local group that every third user joins.
pub(crate) const LOCAL: u32 = 27;

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn id(of: &str) -> Id {
    Id::computed(&IamId::new(of))
}

pub(crate) fn user(login: &str) -> User {
    User {
        uid: id(login),
        name: name(login),
        pinned: false,
        active: true,
        passwd: Passwd {
            gecos: Field::new("AWS User").unwrap(),
            ..Passwd::new(
                Field::new(&format!("/home/{login}")).unwrap(),
                Field::new("/bin/bash").unwrap(),
                20_000,
            )
        },
        groups: Vec::new(),
        local: Vec::new(),
    }
}

/// A snapshot of these users: a private group for each active user, `iam-users`, `iam-disabled` without members,
/// and `jump` with every other active user.
pub(crate) fn snapshot(mut users: Vec<User>) -> Cache {
    let mut groups: Vec<Group> = users.iter().filter(|user| user.active).map(private).collect();
    let shared = ["iam-users", "iam-disabled", "jump"];
    for (which, group) in shared.into_iter().enumerate() {
        let gid = id(&format!("group:{group}"));
        let mut members = Vec::new();
        for (n, user) in users.iter_mut().enumerate() {
            if user.active == (group != "iam-disabled") && (which < 2 || n % 2 == 0) {
                user.groups.push(gid);
                user.groups.sort();
                members.extend(user.active.then(|| user.name.clone()));
            }
        }
        members.sort();
        groups.push(Group { gid, name: name(group), pinned: false, members });
    }
    users.sort_by_key(|user| user.uid);
    groups.sort_by_key(|group| group.gid);
    Cache { users, groups }
}

fn private(user: &User) -> Group {
    Group { gid: user.uid, name: user.name.clone(), pinned: user.pinned, members: Vec::new() }
}

/// The entries that are found by name and in enumerations: the active users, and all groups.
pub(crate) fn named(cache: &Cache) -> Cache {
    Cache { users: cache.users.iter().filter(|user| user.active).cloned().collect(), ..cache.clone() }
}

/// Who uses SQLite holds it for reading. SQLite's own locks stay locked in a child if another thread has them when the process
/// forks.
pub(crate) static SQLITE: RwLock<()> = RwLock::new(());

/// Publishes like an earlier release: every user has a private group, and disabled users are members of
/// `iam-disabled`.
pub(crate) fn publish_as_before(cache: &Cache) {
    let mut before = cache.clone();
    before.groups.extend(inactive(cache).map(private));
    before.groups.sort_by_key(|group| group.gid);
    let disabled = before.groups.iter_mut().find(|group| group.name.as_str() == "iam-disabled").unwrap();
    disabled.members = inactive(cache).map(|user| user.name.clone()).collect();
    disabled.members.sort();
    publish(&before);
    let mut bytes = std::fs::read(FILE).unwrap();
    assert_eq!(bytes[60..64], 101u32.to_be_bytes());
    bytes[63] = 100;
    replace(&bytes);
}

/// Users who left or are locked.
pub(crate) fn inactive(cache: &Cache) -> impl Iterator<Item = &User> {
    cache.users.iter().filter(|user| !user.active)
}

/// This many ordinary users: `user0`, `user1`, ...
pub(crate) fn many(count: usize) -> Cache {
    snapshot((0..count).map(|n| user(&format!("user{n}"))).collect())
}

/// Users of all kinds that the publisher accepts.
pub(crate) fn odd() -> Cache {
    let mut users: Vec<User> = (0..60).map(|n| user(&format!("user{n}"))).collect();
    for (n, user) in users.iter_mut().enumerate() {
        if n % 3 == 0 {
            user.local.push(LOCAL);
        }
        if n % 7 == 0 {
            user.active = false;
            user.local.clear();
            user.passwd.shell = Field::new("/usr/sbin/nologin").unwrap();
        }
    }
    let names =
        ["jane.doe@example.com", "a", "_x", "0-9", "ana_maria.plus.test", "abcdefghijklmnopqrstuvwxyz012345"];
    users.extend(names.map(user));
    let mut given = user("adopted");
    (given.uid, given.pinned) = (Id::pinned(1003).unwrap(), true);
    given.passwd.gecos = Field::new("").unwrap();
    let mut gone = user("re-created");
    gone.active = false;
    gone.name = gone.name.with_id(gone.uid);
    let mut long = user("long");
    long.passwd.gecos = Field::new(&"Long Name ".repeat(900)).unwrap();
    users.extend([given, gone, long, user("re-created2")]);
    snapshot(users)
}

/// Publishes like apply.
pub(crate) fn publish(cache: &Cache) {
    std::fs::create_dir_all(DIRECTORY).unwrap();
    let _using = SQLITE.read().unwrap();
    cache::publish::cache(Path::new(DIRECTORY), cache).unwrap();
}

/// Replaces the cache by these bytes like the publisher: a rename, and then the mark in the old file.
pub(crate) fn replace(bytes: &[u8]) {
    let old = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(FILE);
    rename(bytes);
    let mut mark = [0];
    if let Ok(old) = old
        && old.metadata().unwrap().is_file()
        && old.read_exact_at(&mut mark, MARK).is_ok()
    {
        old.write_all_at(&[mark[0] | 0x80], MARK).unwrap();
    }
}

/// Replaces the cache by these bytes like a publisher that is killed before it sets the mark.
pub(crate) fn rename(bytes: &[u8]) {
    let new = format!("{FILE}.test");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, FILE).unwrap();
}

/// The line of passwd(5).
pub(crate) fn passwd_line(user: &User) -> String {
    let (name, uid, Passwd { gecos, home, shell, .. }) = (&user.name, user.uid, &user.passwd);
    format!("{name}:x:{uid}:{uid}:{gecos}:{home}:{shell}")
}

/// The line of shadow(5).
pub(crate) fn shadow_line(user: &User) -> String {
    let expire = if user.active { "" } else { "1" };
    format!("{}:*:{}:::::{expire}:", user.name, user.passwd.lastchg)
}

/// The line of group(5).
pub(crate) fn group_line(group: &Group) -> String {
    let members: Vec<&str> = group.members.iter().map(Name::as_str).collect();
    format!("{}:x:{}:{}", group.name, group.gid, members.join(","))
}
