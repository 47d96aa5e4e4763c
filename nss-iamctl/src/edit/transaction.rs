//! Changes to the host that are undone together: each one notes first how it is taken back.

use std::fs;
use std::os::unix::fs::DirBuilderExt;

use crate::host::Host;
use crate::host::files;
use crate::say::error::Error;

/// Everything that was changed so far.
pub(crate) struct Transaction<'a> {
    host: &'a Host,
    undo: Vec<Undo>,
}

/// How one change is taken back.
pub(crate) enum Undo {
    /// A file gets its bytes back, or goes.
    File { path: String, before: Option<Vec<u8>>, mode: u32 },
    /// An empty folder goes.
    Folder(String),
    /// A folder goes with all that is in it.
    Tree(String),
    /// A program takes its own change back.
    Run(Vec<String>),
}

impl<'a> Transaction<'a> {
    pub(crate) fn on(host: &'a Host) -> Self {
        Self { host, undo: Vec::new() }
    }

    /// Replaces a file, or removes it. A file that is new gets `mode`.
    ///
    /// # Errors
    /// When that fails; the file then is as it was.
    pub(crate) fn write(&mut self, path: &str, bytes: Option<&[u8]>, mode: u32) -> Result<(), Error> {
        let place = self.host.path(path);
        let before = files::read(&place)?;
        if before.as_deref() == bytes {
            return Ok(());
        }
        let mode = files::mode(&place).unwrap_or(mode);
        self.undo.push(Undo::File { path: path.to_owned(), before, mode });
        match bytes {
            Some(bytes) => files::replace(&place, bytes, mode),
            None => files::remove(&place),
        }
    }

    /// Makes a folder that is missing, and says whether it was.
    ///
    /// # Errors
    /// When that fails. Its parent must be there.
    pub(crate) fn folder(&mut self, path: &str, mode: u32) -> Result<bool, Error> {
        let place = self.host.path(path);
        if place.is_dir() {
            return Ok(false);
        }
        let made = fs::DirBuilder::new().mode(mode).create(&place);
        made.map_err(|cause| Error::io("make", &place, &cause))?;
        self.undo.push(Undo::Folder(path.to_owned()));
        Ok(true)
    }

    /// Notes how the next change is taken back.
    pub(crate) fn before(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Takes everything back, the last change first, and adds to the failure how that went.
    pub(crate) fn roll_back(self, failed: Error) -> Error {
        let left: Vec<String> = self
            .undo
            .into_iter()
            .rev()
            .filter_map(|undo| undo.perform(self.host).err())
            .map(|cause| cause.to_string())
            .collect();
        if left.is_empty() {
            return failed.done("every file is as it was");
        }
        failed.done(&format!("not everything could be put back: {}", left.join("; ")))
    }
}

impl Undo {
    fn perform(self, host: &Host) -> Result<(), Error> {
        match self {
            Undo::File { path, before: Some(bytes), mode } => files::replace(&host.path(&path), &bytes, mode),
            Undo::File { path, before: None, .. } => files::remove(&host.path(&path)),
            Undo::Folder(path) => remove_if_empty(host, &path),
            Undo::Tree(path) => remove_tree(host, &path),
            Undo::Run(line) => {
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                host.must(&line).map(drop)
            }
        }
    }
}

/// Removes a folder unless something is in it.
///
/// # Errors
/// When it is empty and still there.
pub(crate) fn remove_if_empty(host: &Host, path: &str) -> Result<(), Error> {
    let place = host.path(path);
    match fs::remove_dir(&place) {
        Err(cause) if cause.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => gone(removed, &place),
    }
}

/// Removes a folder and everything in it.
///
/// # Errors
/// When it is still there.
pub(crate) fn remove_tree(host: &Host, path: &str) -> Result<(), Error> {
    let place = host.path(path);
    gone(fs::remove_dir_all(&place), &place)
}

fn gone(removed: std::io::Result<()>, place: &std::path::Path) -> Result<(), Error> {
    match removed {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", place, &cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_taken_back_in_reverse() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::this_folder(folder.path());
        fs::write(folder.path().join("kept"), b"old \xfc").unwrap();
        let mut transaction = Transaction::on(&host);
        assert!(transaction.folder("/new", 0o755).unwrap());
        transaction.write("/new/file", Some(b"x"), 0o600).unwrap();
        transaction.write("/kept", Some(b"new"), 0o644).unwrap();
        transaction.write("/kept", None, 0o644).unwrap();
        let told = transaction.roll_back(Error::other("it failed")).to_string();
        assert_eq!(told, "it failed; every file is as it was");
        assert_eq!(files::names(folder.path()).unwrap(), ["kept"]);
        assert_eq!(fs::read(folder.path().join("kept")).unwrap(), b"old \xfc");
    }

    #[test]
    fn what_could_not_be_taken_back_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::this_folder(folder.path());
        let mut transaction = Transaction::on(&host);
        transaction.before(Undo::Run(vec!["authselect".to_owned()]));
        let told = transaction.roll_back(Error::other("it failed")).to_string();
        assert!(
            told.starts_with("it failed; not everything could be put back: cannot run 'authselect'"),
            "{told}"
        );
    }
}
