//! What this host has already: users, groups and shells, whose names are, who owns a home. From the host itself: none
//! of it is what we published.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use claims::Uses;
use claims::nss::{Answers, Asking, Files};
use nix::fcntl::OFlag;

use crate::plan::Questions;

/// Facts about the host, none of them from IAM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Local {
    /// All of /etc/passwd and /etc/group.
    pub files: Files,
    /// What other services of nsswitch.conf(5) say of those who were asked for.
    pub directory: Answers,
    /// Names that sudoers, units and sysusers.d use.
    pub uses: Uses,
    /// /etc/shells, nologin added.
    pub shells: BTreeSet<String>,
    /// machine-id(5); empty if there is none.
    pub machine_id: String,
    /// Whom `nss-iamctl lock` named.
    pub locked: Locked,
    /// Folders that were looked at: who owns each, or that there is none.
    pub folders: BTreeMap<String, Option<u32>>,
    /// Folders that are reached through a link, and where they really are.
    pub links: BTreeMap<String, String>,
    /// Ranges of subuid(5) and subgid(5).
    pub sub_ids: Vec<RangeInclusive<u32>>,
}

/// `/var/lib/nss-iam/locked`: a login name a line, or `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Locked(pub(crate) BTreeSet<String>);

impl Locked {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains("*") || self.0.contains(name)
    }
}

/// A file that must be read before anyone may be let in, and could not be.
#[derive(Debug, thiserror::Error)]
#[error("cannot read '{}': {cause}", path.display())]
pub(crate) struct Unreadable {
    pub path: PathBuf,
    pub cause: io::Error,
}

/// Where the C library finds nologin; Debian and RHEL differ in the link only.
pub(crate) const NOLOGIN: &str = "/usr/sbin/nologin";

/// Stands for the owner of a folder that cannot be looked at: nobody has this uid.
const UNKNOWN_OWNER: u32 = u32::MAX;

impl Local {
    /// Reads what every plan needs.
    ///
    /// # Errors
    /// Where a file exists and cannot be read: a name in it could then be given away.
    pub(crate) fn read(state: &Path) -> Result<Self, Unreadable> {
        let mut sub_ids = Vec::new();
        for path in ["/etc/subuid", "/etc/subgid"] {
            sub_ids.extend(ranges(&optional(Path::new(path))?.unwrap_or_default()));
        }
        Ok(Self {
            files: claims::nss::files()
                .map_err(|cause| Unreadable { path: "/etc/passwd".into(), cause: io::Error::other(cause) })?,
            shells: shells(optional(Path::new("/etc/shells"))?.as_deref()),
            machine_id: machine_id(&optional(Path::new("/etc/machine-id"))?.unwrap_or_default()),
            locked: locked(&optional(&state.join("locked"))?.unwrap_or_default()),
            sub_ids,
            ..Self::default()
        })
    }

    /// Finds out what a plan asks. `exclude` is of the configuration. Other services are still being asked when this
    /// returns.
    ///
    /// # Errors
    /// Where nsswitch.conf cannot be read.
    pub(crate) fn answer(&mut self, questions: Questions, exclude: &[String]) -> Result<Asking, Unreadable> {
        let root = Path::new("/");
        let services = claims::nss::services(root, exclude)
            .map_err(|cause| Unreadable { path: "/etc/nsswitch.conf".into(), cause })?;
        let asking = Asking::start(services, questions.nss);
        self.uses = claims::of_installed(root, exclude);
        if questions.newcomers {
            self.uses.extend(claims::of_rules(root, exclude));
        }
        self.look_at(questions.folders);
        self.follow(questions.parents);
        Ok(asking)
    }

    /// Looks at folders, not through links: lstat(2).
    fn look_at(&mut self, folders: impl IntoIterator<Item = String>) {
        for folder in folders {
            let owner = match fs::symlink_metadata(&folder) {
                Ok(found) => Some(std::os::unix::fs::MetadataExt::uid(&found)),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
                Err(_) => Some(UNKNOWN_OWNER),
            };
            self.folders.insert(folder, owner);
        }
    }

    /// Follows the links of folders. One that is not there has none.
    fn follow(&mut self, folders: impl IntoIterator<Item = String>) {
        for folder in folders {
            let real = fs::canonicalize(&folder).ok().map(|real| real.to_string_lossy().into_owned());
            self.links.extend(real.filter(|real| *real != folder).map(|real| (folder, real)));
        }
    }

    /// Who has this id as a user or group: a name, and the service that knows it.
    pub(crate) fn holder_of(&self, id: u32) -> Option<(&str, &str)> {
        let users = self.files.users.iter().map(|(name, &uid)| (name, uid));
        let groups = self.files.groups.iter().map(|(name, group)| (name, group.gid));
        let local = users.chain(groups).find(|&(_, taken)| taken == id);
        local.map(|(name, _)| (name.as_str(), "files")).or_else(|| {
            let (service, name) = self.directory.id(id)?;
            Some((name, service))
        })
    }
}

/// No file that is read here has such a size.
const MAX_SIZE: u64 = 16 << 20;

fn optional(path: &Path) -> Result<Option<String>, Unreadable> {
    let read = || {
        // A FIFO would be waited for, and /dev/zero has no end.
        let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_SIZE).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(Unreadable { path: path.to_owned(), cause }),
    }
}

/// getusershell(3) takes /bin/sh and /bin/csh where the file is missing.
fn shells(text: Option<&str>) -> BTreeSet<String> {
    let listed =
        text.unwrap_or("/bin/sh\n/bin/csh").lines().map(str::trim).filter(|line| line.starts_with('/'));
    listed.chain([NOLOGIN, "/sbin/nologin"]).map(str::to_owned).collect()
}

/// `name:first:count` of subuid(5); what is no such line gives nothing away.
fn ranges(text: &str) -> Vec<RangeInclusive<u32>> {
    let range = |line: &str| {
        let mut numbers = line.split(':').skip(1).map(|number| number.trim().parse::<u32>().ok());
        let (first, count) = (numbers.next()??, numbers.next()??);
        Some(first..=first.saturating_add(count.checked_sub(1)?))
    };
    text.lines().filter_map(range).collect()
}

/// machine-id(5): an image has none yet, or the word `uninitialized`; both are no id.
fn machine_id(text: &str) -> String {
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { id.to_owned() } else { String::new() }
}

fn locked(text: &str) -> Locked {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Locked(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_subuid() {
        let text = "kate:100000:65536\n\n# x:1:1\nbad\nnone:5:0\nall:4294967295:2\n";
        assert_eq!(ranges(text), [100_000..=165_535, 1..=1, u32::MAX..=u32::MAX]);
    }

    #[test]
    fn an_id_is_that_of_a_user_or_a_group() {
        let mut local = Local::default();
        local.files.users.insert("ana".to_owned(), 1000);
        local.files.groups.insert("adm".to_owned(), claims::nss::FileGroup { gid: 4, ..Default::default() });
        assert_eq!(local.holder_of(1000), Some(("ana", "files")));
        assert_eq!(local.holder_of(4), Some(("adm", "files")));
        assert_eq!(local.holder_of(5), None);
    }

    #[test]
    fn an_image_has_no_machine_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(machine_id(&format!("{id}\n")), id);
        for none in ["", "\n", "uninitialized\n", "0123"] {
            assert_eq!(machine_id(none), "", "{none:?}");
        }
    }

    #[test]
    fn a_lock_of_all_locks_everyone() {
        let one = locked("# by root\nana\n\n");
        assert!(one.contains("ana") && !one.contains("bob"));
        assert!(locked("*\n").contains("bob"));
    }

    #[test]
    fn a_folder_that_cannot_be_looked_at_is_nobodys_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let [there, below, gone] = [file.clone(), file.join("home"), folder.path().join("gone")]
            .map(|path| path.to_string_lossy().into_owned());
        let mut local = Local::default();
        local.look_at([there.clone(), below.clone(), gone.clone()]);
        let owner = nix::unistd::geteuid().as_raw();
        assert_eq!(local.folders[&there], Some(owner));
        assert_eq!((local.folders[&below], local.folders[&gone]), (Some(UNKNOWN_OWNER), None));
    }
}
