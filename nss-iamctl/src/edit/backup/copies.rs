//! Permanent copies of the files that `adopt` is about to change. Only an administrator asks for them again: `adopt --undo`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::DIRECTORY;
use crate::edit::file::Edit;
use crate::host::Host;
use crate::host::files;
use crate::say::error::Error;

/// Copies the files, with mode and owner, into a directory that only root may enter, and adds these texts. Its name begins
/// with `name`.
///
/// # Errors
/// When that fails; the directory is then removed.
pub(crate) fn save(
    host: &Host,
    name: &str,
    edits: &[Edit],
    texts: &[(&str, &str)],
) -> Result<PathBuf, Error> {
    let directory = fresh(&host.path(DIRECTORY), name)?;
    let copied = edits.iter().try_for_each(|edit| copy(host, &edit.path, &directory));
    let add = |(name, text): &(&str, &str)| files::replace(&directory.join(name), text, 0o600);
    match copied.and_then(|()| texts.iter().try_for_each(add)) {
        Ok(()) => Ok(directory),
        Err(failed) => {
            // The first failure is the one that matters.
            let _ = fs::remove_dir_all(directory);
            Err(failed)
        }
    }
}

fn fresh(within: &Path, name: &str) -> Result<PathBuf, Error> {
    make(within)?;
    let mut number = 1;
    loop {
        let directory = within.join(format!("{name}-{number}"));
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(cause) => return Err(Error::io("make", &directory, &cause)),
        }
    }
}

fn copy(host: &Host, path: &Path, directory: &Path) -> Result<(), Error> {
    let Some(saved) = files::save(&host.path_of(path))? else { return Ok(()) };
    let copy = of(path, directory);
    make(copy.parent().unwrap_or(directory))?;
    files::restore(&copy, &saved)
}

/// Where the copy of a file is, in a directory that [`save`] made.
pub(crate) fn of(path: &Path, directory: &Path) -> PathBuf {
    directory.join(path.strip_prefix("/").unwrap_or(path))
}

fn make(directory: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|cause| Error::io("make", directory, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::file::Kind;

    #[test]
    fn copies_are_kept_apart_and_half_of_them_are_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::this_directory(root.path());
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), "x").unwrap();
        let edit = |path: &str| Edit {
            path: path.into(),
            kind: Kind::Theirs,
            before: None,
            after: None,
            mode: 0o644,
        };
        let edits = [edit("/etc/passwd"), edit("/etc/missing")];
        let [one, two] = [(); 2].map(|()| save(&host, "adopt-x", &edits, &[("plan.txt", "plan")]).unwrap());
        assert_ne!(one, two);
        for kept in [&one, &two] {
            assert_eq!(fs::read(kept.join("etc/passwd")).unwrap(), b"x");
            assert_eq!(files::names(kept).unwrap(), ["etc", "plan.txt"]);
        }
        assert!(save(&host, "adopt-x", &[edit("/etc/passwd"), edit("/etc")], &[]).is_err());
        assert_eq!(files::names(&root.path().join("var/lib/nss-iam/backup")).unwrap().len(), 2);
    }
}
