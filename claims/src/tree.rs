//! The host's files below a root directory: "/" in production, a copy of a machine in tests. Links inside the
//! directory are resolved inside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// No file that is read here is this large on a working host: larger files are reported as unreadable.
const MAX_SIZE: u64 = 1 << 20;
/// As in path_resolution(7): more links than this are a loop.
const MAX_LINKS: usize = 40;

/// A root directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'a>(pub(crate) &'a Path);

/// An entry of a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub path: PathBuf,
    pub name: String,
    pub is_dir: bool,
    pub is_link: bool,
}

impl Tree<'_> {
    /// Whether this is the host itself, so that the host's programs see the same files.
    pub(crate) fn is_host(self) -> bool {
        self.0 == Path::new("/")
    }

    /// The path of `path` for the kernel, with all links resolved. It need not exist.
    pub(crate) fn real(self, path: &Path) -> io::Result<PathBuf> {
        if self.is_host() {
            return Ok(path.to_owned());
        }
        let mut open: Vec<PathBuf> = components(path);
        let (mut found, mut links) = (PathBuf::new(), 0);
        while let Some(part) = open.pop() {
            if part.as_os_str() == ".." {
                found.pop();
                continue;
            }
            found.push(&part);
            let Ok(target) = fs::read_link(self.0.join(&found)) else { continue };
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("too many symbolic links"));
            }
            if target.is_absolute() {
                found.clear();
            } else {
                found.pop();
            }
            open.extend(components(&target));
        }
        Ok(self.0.join(found))
    }

    /// The path of the existing `path` for the kernel, without links and `..`.
    pub(crate) fn canonical(self, path: &Path) -> io::Result<PathBuf> {
        self.real(path).and_then(fs::canonicalize)
    }

    /// Whether a link leads to /dev/null, which hides a file in systemd's directories.
    pub(crate) fn is_masked(self, path: &Path) -> bool {
        self.canonical(path)
            .is_ok_and(|real| real == Path::new("/dev/null") || real == self.0.join("dev/null"))
    }

    /// The text of a regular file; `None` if it does not exist.
    pub(crate) fn read(self, path: &Path) -> io::Result<Option<String>> {
        let mut options = File::options();
        // Opening a FIFO would otherwise block forever.
        options.read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
        let file = match self.real(path).and_then(|path| options.open(path)) {
            Ok(file) => file,
            Err(cause) if is_absent(&cause) => return Ok(None),
            Err(cause) => return Err(cause),
        };
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        if facts.len() > MAX_SIZE {
            return Err(io::Error::other("larger than 1 MiB"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0) + 1);
        file.take(MAX_SIZE).read_to_end(&mut bytes)?;
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            // Names from IAM are ASCII, so no name is lost here.
            Err(odd) => String::from_utf8_lossy(odd.as_bytes()).into_owned(),
        }))
    }

    /// The entries of a directory, sorted by name; none if it does not exist.
    pub(crate) fn list(self, directory: &Path) -> io::Result<Vec<Entry>> {
        let entries = match self.real(directory).and_then(fs::read_dir) {
            Ok(entries) => entries,
            Err(cause) if is_absent(&cause) => return Ok(Vec::new()),
            Err(cause) => return Err(cause),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            found.push(Entry {
                path: directory.join(&name),
                name: name.to_string_lossy().into_owned(),
                is_dir: kind.is_dir(),
                is_link: kind.is_symlink(),
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Whether the file or directory exists, following links.
    pub(crate) fn exists(self, path: &Path) -> bool {
        self.real(path).is_ok_and(|path| path.exists())
    }

    /// Whether it is a directory, following links.
    pub(crate) fn is_directory(self, path: &Path) -> bool {
        self.real(path).is_ok_and(|path| path.is_dir())
    }

    /// Whether it is a regular file, following links.
    pub(crate) fn is_file(self, path: &Path) -> bool {
        self.real(path).is_ok_and(|path| path.is_file())
    }

    /// Whether the tree has the library `name`, wherever its distribution keeps libraries.
    pub(crate) fn has_library(self, name: &str) -> bool {
        let mut directories =
            ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/libexec/sudo"]
                .map(PathBuf::from)
                .to_vec();
        // Debian's directories for an architecture, such as /usr/lib/x86_64-linux-gnu.
        for directory in ["/lib", "/usr/lib"] {
            let entries = self.list(Path::new(directory)).unwrap_or_default();
            directories.extend(
                entries.into_iter().filter(|entry| entry.name.contains("-linux-")).map(|entry| entry.path),
            );
        }
        directories.iter().any(|directory| self.exists(&directory.join(name)))
    }
}

fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The parts of a path, in reverse order.
fn components(path: &Path) -> Vec<PathBuf> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| PathBuf::from(part.as_os_str()))
        .rev()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_of_the_tree_stays_in_the_tree() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree(directory.path());
        fs::create_dir_all(directory.path().join("etc/d")).unwrap();
        fs::write(directory.path().join("etc/real"), "ours").unwrap();
        symlink("/etc/real", directory.path().join("etc/d/absolute")).unwrap();
        symlink("../../../../etc/real", directory.path().join("etc/d/relative")).unwrap();
        symlink("loop", directory.path().join("etc/loop")).unwrap();
        for link in ["absolute", "relative"] {
            assert_eq!(tree.read(&Path::new("/etc/d").join(link)).unwrap().unwrap(), "ours", "{link}");
        }
        assert!(tree.read(Path::new("/etc/loop")).is_err());
        assert_eq!(tree.read(Path::new("/etc/none")).unwrap(), None);
        assert!(tree.read(Path::new("/etc/d")).is_err());
    }

    #[test]
    fn a_pipe_or_a_huge_file_is_an_error_and_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree(directory.path());
        nix::unistd::mkfifo(&directory.path().join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        File::create(directory.path().join("huge")).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert!(tree.read(Path::new("/pipe")).is_err());
        assert!(tree.read(Path::new("/huge")).is_err());
    }
}
