//! Runs another program of the host: by absolute path, with an empty environment, and only until a deadline.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Longer output is truncated, and then fails to parse.
const MAX_OUTPUT: u64 = 64 << 20;

/// The output of a program.
#[derive(Debug)]
pub struct Output {
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
    /// Whether it exited with status 0.
    pub success: bool,
}

/// The first of `paths` that is a program which only root can have installed.
#[must_use]
pub fn find(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| {
        // Debian's /usr/local/bin may belong to the group staff: a file that does not belong to root is not
        // run as root.
        path.metadata().is_ok_and(|facts| facts.is_file() && facts.uid() == 0 && facts.mode() & 0o022 == 0)
    })
}

/// This program once more, for a question that may hang: it reads the question, writes the answer, and says nothing else.
/// It gets no environment, because modules use variables (LDAPCONF, SSS_NSS_USE_MEMCACHE), and ours may not be trustworthy.
#[must_use]
pub fn again(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(words).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Runs `program` to its end.
///
/// # Errors
/// Why there is no result, for a message.
pub fn run(program: &Path, arguments: &[&Path], deadline: Duration) -> Result<Output, String> {
    let mut command = Command::new(program);
    command.args(arguments);
    run_as(command, program, deadline)
}

/// Runs `program` to its end by this command, which may set a user.
///
/// # Errors
/// Why there is no result, for a message.
pub fn run_as(mut command: Command, program: &Path, deadline: Duration) -> Result<Output, String> {
    let until = Instant::now() + deadline;
    let mut child = command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| format!("cannot run '{}': {cause}", program.display()))?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let left = || until.saturating_duration_since(Instant::now());
    let ended = (|| {
        let stdout = stdout.recv_timeout(left()).ok()?;
        let stderr = stderr.recv_timeout(left()).ok()?;
        Some(Output { stdout, stderr, success: wait(&mut child, until)? })
    })();
    ended.ok_or_else(|| {
        // Both fail only if the program has already ended.
        let _ = child.kill();
        let _ = child.wait();
        format!("'{}' did not end within {} s", program.display(), deadline.as_secs())
    })
}

/// Starts `program`, whose output is discarded, and waits at most `patience`. A program that takes longer continues
/// to run.
///
/// # Errors
/// Why it is not known to have succeeded, for a message.
pub fn start(program: &Path, arguments: &[&str], patience: Duration) -> Result<(), String> {
    let until = Instant::now() + patience;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|cause| format!("cannot run '{}': {cause}", program.display()))?;
    match wait(&mut child, until) {
        Some(true) => Ok(()),
        Some(false) => Err("it failed".to_owned()),
        None => Err(format!("it has not ended within {} ms", patience.as_millis())),
    }
}

/// Reads a pipe in a separate thread: a program that fills one pipe while another is read would hang.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.take(MAX_OUTPUT).read_to_end(&mut bytes));
        if read.is_ok() {
            // The other end is gone only after the deadline.
            let _ = sender.send(bytes);
        }
    });
    receiver
}

/// Whether the program succeeded; `None` if it did not end in time.
fn wait(child: &mut Child, until: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline: Duration) -> Result<Output, String> {
        run(Path::new("/bin/sh"), &[Path::new("-c"), Path::new(script)], deadline)
    }

    #[test]
    fn a_program_has_no_environment_and_no_input() {
        let said = sh("echo ${HOME:-none}; cat; echo warning >&2; exit 3", Duration::from_secs(10)).unwrap();
        assert_eq!(
            (said.stdout, said.stderr, said.success),
            (b"none\n".to_vec(), b"warning\n".to_vec(), false)
        );
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        for script in ["exec sleep 60", "exec sleep 60 >&- 2>&-"] {
            let begin = Instant::now();
            assert!(sh(script, Duration::from_millis(200)).unwrap_err().contains("did not end"));
            assert!(begin.elapsed() < Duration::from_secs(5));
        }
    }

    #[test]
    fn a_program_that_writes_much_to_both_ends() {
        let said =
            sh("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", Duration::from_secs(10)).unwrap();
        assert_eq!((said.stdout.len(), said.stderr.len()), (300_000, 300_000));
    }

    #[test]
    fn a_program_that_is_not_roots_is_not_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(find(&[file.path().to_str().unwrap()]), None);
        assert_eq!(find(&["/none", "/bin/sh"]), Some(PathBuf::from("/bin/sh")));
    }
}
