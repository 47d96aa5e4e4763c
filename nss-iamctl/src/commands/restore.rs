//! `restore FILE`: puts a backup of cache.db or keys.db in place as the refresher would: checked, rewritten, renamed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use cache::publish;
use cache::schema::{MAJOR, STATE};
use cache::snapshot::{Cache, Keys};

use crate::cli;
use crate::host::{Host, accounts, paths};
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::show::count;

/// `application_id` in SQLite's header (sqlite.org/fileformat2.html, 1.3), as schema.sql sets them.
const CACHE_ID: [u8; 4] = *b"niac";
const KEYS_ID: [u8; 4] = *b"niak";
const STATE_ID: [u8; 4] = *b"nias";
/// How long to wait for a running refresher.
const PATIENCE: u32 = 300;
const POLL: Duration = Duration::from_millis(100);

pub(crate) fn run(host: &Host, args: &cli::Restore, out: &mut dyn Write) -> Result<u8, Error> {
    let file = args.file.as_path();
    let refused = |why: String| Error::configuration(format!("'{}' was not restored: {why}", file.display()));
    let directory = host.path(cache::DIRECTORY);
    let told = match kind(file)? {
        Kind::Cache => {
            let snapshot = Cache::read(file).map_err(|cause| refused(cause.to_string()))?;
            let _lock = lock(&directory)?;
            publish::cache(&directory, &snapshot).map_err(not_published)?;
            format!("restored cache.db: {}", count(snapshot.users.len(), "user"))
        }
        Kind::Keys => {
            let snapshot = Keys::read(file).map_err(|cause| refused(cause.to_string()))?;
            let gid = helper(host)?;
            let _lock = lock(&directory)?;
            publish::keys(&directory, &snapshot, gid).map_err(not_published)?;
            let keys = snapshot.logins.iter().map(|login| login.keys.len()).sum();
            format!("restored keys.db: {} of {}", count(keys, "key"), count(snapshot.logins.len(), "user"))
        }
        Kind::State => {
            // SQLite would apply a journal that a crash left behind to the copy.
            let hint = format!(
                "to restore it: stop {timer} and {watch}, then rm -f '{state}-journal'; cp '{}' '{state}'",
                file.display(),
                timer = paths::TIMER,
                watch = paths::WATCH,
                state = paths::STATE
            );
            return Err(refused("it is a state.db, which only the refresher uses".to_owned()).hint(hint));
        }
        Kind::Other(why) => return Err(refused(why)),
    };
    written(writeln!(out, "{told}; the next refresh replaces it"))?;
    Ok(crate::say::error::OK)
}

fn not_published(cause: publish::Error) -> Error {
    Error::other(format!("{cause}; the current file is kept"))
}

enum Kind {
    Cache,
    Keys,
    State,
    Other(String),
}

/// Checks the header only; the rows are checked later.
fn kind(file: &Path) -> Result<Kind, Error> {
    let failed = |cause| Error::io("read", file, &cause);
    let found = std::fs::metadata(file).map_err(failed)?;
    if !found.is_file() || found.len() < 512 {
        return Ok(Kind::Other("it is not an SQLite file".to_owned()));
    }
    let mut header = [0; 100];
    File::open(file).and_then(|mut file| file.read_exact(&mut header)).map_err(failed)?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Ok(Kind::Other("it is not an SQLite file".to_owned()));
    }
    let word =
        |at: usize| header.get(at..).and_then(|tail| tail.first_chunk::<4>()).copied().unwrap_or_default();
    // The top bit marks a file that has been replaced, as a copy of it may be.
    let version = u32::from_be_bytes(word(60)) & 0x7fff_ffff;
    if version / 100 != MAJOR {
        return Ok(Kind::Other(format!(
            "its format {version} is not supported by this release, which supports {MAJOR}00 and up"
        )));
    }
    Ok(match word(68) {
        CACHE_ID => Kind::Cache,
        KEYS_ID => Kind::Keys,
        STATE_ID => Kind::State,
        _ => Kind::Other("it belongs to another program".to_owned()),
    })
}

/// The group that reads keys.db.
fn helper(host: &Host) -> Result<u32, Error> {
    let groups = accounts::local_groups(host)?;
    let group = groups.iter().find(|group| group.name == paths::KEYS_USER);
    group.map(|group| group.gid).ok_or_else(|| {
        Error::configuration("group 'nss-iam' does not exist; nothing was done")
            .hint("systemd-sysusers nss-iam.conf")
    })
}

/// The refresher's lock, so that neither removes the other's new file. Without state.db, there is no lock to wait for.
fn lock(directory: &Path) -> Result<Option<File>, Error> {
    let path = directory.join(STATE.name);
    let Ok(file) = OpenOptions::new().read(true).open(&path) else {
        return Ok(None);
    };
    for _ in 0..PATIENCE {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            Err(TryLockError::Error(cause)) => return Err(Error::io("lock", &path, &cause)),
        }
    }
    Err(Error::other("a refresher is still running after 30 s; nothing was done").hint("try again"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::fixtures::published;

    /// A host without a cache, and a directory with backups.
    struct Tree {
        root: tempfile::TempDir,
        host: Host,
    }

    impl Tree {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for directory in ["var/lib/nss-iam", "etc", "backup"] {
                std::fs::create_dir_all(root.path().join(directory)).unwrap();
            }
            let gid = rustix::process::getegid().as_raw();
            std::fs::write(root.path().join("etc/group"), format!("root:x:0:\nnss-iam:x:{gid}:\n")).unwrap();
            let backup = root.path().join("backup");
            publish::cache(&backup, published().cache.as_ref().unwrap()).unwrap();
            publish::keys(&backup, published().keys.as_ref().unwrap(), gid).unwrap();
            drop(cache::state::StateFile::open(&backup).unwrap());
            let host = Host::this_directory(root.path());
            Self { root, host }
        }

        fn backup(&self, name: &str) -> std::path::PathBuf {
            self.root.path().join("backup").join(name)
        }

        fn restore(&self, name: &str) -> Result<u8, Error> {
            run(&self.host, &cli::Restore { file: self.backup(name) }, &mut Vec::new())
        }
    }

    #[test]
    fn a_backup_comes_into_place_with_the_modes_of_the_publisher() {
        let tree = Tree::new();
        // A copy of a file that has been replaced is marked as such.
        let mut bytes = std::fs::read(tree.backup("cache.db")).unwrap();
        bytes[60] |= 0x80;
        std::fs::write(tree.backup("old"), bytes).unwrap();
        for name in ["cache.db", "old", "keys.db"] {
            assert_eq!(tree.restore(name), Ok(0), "{name}");
        }
        let directory = tree.root.path().join("var/lib/nss-iam");
        assert_eq!(Cache::read(&directory.join("cache.db")).unwrap(), published().cache.unwrap());
        assert_eq!(Keys::read(&directory.join("keys.db")).unwrap(), published().keys.unwrap());
        let mode = |name: &str| std::fs::metadata(directory.join(name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("cache.db"), mode("keys.db")), (0o644, 0o640));
    }

    #[test]
    fn what_is_damaged_or_foreign_is_refused_and_the_present_file_stays() {
        let tree = Tree::new();
        tree.restore("cache.db").unwrap();
        let present = tree.root.path().join("var/lib/nss-iam/cache.db");
        let before = std::fs::read(&present).unwrap();
        let good = std::fs::read(tree.backup("cache.db")).unwrap();
        let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            std::fs::write(tree.backup(name), bytes).unwrap();
        };
        damage("short", &|bytes| bytes.truncate(5000));
        damage("later", &|bytes| bytes[60..64].copy_from_slice(&200_u32.to_be_bytes()));
        damage("foreign", &|bytes| bytes[68] = b'x');
        damage("torn", &|bytes| bytes[4096..].fill(0xff));
        std::fs::write(tree.backup("text"), "x".repeat(9000)).unwrap();
        for (name, why) in [
            ("short", ""),
            ("later", "its format 200"),
            ("foreign", "another program"),
            ("torn", ""),
            ("text", "not an SQLite file"),
            ("state.db", "nss-iam-refresh.timer"),
        ] {
            let refused = tree.restore(name).unwrap_err().to_string();
            assert!(refused.contains("was not restored") && refused.contains(why), "{name}: {refused}");
            assert_eq!(std::fs::read(&present).unwrap(), before, "{name}");
        }
        assert!(tree.restore("absent").unwrap_err().to_string().contains("No such file"));
    }
}
