//! Carries out a plan, or restores everything. The owners of files are changed first, because that can be repeated after a
//! power cut. Then the accounts are removed, the refresher publishes, and the result is checked.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use cache::snapshot::User;
use rustix::fs::FlockOperation;

use super::outcome::{Adoption, Plan};
use crate::edit::backup::adopted::{self, Account, Record};
use crate::edit::backup::copies;
use crate::edit::file::Edit;
use crate::edit::owners;
use crate::edit::sshd::{Sshd, reload};
use crate::edit::step::{self, Owners, Step};
use crate::edit::transaction::{self, Transaction};
use crate::host::paths::REFRESHER;
use crate::host::published::Published;
use crate::host::{Host, processes};
use crate::say::error::Error;
use crate::say::say;

/// The lock of the shadow utilities and the C library, and how long they wait for it: lckpwdf(3).
const LOCK: &str = "/etc/.pwd.lock";
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);
/// Other places with files of a user.
const MAIL: [&str; 2] = ["/var/mail", "/var/spool/mail"];
const SPOOLS: [&str; 2] = ["/var/spool/cron", "/var/spool/at"];

/// Locks out useradd, passwd and similar programs until it is dropped.
///
/// # Errors
/// When one of them holds the lock for too long.
pub(super) fn lock(host: &Host) -> Result<fs::File, Error> {
    let path = host.path(LOCK);
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|cause| Error::io("open", &path, &cause))?;
    let mut waited = Duration::ZERO;
    loop {
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) if waited < PATIENCE => {
                std::thread::sleep(POLL);
                waited += POLL;
            }
            Err(cause) => return Err(Error::io("lock", &path, &cause.into()).done("nothing was done")),
        }
    }
}

/// Carries out the plan. Returns the directory with the original files.
///
/// # Errors
/// What failed. Everything was then restored, unless the message says otherwise.
pub(super) fn carry_out(
    host: &Host,
    plan: &Plan,
    groups: &BTreeSet<&str>,
    edits: Vec<Edit>,
    shown: &str,
    now: i64,
) -> Result<PathBuf, Error> {
    let unchanged = |failed: Error| failed.done("nothing was changed");
    let time = jiff::Timestamp::from_second(now).unwrap_or_default();
    let name = format!("{}{}", adopted::ADOPTED, time.strftime("%Y%m%dT%H%M%SZ"));
    let accounts = plan.adopt.iter().map(|adoption| account(host, adoption));
    let accounts = accounts.collect::<Result<Vec<_>, _>>().map_err(unchanged)?;
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let record = Record::new(accounts, groups, &edits).text().map_err(unchanged)?;
    let texts = [(adopted::UNFINISHED, ""), (adopted::NAME, record.as_str()), (adopted::PLAN, shown)];
    let copies = copies::save(host, &name, &edits, &texts).map_err(unchanged)?;
    let mut steps: Vec<Step> = plan.adopt.iter().filter_map(moved).map(Step::Owners).collect();
    steps.extend(edits.into_iter().map(Step::Edit));
    let begin = |transaction: &mut Transaction<'_>| transaction.copied_to(copies.clone());
    make(host, &steps, begin, |transaction| {
        let moved = plan.adopt.iter().filter(|adoption| adoption.moves().is_some());
        nobody_came(host, moved.map(|adoption| (adoption.name.as_str(), adoption.uid)))?;
        refresh(transaction, plan)?;
        adopted::finish(&copies)
    })?;
    Ok(copies)
}

/// Makes the changes, lets sshd check and then reload its configuration if that is among them, and in between checks the
/// result. `begin` says what else is done if it fails.
///
/// # Errors
/// What failed. Everything was then restored, unless the message says otherwise.
pub(super) fn make(
    host: &Host,
    steps: &[Step],
    begin: impl FnOnce(&mut Transaction<'_>),
    check: impl FnOnce(&mut Transaction<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let asks_sshd =
        steps.iter().any(|step| matches!(step, Step::Edit(edit) if edit.path.starts_with("/etc/ssh")));
    let sshd = transaction::carry_out(host, |transaction| {
        begin(transaction);
        step::make(steps, transaction)?;
        let sshd = if asks_sshd { Sshd::find(host)? } else { None };
        sshd.iter().try_for_each(Sshd::test)?;
        check(transaction)?;
        Ok(sshd)
    })?;
    match sshd.map(|sshd| reload::reload(&sshd)) {
        Some(Ok(told)) => say(&told),
        Some(Err(failed)) => say(failed.hint("reload sshd by hand")),
        None => {}
    }
    Ok(())
}

/// What has to be known about an account to give it back.
fn account(host: &Host, adoption: &Adoption) -> Result<Account, Error> {
    let moved = moved(adoption);
    let places = moved.map(|moved| moved.places).unwrap_or_default();
    let mut kept = Vec::new();
    for place in &places {
        let (at, mut found) = (host.path_of(place), BTreeSet::new());
        if let Some(moves) = adoption.moves() {
            owners::already(&at, moves, &mut found).map_err(|cause| Error::io("search", &at, &cause))?;
        }
        kept.push(found);
    }
    Ok(Account {
        name: adoption.name.clone(),
        uid: adoption.uid,
        group: adoption.private_group.clone(),
        iam_id: adoption.iam_id.clone(),
        id: adoption.id,
        moves: adoption.moves(),
        places,
        kept,
    })
}

/// The home directory, and other places with the user's files.
fn moved(adoption: &Adoption) -> Option<Owners> {
    let moves = adoption.moves()?;
    let mail = MAIL.iter().map(|directory| format!("{directory}/{}", adoption.name));
    let places = [adoption.home.clone()].into_iter().chain(mail).chain(SPOOLS.map(str::to_owned));
    let places = places.map(PathBuf::from).collect();
    Some(Owners { name: adoption.name.clone(), moves, places, kept: Vec::new() })
}

/// Checks that none of these users with these uids logged in meanwhile, because they would still have the old ids.
pub(super) fn nobody_came<'a>(
    host: &Host,
    mut moved: impl Iterator<Item = (&'a str, u32)>,
) -> Result<(), Error> {
    let running = processes::by_uid(host);
    match moved.find(|(_, uid)| running.contains_key(uid)) {
        Some((name, _)) => Err(Error::other(format!("'{name}' has logged in in the meantime"))),
        None => Ok(()),
    }
}

/// Publishes, and checks that every account is published as a user.
fn refresh(transaction: &mut Transaction<'_>, plan: &Plan) -> Result<(), Error> {
    let host = transaction.host();
    // If this fails, the cache must no longer contain the accounts that were restored. The next refresh would do that too.
    transaction.run_last(&[REFRESHER, "apply"]);
    let ran = host.run(&[REFRESHER, "apply"])?;
    let published = Published::read(host);
    let users = published.cache.map(|cache| cache.users).unwrap_or_default();
    let by_uid: HashMap<u32, &User> = users.iter().map(|user| (user.uid.get(), user)).collect();
    for adoption in &plan.adopt {
        let Adoption { name, login, id, iam_id, home, .. } = adoption;
        let Some(user) = by_uid.get(id).filter(|user| user.name.as_str() == login) else {
            let skips = published.status.map(|status| status.skips).unwrap_or_default();
            let skip = skips.into_iter().find(|skip| skip.id == *iam_id).map(|skip| skip.text);
            let why = skip.unwrap_or_else(|| ran.complaint());
            let failed =
                format!("user '{}' was not published as '{login}' with uid {id}: {why}", adoption.iam_name);
            return Err(Error::other(failed).hint("adopt only the others: nss-iamctl adopt --apply NAME..."));
        };
        if user.passwd.home.as_str() != home && host.exists(home) {
            let failed = format!("'{name}' would have home '{}' instead of '{home}'", user.passwd.home);
            return Err(Error::other(failed).hint("set [users] home accordingly, or move the directory"));
        }
    }
    if !ran.success() {
        say(format!("cache-refresher reported: {}", ran.complaint()));
    }
    Ok(())
}
