//! `lock` and `unlock`: lock a user, or everyone, out of this host, immediately and without asking the source.
//!
//! The list is written, then the apply half runs, which obeys it and needs no network. For a lock, it only removes access:
//! it asks no service, and takes no longer than writing two files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use cache::snapshot::{Cache, User};
use cache::{rescue, reserve};
use claims::processes::Process;
use listing::regular::{self, Links};
use message::Message;
use status::{Locked, Note};

use crate::cli;
use crate::host::accounts::Account;
use crate::host::invoker::Invoker;
use crate::host::paths::{CACHE, LOCKED, REFRESHER};
use crate::host::{Host, accounts, files, log, processes};
use crate::inspect::subject;
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::show::{count, printable, some, word};

/// Locks; `now` is in seconds since 1970.
///
/// # Errors
/// When it does not take effect, or when it would lock out the user who runs it and this was not confirmed.
pub(crate) fn lock(host: &Host, args: &cli::Lock, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let who = &args.who;
    let name = whom("lock", who)?;
    let cache = match read_cache(host) {
        Ok(cache) => {
            if !who.all && !who.force {
                is_user(host, &cache, name)?;
            }
            cache
        }
        Err(cause) => {
            crate::say::say(format!(
                "cannot read the cache: {cause}; locking '{}' without checking the name",
                printable(name)
            ));
            Cache::default()
        }
    };
    plain(name)?;
    let invoker = Invoker::of(host);
    if !args.yes {
        not_oneself(host, &cache, name, &invoker)?;
    }
    let at = jiff::Timestamp::from_second(now).ok();
    let note = Note { at, by: by(host, &cache, &invoker), reason: shortened(args.reason.as_deref()) };
    change(host, PATIENCE, |locked| {
        locked.names.insert(name.to_owned());
        // The first lock stays the one that is shown, unless there is more to say.
        if args.reason.is_some() || !locked.notes.contains_key(name) {
            locked.notes.insert(name.to_owned(), note.clone());
        }
        Ok(())
    })?;
    record(host, "lock", name, &note);
    let concerned = |user: &&User| name == Locked::ALL || user.name.as_str() == name;
    let before: Vec<(u32, String)> =
        cache.users.iter().filter(concerned).map(|user| (user.uid.get(), user.name.to_string())).collect();
    let ran_before = processes::by_uid(host);
    let applied = apply(host, &["--removals-only"])?;
    let still: Vec<String> = cached(host)
        .users
        .iter()
        .filter(|user| user.active)
        .filter(concerned)
        .map(|user| user.name.to_string())
        .collect();
    if !still.is_empty() {
        let message = format!("the lock is written, but {} can still log in: {}", some(&still), applied.why);
        return Err(Error::other(message)
            .hint("the lock takes effect with the next refresh that publishes: nss-iamctl refresh"));
    }
    let whom = if name == Locked::ALL { "everyone".to_owned() } else { format!("'{name}'") };
    written(writeln!(out, "locked {whom}: no login and no key on this host until 'nss-iamctl unlock'"))?;
    tell_processes(host, &before, &ran_before, out)?;
    Ok(crate::say::error::OK)
}

/// Which processes of these users were ended.
fn tell_processes(
    host: &Host,
    users: &[(u32, String)],
    ran_before: &BTreeMap<u32, Vec<Process>>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let runs_now = processes::by_uid(host);
    for (uid, name) in users {
        let (ran, left) = (names(ran_before, *uid), names(&runs_now, *uid));
        if ran.is_empty() {
            continue;
        }
        let told = if left.is_empty() {
            format!("ended the processes of '{name}': {}", some(&ran))
        } else {
            format!("processes of '{name}' are still running: {}", some(&left))
        };
        written(writeln!(out, "{told}"))?;
        if !left.is_empty() {
            let hint = "[users] terminate_sessions = true ends them; or: loginctl terminate-user";
            crate::say::say(Message::new("sessions were not ended").with_hint(hint));
        }
    }
    Ok(())
}

pub(crate) fn unlock(host: &Host, args: &cli::Unlock, out: &mut dyn Write) -> Result<u8, Error> {
    let who = &args.who;
    let name = whom("unlock", who)?;
    change(host, LONG_PATIENCE, |locked| {
        if who.all {
            *locked = Locked::default();
            return Ok(());
        }
        if locked.remove(name) {
            return Ok(());
        }
        let error = Error::configuration(format!("'{}' is not locked; nothing was done", printable(name)));
        Err(if locked.has_all() {
            error.hint("everyone is locked: nss-iamctl unlock --all")
        } else if locked.names.is_empty() {
            error.hint("no user is locked")
        } else {
            error.hint(format!("locked: {}", some(&locked.names.iter().collect::<Vec<_>>())))
        })
    })?;
    let by = by(host, &cached(host), &Invoker::of(host));
    let note = Note { by, reason: shortened(args.reason.as_deref()), ..Note::default() };
    record(host, "unlock", name, &note);
    let applied = apply(host, &[])?;
    let cache = cached(host);
    if who.all {
        let active = cache.users.iter().filter(|user| user.active).count();
        written(writeln!(out, "unlocked everyone: {} may log in", count(active, "user")))?;
    } else if cache.users.iter().any(|user| user.active && user.name.as_str() == name) {
        written(writeln!(out, "unlocked '{name}'"))?;
    } else {
        let why = if applied.status == 0 {
            "the user is not in the groups of the source".to_owned()
        } else {
            applied.why
        };
        let what = format!("unlocked '{}', but the user stays disabled: {why}", printable(name));
        crate::say::say(Message::new(what).with_hint(format!("nss-iamctl why {}", word(name))));
    }
    Ok(crate::say::error::OK)
}

/// The login name, or [`Locked::ALL`].
fn whom<'a>(command: &str, args: &'a cli::Who) -> Result<&'a str, Error> {
    match &args.user {
        Some(user) => Ok(user),
        None if args.all => Ok(Locked::ALL),
        None => Err(Error::configuration(format!("'{command}' needs a login name; nothing was done")).hint(
            format!("nss-iamctl {command} USER; or, for every nss-iam user: nss-iamctl {command} --all"),
        )),
    }
}

/// Asks, if the user who runs this is among those who are locked.
fn not_oneself(host: &Host, cache: &Cache, name: &str, invoker: &Invoker) -> Result<(), Error> {
    let mut locked = cache.users.iter().filter(|user| name == Locked::ALL || user.name.as_str() == name);
    match locked.find(|user| user.active && invoker.is(user.uid.get())) {
        Some(user) => host.confirm(&Message::new(format!("this locks you out too, '{}'", user.name))),
        None => Ok(()),
    }
}

/// How many characters of a reason are stored.
const REASON: usize = 300;

fn shortened(reason: Option<&str>) -> String {
    reason.unwrap_or_default().chars().take(REASON).collect()
}

/// Far more than any real passwd(5), in bytes.
const MAX_PASSWD: u64 = 16 << 20;

/// The accounts of passwd(5). Only a regular file is read, because another service, or a pipe, could hang.
fn local(host: &Host) -> Vec<Account> {
    let passwd = regular::read(&host.path(accounts::PASSWD), MAX_PASSWD, Links::Follow);
    passwd.map(|file| accounts::accounts(&file.bytes)).unwrap_or_default()
}

/// The person who runs this.
fn by(host: &Host, cache: &Cache, invoker: &Invoker) -> String {
    let local = local(host);
    invoker.shown(|uid| {
        let local = local.iter().find(|account| account.uid == uid).map(|account| account.name.clone());
        local.or_else(|| {
            cache.users.iter().find(|user| user.uid.get() == uid).map(|user| user.name.to_string())
        })
    })
}

/// One line in the log, of fields whose values cannot end it or look like another field.
fn record(host: &Host, what: &str, name: &str, note: &Note) {
    let value = |text: &str| printable(text).replace('\\', "\\\\").replace('"', "\\\"");
    let (name, by) = (value(name), value(&note.by));
    let reason = match note.reason.as_str() {
        "" => String::new(),
        reason => format!(" reason=\"{}\"", value(reason)),
    };
    log::log(host, &format!("{what} user=\"{name}\" by=\"{by}\"{reason}"));
}

fn read_cache(host: &Host) -> Result<Cache, cache::snapshot::Error> {
    Cache::read(&host.path(CACHE))
}

fn cached(host: &Host) -> Cache {
    read_cache(host).unwrap_or_default()
}

/// # Errors
/// If nobody here has the login name.
fn is_user(host: &Host, cache: &Cache, name: &str) -> Result<(), Error> {
    if cache.users.iter().any(|user| user.name.as_str() == name) {
        return Ok(());
    }
    let shown = printable(name);
    if local(host).iter().any(|account| account.name == name) {
        let what = format!("'{shown}' is a local user, and nss-iam locks only its own; nothing was done");
        let name = word(name);
        let hint = format!("usermod --lock --expiredate 1 {name}; loginctl terminate-user {name}");
        return Err(Error::configuration(what).hint(hint));
    }
    let what = format!("no nss-iam user of this host has the login name '{shown}'; nothing was done");
    Err(Error::configuration(what).hint(match subject::meant(name, Some(cache)) {
        like if like.is_empty() => {
            "nss-iamctl users lists all users; --all locks every one; --force locks a name that no user has yet"
                .to_owned()
        }
        like => format!("did you mean {}?", some(&like)),
    }))
}

/// One line of the list.
fn plain(name: &str) -> Result<(), Error> {
    if name == Locked::ALL || policy::Name::new(name).is_ok() {
        return Ok(());
    }
    Err(Error::configuration(format!("'{}' is not a valid login name; nothing was done", printable(name))))
}

/// Changes the list, even if the disk is full or has become read-only.
fn change(
    host: &Host,
    patience: Duration,
    with: impl Fn(&mut Locked) -> Result<(), Error>,
) -> Result<(), Error> {
    let path = host.path(LOCKED);
    let directory = host.path(cache::DIRECTORY);
    if directory.exists() && !directory.is_dir() {
        move_aside(&directory)?;
    }
    if !directory.exists() {
        fs::create_dir(&directory).map_err(|cause| Error::io("make", &directory, &cause))?;
    }
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        move_aside(&path)?;
    }
    match replace(&path, patience, &with) {
        // The list is fine, or something else is in its place: the disk is not the cause.
        Err(error) if error.status() == crate::say::error::CONFIGURATION => Err(error),
        Err(_) if reserve::give_up(&directory) => replace(&path, patience, &with),
        Err(error) if rescue::is_needed(&directory) => {
            rescue::rescue(&directory).map_err(|cause| {
                error.done(&format!(
                    "and '{}' cannot be replaced by a copy in memory: {cause}",
                    directory.display()
                ))
            })?;
            let directory = directory.display();
            let what = format!(
                "'{directory}' cannot be written, so a copy in memory replaces it: locks take effect, but are lost with the copy"
            );
            crate::say::say(Message::new(what).with_hint(format!(
                "repair the file system; then run umount -l {directory}, repeat your locks, and run 'nss-iamctl refresh'"
            )));
            replace(&path, patience, &with)
        }
        done => done,
    }
}

/// Something else is in the place of the list or its directory.
fn move_aside(path: &Path) -> Result<(), Error> {
    let aside = path.with_extension(format!("damaged-{}", std::process::id()));
    fs::rename(path, &aside).map_err(|cause| Error::io("move", path, &cause))?;
    crate::say::say(format!("'{}' was damaged, and was renamed to '{}'", path.display(), aside.display()));
    Ok(())
}

/// Under a lock, so that two administrators do not undo each other's changes.
fn replace(
    path: &Path,
    patience: Duration,
    with: impl Fn(&mut Locked) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        let file = hold(path, patience).map_err(|cause| Error::io("lock", path, &cause))?;
        let mut locked = Locked::parse(&files::read_lossy(path)?.unwrap_or_default());
        with(&mut locked)?;
        // Another process did not wait for the lock: its change is in the file by now.
        if is_at(path, &file).map_err(|cause| Error::io("read", path, &cause))? {
            return files::replace(path, locked.to_string(), 0o600);
        }
    }
}

/// How long `lock` waits for another administrator's change: if that hangs, locking must still work.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long `unlock` waits.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// Each change replaces the file: if the lock was on an old file, wait again.
fn hold(path: &Path, patience: Duration) -> std::io::Result<File> {
    let until = Instant::now() + patience;
    loop {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        while file.try_lock().is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if is_at(path, &file)? {
            file.set_permissions(Permissions::from_mode(0o600))?;
            return Ok(file);
        }
    }
}

fn is_at(path: &Path, file: &File) -> std::io::Result<bool> {
    let (ours, there) = (file.metadata()?, fs::metadata(path)?);
    Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}

/// How the apply half ended.
struct Applied {
    status: i32,
    why: String,
}

fn apply(host: &Host, words: &[&str]) -> Result<Applied, Error> {
    let output = host.run(&[&[REFRESHER, "apply"], words].concat()).map_err(|cause| {
        cause
            .done("the list is written")
            .hint("the lock takes effect with the next refresh; reinstall the package nss-iam")
    })?;
    let status = output.code.unwrap_or(-1);
    // Other warnings and held changes are reported by the next refresh.
    Ok(Applied { status, why: format!("'{REFRESHER} apply' said: {}", output.complaint()) })
}

/// The processes of a uid, as `NAME (PID)`.
fn names(running: &BTreeMap<u32, Vec<Process>>, uid: u32) -> Vec<String> {
    let processes = running.get(&uid).into_iter().flatten();
    processes.map(|process| format!("{} ({})", process.name, process.pid)).collect()
}

#[cfg(test)]
mod tests;
