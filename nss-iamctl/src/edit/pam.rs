//! Home directories at the first login: pam_mkhomedir(8) with umask 0077, set up with the tool that manages /etc/pam.d.

use message::Message;

use crate::edit::block;
use crate::edit::file::{Edit, Kind};
use crate::edit::transaction::Transaction;
use crate::host::Host;
use crate::host::{files, vendor};
use crate::say::error::Error;
use crate::say::say;

/// A profile of pam-auth-update(8). Debian's own profile creates home directories that everyone can read.
const PROFILE: &str = "nss-iam-mkhomedir";
const PROFILE_PATH: &str = "/usr/share/pam-configs/nss-iam-mkhomedir";
const PROFILE_TEXT: &str = include_str!("../../../config/pam-mkhomedir");
const LINE: &str = "session optional pam_mkhomedir.so umask=0077";
const SSHD: &str = "/etc/pam.d/sshd";
/// The files that sshd's stack includes, depending on the distribution.
const STACK: [&str; 5] = [
    SSHD,
    "/etc/pam.d/common-session",
    "/etc/pam.d/password-auth",
    "/etc/pam.d/system-auth",
    "/etc/pam.d/postlogin",
];
/// The files that pam-auth-update writes.
pub(crate) const WATCHED: [&str; 11] = [
    "/etc/pam.d/common-account",
    "/etc/pam.d/common-auth",
    "/etc/pam.d/common-password",
    "/etc/pam.d/common-session",
    "/etc/pam.d/common-session-noninteractive",
    "/var/lib/pam/account",
    "/var/lib/pam/auth",
    "/var/lib/pam/password",
    "/var/lib/pam/seen",
    "/var/lib/pam/session",
    "/var/lib/pam/session-noninteractive",
];

/// How home directories are created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Homes {
    /// They are created already; with a remark if they are not private.
    Made(Option<Message>),
    /// By pam-auth-update, after this file was written.
    Update(Option<Edit>),
    /// By a line that is added.
    Line(Edit),
}

/// Determines how home directories are created.
///
/// # Errors
/// When files cannot be read, or there is no file to add a line to.
pub(crate) fn plan(host: &Host) -> Result<Homes, Error> {
    if let Some(line) = existing(host)? {
        let private = line.contains("umask=0077") || line.contains("umask=077") || line.contains("oddjob");
        let remark =
            Message::new(format!("home directories are created by '{line}', which does not set umask 0077"));
        return Ok(Homes::Made((!private).then(|| remark.with_hint("add umask=0077 to that line"))));
    }
    if host.find("pam-auth-update").is_some() {
        let before = files::read(&host.path(PROFILE_PATH))?;
        let edit = before.is_none().then(|| Edit {
            path: PROFILE_PATH.into(),
            kind: Kind::Whole,
            before,
            after: Some(PROFILE_TEXT.into()),
            mode: 0o644,
        });
        return Ok(Homes::Update(edit));
    }
    line(host).map(Homes::Line)
}

/// Adds a line at the end of sshd's stack, which no tool generates.
///
/// # Errors
/// When it cannot be read, or is missing.
pub(crate) fn line(host: &Host) -> Result<Edit, Error> {
    let before = files::read(&host.path(SSHD))?;
    let read = vendor::read(host, SSHD)?;
    let Some(text) = read.as_deref() else {
        return Err(Error::configuration(format!("cannot set up home directories: '{SSHD}' does not exist"))
            .hint("install the distribution's openssh-server"));
    };
    let after = Some(block::insert(text, usize::MAX, LINE));
    Ok(Edit { path: SSHD.into(), kind: Kind::Block, before, after, mode: 0o644 })
}

/// The line that creates home directories, if there is one.
///
/// # Errors
/// When files cannot be read.
pub(crate) fn existing(host: &Host) -> Result<Option<String>, Error> {
    for path in STACK {
        let text = vendor::read_lossy(host, path)?.unwrap_or_default();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        if let Some(line) = lines.find(|line| line.contains("mkhomedir.so")) {
            return Ok(Some(line.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(None)
}

/// The command that makes pam-auth-update enable our profile, or remove it.
pub(crate) fn switch(on: bool) -> Vec<String> {
    let words = if on { &["--enable", PROFILE][..] } else { &["--package", "--remove", PROFILE] };
    ["pam-auth-update"].iter().chain(words).map(|word| (*word).to_owned()).collect()
}

/// Sets up home directories with pam-auth-update. If that finds local modifications, it changes nothing and only says so
/// on standard error; then a line is added instead.
///
/// # Errors
/// When it fails, or there is no place for the line.
pub(crate) fn update(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    let host = transaction.host();
    transaction.record(|manifest| {
        manifest.pam_auth_update = true;
        Ok(())
    })?;
    let read = |path: &str| files::read(&host.path(path));
    let before: Vec<_> = WATCHED.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    run(transaction, true)?;
    for (path, before) in WATCHED.iter().zip(before) {
        let after = read(path)?;
        if before != after {
            let edit = Edit { path: path.into(), kind: Kind::Theirs, before, after, mode: 0o644 };
            let mode = files::mode(&host.path(path)).unwrap_or(edit.mode);
            transaction.record(|manifest| manifest.note(&edit, mode))?;
        }
    }
    if existing(host)?.is_none() {
        transaction.edit(&line(host)?)?;
        say(format!(
            "pam-auth-update did not change the files in /etc/pam.d, so a line was added to '{SSHD}'"
        ));
    }
    Ok(())
}

/// Makes pam-auth-update remove its lines, before the file of the profile is removed.
///
/// # Errors
/// When it fails.
pub(crate) fn remove(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    run(transaction, false)
}

fn run(transaction: &mut Transaction<'_>, on: bool) -> Result<(), Error> {
    for path in WATCHED {
        transaction.before_change_of(path)?;
    }
    let line = switch(on);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    transaction.host().must_change(&line)
}
