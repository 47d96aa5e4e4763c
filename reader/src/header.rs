//! The header of a mapped file: the only bytes that may change while they are read, because the publisher sets one
//! bit, the mark, in a file that it has replaced.
//!
//! `nss-iam/tests/switch` compiles this file with the atomics of a model checker, so the memory orders that it
//! proves are the ones used here. All loads from shared memory in this crate are here.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU8, Ordering};

/// The header is the first 100 bytes of the file, and of page 1. The pages of [`crate::pages`] begin after it.
pub(crate) const HEADER: usize = 100;

/// The byte and the bit in `user_version` that mark a replaced file. The content of the file remains valid.
pub(crate) const MARK: (usize, u8) = (60, 1 << 7);

/// Whether the byte at [`MARK`] has the mark.
///
/// Acquire: a thread that sees the mark checks the path next, and must find the new file there. If it found the old
/// one, it would treat the mark as that of a restored hard link, and use the old file for another second. The
/// publisher orders its rename before the mark: see `retire` in `cache/src/publish.rs`.
#[inline]
pub(crate) fn is_marked(byte: &AtomicU8) -> bool {
    byte.load(Ordering::Acquire) & MARK.1 != 0
}

/// A copy of a header.
///
/// Relaxed: everything was written before the file got the path by which it was opened, except the mark, which the
/// copy may or may not contain. This does not matter: the check of the version ignores the mark.
pub(crate) fn copy<const N: usize>(header: &[AtomicU8; N]) -> [u8; N] {
    let mut copy = [0; N];
    for (to, from) in copy.iter_mut().zip(header) {
        *to = from.load(Ordering::Relaxed);
    }
    copy
}
