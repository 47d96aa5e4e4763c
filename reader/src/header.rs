//! The header of a mapped file: the only bytes that may change while they are read, since the publisher sets one bit,
//! the mark, in a file that it has replaced.
//!
//! `nss-iam/tests/switch` compiles this very file with the atomics of a model checker, so that the orders it proves are
//! the orders used here. All loads from shared memory in this crate are in here.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU8, Ordering};

/// The header is the first 100 bytes of the file, and of page 1. The pages of [`crate::pages`] begin behind it.
pub(crate) const HEADER: usize = 100;

/// Set in `user_version` of a file that has been replaced: byte and bit. Its content is as good as it was.
pub(crate) const MARK: (usize, u8) = (60, 1 << 7);

/// Whether the byte at [`MARK`] has the mark.
///
/// Acquire: a thread that sees the mark looks at the path next, and must find the new file there. If it found the old
/// one it would take the mark for that of a restored hard link, and use the old file for another second. The publisher
/// orders its rename before the mark: see `retire` in `cache/src/publish.rs`.
#[inline]
pub(crate) fn is_marked(byte: &AtomicU8) -> bool {
    byte.load(Ordering::Acquire) & MARK.1 != 0
}

/// A copy of a header.
///
/// Relaxed: all of it was written before the file was given its path, by which it was opened, but for the mark, which
/// may be in the copy or not. Nothing is concluded from that: the check of the version leaves it out.
pub(crate) fn copy<const N: usize>(header: &[AtomicU8; N]) -> [u8; N] {
    let mut copy = [0; N];
    for (to, from) in copy.iter_mut().zip(header) {
        *to = from.load(Ordering::Relaxed);
    }
    copy
}
