//! Ends the processes of users who may no longer log in, or no longer run commands: lingering and sessions first, then whatever still runs.
//!
//! Signals are sent by a child that has taken the user's uid. The kernel then lets it reach that user's processes and no
//! others, all at once (kill(2), pid -1); a list of pids could not guarantee that.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cache::snapshot::Cache;
use cache::state::State;
use claims::processes::{self, Process};
use claims::program;
use foldhash::HashSet;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};
use policy::{Id, Name, id};
use status::Warning;

use crate::local::Local;

/// The hidden subcommand of the child that sends a signal.
pub(crate) const END_PROCESSES: &str = "end-processes";

/// How long to wait for logind. The default of D-Bus is 25 seconds.
const LOGIND: Duration = Duration::from_millis(200);

/// How long processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);
/// SIGKILL is sent again for processes that were being created. If they remain after so many rounds, they cannot be killed.
const ROUNDS: u32 = 20;

/// Added to the user's uid, this is the real and the saved uid of the child that sends signals. kill(2) checks those two
/// of the receiver, so the user's own processes cannot stop the child. No user has such an id (systemd's UIDS-GIDS leaves
/// the upper half unused).
const STAND_IN: u32 = 0x8000_0000;

/// A user who left or is locked, or who may from now on only forward connections.
struct Left<'a> {
    uid: u32,
    why: &'static str,
    name: &'a Name,
    /// loginctl(1): exists while the user lingers.
    linger: Option<PathBuf>,
}

/// Ends the processes of every disabled user, shown or hidden, and of the `restricted`. Returns a warning for each user whose
/// processes remain.
///
/// Without `local`, ids that a local user could have are left alone. Without `cache`, no name counts as active.
pub(crate) fn end(
    state: &State,
    cache: Option<&Cache>,
    local: Option<&Local>,
    restricted: &BTreeSet<Id>,
) -> Vec<Warning> {
    let running = running_uids();
    let mut left = to_be_ended(state, cache, local, restricted);
    left.retain(|left| running.contains(&left.uid) || left.linger.is_some());
    for user in &left {
        log::info!("user '{}' ({}) {}: ending sessions and processes", user.name, user.uid, user.why);
        if Path::new("/run/systemd/system").exists() {
            // logind may not know this user. What counts is that no process is left.
            for verb in ["disable-linger", "terminate-user"] {
                loginctl(verb, user.uid);
            }
        }
        if let Some(file) = &user.linger {
            let _ = fs::remove_file(file);
        }
    }
    let mut remaining = signal(left, Signal::SIGTERM);
    let mut waited = Duration::ZERO;
    while waited < GRACE && !remaining.is_empty() {
        std::thread::sleep(POLL);
        waited += POLL;
        remaining = still_there(remaining);
    }
    for _ in 0..ROUNDS {
        if remaining.is_empty() {
            break;
        }
        remaining = signal(remaining, Signal::SIGKILL);
        std::thread::sleep(POLL);
        remaining = still_there(remaining);
    }
    let warning = |left: Left<'_>| Warning::ProcessesLeft { name: left.name.to_string(), uid: left.uid };
    remaining.into_iter().map(warning).collect()
}

/// The users, without ids of local users. Lingering of a name that now belongs to somebody else is not touched.
fn to_be_ended<'a>(
    state: &'a State,
    cache: Option<&Cache>,
    local: Option<&Local>,
    restricted: &BTreeSet<Id>,
) -> Vec<Left<'a>> {
    let users = || cache.iter().flat_map(|cache| &cache.users);
    // Needed only if somebody is disabled.
    let active = LazyCell::new(|| -> HashSet<&Name> {
        users().filter(|user| user.active).map(|user| &user.name).collect()
    });
    let is_local = |name: &Name| local.is_none_or(|local| local.files.users.contains_key(name.as_str()));
    let of_host = LazyCell::new(|| local.map(Local::holders));
    let is_other = |uid: u32| of_host.as_ref().map_or(uid < id::FIRST, |of_host| of_host.of(uid).is_some());
    let left = state.users.iter().filter_map(|(id, user)| {
        let id = state.identities.get(id)?.id;
        let (uid, name) = (id.get(), &user.name);
        let is_active = user.disabled.is_none();
        if is_active && !restricted.contains(&id) {
            return None;
        }
        let file = Path::new("/var/lib/systemd/linger").join(name.as_str());
        let own = (is_active || !active.contains(name)) && !is_local(name);
        let why = if is_active { "may only forward connections now" } else { "is disabled" };
        Some(Left { uid, why, name, linger: (own && file.exists()).then_some(file) })
    });
    left.filter(|left| !is_other(left.uid)).collect()
}

fn still_there(mut users: Vec<Left<'_>>) -> Vec<Left<'_>> {
    let running = running_uids();
    users.retain(|user| running.contains(&user.uid));
    users
}

/// Sends the signal to all of them, and returns them. /proc shows whether it worked; if not, the child reports why.
fn signal(users: Vec<Left<'_>>, signal: Signal) -> Vec<Left<'_>> {
    for user in &users {
        let mut command = Command::new("/proc/self/exe");
        command.args([END_PROCESSES, &user.uid.to_string(), signal.as_str()]).current_dir("/").env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Err(cause) = command.status() {
            log::error!("cannot run '{END_PROCESSES}': {cause}");
        }
    }
    users
}

/// Run in the child. It changes from root to an id that can signal the processes of `uid`, and no others.
pub(crate) fn end_processes(uid: &str, signal: &str) -> io::Result<()> {
    let refused = |why: &str| Err(io::Error::other(why.to_owned()));
    let signal: Signal = signal.parse()?;
    let Some(uid) = uid.parse().ok().filter(|&uid| Id::pinned(uid).is_ok()) else {
        return refused("not the uid of an nss-iam user");
    };
    // The highest uid means "leave it as it is" (setresuid(2)).
    let Some(stand_in) = uid.checked_add(STAND_IN).filter(|&id| id != u32::MAX) else {
        return refused("uids from 2147483647 on cannot be signalled");
    };
    setgroups(&[])?;
    let gid = Gid::from_raw(stand_in);
    setresgid(gid, gid, gid)?;
    let other = Uid::from_raw(stand_in);
    setresuid(other, Uid::from_raw(uid), other)?;
    // If it can still signal init, it has root privileges, and would end every process of this host.
    if kill(Pid::from_raw(1), None) != Err(Errno::EPERM) {
        return refused("still has root privileges");
    }
    match kill(Pid::from_raw(-1), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}

/// Does not use PATH, which differs if the refresher is started by hand. If logind is too slow, signals end the rest.
fn loginctl(verb: &str, uid: u32) {
    if let Some(program) = program::find(&["/usr/bin/loginctl", "/bin/loginctl"]) {
        let _ = program::start(&program, &[verb, &uid.to_string()], LOGIND);
    }
}

fn running_uids() -> BTreeSet<u32> {
    processes::all(Path::new("/")).unwrap_or_default().iter().flat_map(receivers).collect()
}

/// The real and the saved uid, which kill(2) checks.
fn receivers(process: &Process) -> [u32; 2] {
    let [real, _, saved, _] = process.uids;
    [real, saved]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_by_its_real_and_its_saved_uid() {
        assert_eq!(receivers(&Process { pid: 9, name: "sleep".to_owned(), uids: [1, 2, 3, 4] }), [1, 3]);
    }

    #[test]
    fn what_is_no_uid_of_ours_is_never_signalled() {
        for uid in ["0", "-1", "999", "65534", "4294967295", "", "ana"] {
            let refused = end_processes(uid, "SIGKILL").unwrap_err();
            assert_eq!(refused.to_string(), "not the uid of an nss-iam user", "{uid}");
        }
        for uid in ["2147483647", "2147483648", "2147484648"] {
            assert!(
                end_processes(uid, "SIGKILL").unwrap_err().to_string().contains("cannot be signalled"),
                "{uid}"
            );
        }
    }
}
