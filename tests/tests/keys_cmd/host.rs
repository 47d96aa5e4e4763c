//! A machine with nss-iam, a user with keys, and a syslog daemon that stores messages.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use cache::publish;
use cache::snapshot::{Keys, Login};
use policy::{IamId, Id, KeyLine, Name};
use tests::{Machine, text};

pub(crate) const DIRECTORY: &str = "/var/lib/nss-iam";
pub(crate) const KEYS: &str = "/var/lib/nss-iam/keys.db";
const PROGRAM: &str = "/usr/libexec/nss-iam/keys-cmd";
const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";
/// Lines as they are stored, made by ssh-keygen: an ed25519, an RSA, an ECDSA key ...
pub(crate) const STORED: &str = include_str!("../../../keys-cmd/src/stored-keys.txt");

pub(crate) fn stored(number: usize) -> &'static str {
    STORED.lines().nth(number).unwrap()
}

pub(crate) fn fingerprint(number: usize) -> &'static str {
    stored(number).split_once(' ').unwrap().0
}

pub(crate) fn printed(number: usize) -> String {
    format!("{}\n", stored(number).split_once(' ').unwrap().1)
}

pub(crate) fn uid(name: &str) -> Id {
    Id::computed(&IamId::new(name))
}

pub(crate) fn login(name: &str, keys: &[usize], confirmed: i64) -> Login {
    Login {
        uid: uid(name),
        name: Name::new(name).unwrap(),
        iam_id: IamId::new(name),
        confirmed,
        source: "iam:123456789012".into(),
        keys: keys.iter().map(|number| KeyLine::new(stored(*number)).unwrap()).collect(),
        forward_only: false,
        principals: vec![format!("Iam.{name}").into()],
    }
}

pub(crate) fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the program under test reads it, too")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

pub(crate) struct Host {
    pub(crate) machine: Machine,
    log: UnixDatagram,
    pub(crate) gid: u32,
    pub(crate) uid_of_ana: String,
}

/// A machine where ana has two keys, confirmed just now.
pub(crate) fn host() -> Option<Host> {
    let machine = Machine::enter()?;
    machine.install();
    fs::write("/etc/machine-id", format!("{MACHINE_ID}\n")).unwrap();
    let group = machine.run(&["getent", "-s", "files", "group", "nss-iam"]);
    let log = machine.syslog();
    log.set_nonblocking(true).unwrap();
    let host = Host {
        machine,
        log,
        gid: text(&group.stdout).split(':').nth(2).unwrap().parse().unwrap(),
        uid_of_ana: uid("ana").to_string(),
    };
    host.publish(vec![login("ana", &[0, 1], now())]);
    Some(host)
}

impl Host {
    pub(crate) fn publish(&self, mut logins: Vec<Login>) {
        logins.sort_by_key(|login| login.uid);
        let keys = Keys { machine_id: MACHINE_ID.to_owned(), max_age: 3 * 86400, logins, ..Keys::default() };
        publish::keys(Path::new(DIRECTORY), &keys, self.gid).unwrap();
    }

    /// Writes data to keys.db that its publisher never would.
    pub(crate) fn by_hand(&self, sql: &str, value: &str) {
        // "File format version numbers" of SQLite's file format: with 3, SQLite itself does not write.
        let version = |byte: u8| {
            let file = OpenOptions::new().write(true).open(KEYS).unwrap();
            file.write_all_at(&[byte], 18).unwrap();
        };
        version(1);
        let db = rusqlite::Connection::open(KEYS).unwrap();
        assert_eq!(db.execute(sql, [value]).unwrap(), 1);
        db.close().unwrap();
        version(3);
    }

    /// keys-cmd as AuthorizedKeysCommandUser. If it hangs, it is ended with status 124 (timeout(1)).
    pub(crate) fn command<S: AsRef<OsStr>>(&self, user: &str, words: &[S]) -> Command {
        let mut line = ["timeout", "60", "setpriv", "--clear-groups"].map(OsString::from).to_vec();
        line.extend(["--reuid", user, "--regid", user, PROGRAM].map(OsString::from));
        line.extend(words.iter().map(|word| word.as_ref().to_owned()));
        self.machine.command(&line)
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Output {
        self.command("nss-iam", words).stdin(Stdio::null()).output().unwrap()
    }

    /// The output for ana as sshd asks without `%f`; the exit status must be 0.
    pub(crate) fn ana(&self) -> String {
        let ran = self.run(&["ana", &self.uid_of_ana]);
        assert_eq!((ran.status.code(), text(&ran.stderr)), (Some(0), ""));
        text(&ran.stdout).to_owned()
    }

    /// Asserts that it prints nothing, exits with 1, and reports the reason on stderr and in the log.
    pub(crate) fn unusable(&self, why: &str) {
        let ran = self.run(&["ana", &self.uid_of_ana]);
        assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), ""), "{why}");
        let error = text(&ran.stderr);
        assert!(error.contains(why) && error.lines().count() == 1, "{why}: {error}");
        self.logged_one(83, why);
    }

    /// Priority and text of the messages since the last call.
    pub(crate) fn logged(&self) -> Vec<(u8, String)> {
        let mut lines = Vec::new();
        let mut datagram = [0; 4096];
        loop {
            let line = match self.log.recv(&mut datagram) {
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return lines,
                length => text(&datagram[..length.unwrap()]),
            };
            assert!(line.len() <= 1024 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
            let (priority, rest) = line.strip_prefix('<').unwrap().split_once(">nss-iam-keys-cmd[").unwrap();
            let (pid, message) = rest.split_once("]: ").unwrap();
            assert!(pid.parse::<u32>().is_ok(), "{line}");
            lines.push((priority.parse().unwrap(), message.to_owned()));
        }
    }

    /// Asserts that there is exactly one line, with this priority (syslog(3): authpriv is 80; err 3, warning 4,
    /// info 6) and this text.
    pub(crate) fn logged_one(&self, priority: u8, part: &str) {
        let lines = self.logged();
        assert!(
            matches!(lines.as_slice(), [(found, line)] if *found == priority && line.contains(part)),
            "<{priority}> {part}: {lines:?}"
        );
    }
}
