//! Carries a plan out, or leaves everything as it was: files are moved first, since that can be done again after a
//! power cut; then the accounts go, the refresher publishes, and what it published is looked at.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::changes::Change;
use super::outcome::{Adoption, Plan};
use crate::edit::backup;
use crate::edit::owners::{self, Changed, Moves};
use crate::edit::sshd::{Sshd, reload};
use crate::host::paths::REFRESHER;
use crate::host::published::Published;
use crate::host::{Host, files, processes};
use crate::say::error::Error;
use crate::say::say;

/// Of shadow's programs and the C library, see lckpwdf(3); so is how long they wait.
const LOCK: &str = "/etc/.pwd.lock";
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);
/// Where else a user's files are.
const MAIL: [&str; 2] = ["/var/mail", "/var/spool/mail"];
const SPOOLS: [&str; 2] = ["/var/spool/cron", "/var/spool/at"];

/// Keeps useradd, passwd and the like away until it is dropped.
///
/// # Errors
/// When one of them keeps us away.
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

/// Does it. Gives back where the old files are.
///
/// # Errors
/// What failed; everything then is as it was, as far as the message does not say otherwise.
pub(super) fn carry_out(
    host: &Host,
    plan: &Plan,
    changes: &[Change],
    shown: &str,
    now: i64,
) -> Result<PathBuf, Error> {
    let kept = save(host, changes, shown, now).map_err(|failed| failed.done("nothing was changed"))?;
    let mut done = Done { host, kept, moved: Vec::new(), written: Vec::new(), refreshed: false };
    match done.perform(plan, changes) {
        Ok(()) => Ok(done.kept),
        Err(failed) => Err(done.roll_back(failed)),
    }
}

/// Copies of the files, with mode and owner, in a folder that nobody but root may enter.
fn save(host: &Host, changes: &[Change], shown: &str, now: i64) -> Result<PathBuf, Error> {
    let folder = host.path(backup::FOLDER);
    make(&folder)?;
    let time = jiff::Timestamp::from_second(now).unwrap_or_default();
    let prefix = format!("adopt-{}-", time.strftime("%Y%m%dT%H%M%SZ"));
    let made = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&folder);
    let kept = made.map_err(|cause| Error::io("make a folder in", &folder, &cause))?.keep();
    for change in changes {
        let from = host.path_of(&change.path);
        if from.exists() {
            let to = kept.join(below_root(&change.path));
            make(to.parent().unwrap_or(&kept))?;
            files::copy(&from, &to)?;
        }
    }
    files::replace(&kept.join("plan.txt"), shown, 0o600)?;
    Ok(kept)
}

fn make(folder: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|cause| Error::io("make", folder, &cause))
}

/// What was done so far.
struct Done<'a> {
    host: &'a Host,
    kept: PathBuf,
    moved: Vec<(PathBuf, Moves, Changed)>,
    written: Vec<PathBuf>,
    refreshed: bool,
}

impl Done<'_> {
    fn perform(&mut self, plan: &Plan, changes: &[Change]) -> Result<(), Error> {
        for adoption in &plan.adopt {
            if let Some(moves) = adoption.moves() {
                self.move_files(adoption, moves)?;
            }
        }
        for change in changes {
            let path = self.host.path_of(&change.path);
            make_readable(path.parent())?;
            self.written.push(change.path.clone());
            match &change.after {
                Some(bytes) => files::replace(&path, bytes, 0o644)?,
                None => files::remove(&path)?,
            }
        }
        // Whoever logged in meanwhile still had the old ids.
        for adoption in plan.adopt.iter().filter(|adoption| adoption.moves().is_some()) {
            if processes::by_uid(self.host).contains_key(&adoption.uid) {
                return Err(Error::other(format!("'{}' has logged in meanwhile", adoption.name)));
            }
        }
        let sshd = if changes.iter().any(|change| change.path.starts_with("/etc/ssh")) {
            Sshd::find(self.host)?
        } else {
            None
        };
        if let Some(sshd) = &sshd {
            sshd.test()?;
        }
        self.refresh(plan)?;
        if let Some(sshd) = &sshd {
            match reload::reload(sshd) {
                Ok(told) => say(&told),
                Err(failed) => say(&format!("{failed}\nhint: reload sshd by hand")),
            }
        }
        Ok(())
    }

    fn move_files(&mut self, adoption: &Adoption, moves: Moves) -> Result<(), Error> {
        let mail = MAIL.iter().map(|folder| format!("{folder}/{}", adoption.name));
        let places = [adoption.home.clone()].into_iter().chain(mail).chain(SPOOLS.map(str::to_owned));
        let mut count = 0;
        for place in places.map(|place| self.host.path(&place)) {
            let mut changed = Changed::new();
            let walked = owners::walk(&place, moves, &mut changed);
            count += changed.len();
            self.moved.push((place.clone(), moves, changed));
            walked.map_err(|cause| Error::io("change the owner of all files in", &place, &cause))?;
        }
        say(&format!("'{}': {count} files changed: {moves}", adoption.name));
        Ok(())
    }

    /// Publishes, and looks whether every account is there again.
    fn refresh(&mut self, plan: &Plan) -> Result<(), Error> {
        self.refreshed = true;
        let ran = self.host.run(&[REFRESHER, "apply"])?;
        let published = Published::read(self.host);
        let users = published.cache.map(|cache| cache.users).unwrap_or_default();
        for adoption in &plan.adopt {
            let Adoption { name, login, id, iam_id, home, .. } = adoption;
            let Some(user) = users.iter().find(|user| user.uid.get() == *id && user.name.as_str() == login)
            else {
                let skips = published.status.map(|status| status.skips).unwrap_or_default();
                let skip = skips.into_iter().find(|skip| skip.id == *iam_id).map(|skip| skip.reason);
                let why = skip.unwrap_or_else(|| ran.complaint());
                let failed = format!(
                    "IAM user '{}' was not published as '{login}' with uid {id}: {why}",
                    adoption.iam_name
                );
                return Err(Error::other(failed).hint("name the others: nss-iamctl adopt --apply NAME..."));
            };
            if user.home.as_str() != home && self.host.exists(home) {
                let failed = format!("'{name}' would have home '{}' in place of '{home}'", user.home);
                return Err(Error::other(failed).hint("set [users] home so that it fits, or move the folder"));
            }
        }
        if !ran.success() {
            say(&format!("cache-refresher has something to say: {}", ran.complaint()));
        }
        Ok(())
    }

    fn roll_back(self, failed: Error) -> Error {
        let mut left = Vec::new();
        for path in self.written.iter().rev() {
            let (place, copy) = (self.host.path_of(path), self.kept.join(below_root(path)));
            let restored = if copy.exists() { files::copy(&copy, &place) } else { files::remove(&place) };
            left.extend(restored.err().map(|cause| cause.to_string()));
        }
        for (place, moves, changed) in self.moved.iter().rev().filter(|(_, _, changed)| !changed.is_empty()) {
            if let Err(cause) = owners::undo(place, *moves, changed) {
                left.push(Error::io("give back all files in", place, &cause).to_string());
            }
        }
        if self.refreshed {
            // So that the cache no longer has who is a local account again; the next refresh would do it too.
            let _ = self.host.run(&[REFRESHER, "apply"]);
        }
        if left.is_empty() {
            let _ = fs::remove_dir_all(&self.kept);
            return failed.done("every file is as it was");
        }
        let told = format!(
            "not everything could be put back: {}; the old files are in '{}'",
            left.join("; "),
            self.kept.display()
        );
        failed.done(&told)
    }
}

fn below_root(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// The folder of drop-ins may be missing.
fn make_readable(folder: Option<&Path>) -> Result<(), Error> {
    let Some(folder) = folder else { return Ok(()) };
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(|cause| Error::io("make", folder, &cause))
}
