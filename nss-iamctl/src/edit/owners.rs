//! Changes the owner of files, in directories that the owner can modify at the same time.
//!
//! Each file is opened relative to its directory, never by its path, and no symbolic link is followed, so that the file that
//! is changed is the one that was checked. Only files of that owner are changed, so a link to a file of somebody else has
//! no effect.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use rustix::fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, Stat, Uid, chownat, fstat, openat};

/// How many levels of directories are visited. Each stays open, and a process may have 1024 files open.
const DEPTH: usize = 500;

/// Old and new ids of files of one user. The group changes only on files of that user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moves {
    pub uid: (u32, u32),
    pub gid: Option<(u32, u32)>,
}

impl fmt::Display for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = (self.uid.0 != self.uid.1).then(|| format!("uid {} to {}", self.uid.0, self.uid.1));
        let gid = self.gid.filter(|(old, new)| old != new).map(|(old, new)| format!("gid {old} to {new}"));
        let all: Vec<String> = uid.into_iter().chain(gid).collect();
        write!(f, "{}", all.join(", "))
    }
}

/// Files that were changed, by device and inode.
pub(crate) type Changed = BTreeSet<(u64, u64)>;

/// Changes the file at `path` and, if it is a directory, everything in it on the same file system, except the inodes in
/// `kept`. Changed files are added to `changed`, even if it fails later. If there is a symbolic link at `path`, the link
/// itself is changed.
///
/// # Errors
/// Those of the operating system; a missing path is not an error.
pub(crate) fn walk(path: &Path, moves: Moves, kept: &BTreeSet<u64>, changed: &mut Changed) -> io::Result<()> {
    let mut change = |stat: &Stat, moves: Moves| {
        let done = moves.of(stat).filter(|_| !kept.contains(&stat.st_ino));
        if done.is_some() {
            changed.insert((stat.st_dev, stat.st_ino));
        }
        done
    };
    visit(path, true, &mut |stat| change(stat, moves))
}

/// Undoes [`walk`], only for the files in `changed`.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn undo(path: &Path, moves: Moves, changed: &Changed) -> io::Result<()> {
    let moves = moves.back();
    visit(path, false, &mut |stat| moves.of(stat).filter(|_| changed.contains(&(stat.st_dev, stat.st_ino))))
}

/// The inodes of the files that have the new ids already. Without devices, whose numbers may differ after a reboot.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn already(path: &Path, moves: Moves, found: &mut BTreeSet<u64>) -> io::Result<()> {
    visit(path, false, &mut |stat| {
        if moves.back().of(stat).is_some() {
            found.insert(stat.st_ino);
        }
        None
    })
}

impl Moves {
    /// The opposite change.
    pub(crate) fn back(self) -> Self {
        let back = |(old, new): (u32, u32)| (new, old);
        Self { uid: back(self.uid), gid: self.gid.map(back) }
    }

    /// The new ids of a file, if they differ.
    fn of(self, stat: &Stat) -> Option<(u32, u32)> {
        if stat.st_uid != self.uid.0 {
            return None;
        }
        let gid = self.gid.filter(|(old, _)| *old == stat.st_gid).map_or(stat.st_gid, |(_, new)| new);
        ((self.uid.1, gid) != (stat.st_uid, stat.st_gid)).then_some((self.uid.1, gid))
    }
}

type Change<'a> = dyn FnMut(&Stat) -> Option<(u32, u32)> + 'a;

/// With `all`, too many levels of directories are an error; otherwise the deeper ones are left out.
fn visit(path: &Path, all: bool, change: &mut Change<'_>) -> io::Result<()> {
    let Some(top) = open_plainly(path)? else { return Ok(()) };
    let device = fstat(&top)?.st_dev;
    let mut open: Vec<Dir> = directory(&top, device, change)?.into_iter().collect();
    while let Some(within) = open.last_mut() {
        let entry = match within.next() {
            None => {
                open.pop();
                continue;
            }
            Some(entry) => entry?,
        };
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match openat(within.fd()?, entry.file_name(), flags, Mode::empty()) {
            // Removed in the meantime.
            Err(rustix::io::Errno::NOENT) => continue,
            opened => opened?,
        };
        if let Some(inner) = directory(&opened, device, change)? {
            match (open.len() < DEPTH, all) {
                (true, _) => open.push(inner),
                (false, false) => {}
                (false, true) => {
                    return Err(io::Error::other(format!(
                        "there are more than {DEPTH} levels of directories"
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Changes one file, and opens it if it is a directory on this file system.
fn directory(file: &OwnedFd, device: u64, change: &mut Change<'_>) -> io::Result<Option<Dir>> {
    let stat = fstat(file)?;
    let is_directory = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    // Only for directories, as in find(1) -xdev: on overlayfs, the device of a plain file differs from that of its directory.
    if is_directory && stat.st_dev != device {
        return Ok(None);
    }
    if let Some((uid, gid)) = change(&stat) {
        chownat(file, c"", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)?;
    }
    if !is_directory {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // "." of the directory that was checked, even if its name now refers to something else.
    Ok(Some(Dir::new(openat(file, c".", flags, Mode::empty())?)?))
}

/// Opens the file at a path. The directory is opened by its real path, without symbolic links.
fn open_plainly(path: &Path) -> io::Result<Option<OwnedFd>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = match directory.canonicalize() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        directory => directory?,
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut current = openat(CWD, c"/", flags, Mode::empty())?;
    for part in directory.components().filter(|part| *part != Component::RootDir) {
        current = openat(&current, part.as_os_str(), flags | OFlags::DIRECTORY, Mode::empty())?;
    }
    match openat(&current, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}
