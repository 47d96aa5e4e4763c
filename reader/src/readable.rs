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

/// How many pages are remembered: more than 100 000 users have. Others are tried each time.
const REMEMBERED: usize = 8192;

/// The pages that can be read.
///
/// Relaxed: an entry says something about the kernel's state, and publishes no memory.
#[derive(Debug)]
pub(crate) struct Tried {
    all: AtomicBool,
    /// One bit for each page.
    pages: [AtomicU64; REMEMBERED / 64],
}

impl Tried {
    pub(crate) const fn new() -> Self {
        Tried { all: AtomicBool::new(false), pages: [const { AtomicU64::new(0) }; REMEMBERED / 64] }
    }

    /// Forgets all pages; from then on either all can be read, or each is tried.
    pub(crate) fn reset(&self, all: bool) {
        self.all.store(all, Ordering::Relaxed);
        self.pages.iter().for_each(|bits| bits.store(0, Ordering::Relaxed));
    }

    /// Tries page `number`, which has these bytes, unless that was done.
    ///
    /// # Errors
    /// [`Error::System`] with EIO if it cannot be read.
    #[inline]
    pub(crate) fn check(&self, number: u32, page: &[u8]) -> Result<()> {
        if self.all.load(Ordering::Relaxed) {
            return Ok(());
        }
        let bits = self.pages.get(number as usize / 64);
        let bit = 1 << (number & 63);
        match bits {
            Some(bits) if bits.load(Ordering::Relaxed) & bit != 0 => Ok(()),
            bits => try_all(page, bits, bit),
        }
    }
}

#[cold]
#[inline(never)]
fn try_all(page: &[u8], bits: Option<&AtomicU64>, bit: u64) -> Result<()> {
    if !page.chunks(UNIT).all(is_readable) {
        return Err(Error::System(libc::EIO));
    }
    if let Some(bits) = bits {
        bits.fetch_or(bit, Ordering::Relaxed);
    }
    Ok(())
}
