//! The fetch half as a child of root: another user, in a new session, without root's terminal, environment and open
//! files. It reports everything through pipes, see [`crate::relay`].

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use message::Message;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, close, geteuid, getppid, setsid};

use crate::cli::Cli;
use crate::handover::FETCH_USER;
use crate::{exit, relay};

/// The hidden subcommand that makes this program such a child. The parent's pid follows, then a command line.
pub(crate) const FETCH_CHILD: &str = "fetch-child";

/// The same as systemd sets for the unit.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How many names one argument has: the kernel allows 128 KiB in one (execve(2)).
const RELEASED_AT_ONCE: usize = 1000;

/// Why there is no report: the exit status and a message.
pub(crate) type Failed = (u8, Message);

/// Runs this program's fetch half, as [`FETCH_USER`] if this is root, and returns its standard output.
pub(crate) fn run(cli: &Cli, last_good: bool) -> Result<(String, ExitStatus), Failed> {
    let mut command = command(cli);
    command.args(last_good.then_some("--last-good"));
    if geteuid().is_root() {
        // Not through NSS, where another service could hang or crash.
        let files = claims::nss::files().map_err(|cause| {
            (exit::OTHER, format!("cannot read local users and groups: {cause}; nothing was done").into())
        })?;
        let (user, group) = (files.users.get(FETCH_USER), files.groups.get(FETCH_USER));
        let (Some(&uid), Some(group)) = (user, group) else {
            let message = Message::new(format!("user '{FETCH_USER}' does not exist; nothing was done"));
            return Err((exit::CONFIGURATION, message.with_hint("run 'systemd-sysusers nss-iam.conf'")));
        };
        // The standard library drops the supplementary groups along with the uid.
        command.uid(uid).gid(group.gid).env("HOME", "/");
    }
    let mut run = || {
        let mut child = command.spawn()?;
        let said = child.stderr.take().map(relay::start);
        let report = report(&mut child);
        let status = child.wait()?;
        if let Some(said) = said {
            said.end();
        }
        io::Result::Ok((report?, status))
    };
    run().map_err(|cause| (exit::OTHER, format!("cannot run the fetch half: {cause}").into()))
}

fn command(cli: &Cli) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // That user may have no access to the current directory.
    command.args([FETCH_CHILD, &std::process::id().to_string()]);
    command.args(["fetch", "--json", "--config"]).arg(cli.main_file()).current_dir("/");
    command.args(cli.force.then_some("--force")).args(cli.dry_run.then_some("--dry-run"));
    for names in cli.release.chunks(RELEASED_AT_ONCE) {
        // In one word: a name can begin with a hyphen.
        command.arg(format!("--release={}", names.join("\n")));
    }
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name))).env("PATH", PATH);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Not HOME of root, where the SDK would look for a profile.
fn is_passed_on(name: &OsString) -> bool {
    let is_used = |name: &str| config::environment::is_used(name) || (name == "HOME" && !geteuid().is_root());
    name.to_str().is_some_and(is_used)
}

fn report(child: &mut Child) -> io::Result<String> {
    let mut json = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(listing::MAX_BYTES).read_to_string(&mut json)?;
    }
    Ok(json)
}

/// The first steps of the child. Returns the rest of the command line.
///
/// # Errors
/// If it cannot give something up. The child must not continue then.
pub(crate) fn enter(mut words: Vec<OsString>) -> io::Result<Vec<OsString>> {
    let parent = words.get(2).and_then(|pid| pid.to_str()?.parse().ok()).map(Pid::from_raw);
    words.drain(1..words.len().min(3));
    if geteuid().is_root() {
        return Err(io::Error::other("it would run as root"));
    }
    close_files()?;
    // Without a controlling terminal it cannot type on one (TIOCSTI, TIOCLINUX). Ctrl-C no longer reaches it either, so it
    // ends with its parent, even if the parent has ended before the next line.
    setsid()?;
    set_pdeathsig(Signal::SIGKILL)?;
    if Some(getppid()) != parent {
        return Err(io::Error::other("its parent has ended"));
    }
    umask(Mode::from_bits_truncate(0o077));
    // There are credentials in its memory.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(words)
}

/// Closes the files that root had open and that exec did not close. This program has not opened any yet.
fn close_files() -> io::Result<()> {
    let open = std::fs::read_dir(Path::new("/proc/self/fd"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    // The directory itself is among them, and is already closed.
    for file in open.collect::<Vec<_>>().into_iter().filter(|&file| file > 2) {
        let _ = close(file);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::Parser as _;

    use super::*;

    #[test]
    fn only_what_the_sdk_the_proxy_and_tls_go_by_is_passed_on() {
        let passed =
            ["AWS_REGION", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "https_proxy", "no_proxy", "SSL_CERT_FILE"];
        for name in passed {
            assert!(is_passed_on(&name.into()), "{name}");
        }
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PATH",
            "SECRET",
            "aws_region",
            "XAWS_REGION",
            "SSH_AUTH_SOCK",
            "JOURNAL_STREAM",
            "LC_ALL",
            "GCONV_PATH",
            "MALLOC_CHECK_",
            "RUST_BACKTRACE",
            "",
        ] {
            assert!(!is_passed_on(&name.into()), "{name}");
        }
    }

    #[test]
    fn any_number_of_names_reaches_the_child_whatever_they_begin_with() {
        let names: Vec<String> = (0..2500).map(|number| format!("-user{number}")).collect();
        let cli = Cli { release: names.clone(), ..Cli::parse_from(["cache-refresher"]) };
        let command = command(&cli);
        assert!(command.get_args().all(|word| word.len() < 64 << 10));
        let words = command.get_args().skip(2);
        let parsed = Cli::try_parse_from([OsStr::new("cache-refresher")].into_iter().chain(words)).unwrap();
        assert_eq!(parsed.release, names);
    }

    #[test]
    fn root_does_not_become_the_child() {
        let words = ["cache-refresher", FETCH_CHILD, "1", "fetch"].map(OsString::from).to_vec();
        if geteuid().is_root() {
            assert!(enter(words).unwrap_err().to_string().contains("as root"));
        }
    }
}
