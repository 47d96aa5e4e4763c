//! The file that is kept open between calls, and when it is checked.
//!
//! First, the publisher marks a file that it has replaced, and every call reads the mark. Second, the path is
//! checked once a second, in case a publisher was killed before it set the mark, and for overlayfs, where a map of
//! a lower layer does not show it. A chroot hides the path: the file then stays in use, but only for ten minutes
//! once it is marked. Third, once a second, the file is checked for whether it can still be read. Nothing here waits for
//! another thread, whatever threads are doing, or were doing when the process forked.
#![forbid(unsafe_code)]

use core::num::NonZero;

use reader::{Error, Result};

use crate::slots::{Slots, Used, Version};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Milliseconds between two checks of the path, and of the file.
pub(crate) const SECOND: u64 = 1000;
/// Milliseconds for which a replaced file stays in use if its successor cannot be seen.
pub(crate) const HIDDEN: u64 = 600 * SECOND;

/// The parts of the system that this needs.
pub(crate) trait System {
    /// An open file.
    type File: File;

    /// Milliseconds.
    fn now(&self) -> u64;
    /// Opens the file at the path.
    fn open(&self) -> Result<Self::File>;
    /// Identifies the file at the path.
    fn at_path(&self) -> Result<IdOf<Self>>;
    /// Identifies the root directory of this process.
    fn root(&self) -> Option<IdOf<Self>>;
}

type IdOf<S> = <<S as System>::File as File>::Id;

/// A file that may be replaced.
pub(crate) trait File {
    /// Different for two files that exist at the same time.
    type Id: Copy + PartialEq;

    fn id(&self) -> Self::Id;
    /// Whether it is marked as replaced.
    fn retired(&self) -> bool;
    /// Fails if the file can no longer be read: then nothing else may be called but `id`.
    fn recheck(&self) -> Result<()>;
}

/// The file that is kept, if there is one. Everything that outlives a call, except for enumerations.
pub(crate) struct Kept<S: System, const N: usize> {
    pub(crate) system: S,
    pub(crate) slots: Slots<Look<S::File>, N>,
    /// When the file was missing or unreadable, and the errno: see [`absence`]; 0: it was not.
    pub(crate) absent: AtomicU64,
}

/// A file, and its state when it was last checked.
pub(crate) struct Look<F: File> {
    file: F,
    root: Option<F::Id>,
    /// When the file could be read. Not `checked`, which a thread sets before it checks.
    readable: AtomicU64,
    /// When the path was checked.
    checked: AtomicU64,
    /// Whether the file is marked, but stays in use until the next check of the path.
    tolerated: AtomicBool,
    /// Since when the file has been marked and the path hidden; 0: not the case.
    hidden: AtomicU64,
}

/// A file for one call.
pub(crate) enum Held<'a, F: File> {
    /// The file that is kept, with its version.
    Kept(Used<'a, Look<F>>),
    /// A file for which no slot was free.
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

    /// A different number for each file that is kept.
    #[inline]
    pub(crate) fn version(&self) -> Option<NonZero<u64>> {
        match self {
            Held::Kept(used) => NonZero::new(used.version.count()),
            Held::Own(_) => None,
        }
    }
}

impl<S: System, const N: usize> Kept<S, N> {
    /// The current file, at most a second late.
    ///
    /// # Errors
    /// The errors of opening the file.
    #[inline]
    pub(crate) fn file(&self) -> Result<Held<'_, S::File>> {
        let now = self.system.now();
        match self.slots.current() {
            Ok(used) if used.is_fresh(now) => Ok(Held::Kept(used)),
            Ok(used) => self.look(used, now),
            Err(version) => self.first(version, now),
        }
    }

    /// The file of that version if it is kept, not marked, and was rechecked a moment ago: for a step of an enumeration.
    #[inline]
    pub(crate) fn same(&self, version: NonZero<u64>) -> Option<Held<'_, S::File>> {
        let used = self.slots.current().ok()?;
        let same = used.version.count() == version.get();
        (same && used.is_readable(self.system.now()) && !used.file.retired()).then_some(Held::Kept(used))
    }

    #[cold]
    #[inline(never)]
    fn look<'a>(&'a self, used: Used<'a, Look<S::File>>, now: u64) -> Result<Held<'a, S::File>> {
        if !used.is_readable(now) {
            if used.file.recheck().is_err() {
                return self.open(used.version, now);
            }
            used.readable.store(now, Ordering::Relaxed);
        }
        let retired = used.file.retired();
        let untold = retired && !used.tolerated.load(Ordering::Relaxed);
        // One thread checks the path; the others need not wait for the result.
        if !used.take_turn(now) && !untold {
            return Ok(Held::Kept(used));
        }
        match self.system.at_path() {
            Ok(id) if id == used.file.id() => {
                // A restored hard link may be marked.
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

    /// Opens the file unless it was absent a moment ago. If a version has a file, that file is just being
    /// replaced, and `absent` does not count: a thread that found no file earlier may set it late.
    #[cold]
    #[inline(never)]
    fn first(&self, version: Version, now: u64) -> Result<Held<'_, S::File>> {
        let (since, errno) = absence(self.absent.load(Ordering::Relaxed));
        if version.is_empty() && errno != 0 && now.abs_diff(since) < SECOND {
            return Err(Error::System(errno));
        }
        self.open(version, now)
    }

    /// Opens the file and replaces the current one.
    fn open(&self, version: Version, now: u64) -> Result<Held<'_, S::File>> {
        match self.system.open() {
            Ok(file) => {
                self.absent.store(0, Ordering::Relaxed);
                let look = Look {
                    file,
                    root: self.system.root(),
                    readable: AtomicU64::new(now),
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
                // A disk may try for seconds before it gives up.
                if let Error::System(errno @ (libc::ENOENT | libc::EIO)) = error {
                    self.absent.store(now << 8 | u64::from(errno.cast_unsigned()), Ordering::Relaxed);
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
        self.is_readable(now)
            && !is_due(checked, now)
            && (!self.file.retired() || self.tolerated.load(Ordering::Relaxed))
    }

    #[inline]
    fn is_readable(&self, now: u64) -> bool {
        !is_due(self.readable.load(Ordering::Relaxed), now)
    }

    /// Whether this thread has to check the path.
    fn take_turn(&self, now: u64) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        is_due(checked, now)
            && self.checked.compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// How long the path has been hidden, counted from the first call.
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

/// When a file was absent, and the errno, 0 if it was not.
fn absence(absent: u64) -> (u64, i32) {
    (absent >> 8, (absent & 0xff) as i32)
}

/// Also correct for a clock that is far behind, as after a change of the time namespace (`time_namespaces(7)`).
#[inline]
fn is_due(checked: u64, now: u64) -> bool {
    now.abs_diff(checked) >= SECOND
}
