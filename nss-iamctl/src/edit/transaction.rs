//! Changes to the host that are undone together: each change first records how to undo it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::edit::backup::{self, Manifest};
use crate::edit::file::Edit;
use crate::edit::owners::{self, Changed, Moves};
use crate::host::files::{self, Saved};
use crate::host::{Host, nscd};
use crate::say::error::Error;

/// The changes that were made so far.
pub(crate) struct Transaction<'a> {
    host: &'a Host,
    undo: Vec<Undo>,
    manifest: Option<Manifest>,
    copies: Option<PathBuf>,
    restored: Option<Box<dyn FnOnce()>>,
    last: Option<Vec<String>>,
}

/// How one change is undone.
pub(crate) enum Undo {
    /// Restores a file with its attributes, or removes it.
    File { path: PathBuf, before: Option<Saved> },
    /// Removes a directory if it is empty.
    Directory(PathBuf),
    /// Removes a directory and everything in it.
    Tree(String),
    /// A program undoes its own change.
    Run(Vec<String>),
    /// Restores the ids of the files that were changed in this place.
    Owners { place: PathBuf, moves: Moves, changed: Changed },
}

/// Runs `work`; if it fails, everything is undone, the last change first.
///
/// # Errors
/// What failed, and whether everything could be undone.
pub(crate) fn carry_out<'a, T>(
    host: &'a Host,
    work: impl FnOnce(&mut Transaction<'a>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut transaction = Transaction::on(host);
    work(&mut transaction).map_err(|failed| transaction.roll_back(failed))
}

impl<'a> Transaction<'a> {
    fn on(host: &'a Host) -> Self {
        Self { host, undo: Vec::new(), manifest: None, copies: None, restored: None, last: None }
    }

    pub(crate) fn host(&self) -> &'a Host {
        self.host
    }

    /// From here on, what `disable` needs is kept in `manifest`.
    pub(crate) fn keep(&mut self, manifest: Manifest) {
        self.manifest = Some(manifest);
    }

    /// The originals are copied to this directory, which is removed if everything could be undone.
    pub(crate) fn copied_to(&mut self, directory: PathBuf) {
        self.copies = Some(directory);
    }

    /// Does this if everything could be undone.
    pub(crate) fn once_restored(&mut self, work: impl FnOnce() + 'static) {
        self.restored = Some(Box::new(work));
    }

    /// Runs this after everything was undone. Its result does not matter: it would be run later anyway.
    pub(crate) fn run_last(&mut self, line: &[&str]) {
        self.last = Some(line.iter().map(|word| (*word).to_owned()).collect());
    }

    /// Records what is about to be changed, if there is a manifest: after a crash, `disable` has all that it needs.
    ///
    /// # Errors
    /// When that cannot be written, or `note` refuses.
    pub(crate) fn record(
        &mut self,
        note: impl FnOnce(&mut Manifest) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(mut manifest) = self.manifest.clone() else { return Ok(()) };
        note(&mut manifest)?;
        self.directory(Path::new(cache::DIRECTORY), 0o755)?;
        self.directory(Path::new(backup::DIRECTORY), 0o700)?;
        self.write(Path::new(backup::PATH), Some(manifest.text()?.as_bytes()), 0o600)?;
        self.manifest = Some(manifest);
        Ok(())
    }

    /// Makes the change of one file, and records it for `disable`.
    ///
    /// # Errors
    /// When that fails, or what nss-iam added to the file before cannot be identified.
    pub(crate) fn edit(&mut self, edit: &Edit) -> Result<(), Error> {
        let directory = edit.path.parent().unwrap_or(Path::new("/"));
        let directories = self.missing(directory);
        let mode = files::mode(&self.host.path_of(&edit.path)).unwrap_or(edit.mode);
        self.record(|manifest| {
            let known = manifest.directories.clone();
            manifest
                .directories
                .extend(directories.into_iter().filter(|directory| !known.contains(directory)));
            manifest.note(edit, mode)
        })?;
        self.directory(directory, 0o755)?;
        self.write(&edit.path, edit.after.as_deref(), edit.mode)
    }

    /// Replaces a file, or removes it. A new file gets `mode`.
    ///
    /// # Errors
    /// When that fails; the file is then unchanged.
    pub(crate) fn write(&mut self, path: &Path, bytes: Option<&[u8]>, mode: u32) -> Result<(), Error> {
        let place = self.host.path_of(path);
        let before = files::save(&place)?;
        if before.as_ref().map(Saved::bytes) == bytes {
            return Ok(());
        }
        self.undo.push(Undo::File { path: path.to_owned(), before });
        match bytes {
            Some(bytes) => files::replace(&place, bytes, mode),
            None => files::remove(&place),
        }
    }

    /// The missing directories of `path`, the outermost first.
    pub(crate) fn missing(&self, path: &Path) -> Vec<PathBuf> {
        let way = path.ancestors().take_while(|directory| !self.host.path_of(directory).is_dir());
        let mut missing: Vec<PathBuf> = way.map(Path::to_owned).collect();
        missing.reverse();
        missing
    }

    /// Creates a directory and its parents, if they are missing.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn directory(&mut self, path: &Path, mode: u32) -> Result<(), Error> {
        for directory in self.missing(path) {
            let place = self.host.path_of(&directory);
            let made = fs::DirBuilder::new().mode(mode).create(&place);
            made.map_err(|cause| Error::io("make", &place, &cause))?;
            self.undo.push(Undo::Directory(directory));
        }
        Ok(())
    }

    /// Records how to undo the next change.
    pub(crate) fn before(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Saves a file that a program is about to change.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn before_change_of(&mut self, path: &str) -> Result<(), Error> {
        let before = files::save(&self.host.path(path))?;
        self.undo.push(Undo::File { path: PathBuf::from(path), before });
        Ok(())
    }

    /// Runs a program that must succeed, and that `back` undoes, if it is not empty.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn run(&mut self, line: &[String], back: Vec<String>) -> Result<(), Error> {
        if !back.is_empty() {
            self.undo.push(Undo::Run(back));
        }
        run(self.host, line)
    }

    /// Undoes everything, and adds the result to the error.
    fn roll_back(self, failed: Error) -> Error {
        let undone = self.undo.into_iter().rev().filter_map(|undo| undo.perform(self.host).err());
        let left: Vec<String> = undone.map(|cause| cause.message().what().to_owned()).collect();
        if let Some(line) = &self.last {
            let _ = run(self.host, line);
        }
        // nscd may have cached answers from before the changes were undone.
        nscd::invalidate(self.host);
        if left.is_empty() {
            // Otherwise an administrator would think that something was changed.
            let _ = self.copies.map(fs::remove_dir_all);
            self.restored.into_iter().for_each(|work| work());
            return failed.done("all files were restored");
        }
        let failed = failed.done(&format!("not everything could be restored: {}", left.join("; ")));
        match self.copies {
            Some(directory) => failed.done(&format!("the original files are in '{}'", directory.display())),
            None => failed,
        }
    }
}

impl Undo {
    fn perform(self, host: &Host) -> Result<(), Error> {
        match self {
            Undo::File { path, before: Some(saved) } => files::restore(&host.path_of(&path), &saved),
            Undo::File { path, before: None } => files::remove(&host.path_of(&path)),
            Undo::Directory(path) => remove_if_empty(host, &path),
            Undo::Tree(path) => remove_tree(host, &path),
            Undo::Run(line) => run(host, &line),
            Undo::Owners { changed, .. } if changed.is_empty() => Ok(()),
            Undo::Owners { place, moves, changed } => owners::undo(&place, moves, &changed)
                .map_err(|cause| Error::io("give back all files in", &place, &cause)),
        }
    }
}

fn run(host: &Host, line: &[String]) -> Result<(), Error> {
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    host.must_change(&line)
}

/// Removes a directory if it is empty.
///
/// # Errors
/// When it is empty and cannot be removed.
pub(crate) fn remove_if_empty(host: &Host, path: &Path) -> Result<(), Error> {
    let place = host.path_of(path);
    match fs::remove_dir(&place) {
        Err(cause) if cause.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => gone(removed, &place),
    }
}

/// Removes a directory and everything in it.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove_tree(host: &Host, path: &str) -> Result<(), Error> {
    let place = host.path(path);
    gone(fs::remove_dir_all(&place), &place)
}

fn gone(removed: std::io::Result<()>, place: &Path) -> Result<(), Error> {
    match removed {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", place, &cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    /// Does `work` in a directory with a file `kept`, then fails.
    fn failed(work: impl FnOnce(&mut Transaction<'_>)) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("kept"), b"old \xfc").unwrap();
        let host = Host::this_directory(directory.path());
        let failed: Result<(), Error> = carry_out(&host, |transaction| {
            work(transaction);
            Err(Error::other("it failed"))
        });
        (directory, failed.unwrap_err().to_string())
    }

    #[test]
    fn everything_is_taken_back_in_reverse() {
        let (directory, told) = failed(|transaction| {
            transaction.directory(Path::new("/new/er"), 0o755).unwrap();
            transaction.write(Path::new("/new/er/file"), Some(b"x"), 0o600).unwrap();
            transaction.write(Path::new("/kept"), Some(b"new"), 0o644).unwrap();
            transaction.write(Path::new("/kept"), None, 0o644).unwrap();
        });
        assert_eq!(told, "it failed; all files were restored");
        assert_eq!(files::names(directory.path()).unwrap(), ["kept"]);
        assert_eq!(fs::read(directory.path().join("kept")).unwrap(), b"old \xfc");
    }

    #[test]
    fn a_file_that_was_removed_comes_back_with_mode_and_owner() {
        let (directory, _) = failed(|transaction| {
            let kept = transaction.host().path("/kept");
            fs::set_permissions(&kept, fs::Permissions::from_mode(0o440)).unwrap();
            if rustix::process::geteuid().is_root() {
                std::os::unix::fs::chown(&kept, Some(7), Some(9)).unwrap();
            }
            transaction.write(Path::new("/kept"), None, 0o644).unwrap();
            assert!(!kept.exists());
        });
        let found = fs::metadata(directory.path().join("kept")).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o440);
        if rustix::process::geteuid().is_root() {
            assert_eq!((found.uid(), found.gid()), (7, 9));
        }
    }

    #[test]
    fn what_could_not_be_taken_back_is_told_with_where_the_copies_are() {
        let copies = tempfile::tempdir().unwrap();
        let (_, told) = failed(|transaction| {
            transaction.copied_to(copies.path().to_owned());
            transaction.before(Undo::Run(vec!["authselect".to_owned()]));
        });
        let start = "it failed; not everything could be restored: cannot run 'authselect'";
        assert!(told.starts_with(start), "{told}");
        assert!(
            told.ends_with(&format!("; the original files are in '{}'", copies.path().display())),
            "{told}"
        );
        assert!(copies.path().exists());
        let (_, told) = failed(|transaction| transaction.copied_to(copies.path().to_owned()));
        assert_eq!(told, "it failed; all files were restored");
        assert!(!copies.path().exists(), "of no use where nothing was changed");
    }

    #[test]
    fn what_is_kept_for_disable_is_written_before_the_change_and_goes_with_it() {
        let (directory, _) = failed(|transaction| {
            transaction.keep(Manifest::default());
            let manifest = transaction.host().path(backup::PATH);
            let unit = |manifest: &mut Manifest| {
                manifest.units.push("x.timer".to_owned());
                Ok(())
            };
            transaction.record(unit).unwrap();
            assert!(fs::read_to_string(&manifest).unwrap().contains("x.timer"));
            assert!(transaction.record(|_| Err(Error::other("refused"))).is_err());
            assert!(fs::read_to_string(manifest).unwrap().contains("x.timer"));
        });
        assert_eq!(files::names(directory.path()).unwrap(), ["kept"]);
        let (directory, _) = failed(|transaction| transaction.record(|_| unreachable!()).unwrap());
        assert_eq!(files::names(directory.path()).unwrap(), ["kept"], "nothing is kept unless asked for");
    }
}
