//! The state and the published files of this host, and how they are replaced. Callers hold the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache::schema::{self, STATE, Schema};
use cache::snapshot::{self, Cache, Keys, StoredTimes};
use cache::state::{Saving, State, StateFile, Stored};
use cache::{Accepted, Texts, confirmed, publish, reserve};
use claims::nss::Files;
use config::Config;
use listing::Listing;
use policy::Id;
use policy::confirmed::{Entry, Record};
use status::{Held, Warning};

use super::error::Error;
use super::request::Request;
use crate::changes::{self, Change, Published};
use crate::local::Local;
use crate::plan::taking::{Away, Taken};
use crate::plan::{self, Plan};
use crate::recover::{self, Lost, Sources};

/// The group that may read `keys.db`.
pub(super) const KEYS_GROUP: &str = "nss-iam";

/// `state.db`: who has, or had, which name and id on this host.
pub(super) struct Memory {
    /// Whether it may be written: not in a dry run, and not if it could not be read.
    saves: bool,
    stored: Stored,
    texts: Texts,
}

impl Memory {
    /// Reads it without migrating it: a migration needs room for a copy, and disabling users must not depend on that. The
    /// first save migrates it. A dry run creates no file.
    pub(super) fn read(directory: &Path, dry_run: bool) -> Result<Self, Error> {
        let state_error = |cause| Error::State { directory: directory.to_owned(), cause };
        let path = directory.join(STATE.name);
        fs::metadata(directory).map_err(|cause| Error::Io {
            what: "open",
            path: directory.to_owned(),
            cause,
        })?;
        if dry_run && !path.exists() {
            return Ok(Self::none());
        }
        if !dry_run {
            // Notices a read-only file system before anything is saved.
            OpenOptions::new().append(true).open(&path).map_err(|cause| state_error(cause.into()))?;
        }
        let size = fs::metadata(&path).map_or(0, |found| found.len());
        let mut texts = Texts::of_file(size);
        let stored = Stored::read(directory, &mut texts).map_err(state_error)?;
        Ok(Self { saves: !dry_run, stored, texts })
    }

    /// The signed listings that were accepted last, as far as this host remembers: a copy of one file, put back, does not make
    /// it forget.
    pub(super) fn accepted(&self, directory: &Path) -> Vec<Accepted> {
        let of_keys = Keys::accepted(&directory.join(schema::KEYS.name)).unwrap_or_default();
        vec![self.stored.state.accepted.clone(), of_keys]
    }

    /// For a `state.db` that cannot be used: the published files say who the users are, and nothing is saved.
    pub(super) fn none() -> Self {
        Self { saves: false, stored: Stored::default(), texts: Texts::default() }
    }
}

/// The state and the published files.
pub(super) struct OnDisk<'a> {
    directory: &'a Path,
    now: i64,
    saves: bool,
    stored: Stored,
    pub cache: Result<Cache, snapshot::Error>,
    pub keys: Result<Keys, snapshot::Error>,
    /// What `keys.db` itself says.
    times: StoredTimes,
    record: Record,
    /// The published files that the disk does not return to their end, and why.
    unread: BTreeMap<&'static str, String>,
    lost: Lost,
    nothing: (Cache, Keys),
}

/// The outcome of a publication.
#[derive(Default)]
pub(super) struct Done {
    pub changes: Vec<Change>,
    /// Whether any answer to a reader changed.
    pub published: bool,
    /// Whether an answer about users or groups changed. nscd(8) caches those, and not keys.
    pub renamed: bool,
    /// Whether there was no cache before.
    pub first: bool,
    /// Who could run commands until now.
    pub restricted: BTreeSet<Id>,
}

impl<'a> OnDisk<'a> {
    /// Reads what is published, and restores from it what the state has lost.
    pub(super) fn read(
        directory: &'a Path,
        memory: Memory,
        listing: Option<&Listing>,
        config: &Config,
        now: i64,
    ) -> Self {
        let Memory { saves, stored, mut texts } = memory;
        let record = confirmed::read(directory);
        let cache = Cache::read_with(&directory.join("cache.db"), &mut texts);
        let (keys, times) = match Keys::with_stored_times(directory, &mut texts) {
            Ok((keys, times)) => (Ok(keys), times),
            Err(cause) => (Err(cause), StoredTimes::default()),
        };
        drop(texts);
        let unread = |schema: Schema| {
            let cause = publish::read_to_end(&directory.join(schema.name)).err()?;
            (cause.kind() != ErrorKind::NotFound).then(|| (schema.name, cause.to_string()))
        };
        let unread = [schema::CACHE, schema::KEYS].into_iter().filter_map(unread).collect();
        let (lost, nothing) = (Lost::default(), Default::default());
        let mut disk =
            Self { directory, now, saves, stored, cache, keys, times, record, unread, lost, nothing };
        let empty = Listing::default();
        disk.remember(&Sources::new(listing.unwrap_or(&empty), config, now));
        disk
    }

    fn remember(&mut self, sources: &Sources<'_>) {
        let nobody = Keys::default();
        let keys = self.keys.as_ref().unwrap_or(&nobody);
        if let Ok(cache) = &self.cache {
            self.lost = recover::recover(&mut self.stored.state, cache, keys, sources);
        }
        let reclaimed = recover::reclaim(&mut self.stored.state, sources);
        if self.lost.is_any() || reclaimed {
            self.stored.touch();
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.stored.state
    }

    pub(super) fn input<'i>(
        &'i self,
        request: Request<'i>,
        listing: &'i Listing,
        local: &'i Local,
    ) -> plan::Input<'i> {
        let Request { config, force, release, now, .. } = request;
        let published = self.cache.as_ref().unwrap_or(&self.nothing.0);
        let offered = self.keys.as_ref().unwrap_or(&self.nothing.1);
        plan::Input {
            state: self.state(),
            listing,
            config,
            local,
            published,
            offered,
            now: now.as_second(),
            force,
            release,
        }
    }

    /// The plan for these files.
    pub(super) fn plan(&self, input: plan::Input<'_>) -> Result<Plan, Error> {
        let mut plan = plan::plan(input)?;
        if plan.keys.machine_id.is_empty() {
            plan.warnings.push(Warning::NoMachineId);
        }
        if let Some(known) = self.keys.as_ref().ok().filter(|known| are_of_another_machine(known, &plan.keys))
        {
            plan.keys.machine_id.clone_from(&known.machine_id);
            plan.warnings.push(Warning::OtherMachine);
        }
        let unread = |(file, cause): (&&str, &String)| Warning::Unreadable {
            path: self.directory.join(file).display().to_string(),
            cause: cause.clone(),
        };
        plan.warnings.extend(self.unread.iter().map(unread));
        if let Some(lost) = self.loss() {
            plan.state.rebuilt = Some(self.now);
            plan.held.push(lost);
        }
        Ok(plan)
    }

    /// The report of a lost state.
    fn loss(&self) -> Option<Held> {
        match self.lost {
            Lost { unknown: unknown @ 1.., .. } => Some(Held::StateLost { unknown }),
            Lost { is_older: true, .. } => Some(Held::StateOlder),
            Lost { .. } => None,
        }
    }

    pub(super) fn published(&self) -> Published<'_> {
        let (no_cache, no_keys) = &self.nothing;
        Published {
            cache: self.cache.as_ref().unwrap_or(no_cache),
            keys: self.keys.as_ref().unwrap_or(no_keys),
        }
    }

    /// Saves and publishes a plan. A file that readers would refuse is replaced, whatever its content.
    pub(super) fn publish(&self, plan: &Plan, group: u32) -> Result<Done, Error> {
        let renamed = self.cache.as_ref().ok() != Some(&plan.cache) || !self.is_sound(schema::CACHE, None);
        let present = self.keys.as_ref().ok().filter(|_| self.is_sound(schema::KEYS, Some(group)));
        let times = present.and_then(|present| self.times.entry(present, &plan.keys));
        let (before, after) = (self.published(), Published::of(plan));
        let first = !self.directory.join("cache.db").exists();
        let saving = self.stored.saving(&plan.state);
        let replaced = (renamed, times.is_none());
        publish::remove_leftovers(self.directory)?;
        if replaced != (false, false) || matches!(saving, Saving::Rows(..)) {
            // First, so that after a crash no second user gets an id that was already published, and the state does not look
            // older than the keys.
            self.save(&saving, self.times(), group)?;
            self.replace(renamed.then_some(&plan.cache), times.is_none().then_some(&plan.keys), group)?;
        }
        // About a keys.db that was replaced, nothing: a copy of it that is put back must not look as fresh as it became.
        let (Saving::Times(entry) | Saving::Rows(_, entry)) = saving;
        self.record(Record { keys: times, state: vec![entry] }, group)?;
        Ok(told(before, after, replaced, first))
    }

    fn is_sound(&self, schema: Schema, group: Option<u32>) -> bool {
        !self.unread.contains_key(schema.name) && publish::is_sound(self.directory, schema, group)
    }

    /// Disables users who left or are locked. This needs neither a plan nor another service. The state is saved last, since
    /// that may fail.
    pub(super) fn take(&mut self, away: Away<'_>, group: u32) -> (Done, Result<(), Error>) {
        let forgotten = self.forget_replaced(group);
        if away.is_done(self.state(), self.cache.as_ref().ok(), self.keys.as_ref().ok()) {
            return (Done::default(), forgotten);
        }
        let mut next = Taken {
            state: self.state().clone(),
            cache: self.cache.as_ref().ok().cloned(),
            keys: self.keys.as_ref().ok().cloned(),
        };
        if !next.take(away, self.now) {
            return (Done::default(), forgotten);
        }
        let before = self.published();
        let (cache, keys) = (
            next.cache.as_ref().filter(|next| self.cache.as_ref().ok() != Some(*next)),
            next.keys.as_ref().filter(|next| self.keys.as_ref().ok() != Some(*next)),
        );
        let (no_cache, no_keys) = &self.nothing;
        let after = Published {
            cache: next.cache.as_ref().unwrap_or(no_cache),
            keys: next.keys.as_ref().unwrap_or(no_keys),
        };
        // If one cannot be replaced, the other still has to be.
        let replaced = [self.replace(None, keys, group), self.replace(cache, None, group)];
        // As in `publish`, nothing about a keys.db that was replaced.
        let times = self.times().filter(|_| keys.is_none());
        if let Some(error) = replaced.into_iter().find_map(Result::err) {
            return (Done::default(), Err(error));
        }
        let changed = (cache.is_some(), keys.is_some());
        let done = Done { published: changed.0 || changed.1, ..told(before, after, changed, false) };
        // A lost state is restored and reported together with a whole plan.
        let saved = if self.saves && self.loss().is_none() {
            let saving = self.stored.saving(&next.state);
            let (Saving::Times(entry) | Saving::Rows(_, entry)) = &saving;
            let record = Record { keys: times.clone(), state: vec![entry.clone()] };
            self.save(&saving, times, group).and_then(|()| self.record(record, group))
        } else {
            self.record(Record { keys: times, ..self.record.clone() }, group)
        };
        self.stored.state = next.state;
        if let Some(cache) = next.cache {
            self.cache = Ok(cache);
        }
        (done, forgotten.and(saved))
    }

    /// Ends what a run that was interrupted has left: a record about a keys.db that it had replaced.
    fn forget_replaced(&self, group: u32) -> Result<(), Error> {
        if self.keys.is_err() || self.record.keys.is_none() || self.times().is_some() {
            return Ok(());
        }
        self.record(Record { keys: None, ..self.record.clone() }, group)
    }

    /// What the record says about the present `keys.db`.
    fn times(&self) -> Option<Entry> {
        self.times.known(&self.record).cloned()
    }

    /// `keys` is what the record says about `keys.db` meanwhile. Until the rows are written, it is about both the present and the
    /// next ones; the caller writes it again.
    fn save(&self, saving: &Saving, keys: Option<Entry>, group: u32) -> Result<(), Error> {
        let present = self.stored.entry(&self.record).cloned();
        match saving {
            Saving::Times(entry) => self.record(Record { keys, state: vec![entry.clone()] }, group),
            Saving::Rows(rows, next) => {
                let present = present.filter(|present| present.digest != next.digest);
                let state = present.into_iter().chain([next.clone()]).collect();
                self.record(Record { keys, state }, group)?;
                let saved = StateFile::open(self.directory).and_then(|mut file| file.save(rows));
                saved.map_err(|cause| Error::State { directory: self.directory.to_owned(), cause })
            }
        }
    }

    fn record(&self, record: Record, group: u32) -> Result<(), Error> {
        let path = self.directory.join(policy::confirmed::NAME);
        confirmed::write(self.directory, &record, group).map_err(|cause| Error::Io {
            what: "write",
            path,
            cause,
        })
    }

    /// Keys first: a new user has keys as soon as the name appears, and a removed one has none while the name is still
    /// there.
    fn replace(&self, cache: Option<&Cache>, keys: Option<&Keys>, group: u32) -> Result<(), Error> {
        if let Some(keys) = keys {
            publish::keys(self.directory, keys, group)?;
        }
        if let Some(cache) = cache {
            publish::cache(self.directory, cache)?;
        }
        Ok(())
    }
}

/// `replaced`: `cache.db` and `keys.db`.
fn told(before: Published<'_>, after: Published<'_>, replaced: (bool, bool), first: bool) -> Done {
    if replaced == (false, false) {
        return Done::default();
    }
    let (renamed, _) = replaced;
    let changes = changes::between(before, after);
    let restricted = changes::restricted(before.cache, after.cache);
    Done { restricted, published: renamed || !changes.is_empty(), renamed, first, changes }
}

/// Whether `keys` only repeat those of the machine from whose image this one was started: before its first fetch, it can
/// only publish the image's listing again.
fn are_of_another_machine(known: &Keys, keys: &Keys) -> bool {
    let newest = |keys: &Keys| keys.logins.iter().map(|login| login.confirmed).max();
    !keys.machine_id.is_empty() && known.machine_id != keys.machine_id && newest(keys) <= newest(known)
}

/// Reserves the size of the files that a removal replaces, and of the journal of `state.db`.
pub(super) fn keep_reserve(directory: &Path) {
    let size = |name: &str| fs::metadata(directory.join(name)).map_or(0, |found| found.len());
    let bytes = size("cache.db") + size("keys.db") + 2 * size("state.db");
    if let Err(cause) = reserve::keep(directory, bytes) {
        log::warn!("cannot reserve space for removals in '{}': {cause}", directory.display());
    }
}

/// The gid of [`KEYS_GROUP`]. Not looked up through NSS, where another service could hang or crash.
pub(super) fn keys_group(files: &Files) -> Option<u32> {
    files.groups.get(KEYS_GROUP).map(|group| group.gid)
}

pub(super) fn group_of(file: &Path) -> Option<u32> {
    fs::symlink_metadata(file).ok().map(|found| found.gid())
}
