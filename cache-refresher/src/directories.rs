//! Checks the directories that could become homes: who owns them, and where they really are.
//!
//! This happens in a child process, which is abandoned if it takes too long: a network file system that hangs would
//! otherwise stop everything. Nothing is mounted for it (AT_NO_AUTOMOUNT of stat(2)).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use claims::program;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::fstatat;
use serde::{Deserialize, Serialize};

/// The hidden subcommand of that child process.
const WORD: &str = "look-at-directories";

/// How long all checks together may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The owner of a directory that cannot be checked. No user has this uid.
pub(crate) const UNKNOWN_OWNER: u32 = u32::MAX;

/// Which directories to check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// Find the owners of these.
    pub owners: BTreeSet<String>,
    /// Find where these really are, with links followed.
    pub places: BTreeSet<String>,
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directories {
    /// The owner of each; `None` if there is no such directory.
    pub owners: BTreeMap<String, Option<u32>>,
    /// Where those really are that are reached through a link.
    pub links: BTreeMap<String, String>,
}

/// Checks these directories.
///
/// # Errors
/// Why nothing was found out.
pub(crate) fn look(question: &Question) -> Result<Directories, String> {
    if *question == Question::default() {
        return Ok(Directories::default());
    }
    let mut child =
        program::again(&[WORD]).spawn().map_err(|cause| format!("cannot run '{WORD}': {cause}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (send, said) = mpsc::channel();
    let json = serde_json::to_vec(question).unwrap_or_default();
    std::thread::spawn(move || {
        // The child reads all of its input before it checks anything, and its answer is empty if the input is cut short.
        let _ = stdin.map(|mut stdin| stdin.write_all(&json));
        let mut answer = Vec::new();
        let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut answer));
        let _ = send.send(answer);
    });
    let answer = said.recv_timeout(PATIENCE);
    // A process that waits for a disk does not die before the disk answers, so this thread does not wait for it.
    let _ = child.kill();
    std::thread::spawn(move || child.wait());
    let answer = answer.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?;
    serde_json::from_slice(&answer).map_err(|_| "the process that checks them ended early".to_owned())
}

/// Does that if this process is such a child; `None` if it is not. `words` are the program's name and its arguments.
pub(crate) fn serve(mut words: impl Iterator<Item = OsString>) -> Option<io::Result<()>> {
    (words.nth(1)? == WORD).then(|| {
        let mut json = Vec::new();
        io::stdin().lock().read_to_end(&mut json)?;
        let question: Question = serde_json::from_slice(&json)?;
        io::stdout().lock().write_all(&serde_json::to_vec(&see(question))?)
    })
}

fn see(question: Question) -> Directories {
    let owners = question.owners.into_iter().map(|directory| {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
        let owner = match fstatat(AT_FDCWD, directory.as_str(), flags) {
            Ok(found) => Some(found.st_uid),
            Err(Errno::ENOENT) => None,
            Err(_) => Some(UNKNOWN_OWNER),
        };
        (directory, owner)
    });
    let links = question.places.into_iter().filter_map(|directory| {
        let real = fs::canonicalize(&directory).ok()?.to_string_lossy().into_owned();
        (real != directory).then_some((directory, real))
    });
    Directories { owners: owners.collect(), links: links.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_looked_at_is_nobodys_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("file", directory.path().join("link")).unwrap();
        let [there, below, gone, link] =
            [file.clone(), file.join("home"), directory.path().join("gone"), directory.path().join("link")]
                .map(|path| path.to_string_lossy().into_owned());
        let owners = [&there, &below, &gone].map(Clone::clone).into();
        let seen = see(Question { owners, places: [link.clone(), there.clone(), gone.clone()].into() });
        let owner = nix::unistd::geteuid().as_raw();
        assert_eq!(seen.owners[&there], Some(owner));
        assert_eq!((seen.owners[&below], seen.owners[&gone]), (Some(UNKNOWN_OWNER), None));
        assert_eq!(seen.links, [(link, there)].into());
    }
}
