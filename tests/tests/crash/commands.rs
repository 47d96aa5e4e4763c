//! The commands that edit the host's files, cut at any instant: each file is then the old or the new one, and the local
//! administrator can log in and use sudo.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tests::crash::{Disk, FileSystem, unmount};
use tests::login::{ADMINS, GROUP, JumpHost, Key, append};
use tests::{Found, files_below};

use crate::support::{Without, cuts, install_shipped, preload, seed};

/// Everything that the commands change.
const DIRECTORIES: [&str; 5] =
    ["/etc", "/home", "/usr/share/pam-configs", "/var/lib/nss-iam", "/var/lib/pam"];
/// Parts of the names of files that replace another one, or are a copy; nothing reads them.
const ASIDE: [&str; 5] = [".new", ".pam-new", ".pam-old", ".pwd.lock", ".sudo_as_admin_successful"];

/// What says whether an adoption or an undo is complete.
const BACKUP: &str = "/var/lib/nss-iam/backup/";

/// In one of so many states, the command is repeated, which takes as long as a login.
const REPEATED: usize = 3;

/// A host with a local administrator, who has a key and may use sudo without a password.
struct Bed {
    host: JumpHost,
    admin: Key,
    preload: TempDir,
}

impl Bed {
    fn new() -> Option<Self> {
        let preload = preload();
        let host = JumpHost::bare()?;
        install_shipped(&host.machine);
        host.configure("");
        host.done(&["useradd", "--create-home", "--shell", "/bin/bash", "admin"]);
        let admin = host.key("admin");
        fs::create_dir("/home/admin/.ssh").unwrap();
        fs::write("/home/admin/.ssh/authorized_keys", format!("{}\n", admin.public)).unwrap();
        host.done(&["chown", "-R", "admin:", "/home/admin/.ssh"]);
        fs::write("/etc/sudoers.d/admin", "admin ALL=(ALL) NOPASSWD: ALL\n").unwrap();
        host.restart_sshd(&[]);
        Some(Self { host, admin, preload })
    }

    /// Puts the directories of another place over those of the host while `work` runs.
    fn over<T>(&self, root: &Path, work: impl FnOnce() -> T) -> T {
        for directory in DIRECTORIES {
            let from = format!("{}{directory}", root.display());
            self.host.done(&["mount", "--bind", &from, directory]);
        }
        let result = work();
        DIRECTORIES.iter().for_each(|directory| unmount(Path::new(directory)));
        result
    }

    /// Why the administrator cannot log in and become root after a reboot.
    fn refused(&self) -> Option<String> {
        if let (Some(1..) | None, said) = self.host.sh("/usr/sbin/sshd -t") {
            return Some(format!("sshd does not start: {said}"));
        }
        self.host.restart_sshd(&[]);
        let ran = self.host.ssh("admin", &self.admin, "sudo -n id -un");
        (ran.stdout != b"root\n").then(|| String::from_utf8_lossy(&ran.stderr).into_owned())
    }
}

impl Bed {
    /// Copies the directories of the host to another place.
    fn copied_to(&self, root: &Path) {
        for directory in DIRECTORIES {
            let to = format!("{}{directory}", root.display());
            self.host.done(&["mkdir", "-p", &to]);
            fs::create_dir_all(directory).unwrap();
            self.host.done(&["cp", "-a", &format!("{directory}/."), &to]);
        }
        self.host.done(&["sync", "-f", root.to_str().unwrap()]);
    }

    /// Which files are not as expected after the administrator ran these commands.
    fn repaired(&self, then: &[&str], expected: &BTreeMap<String, Found>) -> Vec<String> {
        for line in then {
            let (status, said) = self.host.sh(line);
            if status != Some(0) {
                return vec![format!("{line}: {said}")];
            }
        }
        let found = files();
        let differs = |path: &&String| {
            !path.starts_with("/var/lib/nss-iam/") && found.get(*path) != expected.get(*path)
        };
        let paths = found.keys().chain(expected.keys()).filter(differs);
        paths.map(|path| format!("{path} after {then:?}")).collect()
    }
}

/// All files of the directories.
fn files() -> BTreeMap<String, Found> {
    let mut all = files_below(&DIRECTORIES);
    all.retain(|path, found| !found.is_directory() && !ASIDE.iter().any(|part| path.contains(part)));
    all
}

/// Files that are neither the old nor the new ones. What only our own programs read may have states in between, which they
/// must be able to read; the tests of the refresher look at these.
fn mixed(
    old: &BTreeMap<String, Found>,
    new: &BTreeMap<String, Found>,
    seen: &BTreeMap<String, Found>,
) -> Vec<String> {
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).chain(seen.keys()).collect();
    paths.sort();
    paths.dedup();
    let is_mixed = |path: &&String| {
        let (old, new, seen) = (old.get(*path), new.get(*path), seen.get(*path));
        if path.starts_with("/var/lib/nss-iam/") {
            let is_json = path.ends_with(".json");
            return is_json
                && seen
                    .is_some_and(|seen| serde_json::from_slice::<serde_json::Value>(&seen.content).is_err());
        }
        if path.starts_with("/home/") {
            // Owners change file by file, and that can be repeated.
            return seen.map(|seen| &seen.content) != new.map(|new| &new.content);
        }
        seen != old && seen != new
    };
    paths.into_iter().filter(is_mixed).cloned().collect()
}

/// How a command is cut.
struct Case<'a> {
    kind: FileSystem,
    line: &'a [&'a str],
    count: usize,
    without: Option<Without>,
    /// What an administrator then runs, which must succeed, and whether the files are the old ones after that, or the new.
    then: &'a [&'a str],
    back: bool,
    /// In one of how many states.
    every: usize,
}

/// Runs a command, cuts it, and looks. Returns what was wrong, and the number of states in which somebody logged in.
fn bad_cuts(bed: &Bed, case: &Case<'_>) -> (Vec<String>, usize) {
    let disk = Disk::new(&bed.host.machine, case.kind);
    let root = disk.root();
    bed.copied_to(&root);
    let (start, end, old, new) = bed.over(&root, || {
        let (start, old) = (disk.now(), files());
        let mut command = bed.host.machine.command(case.line);
        if let Some(without) = case.without {
            without.apply(&mut command, &bed.preload);
        }
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{:?}: {}", case.line, tests::text(&ran.stderr));
        (start, disk.now(), old, files())
    });
    let (replay, log) = disk.stop();
    let (mut bad, mut states) = (Vec::new(), Vec::new());
    let cuts = log.cuts(start..end, case.count, seed());
    for (number, cut) in cuts.iter().enumerate() {
        let look = |root: &Path| {
            bed.over(root, || {
                let seen = files();
                let mut wrong = mixed(&old, &new, &seen);
                let lost = |path: &&String| {
                    let is_of_refresher = path.starts_with("/var/lib/nss-iam/") && !path.starts_with(BACKUP);
                    !path.starts_with("/home") && !is_of_refresher && seen.get(*path) != new.get(*path)
                };
                if number + 1 == cuts.len() {
                    // Also what is back again: a mark of an unfinished adoption would undo it.
                    let paths = old.keys().chain(new.keys()).chain(seen.keys());
                    wrong.extend(paths.filter(lost).map(|path| format!("the change of {path} is lost")));
                }
                if !states.contains(&seen) {
                    wrong.extend(bed.refused());
                    if !case.then.is_empty() && states.len() % case.every == 0 {
                        let expected = if case.back { &old } else { &new };
                        wrong.extend(bed.repaired(case.then, expected));
                    }
                    states.push(seen);
                }
                wrong
            })
        };
        let wrong = replay.mounted(cut, look).unwrap_or_else(|cause| vec![cause]);
        if !wrong.is_empty() {
            bad.push(format!("{}: {}", cut.name, wrong.join(", ")));
        }
    }
    println!(
        "{} {:?} without {:?}: {} cuts, {} states, {} bad",
        case.kind,
        case.line,
        case.without,
        cuts.len(),
        states.len(),
        bad.len()
    );
    (bad, states.len())
}

/// `then` is empty, or what an administrator runs after the cut, and whether the files are the old ones after that.
fn survives(bed: &Bed, kind: FileSystem, line: &[&str], then: &[&str], back: bool) {
    holds(bed, &Case { kind, line, count: cuts(25), without: None, then, back, every: REPEATED });
}

fn holds(bed: &Bed, case: &Case<'_>) {
    let (bad, states) = bad_cuts(bed, case);
    assert!(bad.is_empty(), "{bad:#?}\nhint: SEED={} repeats this", seed());
    assert!(states > 1, "no cut was in the middle");
}

#[test]
fn a_cut_enable_leaves_old_or_new_files_and_the_administrator_in() {
    let Some(bed) = Bed::new() else { return };
    let then = ["nss-iamctl enable", "nss-iamctl disable --yes"];
    survives(&bed, FileSystem::Xfs, &["nss-iamctl", "enable"], &then, true);
}

#[test]
fn a_cut_disable_leaves_old_or_new_files_and_the_administrator_in() {
    let Some(bed) = Bed::new() else { return };
    bed.host.enable(&[]);
    let then = ["nss-iamctl disable --yes"];
    survives(&bed, FileSystem::Xfs, &["nss-iamctl", "disable", "--yes"], &then, false);
}

/// A host with an account that can be adopted, for which an nss-iam user waits.
fn with_account() -> Option<Bed> {
    let bed = Bed::new()?;
    bed.host.enable(&[]);
    let _ = bed.host.user_in("ana", &[GROUP, ADMINS]);
    bed.host.done(&["groupadd", "iam-synced-users"]);
    bed.host.done(&[
        "useradd",
        "--create-home",
        "--uid",
        "47900",
        "--groups",
        "iam-synced-users,sudo",
        "ana",
    ]);
    append("/etc/sudoers.d/ana", "ana ALL=(ALL) NOPASSWD:ALL\n");
    bed.host.refresh();
    Some(bed)
}

#[test]
fn a_cut_adopt_leaves_old_or_new_files_and_the_administrator_in() {
    let Some(bed) = with_account() else { return };
    let then = ["nss-iamctl adopt --apply", "nss-iamctl adopt --undo --apply"];
    survives(&bed, FileSystem::Ext4, &["nss-iamctl", "adopt", "--apply"], &then, true);
}

#[test]
fn a_cut_undo_of_an_adopt_is_completed_by_repeating_it() {
    let Some(bed) = with_account() else { return };
    bed.host.done(&["nss-iamctl", "adopt", "--apply"]);
    let then = ["/usr/libexec/nss-iam/cache-refresher apply", "nss-iamctl adopt --undo --apply"];
    let line = &["nss-iamctl", "adopt", "--undo", "--apply"];
    // Few states are those in which an undo could be taken for complete, or for one of somebody who left.
    let (kind, count) = (FileSystem::Ext4, cuts(25));
    holds(&bed, &Case { kind, line, count, without: None, then: &then, back: false, every: 1 });
}

#[test]
fn a_cut_lock_leaves_old_or_new_files_and_the_administrator_in() {
    let Some(bed) = Bed::new() else { return };
    bed.host.enable(&[]);
    let _ = bed.host.refreshed_user("ana");
    let then = ["nss-iamctl lock --yes ana", "nss-iamctl unlock ana"];
    survives(&bed, FileSystem::Btrfs, &["nss-iamctl", "lock", "--yes", "ana"], &then, true);
}

#[test]
fn a_cut_unlock_leaves_old_or_new_files_and_the_administrator_in() {
    let Some(bed) = Bed::new() else { return };
    bed.host.enable(&[]);
    let _ = bed.host.refreshed_user("ana");
    bed.host.done(&["nss-iamctl", "lock", "--yes", "ana"]);
    let then = ["nss-iamctl lock --yes ana", "nss-iamctl unlock ana"];
    survives(&bed, FileSystem::Btrfs, &["nss-iamctl", "unlock", "ana"], &then, false);
}

/// The check notices an `enable` that leaves these syncs out.
fn is_noticed(without: Without) {
    let Some(bed) = Bed::new() else { return };
    let line = &["nss-iamctl", "enable"];
    let (kind, without) = (FileSystem::Xfs, Some(without));
    let case = Case { kind, line, count: 20, without, then: &[], back: false, every: REPEATED };
    assert!(!bad_cuts(&bed, &case).0.is_empty());
}

#[test]
fn an_enable_that_never_syncs_is_noticed() {
    is_noticed(Without::Any);
}

#[test]
fn an_enable_that_does_not_sync_folders_is_noticed() {
    is_noticed(Without::Folders);
}
