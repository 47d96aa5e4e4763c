//! On a tree in a directory, as root: files, owners, and what is left after a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use cache::passwd::Passwd;
use cache::snapshot::{Cache, User};
use policy::{Field, Name};

use crate::cli::Adopt;
use crate::edit::owners::{self, Moves};
use crate::host::{Host, Output, Programs};
use crate::say::error::Error;

pub(super) const UID: u32 = 61_001;
const SHADOW: &str = "root:*:1::::::\nana:$6$x$y:19000:0:99999:7:::\n";
const KEYS_COMMAND: &str =
    "Port 22\nAuthorizedKeysCommand /opt/authorized_keys_command.sh\nAuthorizedKeysCommandUser nobody\n";

/// What the fake refresher does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresher {
    /// Publishes everyone in the pins.
    Publishes,
    /// Publishes everyone with another home directory.
    Elsewhere,
    /// Publishes nobody, and reports why.
    Skips,
    /// Publishes that she is disabled.
    Leaves,
    /// Publishes her, and leaves a directory in the place of a file.
    Breaks,
    Fails,
}

struct StandIn {
    root: PathBuf,
    refresher: Refresher,
    sshd: bool,
}

impl Programs for StandIn {
    fn run(&self, line: &[&str], _: &str) -> io::Result<Output> {
        let code = match line {
            ["/usr/libexec/nss-iam/cache-refresher", "apply"] => self.refresh(),
            ["/usr/sbin/sshd", "-V"] => {
                return Ok(Output {
                    code: Some(0),
                    stderr: "OpenSSH_9.2p1\n".to_owned(),
                    ..Output::default()
                });
            }
            ["/usr/sbin/sshd", ..] => i32::from(!self.sshd),
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Output { code: Some(code), stderr: "it said why".to_owned(), ..Output::default() })
    }
}

impl StandIn {
    fn refresh(&self) -> i32 {
        let directory = self.root.join("var/lib/nss-iam");
        if self.refresher == Refresher::Fails {
            return 70;
        }
        if self.refresher == Refresher::Skips {
            let skips = r#"{"skips": [{"what": "user", "id": "AIDA1", "reason": "'ana' is in sysusers.d"}]}"#;
            fs::write(directory.join("status.json"), skips).unwrap();
            return 0;
        }
        if self.refresher == Refresher::Breaks {
            let _ = fs::remove_file(self.root.join("etc/sudoers.d/ana"));
            fs::create_dir_all(self.root.join("etc/sudoers.d/ana")).unwrap();
        }
        let pins =
            fs::read_to_string(self.root.join("etc/nss-iam/config.d/50-adopt.toml")).unwrap_or_default();
        let config = config::Config::parse(&[("pins".into(), pins)]).unwrap();
        let home = if self.refresher == Refresher::Elsewhere { "/srv/ana" } else { "/home/ana" };
        let id = config.ids.get("AIDA1").copied().unwrap_or_else(computed);
        let user = user("ana", id, home, self.refresher != Refresher::Leaves);
        cache::publish::cache(&directory, &Cache { users: vec![user], groups: Vec::new() }).unwrap();
        0
    }
}

/// A published user.
pub(super) fn user(name: &str, id: u32, home: &str, active: bool) -> User {
    User {
        uid: super::Id::pinned(id).unwrap(),
        name: Name::new(name).unwrap(),
        pinned: true,
        active,
        passwd: Passwd::new(Field::new(home).unwrap(), Field::new("/bin/bash").unwrap(), 1),
        groups: Vec::new(),
        local: Vec::new(),
    }
}

fn computed() -> u32 {
    super::Id::computed(&super::IamId::new("AIDA1")).get()
}

/// Every file: mode, owner, group, content.
pub(super) type Files = BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)>;

/// A host with aws-ec2-ssh and one user, whose gid differs from her uid.
pub(super) struct Tree(tempfile::TempDir);

impl Tree {
    /// `None` without root, which is printed.
    pub(super) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let _ = writeln!(io::stdout(), "skipped: needs root");
            return None;
        }
        let tree = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(tree.0.path(), Permissions::from_mode(0o755)).unwrap();
        let ana = format!("ana:x:{UID}:{}:AWS User:/home/ana:/bin/bash", UID + 1);
        let group =
            format!("root:x:0:\nana:x:{}:\nsudo:x:27:ana,bob\niam-synced-users:x:61500:ana\n", UID + 1);
        // No final newline, and a comment that is not UTF-8.
        tree.file(
            "/etc/passwd",
            format!("root:x:0:0::/root:/bin/sh\nold:x:1500:1500:Jos\u{e9}:/:/bin/sh\n{ana}"),
            0o644,
        );
        let latin = fs::read(tree.path("/etc/passwd")).unwrap();
        let latin: Vec<u8> =
            String::from_utf8(latin).unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        fs::write(tree.path("/etc/passwd"), latin).unwrap();
        tree.file("/etc/group", group, 0o644);
        tree.file("/etc/shadow", SHADOW, 0o640);
        chown(tree.path("/etc/shadow"), Some(0), Some(42)).unwrap();
        tree.file("/etc/gshadow", "root:*::\nana:!::\nsudo:*::ana,bob\niam-synced-users:!::ana\n", 0o640);
        tree.file("/etc/sudoers.d/ana", "ana ALL=(ALL) NOPASSWD:ALL\n", 0o440);
        tree.file("/etc/cron.d/import_users", "*/10 * * * * root /opt/import_users.sh\n", 0o644);
        tree.file("/etc/ssh/sshd_config", KEYS_COMMAND, 0o600);
        tree.file("/etc/ssh/sshd_config.d/00-nss-iam.conf", "Match Group iam-users\n", 0o644);
        tree.file(
            "/etc/nsswitch.conf",
            "passwd: files iam\ngroup: files [SUCCESS=merge] iam\nshadow: files iam\n",
            0o644,
        );
        tree.file("/etc/nss-iam/config.toml", "groups = [\"G\"]\n", 0o644);
        tree.file("/usr/sbin/sshd", "", 0o755);
        tree.file("/var/lib/nss-iam/status.json", "{}", 0o644);
        let listing = r#"{"version": 1, "accounts": [{"users": [{"id": "AIDA1", "name": "Ana", "keys": [{"body": "x"}]}]}]}"#;
        tree.file("/var/lib/nss-iam-fetch/listing.json", listing, 0o600);
        for (path, mode) in
            [("/home/ana/notes", 0o640), ("/home/ana/deep/er/file", 0o600), ("/var/mail/ana", 0o660)]
        {
            tree.file(path, "hers", mode);
        }
        for path in
            ["/home/ana", "/home/ana/notes", "/home/ana/deep", "/home/ana/deep/er", "/home/ana/deep/er/file"]
        {
            chown(tree.path(path), Some(UID), Some(UID + 1)).unwrap();
        }
        chown(tree.path("/var/mail/ana"), Some(UID), Some(8)).unwrap();
        Some(tree)
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    pub(super) fn file(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn adopt(&self, refresher: Refresher, args: Adopt) -> Result<String, Error> {
        self.adopt_with(refresher, true, args)
    }

    pub(super) fn adopt_with(&self, refresher: Refresher, sshd: bool, args: Adopt) -> Result<String, Error> {
        let root = self.0.path().to_owned();
        let host = Host::of(root.clone(), Box::new(StandIn { root, refresher, sshd }));
        let mut out = Vec::new();
        crate::commands::adopt::run(&host, &args, 1_800_000_000, &mut out)
            .map(|_| String::from_utf8(out).unwrap())
    }

    pub(super) fn refresh(&self, refresher: Refresher) {
        StandIn { root: self.0.path().to_owned(), refresher, sshd: true }.refresh();
    }

    /// The paths that changed.
    pub(super) fn changed(&self, before: &Files) -> Vec<PathBuf> {
        let now = self.all();
        let paths: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
        paths.into_iter().filter(|path| before.get(*path) != now.get(*path)).cloned().collect()
    }

    pub(super) fn all(&self) -> Files {
        let mut found = BTreeMap::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                let meta = fs::symlink_metadata(&path).unwrap();
                let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                if meta.is_dir() {
                    directories.push(path.clone());
                }
                // Files that may differ: the lock, the directory with backups, and what the refresher wrote.
                let of_ours = [".pwd.lock", "backup", "config.d", "status.json", "cache.db", "state.db"];
                if !of_ours.contains(&path.file_name().unwrap().to_str().unwrap()) {
                    found.insert(path, (meta.mode(), meta.uid(), meta.gid(), content));
                }
            }
        }
        found
    }

    fn ids(&self, path: &str) -> (u32, u32) {
        let meta = fs::symlink_metadata(self.path(path)).unwrap();
        (meta.uid(), meta.gid())
    }
}

pub(super) const NONE: [PathBuf; 0] = [];

pub(super) fn apply() -> Adopt {
    Adopt { apply: true, ..Adopt::default() }
}

#[test]
fn without_apply_nothing_changes() {
    let Some(tree) = Tree::new() else { return };
    let before = tree.all();
    let told = tree.adopt(Refresher::Fails, Adopt::default()).unwrap();
    assert!(
        told.contains(&format!("ana (uid {UID}): becomes nss-iam user 'Ana' (AIDA1), keeps its uid")),
        "{told}"
    );
    assert!(told.contains("loses: its password"), "{told}");
    let config = tree.adopt(Refresher::Fails, Adopt { print_config: true, ..Adopt::default() }).unwrap();
    assert!(config.ends_with(&format!("[ids]\nAIDA1 = {UID} # ana\n")), "{config}");
    assert_eq!(tree.changed(&before), NONE);
}

#[test]
fn an_account_is_taken_over_with_its_files_and_the_scripts_leftovers() {
    let Some(tree) = Tree::new() else { return };
    tree.file("/home/ana/hers-of-root", "", 0o600);
    let before = tree.all();
    tree.adopt(Refresher::Publishes, apply()).unwrap();
    let text = |path: &str| String::from_utf8_lossy(&fs::read(tree.path(path)).unwrap()).into_owned();
    assert_eq!(text("/etc/passwd"), "root:x:0:0::/root:/bin/sh\nold:x:1500:1500:Jos\u{fffd}:/:/bin/sh\n");
    assert_eq!(text("/etc/shadow"), "root:*:1::::::\n");
    assert_eq!(text("/etc/group"), "root:x:0:\nsudo:x:27:bob\n");
    assert_eq!(text("/etc/gshadow"), "root:*::\nsudo:*::bob\n");
    assert_eq!(text("/etc/ssh/sshd_config"), "Port 22\n");
    assert!(text("/etc/nss-iam/config.d/50-adopt.toml").contains(&format!("AIDA1 = {UID} # ana")));
    for gone in ["/etc/sudoers.d/ana", "/etc/cron.d/import_users"] {
        assert!(!tree.path(gone).exists(), "{gone}");
    }
    let shadow = fs::metadata(tree.path("/etc/shadow")).unwrap();
    assert_eq!((shadow.mode() & 0o7777, shadow.uid(), shadow.gid()), (0o640, 0, 42));
    for hers in ["/home/ana", "/home/ana/notes", "/home/ana/deep/er/file"] {
        assert_eq!(tree.ids(hers), (UID, UID), "{hers}");
    }
    assert_eq!(tree.ids("/var/mail/ana"), (UID, 8), "the group of others stays");
    assert_eq!(tree.ids("/home/ana/hers-of-root"), (0, 0));
    // Everything that changed was copied, with mode and owner, to a place that only root can read.
    let backup = fs::read_dir(tree.path("/var/lib/nss-iam/backup")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o700);
    for path in
        ["etc/passwd", "etc/shadow", "etc/sudoers.d/ana", "etc/cron.d/import_users", "etc/ssh/sshd_config"]
    {
        let kept = fs::metadata(backup.join(path)).unwrap();
        let old = &before[&tree.path(path)];
        assert_eq!(
            (kept.mode(), kept.uid(), kept.gid(), fs::read(backup.join(path)).unwrap()),
            *old,
            "{path}"
        );
    }
    // A second run: there is nothing left to do, and no account left to name.
    let after = tree.all();
    assert_eq!(tree.adopt(Refresher::Fails, apply()).unwrap(), "");
    assert!(tree.adopt(Refresher::Fails, Adopt { names: vec!["ana".to_owned()], ..apply() }).is_err());
    assert_eq!(tree.changed(&after), NONE);
}

#[test]
fn files_move_to_the_new_id_with_renumber() {
    let Some(tree) = Tree::new() else { return };
    tree.adopt(Refresher::Publishes, Adopt { renumber: true, ..apply() }).unwrap();
    assert_eq!(tree.ids("/home/ana/deep/er/file"), (computed(), computed()));
    assert_eq!(tree.ids("/var/mail/ana"), (computed(), 8));
    assert!(!tree.path("/etc/nss-iam/config.d/50-adopt.toml").exists());
}

#[test]
fn whatever_fails_every_file_is_byte_for_byte_as_before() {
    for renumber in [false, true] {
        for (refresher, sshd, why) in [
            (Refresher::Fails, true, "it said why"),
            (Refresher::Skips, true, "'ana' is in sysusers.d"),
            (Refresher::Elsewhere, true, "would have home '/srv/ana'"),
            (Refresher::Publishes, false, "sshd"),
        ] {
            let Some(tree) = Tree::new() else { return };
            let before = tree.all();
            let failed =
                tree.adopt_with(refresher, sshd, Adopt { renumber, ..apply() }).unwrap_err().to_string();
            assert!(failed.contains(why) && failed.contains("all files were restored"), "{failed}");
            assert_eq!(tree.changed(&before), NONE, "{why}");
        }
    }
}

#[test]
fn a_change_that_cannot_be_made_undoes_those_before_it() {
    let Some(tree) = Tree::new() else { return };
    // The directory for the pins is a file; the owners of files were changed before that.
    tree.file("/etc/nss-iam/config.d", "", 0o644);
    let before = tree.all();
    assert!(tree.adopt(Refresher::Publishes, apply()).is_err());
    assert_eq!(tree.changed(&before), NONE);
    // More levels of directories than are visited.
    fs::remove_file(tree.path("/etc/nss-iam/config.d")).unwrap();
    let mut deep = tree.path("/home/ana/z");
    for _ in 0..600 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let before = tree.all();
    let failed = tree.adopt(Refresher::Publishes, apply()).unwrap_err().to_string();
    assert!(
        failed.contains("more than 500 levels") && failed.contains("all files were restored"),
        "{failed}"
    );
    assert_eq!(tree.changed(&before), NONE);
}

#[test]
fn a_host_that_is_not_set_up_keeps_its_accounts() {
    for (path, text, why) in [
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\n",
            "so the users would not resolve",
        ),
        ("/etc/ssh/sshd_config.d/00-nss-iam.conf", "", "so they could not log in"),
    ] {
        let Some(tree) = Tree::new() else { return };
        if text.is_empty() {
            fs::remove_file(tree.path(path)).unwrap()
        } else {
            tree.file(path, text, 0o644)
        }
        let before = tree.all();
        let failed = tree.adopt(Refresher::Publishes, apply()).unwrap_err().to_string();
        assert!(failed.contains(why) && failed.contains("hint: nss-iamctl enable"), "{failed}");
        assert_eq!(tree.changed(&before), NONE);
    }
}

#[test]
fn a_link_to_a_shipped_file_is_not_changed() {
    let Some(tree) = Tree::new() else { return };
    tree.file("/usr/etc/ssh/sshd_config", KEYS_COMMAND, 0o600);
    fs::remove_file(tree.path("/etc/ssh/sshd_config")).unwrap();
    symlink("../../usr/etc/ssh/sshd_config", tree.path("/etc/ssh/sshd_config")).unwrap();
    let before = tree.all();
    let refused = tree.adopt(Refresher::Publishes, apply()).unwrap_err().to_string();
    assert!(refused.contains("cp --remove-destination /usr/etc/ssh/sshd_config "), "{refused}");
    assert_eq!(tree.changed(&before), NONE);
}

#[test]
fn without_a_listing_it_is_said_where_one_comes_from() {
    let Some(tree) = Tree::new() else { return };
    fs::remove_file(tree.path("/var/lib/nss-iam-fetch/listing.json")).unwrap();
    let failed = tree.adopt(Refresher::Publishes, apply()).unwrap_err().to_string();
    assert!(failed.contains("it is missing") && failed.contains("cache-refresher fetch"), "{failed}");
    symlink("/etc/passwd", tree.path("/var/lib/nss-iam-fetch/listing.json")).unwrap();
    assert!(tree.adopt(Refresher::Publishes, apply()).is_err(), "a link is no listing");
}

/// The owner of a home directory can put anything into it.
#[test]
fn nothing_outside_a_home_is_reached_through_it() {
    let Some(tree) = Tree::new() else { return };
    let moves = Moves { uid: (UID, UID + 7), gid: Some((UID + 1, UID + 7)) };
    for outside in ["/srv/directory/file", "/srv/file", "/srv/bobs"] {
        tree.file(outside, "", 0o644);
        chown(tree.path(outside), Some(UID), Some(UID + 1)).unwrap();
    }
    chown(tree.path("/srv/bobs"), Some(UID + 3), Some(UID + 1)).unwrap();
    fs::hard_link(tree.path("/srv/bobs"), tree.path("/home/ana/bobs")).unwrap();
    for (name, to) in
        [("directory", "/srv/directory"), ("file", "/srv/file"), ("loop", "/home/ana"), ("none", "/nowhere")]
    {
        symlink(tree.path(to), tree.path("/home/ana").join(name)).unwrap();
        lchown(tree.path("/home/ana").join(name), Some(UID), Some(UID + 1)).unwrap();
    }
    let before = tree.all();
    let mut changed = owners::Changed::new();
    owners::walk(&tree.path("/home/ana"), moves, &BTreeSet::new(), &mut changed).unwrap();
    assert_eq!(tree.ids("/home/ana/directory"), (UID + 7, UID + 7), "a link itself is hers");
    for outside in ["/srv/directory/file", "/srv/file"] {
        assert_eq!(tree.ids(outside), (UID, UID + 1), "{outside}");
    }
    assert_eq!(
        tree.ids("/home/ana/bobs"),
        (UID + 3, UID + 1),
        "another's file has its ids wherever it is linked"
    );
    // A file of hers that already had the new ids is not treated as changed.
    tree.file("/home/ana/new", "", 0o600);
    chown(tree.path("/home/ana/new"), Some(UID + 7), Some(UID + 7)).unwrap();
    owners::undo(&tree.path("/home/ana"), moves, &changed).unwrap();
    assert_eq!(tree.ids("/home/ana/new"), (UID + 7, UID + 7));
    fs::remove_file(tree.path("/home/ana/new")).unwrap();
    assert_eq!(tree.changed(&before), NONE);
    owners::walk(Path::new("/nowhere/at/all"), moves, &BTreeSet::new(), &mut changed).unwrap();
}
