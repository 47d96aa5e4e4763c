//! Runs the host's own command of EC2 Instance Connect, which prints the keys that were pushed for a user within the last
//! minute. Its output is treated as untrusted, and nothing that it started remains.
//!
//! docs/reference/keys-cmd.md describes the command.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, close};
use policy::instance_connect::COMMANDS;

/// The command ends itself after 5 s (`timeout 5s`).
const DEADLINE: Duration = Duration::from_millis(5500);
/// Room for more keys than anybody pushes in a minute.
const MAX_OUTPUT: usize = 64 << 10;
/// All that it gets of an environment; it calls most programs by their paths.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// It found no key: curl's status for "not found", if one expired between two requests, and that of its own parser. If none was
/// pushed, it succeeds without output.
const NO_KEY: [i32; 2] = [22, 255];
/// How long processes are waited for that were killed.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(2);

/// What the command prints for this user, and for this key or for all.
///
/// # Errors
/// Why its keys do not count. That it has none is no error.
pub(crate) fn run(user: &str, fingerprint: Option<&str>) -> Result<String, String> {
    let path = find(&COMMANDS.map(Path::new))?;
    close_inherited();
    let mut command = Command::new(path);
    command.arg(user).args(fingerprint);
    capture(&mut command, DEADLINE)
}

/// The first of these that exists. sshd asks the same of its own command: nobody but root may be able to replace it.
fn find(paths: &[&Path]) -> Result<PathBuf, String> {
    let Some(path) = paths.iter().find(|path| fs::symlink_metadata(path).is_ok()) else {
        return Err("its command is not installed".to_owned());
    };
    let unseen = |cause: io::Error| format!("cannot examine '{}': {cause}", path.display());
    let real = fs::canonicalize(path).map_err(unseen)?;
    let nodes = way::to(Path::new("/"), path).map_err(unseen)?;
    if let Some(node) = nodes.iter().find(|node| node.others_change()) {
        return Err(format!("not only root can write to '{}'", node.path.display()));
    }
    if !fs::metadata(&real).map_err(unseen)?.is_file() {
        return Err(format!("'{}' is not a file", path.display()));
    }
    Ok(real)
}

/// What else this process has open, from whatever started it.
fn close_inherited() {
    let names = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let open: Vec<i32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one that listed the others is closed already.
        let _ = close(descriptor);
    }
}

/// The output of a command that succeeds before the deadline; empty if it says that there is no key.
fn capture(command: &mut Command, deadline: Duration) -> Result<String, String> {
    command.env_clear().env("PATH", PATH).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let until = Instant::now() + deadline;
    // So that whatever outlives its parent becomes a child of this process.
    let _ = set_child_subreaper(true);
    let mut child = command.spawn().map_err(|cause| format!("cannot run its command: {cause}"))?;
    let late = || format!("its command took longer than {} ms", deadline.as_millis());
    let output = match child.stdout.take() {
        Some(stdout) => read(stdout, until).and_then(|output| output.ok_or_else(late)),
        None => Err("its command has no output".to_owned()),
    };
    let status = output.as_ref().ok().and_then(|_| wait(&mut child, until));
    end(&mut child);
    judge(output?, status.ok_or_else(late)?)
}

fn judge(output: Vec<u8>, status: ExitStatus) -> Result<String, String> {
    match status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output).into_owned()),
        Some(code) if NO_KEY.contains(&code) => Ok(String::new()),
        Some(124) => Err("its command timed out".to_owned()),
        Some(code) => Err(format!("its command failed with status {code}")),
        None => Err(format!("its command was ended by signal {}", status.signal().unwrap_or_default())),
    }
}

/// All output; `None` if it does not end in time.
fn read(mut stdout: ChildStdout, until: Instant) -> Result<Option<Vec<u8>>, String> {
    let failed = |cause: io::Error| format!("cannot read the output of its command: {cause}");
    let (mut output, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // `poll` counts milliseconds, so less than one is no time.
        if left.as_millis() == 0 {
            return Ok(None);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(cause) => return Err(failed(cause.into())),
        }
        let count = stdout.read(&mut part).map_err(failed)?;
        let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else { return Ok(Some(output)) };
        output.extend_from_slice(read);
        if output.len() > MAX_OUTPUT {
            return Err(format!("its command printed more than {MAX_OUTPUT} bytes"));
        }
    }
}

/// Its status; `None` if it does not end in time.
fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= until {
            return None;
        }
        sleep(PAUSE);
    }
}

/// Ends the command and all that it started. timeout(1) has a process group of its own, so ending the command's group is not
/// enough.
fn end(child: &mut Child) {
    let until = Instant::now() + PATIENCE;
    if wait(child, Instant::now()).is_none() {
        if let Ok(group) = i32::try_from(child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        wait(child, until);
    }
    loop {
        let orphans = orphans();
        if orphans.is_empty() || Instant::now() >= until {
            return;
        }
        for orphan in orphans {
            let _ = kill(orphan, Signal::SIGKILL);
            let _ = waitpid(orphan, Some(WaitPidFlag::WNOHANG));
        }
        sleep(PAUSE);
    }
}

/// The children of the first thread, which is the only one.
fn orphans() -> Vec<Pid> {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let children = fs::read_to_string(path).unwrap_or_default();
    children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// Far more than any of these takes.
    const LONG: Duration = Duration::from_secs(60);

    fn sh(line: &str, deadline: Duration) -> Result<String, String> {
        capture(Command::new("/bin/sh").args(["-c", line]), deadline)
    }

    #[test]
    fn only_the_output_of_a_command_that_succeeds_counts() {
        for status in 0..=255 {
            let said = sh(&format!("echo key; exit {status}"), LONG);
            match status {
                0 => assert_eq!(said.unwrap(), "key\n"),
                22 | 255 => assert_eq!(said.unwrap(), ""),
                124 => assert_eq!(said.unwrap_err(), "its command timed out"),
                other => assert_eq!(said.unwrap_err(), format!("its command failed with status {other}")),
            }
        }
        assert_eq!(sh("echo key; kill -9 $$", LONG).unwrap_err(), "its command was ended by signal 9");
    }

    #[test]
    fn it_gets_a_path_and_nothing_else() {
        // The shell has more variables than it was given.
        let said = sh("tr '\\0' '\\n' </proc/$$/environ; cat; pwd", LONG).unwrap();
        assert_eq!(said, format!("PATH={PATH}\n/\n"));
    }

    #[test]
    fn what_is_too_long_or_too_late_does_not_count() {
        let short = Duration::from_millis(200);
        for (line, deadline, why) in [
            ("head -c 65536 /dev/zero; exit 22", LONG, None),
            ("head -c 65537 /dev/zero", LONG, Some("more than 65536 bytes")),
            ("yes", LONG, Some("more than 65536 bytes")),
            ("echo key; sleep 100", short, Some("longer than 200 ms")),
            ("echo key; exec >&-; sleep 100", short, Some("longer than 200 ms")),
            (
                "trap '' TERM INT HUP; while :; do echo key; sleep 0.1; done",
                short,
                Some("longer than 200 ms"),
            ),
        ] {
            match why {
                None => assert_eq!(sh(line, deadline).unwrap(), "", "{line}"),
                Some(why) => assert!(sh(line, deadline).unwrap_err().contains(why), "{line}"),
            }
        }
    }

    #[test]
    fn a_command_that_others_can_write_to_is_not_run() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = PathBuf::from(format!("/run/nss-iam-pushed-{}", std::process::id()));
        let (file, link) = (directory.join("file"), directory.join("link"));
        let (between, through) = (directory.join("between"), directory.join("through"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&directory, 0o755);
        mode(&file, 0o755);
        // A link to a link, which is in a directory of somebody else.
        fs::create_dir(&between).unwrap();
        symlink(&file, between.join("second")).unwrap();
        symlink(between.join("second"), &through).unwrap();
        mode(&between, 0o755);
        assert_eq!(find(&[&through]).unwrap(), file);
        chown(&between, Some(1), None).unwrap();
        assert!(find(&[&through]).unwrap_err().contains("/between'"));
        let missing = directory.join("missing");
        assert_eq!(find(&[&missing, &file]).unwrap(), file);
        assert_eq!(find(&[&link]).unwrap(), file);
        assert_eq!(find(&[&missing]).unwrap_err(), "its command is not installed");
        assert!(find(&[&directory]).unwrap_err().contains("is not a file"));
        for (path, wrong) in
            [(&file, 0o775), (&file, 0o757), (&directory, 0o775), (&directory, 0o757), (&directory, 0o1777)]
        {
            mode(path, wrong);
            for path in [&file, &link] {
                assert!(find(&[path]).unwrap_err().contains("not only root"), "{wrong:o}");
            }
            mode(path, 0o755);
        }
        for path in [&file, &directory] {
            chown(path, Some(1), None).unwrap();
            assert!(find(&[&link]).unwrap_err().contains("not only root"));
            chown(path, Some(0), None).unwrap();
        }
        fs::remove_file(&file).unwrap();
        assert!(find(&[&link]).unwrap_err().contains("cannot examine"), "a dangling link is there");
        fs::remove_dir_all(&directory).unwrap();
    }
}
