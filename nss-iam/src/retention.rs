//! The file that is kept open between calls, and when it is looked after.
//!
//! First line: the publisher marks a file that it has replaced, and every call reads the mark. Second: once a second
//! the path is looked at, for a publisher that was killed before the mark, and for an overlayfs, where a map of a lower
//! layer does not see it. A chroot hides the path: what was kept then serves on, but for ten minutes only once it is
//! marked. Nothing here waits, whatever other threads are doing, or were doing when the process forked.
#![forbid(unsafe_code)]

use core::num::NonZero;

use reader::{Error, Result};

use crate::slots::{Slots, Used, Version};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Milliseconds between two looks at the path.
pub(crate) const SECOND: u64 = 1000;
/// Milliseconds for which a replaced file serves where its successor cannot be seen.
pub(crate) const HIDDEN: u64 = 600 * SECOND;

/// The machine, as far as this needs it.
pub(crate) trait System {
    /// An open file.
    type File: File;

    /// Milliseconds.
    fn now(&self) -> u64;
    /// Opens the file at the path.
    fn open(&self) -> Result<Self::File>;
    /// Which file is at the path.
    fn at_path(&self) -> Result<IdOf<Self>>;
    /// Which folder is the root of this process.
    fn root(&self) -> Option<IdOf<Self>>;
}

type IdOf<S> = <<S as System>::File as File>::Id;

/// A file that may be replaced.
pub(crate) trait File {
    /// Of two files that exist at the same time, not the same.
    type Id: Copy + PartialEq;

    fn id(&self) -> Self::Id;
    /// Whether it is marked as replaced.
    fn retired(&self) -> bool;
}

/// The kept file, if there is one. All state that outlives a call, but for enumerations.
pub(crate) struct Kept<S: System, const N: usize> {
    pub(crate) system: S,
    pub(crate) slots: Slots<Look<S::File>, N>,
    /// When there was no file; 0: there was one.
    pub(crate) missing: AtomicU64,
}

/// A file, and how it was found when it was last looked after.
pub(crate) struct Look<F: File> {
    file: F,
    root: Option<F::Id>,
    /// When the path was looked at.
    checked: AtomicU64,
    /// Marked, and to be used all the same until the path is looked at again.
    tolerated: AtomicBool,
    /// Since when it is marked and the path cannot be seen; 0: it is not so.
    hidden: AtomicU64,
}

/// A file for one call.
pub(crate) enum Held<'a, F: File> {
    /// With the version that it has while it is kept.
    Kept(Used<'a, Look<F>>),
    /// There was no room to keep it.
    Own(F),
}

impl<F: File> Held<'_, F> {
    #[inline]
    pub(crate) fn file(&self) -> &F {
        match self {
            Held::Kept(used) => &used.file,
            Held::Own(file) => file,
        }
    }

    /// Another for each file that is kept.
    #[inline]
    pub(crate) fn version(&self) -> Option<NonZero<u64>> {
        match self {
            Held::Kept(used) => NonZero::new(used.version.count()),
            Held::Own(_) => None,
        }
    }
}

impl<S: System, const N: usize> Kept<S, N> {
    /// The file as it is now, give or take a second.
    ///
    /// # Errors
    /// Those of opening it.
    #[inline]
    pub(crate) fn file(&self) -> Result<Held<'_, S::File>> {
        let now = self.system.now();
        match self.slots.current() {
            Ok(used) if used.is_fresh(now) => Ok(Held::Kept(used)),
            Ok(used) => self.look(used, now),
            Err(version) => self.first(version, now),
        }
    }

    /// The file of that version if it is the kept one and not marked: for a step of a walk, which need not look at the
    /// clock.
    #[inline]
    pub(crate) fn same(&self, version: NonZero<u64>) -> Option<Held<'_, S::File>> {
        let held = Held::Kept(self.slots.current().ok()?);
        (held.version() == Some(version) && !held.file().retired()).then_some(held)
    }

    #[cold]
    #[inline(never)]
    fn look<'a>(&'a self, used: Used<'a, Look<S::File>>, now: u64) -> Result<Held<'a, S::File>> {
        let retired = used.file.retired();
        let untold = retired && !used.tolerated.load(Ordering::Relaxed);
        // One thread looks at the path; the others need not wait for what it finds.
        if !used.take_turn(now) && !untold {
            return Ok(Held::Kept(used));
        }
        match self.system.at_path() {
            Ok(id) if id == used.file.id() => {
                // A restored hard link can be marked.
                used.tolerated.store(retired, Ordering::Relaxed);
                used.hidden.store(0, Ordering::Relaxed);
                Ok(Held::Kept(used))
            }
            Err(Error::System(errno)) if errno != libc::ENOENT || self.system.root() != used.root => {
                if retired && used.hidden_for(now) >= HIDDEN {
                    return self.open(used.version, now);
                }
                used.tolerated.store(retired, Ordering::Relaxed);
                Ok(Held::Kept(used))
            }
            _ => self.open(used.version, now),
        }
    }

    /// Opens the file unless there was none a moment ago. A version that has a file is just being replaced; `missing` then
    /// says nothing, for a thread that found no file before there was one can be late to set it.
    #[cold]
    #[inline(never)]
    fn first(&self, version: Version, now: u64) -> Result<Held<'_, S::File>> {
        let missing = self.missing.load(Ordering::Relaxed);
        if version.is_empty() && missing != 0 && now.abs_diff(missing) < SECOND {
            return Err(Error::System(libc::ENOENT));
        }
        self.open(version, now)
    }

    /// Opens the file in the place of what was the current one.
    fn open(&self, version: Version, now: u64) -> Result<Held<'_, S::File>> {
        match self.system.open() {
            Ok(file) => {
                self.missing.store(0, Ordering::Relaxed);
                let look = Look {
                    file,
                    root: self.system.root(),
                    checked: AtomicU64::new(now),
                    tolerated: AtomicBool::new(false),
                    hidden: AtomicU64::new(0),
                };
                match self.slots.put(look, version) {
                    Ok(used) => Ok(Held::Kept(used)),
                    Err(look) => Ok(Held::Own(look.file)),
                }
            }
            Err(error) => {
                if error == Error::System(libc::ENOENT) {
                    self.missing.store(now.max(1), Ordering::Relaxed);
                }
                self.slots.clear(version);
                Err(error)
            }
        }
    }
}

impl<F: File> Look<F> {
    #[inline]
    fn is_fresh(&self, now: u64) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        !is_due(checked, now) && (!self.file.retired() || self.tolerated.load(Ordering::Relaxed))
    }

    /// Whether it is this thread that has to look at the path.
    fn take_turn(&self, now: u64) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        is_due(checked, now)
            && self.checked.compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// How long the path cannot be seen, from the first time that this is asked.
    fn hidden_for(&self, now: u64) -> u64 {
        match self.hidden.load(Ordering::Relaxed) {
            0 => {
                self.hidden.store(now.max(1), Ordering::Relaxed);
                0
            }
            since => now.abs_diff(since),
        }
    }
}

/// Also with a clock that is far behind, as it can be after a change of the time namespace (`time_namespaces(7)`).
#[inline]
fn is_due(checked: u64, now: u64) -> bool {
    now.abs_diff(checked) >= SECOND
}
