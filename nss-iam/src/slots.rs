//! A fixed number of slots for values that threads share, of which one is current. Nobody ever waits: a thread that
//! finds no current value or no free slot continues without one.
//!
//! A thread that uses a value is counted in the value's slot; the thread that reduces the count of a replaced value
//! to zero drops it. fork(2) copies counts of threads that the child does not have: the child loses such a slot and
//! its value, and the others still work. So at most `N` values are ever lost, and then every caller continues
//! without a slot.
#![expect(unsafe_code, reason = "a value is shared by count, which the compiler cannot see")]

use core::mem::MaybeUninit;
use core::ops::Deref;

use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};

/// The slot has a value that may be used. With neither flag, the slot is free.
const LIVE: u32 = 1 << 31;
/// The slot has a value that is dropped when nobody uses it any more.
const OLD: u32 = 1 << 30;
/// One thread is filling or emptying the slot.
const BUSY: u32 = 1 << 29;

/// `N` slots.
pub(crate) struct Slots<T, const N: usize> {
    /// See [`Version`].
    pub(crate) current: AtomicU64,
    pub(crate) slots: [Slot<T>; N],
}

/// One slot.
#[repr(align(64))]
pub(crate) struct Slot<T> {
    /// A flag, and in the lower bits the number of threads that use the value, or are checking whether they
    /// may.
    pub(crate) state: AtomicU32,
    pub(crate) value: UnsafeCell<MaybeUninit<T>>,
}

/// A state of `current`: the low byte has the number of the slot plus one, or zero; the rest counts the changes, so
/// that a reused slot is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64);

/// A value in use.
pub(crate) struct Used<'a, T> {
    slot: &'a Slot<T>,
    pub(crate) version: Version,
}

// SAFETY: a value is dropped by any thread, and used by several at once.
unsafe impl<T: Send + Sync, const N: usize> Sync for Slots<T, N> {}

impl Version {
    /// More than the number of files that are published during one call of a process.
    pub(crate) const BITS: u32 = 28;

    /// The version of a value that is not current.
    const NONE: Self = Version(0);

    fn slot(self) -> Option<usize> {
        ((self.0 & 0xff) as usize).checked_sub(1)
    }

    fn next(self, slot: Option<usize>) -> Self {
        let slot = slot.map_or(0, |slot| slot as u64 + 1);
        // Never 0 again, which belongs to no value.
        let count = self.count() % ((1 << Self::BITS) - 1) + 1;
        Version(count << 8 | slot)
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(self) -> bool {
        self.slot().is_none()
    }

    /// How often the current value has changed; in [`Self::BITS`] bits.
    pub(crate) fn count(self) -> u64 {
        self.0 >> 8
    }
}

impl<T, const N: usize> Slots<T, N> {
    /// The current value. If there is none, or while it is being replaced, the version that was seen.
    ///
    /// Between the first load and `enter`, the slot can be emptied and filled again: its content then has a
    /// different version, or none, and an enumeration with a place in the old file would continue in the new
    /// one. The second load detects this. Before the slot was filled again it was emptied, before that retired,
    /// and before that `current` was changed. `retire` and `empty` release this, `claim` and `enter` acquire it
    /// (all changes of a state read it first, so none of them ends a release sequence). So a thread that has
    /// entered a later value also sees the change, with Relaxed, and no version comes back.
    #[inline]
    pub(crate) fn current(&self) -> Result<Used<'_, T>, Version> {
        let version = Version(self.current.load(Ordering::Acquire));
        let slot = version.slot().and_then(|slot| self.slots.get(slot)).ok_or(version)?;
        if !slot.enter() {
            return Err(version);
        }
        let used = Used { slot, version };
        if self.current.load(Ordering::Relaxed) == version.0 { Ok(used) } else { Err(version) }
    }

    /// Makes `value` current if `version` still is, and lends it in any case. Returns it if no slot is free.
    pub(crate) fn put(&self, value: T, version: Version) -> Result<Used<'_, T>, T> {
        let free = self.slots.iter().enumerate().find(|(_, slot)| slot.claim(0));
        let Some((at, slot)) = free else {
            return Err(value);
        };
        // SAFETY: a claimed slot is this thread's alone, and has no value.
        slot.value.with_mut(|place| unsafe { (*place).write(value) });
        // In use by one thread from the beginning. Other threads may have checked meanwhile and are still
        // counted, so this cannot be a store. Relaxed: threads that use the value have acquired the exchange
        // below, and the thread that drops it acquires the release of this thread's leave.
        slot.state.fetch_add(LIVE - BUSY + 1, Ordering::Relaxed);
        let new = version.next(Some(at));
        if self.exchange(version, new) {
            return Ok(Used { slot, version: new });
        }
        slot.retire();
        // Another thread's value may have the version that this one would have had.
        Ok(Used { slot, version: Version::NONE })
    }

    /// Leaves no value current if `version` still is. If there was none, another thread may still put the value
    /// that it has found.
    pub(crate) fn clear(&self, version: Version) {
        if !version.is_empty() {
            self.exchange(version, version.next(None));
        }
    }

    fn exchange(&self, old: Version, new: Version) -> bool {
        // No Acquire: the thread that has `old` acquired it when it loaded it, or stored it.
        let done = self.current.compare_exchange(old.0, new.0, Ordering::Release, Ordering::Relaxed).is_ok();
        if done && let Some(slot) = old.slot().and_then(|slot| self.slots.get(slot)) {
            slot.retire();
        }
        done
    }
}

impl<T> Slot<T> {
    /// Whether there is a value to use; the caller is then counted.
    #[inline]
    fn enter(&self) -> bool {
        let live = self.state.fetch_add(1, Ordering::Acquire) & LIVE != 0;
        if !live {
            self.leave();
        }
        live
    }

    #[inline]
    fn leave(&self) {
        if self.state.fetch_sub(1, Ordering::Release) == OLD + 1 {
            self.empty();
        }
    }

    /// Takes a slot in this state, which nobody uses.
    fn claim(&self, state: u32) -> bool {
        self.state.compare_exchange(state, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Called once for each value, by the thread that made it no longer current. Release: for the second load
    /// of [`Slots::current`].
    fn retire(&self) {
        if self.state.fetch_sub(LIVE - OLD, Ordering::Release) == LIVE {
            self.empty();
        }
    }

    /// Drops the value unless a thread has entered meanwhile: the last thread to leave tries again.
    #[cold]
    fn empty(&self) {
        if self.claim(OLD) {
            // SAFETY: an old slot has a value; nobody uses it, since the count was 0, and nobody will, since it is
            // claimed and so not live.
            self.value.with_mut(|place| unsafe { place.cast::<T>().drop_in_place() });
            self.state.fetch_sub(BUSY, Ordering::Release);
        }
    }
}

impl<T> Deref for Used<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the slot was live when this was counted in it, so it has a value, and keeps it while this is counted.
        self.slot.value.with(|place| unsafe { &*place.cast::<T>() })
    }
}

impl<T> Drop for Used<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.leave();
    }
}
