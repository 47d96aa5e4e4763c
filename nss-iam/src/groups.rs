//! The caller's growing list of groups: `initgroups_dyn`'s start, size, groupsp and limit.
#![expect(unsafe_code, reason = "the list is C's, and is made longer with realloc(3)")]

use core::slice;

use libc::{c_long, gid_t};

use crate::outcome::{Miss, Outcome};

/// The minimum number of groups to allocate.
const FEW: c_long = 16;

pub(crate) struct List<'a> {
    /// How many groups there are.
    start: &'a mut c_long,
    /// How many groups there is room for.
    size: &'a mut c_long,
    groups: &'a mut *mut gid_t,
    /// The maximum number of groups; 0 or less: no limit.
    limit: c_long,
}

impl<'a> List<'a> {
    /// None for a null pointer.
    ///
    /// # Safety
    /// Pointers that are not null are the caller's to write for `'a`; `*groupsp` is null or from malloc(3), with room
    /// for `*size` groups, of which the first `*start` are set.
    pub(crate) unsafe fn new(
        start: *mut c_long,
        size: *mut c_long,
        groupsp: *mut *mut gid_t,
        limit: c_long,
    ) -> Option<Self> {
        Some(List {
            // SAFETY: this function's caller vouches for what is not null.
            start: unsafe { start.as_mut() }?,
            // SAFETY: this function's caller vouches for what is not null.
            size: unsafe { size.as_mut() }?,
            // SAFETY: this function's caller vouches for what is not null.
            groups: unsafe { groupsp.as_mut() }?,
            limit,
        })
    }

    /// Keeps what `fill` adds only if it succeeds.
    pub(crate) fn all_or_none(&mut self, fill: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<()> {
        let before = *self.start;
        fill(self).inspect_err(|_| *self.start = before)
    }

    /// Adds a group, unless it is in the list already or the list has reached its limit, like glibc's own
    /// `files`.
    pub(crate) fn add(&mut self, gid: gid_t) -> Outcome<()> {
        let full = self.limit > 0 && *self.start >= self.limit;
        if full || self.known().contains(&gid) {
            return Ok(());
        }
        if *self.start >= *self.size {
            self.grow()?;
        }
        let at = usize::try_from(*self.start).map_err(|_| Miss::OutOfMemory)?;
        // SAFETY: `start` is less than `size` here, so this is inside of the array (see `new`).
        let place = unsafe { self.groups.add(at) };
        // SAFETY: `place` is inside of the array, which glibc has given us to write to.
        unsafe { place.write(gid) };
        *self.start += 1;
        Ok(())
    }

    fn known(&self) -> &[gid_t] {
        match usize::try_from(*self.start) {
            // SAFETY: the first `start` groups are set (see `new`), or were set by `add`.
            Ok(len) if !self.groups.is_null() => unsafe { slice::from_raw_parts(*self.groups, len) },
            _ => &[],
        }
    }

    fn grow(&mut self) -> Outcome<()> {
        let double = self.size.saturating_mul(2).max(FEW);
        let size = if self.limit > 0 { double.min(self.limit) } else { double };
        let bytes = usize::try_from(size).ok().and_then(|size| size.checked_mul(size_of::<gid_t>()));
        let bytes = bytes.ok_or(Miss::OutOfMemory)?;
        // SAFETY: `groups` is null or from malloc (see `new`), and `bytes` is more than 0.
        let groups = unsafe { libc::realloc(self.groups.cast(), bytes) };
        if groups.is_null() {
            return Err(Miss::OutOfMemory);
        }
        *self.groups = groups.cast();
        *self.size = size;
        Ok(())
    }
}
