//! Everything on the way to a path, links included: whoever can replace one of these decides what a program finds there.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows: `path_resolution(7)`.
const MOST_LINKS: usize = 40;

/// A directory, a link or a file on the way.
#[derive(Debug, Clone)]
pub struct Node {
    /// Without links before it, and without the root directory that was asked for.
    pub path: PathBuf,
    /// Its own, also of a link.
    pub found: Metadata,
}

impl Node {
    /// Whether others than root can change it, or what is in it. A link has no mode: its directory decides who replaces it.
    #[must_use]
    pub fn others_change(&self) -> bool {
        self.found.uid() != 0 || !self.found.is_symlink() && self.found.mode() & 0o022 != 0
    }
}

/// Everything on the way to an absolute path below `root`, from `/` on, up to the first that does not exist. Absolute links lead
/// to below `root`, too.
///
/// # Errors
/// If something cannot be examined, or there are too many links.
pub fn to(root: &Path, path: &Path) -> io::Result<Vec<Node>> {
    let node = |path: &Path| {
        let found = fs::symlink_metadata(root.join(path.strip_prefix("/").unwrap_or(path)))?;
        Ok::<_, io::Error>(Node { path: path.to_owned(), found })
    };
    let mut at = PathBuf::from("/");
    let mut nodes = vec![node(&at)?];
    let (mut left, mut links) = (parts(path), 0);
    while let Some(part) = left.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = match node(&at.join(part)) {
            Ok(next) => next,
            Err(cause) if cause.kind() == ErrorKind::NotFound => break,
            Err(cause) => return Err(cause),
        };
        if next.found.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::other("too many links"));
            }
            let target = fs::read_link(root.join(next.path.strip_prefix("/").unwrap_or(&next.path)))?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(parts(&target));
        } else {
            at.clone_from(&next.path);
        }
        nodes.push(next);
    }
    Ok(nodes)
}

/// The last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| part.as_os_str().to_owned()).rev().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(root: &Path, path: &str) -> Vec<String> {
        let nodes = to(root, Path::new(path)).unwrap();
        nodes.iter().map(|node| node.path.display().to_string()).collect()
    }

    #[test]
    fn each_link_and_the_directory_that_it_is_in_is_on_the_way() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in ["etc", "srv", "usr"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("usr/file"), "").unwrap();
        symlink("/srv/second", path("etc/first")).unwrap();
        symlink("../usr/file", path("srv/second")).unwrap();
        symlink("srv", path("link")).unwrap();
        symlink("loop", path("loop")).unwrap();
        for (asked, wanted) in [
            ("/usr/file", &["/", "/usr", "/usr/file"][..]),
            ("/etc/first", &["/", "/etc", "/etc/first", "/srv", "/srv/second", "/usr", "/usr/file"]),
            ("/link/second", &["/", "/link", "/srv", "/srv/second", "/usr", "/usr/file"]),
            ("/etc/../../usr/./file", &["/", "/etc", "/usr", "/usr/file"]),
            ("/usr/none/file", &["/", "/usr"]),
        ] {
            assert_eq!(names(root.path(), asked), wanted, "{asked}");
        }
        assert_eq!(to(root.path(), Path::new("/loop")).unwrap_err().to_string(), "too many links");
    }
}
