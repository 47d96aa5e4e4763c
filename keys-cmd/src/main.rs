//! sshd's AuthorizedKeysCommand: prints a user's keys from the cache, one `authorized_keys` line per key.
//!
//! sshd runs it for each key that a client offers and again to check the signature, and discards standard error. So
//! it has no argument parser, network access or configuration, and logs to the system's log. This file calls the system;
//! `answer` decides, and `pushed` runs the command of EC2 Instance Connect.
#![forbid(unsafe_code)]

mod answer;
mod confirmed;
mod key;
mod log;
mod pushed;
mod request;

use std::ffi::{CStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::SystemTime;

use answer::{About, Answer, Host, Login, answer};
use log::{Line, Severity};
use nix::unistd::User;
use reader::{Keys, Map, Text};
use request::{Flags, Request};

const CACHE: &CStr = c"/var/lib/nss-iam/keys.db";
const MACHINE_ID: &str = "/etc/machine-id";

/// `EX_USAGE` of `sysexits.h(3head)`: the arguments are wrong.
const USAGE: u8 = 64;

const HELP: &str = "\
usage: keys-cmd [--forward-only] [--instance-connect] USER [UID [FINGERPRINT [CONNECTION]]]
       keys-cmd --principals [--forward-only] USER [UID [FINGERPRINT [CA [SERIAL [ID [CONNECTION]]]]]]

Prints a user's active SSH keys from '/var/lib/nss-iam/keys.db', one authorized_keys line per key.
In sshd_config: AuthorizedKeysCommand /usr/libexec/nss-iam/keys-cmd %u %U %f %C

  UID                 print keys only if this is the user's uid in the cache; without it, getpwnam(3) must return it
  FINGERPRINT         print only the key with this fingerprint: 'SHA256:...'
  CONNECTION          the connection's addresses and ports, for the log: 'ADDRESS PORT ADDRESS PORT', the client's last
  --principals        print instead the principals with which a certificate lets the user in: AuthorizedPrincipalsCommand,
                      %u %U %f %F %s %i %C; what follows UID is for the log: the fingerprints of the certificate's key and
                      of its CA, its serial number and its key ID
  --forward-only      print also keys of users who may only forward connections: sshd lets the user do nothing else
  --instance-connect  print also keys that were pushed with EC2 Instance Connect, if its command is installed

The log (facility authpriv) shows which key is offered, or why none is.

exit status:
  0   keys were printed, or there are none to print: the user is not in the cache, UID or FINGERPRINT does not match,
      the cache was made on a host with a different machine-id, or the keys were last confirmed too long ago ('max_age')
  1   the cache cannot be used, or the output cannot be written
  64  USER is missing, or there are too many arguments
";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (flags, words) = Flags::split(&words);
    let (user, more) = match words {
        [word] if word == "--help" => return finish(print(HELP)),
        [word] if word == "--version" => {
            return finish(print(concat!("keys-cmd ", env!("CARGO_PKG_VERSION"), "\n")));
        }
        [user, more @ ..] if more.len() <= if flags.principals { 6 } else { 3 } => (user, more),
        _ => {
            complain(HELP.split("\n\n").next().unwrap_or_default());
            return ExitCode::from(USAGE);
        }
    };
    finish(match Request::parse(user, more, flags) {
        Ok(request) => serve(&request),
        Err(reason) => give(&Answer::nothing(user.as_bytes(), &reason)),
    })
}

/// Prints the keys of the cache, and then those that were pushed: sshd need not wait for these if it finds the right one.
fn serve(request: &Request) -> Result<(), String> {
    let Some((host, about, login)) = look_up(request)? else { return Ok(()) };
    let answer = answer(request, &host, &about, &login);
    give(&answer)?;
    if !answer.asks_instance_connect {
        return Ok(());
    }
    let printed = match pushed::run(&request.user, request.fingerprint.as_deref()) {
        Ok(printed) => printed,
        Err(why) => {
            let text = format!("no key of EC2 Instance Connect for user '{}': {why}", request.user);
            log::log(&[Line::new(Severity::Warning, text)]);
            return Ok(());
        }
    };
    if printed.trim_ascii().is_empty() {
        return Ok(());
    }
    // Users leave and are locked while the command runs.
    let Some((host, about, login)) = look_up(request)? else {
        let why = "the user left while EC2 Instance Connect was asked".to_owned();
        return give(&Answer::nothing(request.user.as_bytes(), &why.into()));
    };
    give(&answer::pushed(request, &host, &about, &login, &printed))
}

fn give(answer: &Answer) -> Result<(), String> {
    print(&answer.lines)?;
    log::log(&answer.log);
    Ok(())
}

/// Looks up the user and everything else that decides which keys are offered; `None` if the user is not in the cache.
fn look_up(request: &Request) -> Result<Option<(Host, About, Login)>, String> {
    let rows = read(&request.user).map_err(|cause| {
        let cause = match cause {
            reader::Error::System(errno) => io::Error::from_raw_os_error(errno).to_string(),
            other => other.to_string(),
        };
        let path = CACHE.to_string_lossy();
        format!("cannot use '{path}': {cause}; offered no key of user '{}'", request.user)
    })?;
    let Some((about, login)) = rows else {
        return Ok(None);
    };
    #[expect(clippy::disallowed_methods, reason = "this file reads the clock for all others")]
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let host = Host {
        machine_id: std::fs::read_to_string(MACHINE_ID)
            .map(|id| id.trim().to_owned())
            .map_err(|cause| format!("cannot read '{MACHINE_ID}': {cause}")),
        uid: request.uid.map_or_else(|| uid_of(&request.user), Ok),
        now,
    };
    Ok(Some((host, about, login)))
}

/// The user's row and the row that applies to all users; none if the user is not in the cache.
fn read(user: &str) -> reader::Result<Option<(About, Login)>> {
    // Before the file: one that replaces it meanwhile has newer times than the record.
    let record = confirmed::read();
    let map = Map::open(CACHE)?;
    let keys = Keys::of(&map)?;
    let Some(login) = keys.login_by_name(user.as_bytes())? else {
        return Ok(None);
    };
    let about = keys.about()?;
    let digest = about.digest.map(owned).transpose()?.unwrap_or_default();
    let about = About {
        machine_id: owned(about.machine_id)?,
        max_age: about.max_age,
        options: ascii(about.options)?,
    };
    let login = Login {
        uid: login.uid,
        iam_id: owned(login.iam_id)?,
        confirmed: confirmed::now(&record, &digest, login.confirmed),
        source: owned(login.source)?,
        keys: ascii(login.keys)?,
        forward_only: login.forward_only,
        principals: login.principals.map(ascii).transpose()?.unwrap_or_default(),
    };
    Ok(Some((about, login)))
}

fn owned(text: Text<'_>) -> reader::Result<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    text.copy_to(&mut bytes)?;
    Ok(bytes)
}

fn ascii(text: Text<'_>) -> reader::Result<String> {
    String::from_utf8(owned(text)?).map_err(|_| reader::Error::Corrupt("impossible characters"))
}

/// The same lookup as sshd's, for versions of sshd that have no `%U` (before OpenSSH 7.8).
fn uid_of(user: &str) -> Result<u32, String> {
    match User::from_name(user) {
        Ok(Some(found)) => Ok(found.uid.as_raw()),
        Ok(None) => Err("getpwnam finds no such user".to_owned()),
        Err(cause) => Err(format!("getpwnam failed: {}", cause.desc())),
    }
}

/// Writes the text at once: sshd closes its end as soon as it has found the right key.
fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write the keys: {cause}")),
        _ => Ok(()),
    }
}

fn finish(done: Result<(), String>) -> ExitCode {
    let Err(text) = done else {
        return ExitCode::SUCCESS;
    };
    complain(&text);
    log::log(&[Line::new(Severity::Error, text)]);
    ExitCode::FAILURE
}

fn complain(text: &str) {
    // If nobody reads standard error, the message cannot be reported elsewhere.
    let _ = writeln!(io::stderr(), "keys-cmd: {text}");
}
