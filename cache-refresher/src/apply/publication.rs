//! The second step: asks the host, plans, and publishes the plan.

use std::path::{Path, PathBuf};

use cache::rescue;
use config::Config;
use jiff::Timestamp;
use listing::Listing;
use message::Message;
use status::{Told, Warning};

use super::error::Error;
use super::on_disk::{KEYS_GROUP, Memory, OnDisk, keep_reserve, keys_group};
use super::reading::{Reading, Stamp};
use super::request::Request;
use crate::changes::{self, Change, Published};
use crate::handover::{self, FETCH_USER};
use crate::known::Known;
use crate::local::{self, Local};
use crate::plan::{self, Plan, leaving};
use crate::report::Report;
use crate::{lock, nscd, sessions};

/// How often the host is asked again if another refresher has changed the questions meanwhile.
const ROUNDS: u32 = 3;

/// Publishes everything. Other directory services may be slow, and are asked while nothing is locked.
pub(super) fn publish(
    request: Request<'_>,
    given: Option<Listing>,
    taken: &[Change],
    mut read: Option<Reading>,
) -> Result<Report, Error> {
    let directory = Path::new(cache::DIRECTORY);
    let mut asked: Option<(local::Questions, Local)> = None;
    for _ in 0..=ROUNDS {
        let lock = lock::of_apply(directory, request.dry_run)?;
        let mut local = Local::read(local::files()?, local::locked(directory)?)?;
        let stamp = Stamp::now();
        let (reading, is_same) = match read.take().filter(|reading| reading.stamp == stamp) {
            Some(reading) => (reading, true),
            None => (read_again(request, given.clone(), &local, stamp)?, false),
        };
        let Reading { listing, disk, .. } = &reading;
        let questions = || plan::questions(&disk.input(request, listing, &local));
        // If nothing that they depend on has changed, they are the same.
        let is_answered = |(known, answered): &(local::Questions, Local)| {
            is_same && local.has_facts_of(answered) || questions().are_in(known)
        };
        if let Some((_, answered)) = asked.take().filter(is_answered) {
            if !is_current(request.texts) {
                return Err(Error::Outdated);
            }
            local.take_answers(&answered);
            let plan = disk.plan(disk.input(request, listing, &local))?;
            if request.dry_run {
                return Ok(compared(disk, &plan, listing, request.now));
            }
            let done = carry_out(request, disk, plan, listing, &local, lock, taken);
            // After a failure, users who left are disabled once more, which reads everything again.
            if done.is_ok() {
                request.free(reading)
            } else {
                drop(reading)
            }
            return done;
        }
        let questions = questions();
        drop(lock);
        local.answer(&questions, &request.config.names.exclude)?;
        asked = Some((questions, local));
        read = Some(reading);
    }
    Err(Error::Overtaken(ROUNDS))
}

fn read_again(
    request: Request<'_>,
    given: Option<Listing>,
    local: &Local,
    stamp: Stamp,
) -> Result<Reading, Error> {
    let directory = Path::new(cache::DIRECTORY);
    let memory = Memory::read(directory, request.dry_run)?;
    let wanted = request.wanted(memory.accepted(directory));
    let listing = given.map_or_else(|| handover::read(handover::fetcher(&local.files), wanted), Ok)?;
    let disk = OnDisk::read(directory, memory, Some(&listing), request.config, request.now.as_second());
    Ok(Reading { stamp, listing, disk })
}

/// Whether the configuration is still the one that was read: a plan by an older one could restore access that it no longer
/// grants.
fn is_current(texts: &[(PathBuf, String)]) -> bool {
    let main = texts.first().map(|(path, _)| path);
    main.is_none_or(|main| Config::texts(main).is_ok_and(|now| now == texts))
}

fn compared(disk: &OnDisk<'_>, plan: &Plan, listing: &Listing, now: Timestamp) -> Report {
    let (before, after) = (disk.published(), Published::of(plan));
    let mut report = Report::of(listing, plan, &changes::between(before, after), now);
    report.diff = Some(changes::diff(before, after));
    report
}

fn carry_out(
    request: Request<'_>,
    disk: &OnDisk<'_>,
    mut plan: Plan,
    listing: &Listing,
    local: &Local,
    lock: Option<lock::Lock>,
    taken: &[Change],
) -> Result<Report, Error> {
    if local.directory.failures().next().is_none() {
        plan.state.asked = request.now.as_second();
    }
    let directory = Path::new(cache::DIRECTORY);
    let done = disk.publish(&plan, keys_group(&local.files).ok_or(Error::NoGroup(KEYS_GROUP))?)?;
    if rescue::is_done(directory) {
        plan.warnings.push(Warning::InMemory);
    }
    let known = write_known(directory, request.texts, &plan, listing, local);
    drop(lock);
    if done.renamed {
        nscd::invalidate(done.first);
    }
    changes::log(&done.changes);
    if let Err(cause) = known {
        let hint = "make room for it, or remove what is in its way; then run 'nss-iamctl refresh'";
        log::warn!("{}", Message::new(cause.to_string()).with_hint(hint));
    }
    keep_reserve(directory);
    let changes: Vec<Change> = taken.iter().cloned().chain(done.changes).collect();
    let mut report = Report::of(listing, &plan, &changes, request.now);
    report.status.published = done.published;
    if request.config.users.terminate_sessions {
        let ended = sessions::end(&plan.state, Some(&plan.cache), Some(local), &done.restricted);
        report.status.warnings.extend(ended.into_iter().map(Told::from));
    }
    request.free(plan);
    Ok(report)
}

/// Records this configuration and these users, for a refresh that cannot use its own.
fn write_known(
    directory: &Path,
    texts: &[(PathBuf, String)],
    plan: &Plan,
    listing: &Listing,
    local: &Local,
) -> Result<(), cache::publish::Error> {
    let present = plan.state.users.iter().filter(|(_, user)| leaving::is_in(user, &local.locked));
    let published = present.map(|(iam_id, _)| iam_id.as_str());
    let gid = local.files.groups.get(FETCH_USER).map(|group| group.gid);
    Known::record(directory, texts, listing, published, gid)
}
