//! The processes of this host and their uids: proc_pid_status(5).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: i32,
    /// The name that it gave itself (prctl(2), PR_SET_NAME), which may contain any bytes.
    pub name: String,
    /// Real, effective, saved and file system uid.
    pub uids: [u32; 4],
}

/// All running processes, in no particular order. Zombies do not count.
///
/// # Errors
/// If `/proc` below `root` cannot be read.
pub fn all(root: &Path) -> io::Result<Vec<Process>> {
    let entries = fs::read_dir(root.join("proc"))?.flatten();
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(pid).filter_map(|pid| one(root, pid).ok().flatten()).collect())
}

/// The process with this id; none if it has ended.
///
/// # Errors
/// If it cannot be read.
pub fn one(root: &Path, pid: i32) -> io::Result<Option<Process>> {
    match fs::read(root.join(format!("proc/{pid}/status"))) {
        Ok(status) => Ok(Process::parse(pid, &status)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

impl Process {
    fn parse(pid: i32, status: &[u8]) -> Option<Self> {
        let status = String::from_utf8_lossy(status);
        let value = |key| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim();
        if value("State:").starts_with(['Z', 'X']) {
            return None;
        }
        let uids: Vec<u32> = value("Uid:").split_whitespace().filter_map(|uid| uid.parse().ok()).collect();
        Some(Self { pid, name: value("Name:").to_owned(), uids: uids.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_uids_and_a_zombie_is_not() {
        let status = "Name:\tsleep\nState:\tS (sleeping)\nUid:\t1\t2\t3\t4\n";
        let of = |status: &[u8]| Process::parse(7, status).map(|process| (process.name, process.uids));
        assert_eq!(of(status.as_bytes()), Some(("sleep".to_owned(), [1, 2, 3, 4])));
        assert_eq!(of(status.replace("S (", "Z (").as_bytes()), None);
        let nameless = b"Name:\t\xff\nState:\tS (sleeping)\nUid:\t1\t2\t3\t4\n";
        assert_eq!(of(nameless), Some(("\u{fffd}".to_owned(), [1, 2, 3, 4])));
        assert_eq!(of(b""), None);
    }

    #[test]
    fn this_process_runs() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let here = one(Path::new("/"), pid).unwrap().unwrap();
        assert!(all(Path::new("/")).unwrap().contains(&here));
        assert_eq!(here.uids[1], nix::unistd::geteuid().as_raw());
        assert_eq!(one(Path::new("/"), i32::MAX).unwrap(), None);
        assert!(all(Path::new("/nowhere")).is_err());
    }
}
