//! The record of one `adopt --apply`, next to its copies: what `adopt --undo` needs besides the original files.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cache::replace::sync_directory;
use serde::{Deserialize, Serialize};

use super::{DIRECTORY, hash, stored};
use crate::edit::file::Edit;
use crate::edit::owners::Moves;
use crate::host::{Host, files};
use crate::say::error::Error;

/// The name of the record.
pub(crate) const NAME: &str = "undo.json";
/// A file that exists until the adoption is complete.
pub(crate) const UNFINISHED: &str = "unfinished";
/// A file with the names of the accounts that an undo is giving back, one a line, until it is complete.
const BEGUN: &str = "undoing";
/// What was shown. It is written last: before that, nothing was changed.
pub(crate) const PLAN: &str = "plan.txt";
/// How the names of the directories begin.
pub(crate) const ADOPTED: &str = "adopt-";
/// How they begin once all accounts were given back.
const UNDONE: &str = "undone-";
const VERSION: u32 = 1;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub accounts: Vec<Account>,
    /// The groups that were removed.
    pub groups: Vec<String>,
    files: Vec<Written>,
}

/// An account that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub name: String,
    pub uid: u32,
    /// The name of its own group, if that was removed.
    pub group: Option<String>,
    pub iam_id: String,
    /// The uid and gid of the nss-iam user.
    pub id: u32,
    /// How the owners of files were changed.
    pub moves: Option<Moves>,
    /// In which files and directories.
    pub places: Vec<PathBuf>,
    /// Inodes that had the new ids before, in the order of `places`.
    pub kept: Vec<BTreeSet<u64>>,
}

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    #[serde(with = "stored::path")]
    path: PathBuf,
    /// SHA-256 of what was written; `None` if it was removed.
    sha256: Option<String>,
}

/// A record, and the directory with the copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adopted {
    pub directory: PathBuf,
    pub record: Record,
    /// The accounts that an undo began to give back; a power cut may have ended it.
    pub begun: BTreeSet<String>,
}

impl Record {
    pub(crate) fn new(accounts: Vec<Account>, groups: Vec<String>, edits: &[Edit]) -> Self {
        let written =
            |edit: &Edit| Written { path: edit.path.clone(), sha256: edit.after.as_deref().map(hash) };
        Self { version: VERSION, accounts, groups, files: edits.iter().map(written).collect() }
    }

    /// The text of the record.
    ///
    /// # Errors
    /// A home directory that is not UTF-8; names and homes are checked before.
    pub(crate) fn text(&self) -> Result<String, Error> {
        let text = serde_json::to_string(self);
        text.map_err(|cause| Error::other(format!("cannot write '{NAME}': {cause}")))
    }

    /// The files that were changed.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Whether the file was not changed since.
    pub(crate) fn is_untouched(&self, path: &Path, current: Option<&[u8]>) -> bool {
        self.files.iter().any(|file| file.path == path && file.sha256 == current.map(hash))
    }
}

impl Adopted {
    /// All adoptions that were not undone, the latest first; and the directories of an earlier release, which have no record.
    ///
    /// # Errors
    /// When they cannot be read, or are of another version.
    pub(crate) fn all(host: &Host) -> Result<(Vec<Self>, Vec<PathBuf>), Error> {
        let (mut found, mut without) = (Vec::new(), Vec::new());
        for name in files::names(&host.path(DIRECTORY))? {
            let directory = host.path(DIRECTORY).join(&name);
            if !name.to_string_lossy().starts_with(ADOPTED) || !directory.join(PLAN).exists() {
                continue;
            }
            match fs::read(directory.join(NAME)) {
                Ok(json) => {
                    let record = parse(&directory, &json)?;
                    let begun = files::read_utf8(&directory.join(BEGUN))?.unwrap_or_default();
                    found.push(Self { record, begun: begun.lines().map(str::to_owned).collect(), directory });
                }
                Err(cause) if cause.kind() == ErrorKind::NotFound => without.push(directory),
                Err(cause) => return Err(Error::io("read", &directory.join(NAME), &cause)),
            }
        }
        // Their names begin with the time.
        found.reverse();
        Ok((found, without))
    }

    /// Whether a power cut has ended it.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.directory.join(UNFINISHED).exists()
    }

    /// The file that names the accounts in `begun`.
    pub(crate) fn mark(&self) -> PathBuf {
        self.directory.join(BEGUN)
    }

    /// From now on, or until it is undone, these accounts are being given back.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub(crate) fn mark_begun(&self, names: &BTreeSet<String>) -> Result<(), Error> {
        let path = self.mark();
        if names.is_empty() {
            return files::remove(&path);
        }
        let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
        files::replace(&path, lines, 0o600)
    }

    /// From now on it is undone. The copies stay.
    ///
    /// # Errors
    /// When the directory cannot be renamed.
    pub(crate) fn mark_undone(&self) -> Result<PathBuf, Error> {
        let name = self.directory.file_name().unwrap_or_default().to_string_lossy();
        let undone = self.directory.with_file_name(format!("{UNDONE}{name}"));
        let renamed = fs::rename(&self.directory, &undone);
        let synced = renamed.and_then(|()| sync_directory(&undone));
        synced.map(|()| undone).map_err(|cause| Error::io("rename", &self.directory, &cause))
    }
}

/// From now on, the adoption with these copies is complete.
///
/// # Errors
/// When that cannot be stored.
pub(crate) fn finish(copies: &Path) -> Result<(), Error> {
    let unfinished = copies.join(UNFINISHED);
    let removed = fs::remove_file(&unfinished).and_then(|()| sync_directory(&unfinished));
    removed.map_err(|cause| Error::io("remove", &unfinished, &cause))
}

fn parse(directory: &Path, json: &[u8]) -> Result<Record, Error> {
    let refused = |why: String| {
        let path = directory.join(NAME);
        Error::configuration(format!("cannot use '{}': {why}", path.display()))
            .hint(format!("the original files are in '{}'", directory.display()))
    };
    let record: Record = serde_json::from_slice(json).map_err(|cause| refused(cause.to_string()))?;
    if record.version == VERSION { Ok(record) } else { Err(refused("another version".to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::edit::file::Kind;

    #[test]
    fn a_record_names_any_path_and_tells_what_was_edited_since() {
        let path = PathBuf::from(OsString::from_vec(b"/etc/sudoers.d/jos\xe9".to_vec()));
        let edit = Edit {
            path: path.clone(),
            kind: Kind::Theirs,
            before: None,
            after: Some(b"x".to_vec()),
            mode: 0,
        };
        let record = Record::new(Vec::new(), Vec::new(), &[edit]);
        let read = parse(Path::new("/b"), record.text().unwrap().as_bytes()).unwrap();
        assert_eq!(read, record);
        assert!(read.is_untouched(&path, Some(b"x")) && !read.is_untouched(&path, None));
        assert!(!read.is_untouched(Path::new("/etc/passwd"), None), "a file that was not changed");
    }

    #[test]
    fn the_latest_comes_first_and_an_undone_one_not_again() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::this_directory(root.path());
        let text = Record::new(Vec::new(), Vec::new(), &[]).text().unwrap();
        for name in ["adopt-20260101T000000Z-1", "adopt-20260201T000000Z-1", "adopt-old", "other"] {
            let directory = host.path(DIRECTORY).join(name);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(PLAN), "").unwrap();
            if name.ends_with('1') {
                fs::write(directory.join(NAME), &text).unwrap();
            }
        }
        let (found, without) = Adopted::all(&host).unwrap();
        assert!(found[0].directory.ends_with("adopt-20260201T000000Z-1") && found.len() == 2);
        assert_eq!(without, [host.path(DIRECTORY).join("adopt-old")]);
        for begun in [BTreeSet::from(["ana".to_owned(), "bob".to_owned()]), BTreeSet::new()] {
            found[0].mark_begun(&begun).unwrap();
            assert_eq!(Adopted::all(&host).unwrap().0[0].begun, begun);
        }
        found[0].mark_undone().unwrap();
        assert_eq!(Adopted::all(&host).unwrap().0, found[1..]);
        fs::write(found[1].directory.join(NAME), text.replace(":1", ":2")).unwrap();
        assert!(Adopted::all(&host).unwrap_err().to_string().contains("another version"));
    }
}
