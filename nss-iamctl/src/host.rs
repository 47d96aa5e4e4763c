//! The host: where its files are, and how its programs are run. Tests replace both.

pub(crate) mod accounts;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod invoker;
pub(crate) mod log;
pub(crate) mod nscd;
pub(crate) mod paths;
pub(crate) mod processes;
pub(crate) mod published;
pub(crate) mod selinux;
pub(crate) mod services;
pub(crate) mod vendor;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use claims::nss::{Answers, Databases, Files, Question};
use claims::pam::Account;
use message::Message;

use crate::say::error::Error;

/// Every absolute path goes through [`Host::path`], every program through [`Host::run`].
pub(crate) struct Host {
    root: PathBuf,
    programs: Box<dyn Programs>,
}

/// How a program is run.
pub(crate) trait Programs {
    /// Runs `line` with this standard input, and waits for it.
    ///
    /// # Errors
    /// When it cannot be started.
    fn run(&self, line: &[&str], stdin: &str) -> io::Result<Output>;

    /// Asks services of nsswitch.conf(5). This program runs itself for that, which the tests' program cannot.
    fn ask(&self, _services: &BTreeMap<String, Databases>, _question: &Question) -> Answers {
        Answers::default()
    }

    /// Reads the service `files`, likewise.
    fn users_and_groups(&self) -> Result<Files, String> {
        Ok(Files::default())
    }

    /// Asks PAM, likewise.
    fn account(&self, _service: &str, _user: &str) -> Account {
        Account::Unasked("not on this host".to_owned())
    }

    /// Asks the person at the terminal; `None` if there is no terminal, as in most tests.
    fn confirm(&self, _question: &str) -> Option<bool> {
        None
    }
}

/// The output of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub(crate) fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its error message on one line: the end of standard error, or how it ended.
    pub(crate) fn complaint(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
        match (last, self.code) {
            ([], Some(code)) => format!("exit status {code}"),
            ([], None) => "ended by a signal".to_owned(),
            (lines, _) => lines.join(" / "),
        }
    }
}

/// Where programs are looked up; the caller's PATH is ignored.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Host {
    /// The machine that this runs on.
    pub(crate) fn this() -> Self {
        Self { root: PathBuf::from("/"), programs: Box::new(System) }
    }

    #[cfg(test)]
    pub(crate) fn of(root: PathBuf, programs: Box<dyn Programs>) -> Self {
        Self { root, programs }
    }

    /// A directory in which nothing can be run.
    #[cfg(test)]
    pub(crate) fn this_directory(root: &std::path::Path) -> Self {
        struct Nothing;
        impl Programs for Nothing {
            fn run(&self, _: &[&str], _: &str) -> io::Result<Output> {
                Err(io::ErrorKind::NotFound.into())
            }
        }
        Self::of(root.to_owned(), Box::new(Nothing))
    }

    /// Where the file with the absolute path `path` is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.path_of(Path::new(path))
    }

    /// As [`Self::path`], for names that need not be UTF-8.
    pub(crate) fn path_of(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether a file with this absolute path exists.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The absolute path of a program, if it is installed.
    pub(crate) fn find(&self, program: &str) -> Option<String> {
        PATH.split(':')
            .map(|directory| format!("{directory}/{program}"))
            .find(|path| self.path(path).is_file())
    }

    /// Runs a program and waits for it; the caller checks the exit status.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn run(&self, line: &[&str]) -> Result<Output, Error> {
        self.run_with(line, "")
    }

    /// As [`Self::run`], with this standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn run_with(&self, line: &[&str], stdin: &str) -> Result<Output, Error> {
        self.programs
            .run(line, stdin)
            .map_err(|cause| Error::other(format!("cannot run '{}': {cause}", line.join(" "))))
    }

    /// Asks services of nsswitch.conf(5), all at once.
    pub(crate) fn ask(&self, services: &BTreeMap<String, Databases>, question: &Question) -> Answers {
        self.programs.ask(services, question)
    }

    /// Reads the service `files` as the refresher does.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn users_and_groups(&self) -> Result<Files, String> {
        self.programs.users_and_groups()
    }

    /// Asks PAM whether it lets a user in through a service, such as `sshd`.
    pub(crate) fn account(&self, service: &str, user: &str) -> Account {
        self.programs.account(service, user)
    }

    /// Asks before something that a person may not have meant.
    ///
    /// # Errors
    /// Without a terminal, or when the answer is no: `why` it must be confirmed.
    pub(crate) fn confirm(&self, why: &Message) -> Result<(), Error> {
        let (what, hint) = (why.what(), why.hint().unwrap_or_default());
        let refused =
            |done: &str, hint: &str| Err(Error::configuration(format!("{what}; {done}")).hint(hint));
        match self.programs.confirm(&format!("{what}. Continue? [y/N] ")) {
            Some(true) => Ok(()),
            Some(false) => refused("nothing was done", hint),
            None => refused("there is no terminal to ask, so nothing was done", &confirmed(hint)),
        }
    }

    /// Runs a program that must succeed.
    ///
    /// # Errors
    /// When it cannot be started, or fails.
    pub(crate) fn must(&self, line: &[&str]) -> Result<Output, Error> {
        let output = self.run(line)?;
        if output.success() {
            return Ok(output);
        }
        Err(Error::other(format!("'{}' failed: {}", line.join(" "), output.complaint())))
    }

    /// The same for a program that replaces files of the host. Few of them sync: after a power cut, xfs has empty files in
    /// /etc/pam.d where pam-auth-update renamed new ones into place, and nobody can log in. Syncing one file would already
    /// make the renames of all permanent, so the file systems are synced, which write content first.
    ///
    /// # Errors
    /// As [`Self::must`], or when the file systems cannot be synced.
    pub(crate) fn must_change(&self, line: &[&str]) -> Result<(), Error> {
        self.must(line)?;
        for path in ["/etc", "/var/lib"].map(|path| self.path(path)).iter().filter(|path| path.exists()) {
            let synced = std::fs::File::open(path).and_then(|file| Ok(rustix::fs::syncfs(file)?));
            synced.map_err(|cause| Error::io("sync", path, &cause))?;
        }
        Ok(())
    }
}

/// The hint for scripts.
fn confirmed(hint: &str) -> String {
    let yes = "--yes confirms it";
    if hint.is_empty() { yes.to_owned() } else { format!("{hint}; or {yes}") }
}

struct System;

impl Programs for System {
    fn run(&self, line: &[&str], stdin: &str) -> io::Result<Output> {
        let (program, words) = line.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(words)
            .env_clear()
            .envs([("PATH", PATH), ("LC_ALL", "C"), ("HOME", "/root"), ("DEBIAN_FRONTEND", "noninteractive")])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A program that ends without reading its input reports why by its exit status.
            let _ = pipe.write_all(stdin.as_bytes());
        }
        let done = child.wait_with_output()?;
        Ok(Output {
            code: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }

    fn ask(&self, services: &BTreeMap<String, Databases>, question: &Question) -> Answers {
        claims::nss::ask(services, question)
    }

    fn users_and_groups(&self) -> Result<Files, String> {
        claims::nss::files()
    }

    fn account(&self, service: &str, user: &str) -> Account {
        claims::pam::account(service, user)
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let _ = write!(io::stderr(), "{question}");
        let mut answer = String::new();
        // No answer means no.
        let _ = io::stdin().read_line(&mut answer);
        Some(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_goes_on_and_scripts_learn_what_to_add() {
        struct Person(Option<bool>);
        impl Programs for Person {
            fn run(&self, _: &[&str], _: &str) -> io::Result<Output> {
                Err(io::ErrorKind::NotFound.into())
            }
            fn confirm(&self, question: &str) -> Option<bool> {
                assert_eq!(question, "all is lost. Continue? [y/N] ");
                self.0
            }
        }
        let why = Message::new("all is lost").with_hint("first save it");
        let asked = |answer| {
            let host = Host::of(PathBuf::from("/nowhere"), Box::new(Person(answer)));
            host.confirm(&why).map_err(|refused| refused.to_string())
        };
        assert_eq!(asked(Some(true)), Ok(()));
        assert_eq!(asked(Some(false)), Err("all is lost; nothing was done\nhint: first save it".to_owned()));
        let script = "all is lost; there is no terminal to ask, so nothing was done\n\
            hint: first save it; or --yes confirms it";
        assert_eq!(asked(None), Err(script.to_owned()));
    }
}
