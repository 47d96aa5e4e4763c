//! What this host has already: users, groups, shells, names that other software will claim. Read as files, not
//! through NSS, which would show our own users.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Facts about the host, none of them from IAM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Local {
    /// /etc/passwd: name -> uid.
    pub uids: BTreeMap<String, u32>,
    /// /etc/group: name -> gid.
    pub gids: BTreeMap<String, u32>,
    /// /etc/shells, nologin added.
    pub shells: BTreeSet<String>,
    /// Names in sysusers.d(5).
    pub sysusers: BTreeSet<String>,
    /// Words in sudoers(5) that could be a user or group.
    pub sudoers: BTreeSet<String>,
    /// machine-id(5); empty if there is none.
    pub machine_id: String,
    /// Whom `nss-iamctl lock` named.
    pub locked: Locked,
    /// Homes of IAM users that exist.
    pub homes: BTreeSet<String>,
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

const SYSUSERS: [&str; 4] =
    ["/etc/sysusers.d", "/run/sysusers.d", "/usr/local/lib/sysusers.d", "/usr/lib/sysusers.d"];
const SUDOERS: [&str; 5] =
    ["/etc/sudoers", "/etc/sudoers.d", "/usr/etc/sudoers", "/usr/etc/sudoers.d", "/etc/opt/sudoers"];

impl Local {
    /// Reads the host. `homes` are the homes to look for.
    ///
    /// # Errors
    /// Where a file exists and cannot be read: a name in it could then be given away.
    pub(crate) fn read(state: &Path, homes: impl Iterator<Item = String>) -> Result<Self, Unreadable> {
        let mut local = Self {
            uids: ids(&required("/etc/passwd")?),
            gids: ids(&required("/etc/group")?),
            shells: shells(optional(Path::new("/etc/shells"))?.as_deref()),
            machine_id: machine_id(&optional(Path::new("/etc/machine-id"))?.unwrap_or_default()),
            locked: locked(&optional(&state.join("locked"))?.unwrap_or_default()),
            homes: homes.filter(|home| fs::symlink_metadata(home).is_ok()).collect(),
            ..Self::default()
        };
        for folder in SYSUSERS {
            for file in files(Path::new(folder))? {
                local.sysusers.extend(sysusers(&optional(&file)?.unwrap_or_default()));
            }
        }
        local.read_sudoers()?;
        Ok(local)
    }

    /// sudoers, and whatever they include.
    fn read_sudoers(&mut self) -> Result<(), Unreadable> {
        let mut open: Vec<PathBuf> = SUDOERS.iter().map(PathBuf::from).collect();
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            if path.is_dir() {
                open.extend(files(&path)?);
            } else if let Some(text) = optional(&path)? {
                self.sudoers.extend(sudoers(&text));
                open.extend(included(&text, &path));
            }
        }
        Ok(())
    }

    /// Whether a local user or group has this id.
    pub(crate) fn has_id(&self, id: u32) -> bool {
        self.uids.values().chain(self.gids.values()).any(|&taken| taken == id)
    }
}

fn required(path: &str) -> Result<String, Unreadable> {
    let path = Path::new(path);
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|cause| Unreadable { path: path.to_owned(), cause })
}

fn optional(path: &Path) -> Result<Option<String>, Unreadable> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(cause) => Err(Unreadable { path: path.to_owned(), cause }),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => {
            return Err(Unreadable { path: folder.to_owned(), cause });
        }
    };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    Ok(paths.collect())
}

/// Name -> id of passwd(5) and group(5), where both stand in the same columns.
fn ids(text: &str) -> BTreeMap<String, u32> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
            // A line without an id still claims its name; the id then is root's, which nobody can be given.
            let id = fields.nth(1).and_then(|id| id.parse().ok()).unwrap_or(0);
            Some((name.to_owned(), id))
        })
        .collect()
}

/// getusershell(3) takes /bin/sh and /bin/csh where the file is missing.
fn shells(text: Option<&str>) -> BTreeSet<String> {
    let listed =
        text.unwrap_or("/bin/sh\n/bin/csh").lines().map(str::trim).filter(|line| line.starts_with('/'));
    listed.chain([NOLOGIN, "/sbin/nologin"]).map(str::to_owned).collect()
}

/// sysusers.d(5): `u`, `u!`, `g` name a user or group; `m` and `r` do not create one, but `m` names both.
fn sysusers(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(|word| word.trim_matches('"'));
        match words.next() {
            Some("u" | "u!" | "g") => names.extend(words.next().map(str::to_owned)),
            Some("m") => names.extend(words.take(2).map(str::to_owned)),
            _ => {}
        }
    }
    names
}

/// Any word that could be a name: to leave one out could give root away, one too many refuses a name.
fn sudoers(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| {
            let line = line.trim_start();
            !line.starts_with("@include") && !line.starts_with("#include") && !line.starts_with("# ")
        })
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || ",=:!()\"".contains(c)))
        // Lower-cased, since sudo compares without regard to case by default (`case_insensitive_user`).
        .map(|word| word.trim_start_matches(['%', '+', '#']).replace('\\', "").to_ascii_lowercase())
        .filter(|word| !word.is_empty() && !word.contains('/'))
        .collect()
}

/// Files and folders that sudoers(5) includes, relative to its own folder.
fn included(text: &str, file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    text.lines()
        .filter_map(|line| {
            let (word, path) = line.trim().split_once(char::is_whitespace)?;
            let word = word.strip_prefix(['@', '#'])?;
            let path = path.trim().trim_matches('"').replace('\\', "");
            matches!(word, "include" | "includedir").then(|| folder.join(path))
        })
        .collect()
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

    fn set(words: &str) -> BTreeSet<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn passwd_and_group_give_names_and_ids() {
        let ids = ids("root:x:0:0:root:/root:/bin/bash\n# old\n\nana:x:1000:\nbroken\nodd:x:x:\n+nis\n");
        assert_eq!(ids["ana"], 1000);
        assert_eq!(
            ids.keys().map(String::as_str).collect::<Vec<_>>(),
            ["+nis", "ana", "broken", "odd", "root"]
        );
    }

    #[test]
    fn sudoers_names_are_found_wherever_they_stand() {
        let text = "# see the manual\nDefaults env_reset\nroot ALL=(ALL:ALL) ALL\n%admin ALL=(ALL) ALL\n\
                    User_Alias OPS = ana, !bob\n%dom\\ users ALL=ALL\njane@example.com ALL=(www) NOPASSWD: /bin/ls\n\
                    #1000 ALL=ALL\nCarl ALL=ALL\n@includedir /etc/sudoers.d\n";
        let names = sudoers(text);
        for name in ["root", "admin", "ana", "bob", "jane@example.com", "www", "carl"] {
            assert!(names.contains(name), "{name} in {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains('/') || name == "manual"), "{names:?}");
    }

    #[test]
    fn what_sudoers_include_is_read_too() {
        let text = "@include more\n  @includedir /etc/team.d\n#include \"old style\"\n# include nothing\nana ALL=ALL\n";
        let paths = included(text, Path::new("/etc/sudoers"));
        assert_eq!(paths, ["/etc/more", "/etc/team.d", "/etc/old style"].map(PathBuf::from));
    }

    #[test]
    fn sysusers_names_are_those_that_it_creates() {
        let text = "#Type Name ID\nu  _apt 100 \"APT\" -\ng kvm -\nu! sealed -\nm bob disk\nr - 500-900\n";
        assert_eq!(sysusers(text), set("_apt kvm sealed bob disk"));
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
}
