//! What this host has remembered and published, and how a plan takes its place.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cache::snapshot::{self, Cache, Keys};
use cache::state::{State, StateFile};
use cache::{publish, schema};
use listing::Listing;

use super::{Error, KEYS_GROUP, Request, Unread};
use crate::changes::{self, Change, Published};
use crate::local::Local;
use crate::plan::{self, Plan};
use crate::recover::{self, Lost, Sources};
use crate::sessions;

/// The memory and the published files.
pub(super) struct Here<'a> {
    request: Request<'a>,
    folder: &'a Path,
    file: Option<StateFile>,
    pub state: State,
    cache: Result<Cache, snapshot::Error>,
    keys: Result<Keys, snapshot::Error>,
    lost: Lost,
}

/// What became of a plan.
#[derive(Default)]
pub(super) struct Done {
    pub changes: Vec<Change>,
    pub warnings: Vec<String>,
    /// Whether an answer changed.
    pub published: bool,
}

impl<'a> Here<'a> {
    pub(super) fn read(request: Request<'a>, folder: &'a Path, listing: &Listing) -> Result<Self, Error> {
        let io_error = |what| move |cause| Error::Io { what, path: folder.to_owned(), cause };
        let state_error = |cause| Error::State { folder: folder.to_owned(), cause };
        let (file, state) = if request.dry_run && !folder.join("state.db").exists() {
            (None, State::default())
        } else {
            fs::metadata(folder).map_err(io_error("open"))?;
            let file = StateFile::open(folder).map_err(state_error)?;
            let state = file.load().map_err(state_error)?;
            (Some(file), state)
        };
        let (cache, keys) = (Cache::read(&folder.join("cache.db")), Keys::read(&folder.join("keys.db")));
        let mut here = Self { request, folder, file, state, cache, keys, lost: Lost::default() };
        here.remember(listing);
        Ok(here)
    }

    /// Puts back what a lost memory does not know.
    fn remember(&mut self, listing: &Listing) {
        let now = self.request.now.as_second();
        let sources = Sources::new(listing, self.request.config, now);
        let nobody = Keys::default();
        let keys = self.keys.as_ref().unwrap_or(&nobody);
        if let Ok(cache) = &self.cache {
            self.lost = recover::recover(&mut self.state, cache, keys, &sources);
        }
        recover::reclaim(&mut self.state, &sources);
    }

    pub(super) fn input<'i>(&'i self, listing: &'i Listing, local: &'i Local) -> plan::Input<'i> {
        let Request { config, force, now, .. } = self.request;
        plan::Input { state: &self.state, listing, config, local, now: now.as_second(), force }
    }

    /// What is to take the place of this. `unread`: there is no listing that could be believed.
    pub(super) fn plan(
        &self,
        listing: &Listing,
        local: &Local,
        unread: Option<&Unread>,
    ) -> Result<Plan, Error> {
        let input = self.input(listing, local);
        let mut plan = if unread.is_none() { plan::plan(input)? } else { plan::hold(input)? };
        if plan.keys.machine_id.is_empty() {
            let text =
                "'/etc/machine-id' is empty, so no key will be offered\nhint: run 'systemd-machine-id-setup'";
            plan.warnings.push(text.to_owned());
        }
        if let Some(known) = self.keys.as_ref().ok().filter(|known| are_of_another_machine(known, &plan.keys))
        {
            plan.keys.machine_id.clone_from(&known.machine_id);
            let text =
                "the keys were confirmed on another machine, and none is offered before a fetch on this one";
            plan.warnings.push(text.to_owned());
        }
        if let Some(lost) = self.loss() {
            plan.state.rebuilt = Some(self.request.now.as_second());
            plan.hold(lost);
        }
        if let Some(unread) = unread {
            plan.hold(format!("{unread}; all but the locked stay as published{}", unread.hint()));
        }
        Ok(plan)
    }

    /// Whether `cache.db` and `keys.db` would change. A file that readers would refuse is replaced, whatever it says.
    fn differs(&self, plan: &Plan, local: &Local) -> (bool, bool) {
        let (folder, group) = (self.folder, keys_group(local));
        (
            self.cache.as_ref().ok() != Some(&plan.cache) || !publish::is_sound(folder, schema::CACHE, None),
            self.keys.as_ref().ok() != Some(&plan.keys) || !publish::is_sound(folder, schema::KEYS, group),
        )
    }

    /// Whether there is nothing to be done for this plan.
    pub(super) fn is_as_planned(&self, plan: &Plan, local: &Local) -> bool {
        let same = self.differs(plan, local) == (false, false) && plan.state == self.state;
        self.state.users.is_empty() || self.loss().is_none() && same
    }

    /// What is to be said of a lost memory.
    fn loss(&self) -> Option<String> {
        let what = match self.lost {
            Lost { unknown: 1.., .. } => {
                format!("did not know {} of the users and groups in cache.db", self.lost.unknown)
            }
            Lost { is_older: true, .. } => "is older than keys.db".to_owned(),
            Lost { .. } => return None,
        };
        Some(format!(
            "'{}/state.db' {what}: it was lost, emptied or restored from an older copy; what cache.db and keys.db know \
             was put back\nhint: restore a newer copy of it if there is one; else check with 'nss-iamctl users --all' that \
             nobody is missing",
            self.folder.display()
        ))
    }

    /// Whether somebody who is published may not log in any more.
    pub(super) fn disables(&self, plan: &Plan) -> bool {
        let active = |cache: &Cache, uid| {
            let user = cache.users.binary_search_by_key(&uid, |user| user.uid).ok();
            user.and_then(|at| cache.users.get(at)).is_some_and(|user| user.active)
        };
        let published = self.cache.iter().flat_map(|cache| &cache.users);
        published.filter(|user| user.active).any(|user| !active(&plan.cache, user.uid))
    }

    pub(super) fn published(&self) -> Published {
        let cache = self.cache.as_ref().ok().cloned().unwrap_or_default();
        Published { cache, keys: self.keys.as_ref().ok().cloned().unwrap_or_default() }
    }

    /// Saves, publishes, and ends the sessions of those who left.
    pub(super) fn publish(&mut self, plan: &Plan, local: &Local) -> Result<Done, Error> {
        let (folder, group) = (self.folder, keys_group(local).ok_or(Error::NoGroup)?);
        let differs = self.differs(plan, local);
        let changes = changes::between(&self.published(), &Published::of(plan));
        if let Some(file) = &mut self.file {
            file.save(&plan.state).map_err(|cause| Error::State { folder: folder.to_owned(), cause })?;
        }
        publish::remove_leftovers(folder)?;
        let first = !folder.join("cache.db").exists();
        // Keys first: who is added finds keys when the name appears, who is removed has none while the name is there.
        if differs.1 {
            publish::keys(folder, &plan.keys, group)?;
        }
        if differs.0 {
            publish::cache(folder, &plan.cache)?;
        }
        for change in &changes {
            log::info!("{}", change.text());
        }
        if differs.0 {
            invalidate_nscd(first);
        }
        let warnings = if self.request.config.users.terminate_sessions {
            sessions::end_of_disabled(plan, local)
        } else {
            Vec::new()
        };
        self.state.clone_from(&plan.state);
        (self.cache, self.keys) = (Ok(plan.cache.clone()), Ok(plan.keys.clone()));
        Ok(Done { published: differs.0 || !changes.is_empty(), changes, warnings })
    }
}

/// Not through NSS: a service that hangs or crashes is no reason not to publish.
fn keys_group(local: &Local) -> Option<u32> {
    local.files.groups.get(KEYS_GROUP).map(|group| group.gid)
}

/// Whether these keys are still those that an image brought: without a fetch of its own, all that this machine could do is
/// to publish the image's listing once more.
fn are_of_another_machine(known: &Keys, keys: &Keys) -> bool {
    let newest = |keys: &Keys| keys.logins.iter().map(|login| login.confirmed).max();
    !keys.machine_id.is_empty() && known.machine_id != keys.machine_id && newest(keys) <= newest(known)
}

/// How long the module remembers, in nscd as everywhere, that there is no cache.
const ABSENCE: Duration = Duration::from_millis(1100);

/// nscd(8) would go on answering from its own cache.
fn invalidate_nscd(first: bool) {
    if !Path::new("/run/nscd/socket").exists() && !Path::new("/var/run/nscd/socket").exists() {
        return;
    }
    if first {
        std::thread::sleep(ABSENCE);
    }
    for table in ["passwd", "group"] {
        let done = Command::new("nscd")
            .args(["-i", table])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            log::warn!("'nscd -i {table}' failed; its old answers stay until they time out");
        }
    }
}
