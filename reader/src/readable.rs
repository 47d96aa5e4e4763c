//! Whether pages of a mapped file can be read. The kernel answers a read that fails (an error of the disk, a file that
//! was truncated) with SIGBUS, which ends the process; so each page is tried with a system call first.
//!
//! A page that was tried can still fail later: the kernel may drop it and read it again, and root may truncate the
//! file. The owner of the map therefore calls `Map::recheck` once a second.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::file::is_readable;
use crate::{Error, Result};

/// The smallest unit that the kernel maps, in bytes. Larger ones are tried several times.
const UNIT: usize = 4096;

/// How many pages are remembered: those of about 90 000 users. Others are tried each time.
const REMEMBERED: usize = 4096;

/// What is known about the pages of a map.
///
/// Relaxed: an entry says something about the kernel's state, and publishes no memory.
#[derive(Debug)]
pub(crate) struct Tried {
    all: AtomicBool,
    readable: Pages,
    /// So that a disk that takes seconds to fail is not asked again by each lookup.
    unreadable: Pages,
}

/// One bit for each page.
#[derive(Debug)]
struct Pages([AtomicU64; REMEMBERED / 64]);

impl Tried {
    pub(crate) const fn new() -> Self {
        Tried { all: AtomicBool::new(false), readable: Pages::new(), unreadable: Pages::new() }
    }

    /// Forgets all pages; from then on either all can be read, or each is tried.
    pub(crate) fn reset(&self, all: bool) {
        self.all.store(all, Ordering::Relaxed);
        if !all {
            self.readable.clear();
            self.unreadable.clear();
        }
    }

    /// Tries page `number`, which has these bytes, unless that was done.
    ///
    /// # Errors
    /// [`Error::System`] with EIO if it cannot be read.
    #[inline]
    pub(crate) fn check(&self, number: u32, page: &[u8]) -> Result<()> {
        if self.all.load(Ordering::Relaxed) || self.readable.contains(number) {
            return Ok(());
        }
        self.try_it(number, page)
    }

    #[cold]
    #[inline(never)]
    fn try_it(&self, number: u32, page: &[u8]) -> Result<()> {
        if self.unreadable.contains(number) || !page.chunks(UNIT).all(is_readable) {
            self.unreadable.insert(number);
            return Err(Error::System(libc::EIO));
        }
        self.readable.insert(number);
        Ok(())
    }
}

impl Pages {
    const fn new() -> Self {
        Pages([const { AtomicU64::new(0) }; REMEMBERED / 64])
    }

    fn clear(&self) {
        self.0.iter().for_each(|bits| bits.store(0, Ordering::Relaxed));
    }

    #[inline]
    fn contains(&self, number: u32) -> bool {
        self.bits(number).is_some_and(|(bits, bit)| bits.load(Ordering::Relaxed) & bit != 0)
    }

    fn insert(&self, number: u32) {
        if let Some((bits, bit)) = self.bits(number) {
            // Another thread's bit may get lost, and its page is then tried again. For aarch64, fetch_or would be a function
            // that detects the processor when the library is loaded.
            bits.store(bits.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
        }
    }

    #[inline]
    fn bits(&self, number: u32) -> Option<(&AtomicU64, u64)> {
        Some((self.0.get(number as usize / 64)?, 1 << (number & 63)))
    }
}
