//! The first step: takes access away from users who left or are locked. It plans nothing and asks no other service, and it
//! works with whatever of this host can be read.

use std::path::Path;

use cache::{rescue, reserve};
use status::Warning;

use super::error::Error;
use super::on_disk::{Memory, OnDisk, group_of, keep_reserve, keys_group};
use super::reading::{Reading, Stamp};
use super::request::Request;
use crate::changes::{self, Change};
use crate::local::{self, Local};
use crate::plan::leaving;
use crate::plan::narrowing::Narrowing;
use crate::plan::taking::Away;
use crate::{handover, lock, nscd, sessions};

/// The users who were disabled, and what went wrong.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<Warning>,
    pub(super) error: Option<Error>,
    /// What was read, if nothing was taken away.
    pub(super) reading: Option<Reading>,
}

/// Disables users who left or are locked, even if the disk is full or cannot be written.
pub(super) fn take_away(request: Request<'_>) -> Taken {
    let directory = Path::new(cache::DIRECTORY);
    let first = attempt(request);
    // 'nss-iamctl lock' may have used it up. New files are no larger than the old ones, so there is room again.
    keep_reserve(directory);
    if !first.error.as_ref().is_some_and(Error::is_of_disk) {
        return first;
    }
    let mut warnings = Vec::new();
    if !reserve::give_up(directory) {
        if !rescue::is_needed(directory) {
            return first;
        }
        match rescue::rescue(directory) {
            Ok(()) => warnings.push(Warning::InMemory),
            Err(cause) => {
                let warning = Warning::NotInMemory { cause: cause.to_string() };
                return Taken { warnings: vec![warning], ..first };
            }
        }
    }
    let mut again = attempt(request);
    keep_reserve(directory);
    again.changes.splice(..0, first.changes);
    again.warnings.splice(..0, warnings);
    again
}

pub(super) fn attempt(request: Request<'_>) -> Taken {
    let directory = Path::new(cache::DIRECTORY);
    let lock = match lock::of_apply(directory, false) {
        Ok(lock) => lock,
        Err(error) => return Taken { error: Some(error.into()), ..Taken::default() },
    };
    let stamp = Stamp::now();
    let mut error = None;
    // Without the state no id can be assigned, and none is assigned here.
    let memory = found(Memory::read(directory, false), &mut error).unwrap_or_else(Memory::none);
    let locked = found(local::locked(directory), &mut error).unwrap_or_default();
    let local = found(local::files(), &mut error).map(|files| Local::of(files, locked.clone()));
    let fetcher = local.as_ref().and_then(|local| handover::fetcher(&local.files));
    let listing =
        handover::read(fetcher.or_else(handover::owner), request.wanted(memory.accepted(directory))).ok();
    let mut disk = OnDisk::read(directory, memory, listing.as_ref(), request.config, request.now.as_second());
    let leaving = leaving::leaving(leaving::Facts {
        state: disk.state(),
        listing: listing.as_ref(),
        locked: &locked,
        max_removed_percent: request.config.safety.max_removed_percent,
        force: request.force,
        release: request.release,
    });
    let narrowing = match (&listing, &local) {
        (Some(listing), Some(local)) if request.is_configured && request.alone => {
            Narrowing::of(&disk.input(request, listing, local))
        }
        _ => Narrowing::default(),
    };
    let group = local.as_ref().and_then(|local| keys_group(&local.files));
    let group = group.or_else(|| group_of(&directory.join("keys.db"))).unwrap_or(0);
    let away = Away { leaving: &leaving, locked: &locked, narrowing: &narrowing };
    let (done, saved) = disk.take(away, group);
    drop(lock);
    let mut warnings = Vec::new();
    if done.renamed {
        nscd::invalidate(false);
    }
    if request.config.users.terminate_sessions && (done.published || request.removals_only) {
        warnings = sessions::end(disk.state(), disk.cache.as_ref().ok(), local.as_ref(), &done.restricted);
    }
    changes::log(&done.changes);
    let error = saved.err().or(error);
    // Whoever owns the directory may take access away, but only the user of the fetch half may give it.
    let is_whole = error.is_none() && fetcher.is_some();
    let listing = listing.filter(|_| is_whole && !done.published && done.changes.is_empty());
    let reading = listing.map(|listing| Reading { stamp, listing, disk });
    Taken { changes: done.changes, warnings, error, reading }
}

/// What was read, if it could be: users have to be disabled by whatever is known. `first` keeps the first error.
fn found<T, E: Into<Error>>(read: Result<T, E>, first: &mut Option<Error>) -> Option<T> {
    match read {
        Ok(found) => Some(found),
        Err(error) => {
            first.get_or_insert(error.into());
            None
        }
    }
}
