//! The host without nss-iam: its users, groups and shells, the names in use, the owners of homes.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use claims::Uses;
use claims::nss::{self, Answers, Asking, Files};
use foldhash::{HashMap, HashMapExt as _};
use listing::regular::{self, Links};
use status::Locked;

use crate::directories::{self, Directories};

/// Facts about the host. None of them come from the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local {
    /// All of /etc/passwd, /etc/group and /etc/shells.
    pub files: Files,
    /// The answers of the other services of nsswitch.conf(5) about the names and ids in question.
    pub directory: Answers,
    /// Names that sudoers, units and sysusers.d use.
    pub uses: Uses,
    /// machine-id(5); empty if there is none.
    pub machine_id: String,
    /// Users locked by `nss-iamctl lock`.
    pub locked: Locked,
    /// Directories that could become homes, or why they could not be checked.
    pub directories: Result<Directories, String>,
    /// Ranges of subuid(5) and subgid(5).
    pub sub_ids: Vec<RangeInclusive<u32>>,
}

/// What a plan needs to know about the host besides the facts that [`Local::read`] provides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Questions {
    /// For the services of nsswitch.conf(5).
    pub nss: nss::Question,
    /// Only for users who are about to get a home: other homes are not checked.
    pub directories: directories::Question,
    /// Whether anyone would get a new name: the rules of the host that use names are then read.
    pub newcomers: bool,
}

impl Questions {
    /// Whether the answers to `other` also answer these questions.
    pub(crate) fn are_in(&self, other: &Self) -> bool {
        let Self { nss, directories, newcomers } = self;
        nss.names.is_subset(&other.nss.names)
            && nss.ids.is_subset(&other.nss.ids)
            && directories.owners.is_subset(&other.directories.owners)
            && directories.places.is_subset(&other.directories.places)
            && (!newcomers || other.newcomers)
    }
}

/// A file that must be read before anyone is given access, and could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {cause}")]
pub(crate) struct Unreadable {
    what: String,
    pub cause: io::Error,
}

impl Unreadable {
    fn file(path: &Path, cause: io::Error) -> Self {
        Self { what: format!("'{}'", path.display()), cause }
    }
}

/// The path of nologin. It works on Debian and RHEL, although one of them has a link there.
pub(crate) const NOLOGIN: &str = "/usr/sbin/nologin";

impl Local {
    /// Only these facts; all others are empty.
    pub(crate) fn of(files: Files, locked: Locked) -> Self {
        Self {
            files,
            directory: Answers::default(),
            uses: Uses::default(),
            machine_id: String::new(),
            locked,
            directories: Ok(Directories::default()),
            sub_ids: Vec::new(),
        }
    }

    /// Reads the other facts that every plan needs.
    ///
    /// # Errors
    /// If a file exists and cannot be read: an id in it could otherwise be assigned to a user.
    pub(crate) fn read(files: Files, locked: Locked) -> Result<Self, Unreadable> {
        let mut sub_ids = Vec::new();
        for path in ["/etc/subuid", "/etc/subgid"] {
            sub_ids.extend(policy::id::sub_ids(&optional(Path::new(path))?.unwrap_or_default()));
        }
        let machine_id = machine_id(&optional(Path::new("/etc/machine-id"))?.unwrap_or_default());
        Ok(Self { machine_id, sub_ids, ..Self::of(files, locked) })
    }

    /// Answers the questions of a plan. `exclude` is `[names] exclude` of the configuration.
    ///
    /// # Errors
    /// If nsswitch.conf cannot be read.
    pub(crate) fn answer(&mut self, questions: &Questions, exclude: &[String]) -> Result<(), Unreadable> {
        let root = Path::new("/");
        let services = nss::services(root, exclude)
            .map_err(|cause| Unreadable::file(Path::new("/etc/nsswitch.conf"), cause))?;
        let asking = Asking::start(services, questions.nss.clone());
        self.uses = claims::of_installed(root, exclude);
        if questions.newcomers {
            self.uses.extend(claims::of_rules(root, exclude));
        }
        self.directories = directories::look(&questions.directories);
        self.directory = asking.answers();
        Ok(())
    }

    /// Whether both have the facts of [`Self::read`] in common.
    pub(crate) fn has_facts_of(&self, other: &Self) -> bool {
        let Self { files, directory: _, uses: _, machine_id, locked, directories: _, sub_ids } = self;
        (files, machine_id, locked, sub_ids)
            == (&other.files, &other.machine_id, &other.locked, &other.sub_ids)
    }

    /// Takes over the answers of another one.
    pub(crate) fn take_answers(&mut self, other: &Self) {
        self.directory.clone_from(&other.directory);
        self.uses.clone_from(&other.uses);
        self.directories.clone_from(&other.directories);
    }

    /// Whether this is a login shell, or nologin, which no list contains.
    pub(crate) fn has_shell(&self, shell: &str) -> bool {
        self.files.shells.contains(shell) || [NOLOGIN, "/sbin/nologin"].contains(&shell)
    }

    /// Who has which id.
    pub(crate) fn holders(&self) -> Holders<'_> {
        let users = self.files.users.iter().map(|(name, &uid)| (name, uid));
        let groups = self.files.groups.iter().map(|(name, group)| (name, group.gid));
        let mut files = HashMap::with_capacity(self.files.users.len());
        for (name, id) in users.chain(groups) {
            files.entry(id).or_insert(name.as_str());
        }
        Holders { files, directory: &self.directory }
    }
}

/// Users and groups that are not of nss-iam, by id.
pub(crate) struct Holders<'a> {
    /// The first by name; a user before a group.
    files: HashMap<u32, &'a str>,
    directory: &'a Answers,
}

impl<'a> Holders<'a> {
    /// The user or group that has this id: its name, and the service that knows it.
    pub(crate) fn of(&self, id: u32) -> Option<(&'a str, &'a str)> {
        let of_files = self.files.get(&id).map(|name| (*name, "files"));
        of_files.or_else(|| self.directory.id(id).map(|(service, name)| (name, service)))
    }
}

/// Users and groups of /etc/passwd and /etc/group.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn files() -> Result<Files, Unreadable> {
    nss::files().map_err(|cause| Unreadable {
        what: "local users and groups".to_owned(),
        cause: io::Error::other(cause),
    })
}

/// Reads the list of locked users in the directory of the cache.
///
/// # Errors
/// If it cannot be read: a locked user could otherwise be given access again.
pub(crate) fn locked(directory: &Path) -> Result<Locked, Unreadable> {
    let path = directory.join("locked");
    Locked::read(&path).map_err(|cause| Unreadable::file(&path, cause))
}

/// Far more than any of these files has, in bytes.
const MAX_SIZE: u64 = 16 << 20;

fn optional(path: &Path) -> Result<Option<String>, Unreadable> {
    match regular::read(path, MAX_SIZE, Links::Follow).map_err(io::Error::from) {
        Ok(file) => Ok(Some(String::from_utf8_lossy(&file.bytes).into_owned())),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(Unreadable::file(path, cause)),
    }
}

/// machine-id(5): in an image, the file is empty or contains the word `uninitialized`; neither is an id.
fn machine_id(text: &str) -> String {
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { id.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_that_of_a_user_or_a_group() {
        let mut local = Local::of(Files::default(), Locked::default());
        local.files.users.insert("ana".to_owned(), 1000);
        local.files.groups.insert("adm".to_owned(), claims::nss::FileGroup { gid: 4, ..Default::default() });
        let holders = local.holders();
        assert_eq!(holders.of(1000), Some(("ana", "files")));
        assert_eq!(holders.of(4), Some(("adm", "files")));
        assert_eq!(holders.of(5), None);
    }

    #[test]
    fn an_image_has_no_machine_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(machine_id(&format!("{id}\n")), id);
        for none in ["", "\n", "uninitialized\n", "0123"] {
            assert_eq!(machine_id(none), "", "{none:?}");
        }
    }
}
