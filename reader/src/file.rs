//! A cache file as bytes: it is checked and mapped, and the descriptor is closed again. The only unsafe code of
//! this crate.
//!
//! Published files are replaced by rename and never written in place, except for one byte of the header, the mark
//! of a replaced file. The header is therefore read as atomics, and only the bytes after it are a `&[u8]`. A page that
//! the disk does not return, or that root has cut off, is noticed before it is read: see `readable.rs`.
//!
//! System calls are made with syscall(2): open(2) and close(2) are cancellation points (`pthreads(7)`), and a
//! thread that ends in one of them would leave a descriptor behind in a foreign process. In addition, `fstat` is a
//! symbol of glibc only since 2.33.
#![expect(
    unsafe_code,
    reason = "open, fstat, mmap, munmap and the clock are C functions, and std is not to be had here"
)]

use core::ffi::{CStr, c_int, c_long, c_void};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::header::{self, HEADER, MARK};
use crate::readable::Tried;
use crate::sync::AtomicU8;
use crate::{Error, Result};

// What these calls write is the C library's `stat`, but with 32 bits its `stat64`: sizes, devices and inodes have 64 bits
// everywhere. Times have 32 bits there, and are only compared for equality, which works after 2038, too.
#[cfg(target_pointer_width = "64")]
use libc::{SYS_fstat as SYS_FSTAT, SYS_newfstatat as SYS_FSTATAT, stat as Stat};
#[cfg(target_pointer_width = "32")]
use libc::{SYS_fstat64 as SYS_FSTAT, SYS_fstatat64 as SYS_FSTATAT, stat64 as Stat};

/// The maximum size of a file that is mapped, in bytes: far above 50 000 users with five RSA keys each.
const MAX_SIZE: usize = 1 << 30;

/// The smallest database that SQLite writes: one page of 512 bytes.
const MIN_SIZE: usize = 512;

/// The largest file, in bytes, that is mapped at once rather than page by page: about 800 users. It takes one system
/// call and some microseconds (docs/decisions/0035-pages-are-tried-before-they-are-read.md).
const POPULATED: usize = 1 << 18;

/// The uid shown for owners that a user namespace does not map (`user_namespaces(7)`).
const OVERFLOW_UID: libc::uid_t = 65534;

/// A cache file, mapped read-only until this is dropped. It keeps no descriptor: sshd calls `closefrom(3)` between
/// two lookups, and the number could then be reused for another file.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    len: usize,
    id: Id,
    tried: Tried,
    /// Whether the whole file can be mapped at once.
    populates: AtomicBool,
    _owns: PhantomData<[u8]>,
}

// SAFETY: the memory belongs to the process, not to a thread, and nothing writes to it through this.
unsafe impl Send for Map {}
// SAFETY: as above; the one byte that others write is read as an atomic.
unsafe impl Sync for Map {}

/// Identifies a file and its content. While a file is mapped, its inode number is not reused; size and time differ if
/// root has written to the file in place, as `cp` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id {
    device: libc::dev_t,
    inode: libc::ino64_t,
    size: libc::off64_t,
    modified: (libc::time_t, c_long),
}

impl Map {
    /// Opens and maps the file at `path`.
    ///
    /// # Errors
    /// [`Error::System`] with the errno of `open(2)`, `fstat(2)` or `mmap(2)` (`ELOOP` for a symbolic link), or with EIO
    /// if the header cannot be read; [`Error::Foreign`] unless it is a regular file that is owned by root and writable
    /// only by its owner.
    pub fn open(path: &CStr) -> Result<Self> {
        // O_NONBLOCK: opening a FIFO must not wait for a writer (`fifo(7)`).
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        // SAFETY: `path` ends with a NUL, as every CStr does.
        let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
        if fd < 0 {
            return Err(last_error());
        }
        // SAFETY: fstat(2) writes a `stat`, for which there is room.
        let found = stat(|stat| unsafe { libc::syscall(SYS_FSTAT, fd, stat) });
        let map = found.and_then(|found| map(fd, found));
        // SAFETY: `fd` was opened above and has been given to nobody.
        unsafe { libc::syscall(libc::SYS_close, fd) };
        let map = map?;
        map.recheck()?;
        Ok(map)
    }

    /// Checks that the file can still be read. Of a large file, only the header is checked here, and each page again
    /// when it is needed; so is a file with a page that cannot be read, because the other pages still answer.
    ///
    /// # Errors
    /// [`Error::System`] with EIO if the header cannot be read: nothing else may be called then.
    pub fn recheck(&self) -> Result<()> {
        // Once it has failed, it is not repeated: a disk may try for seconds.
        let all = self.populates.load(Ordering::Relaxed) && self.populate();
        self.populates.store(all, Ordering::Relaxed);
        self.tried.reset(all);
        if all || readable_at(self.start.as_ptr()) { Ok(()) } else { Err(Error::System(libc::EIO)) }
    }

    /// Has the kernel map the whole file; false if it cannot, because a page cannot be read or the kernel is older than
    /// Linux 5.14.
    fn populate(&self) -> bool {
        let start = self.start.as_ptr().cast::<c_void>();
        // SAFETY: `start` and `len` are those of a map that `self` holds, whose content this does not change
        // (madvise(2)).
        unsafe { libc::syscall(libc::SYS_madvise, start, self.len, libc::MADV_POPULATE_READ) == 0 }
    }

    /// The pages that were tried.
    pub(crate) fn tried(&self) -> &Tried {
        &self.tried
    }

    /// Identifies this file.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether the publisher has marked the file as replaced. This may change at any time.
    #[must_use]
    pub fn retired(&self) -> bool {
        let (at, _) = MARK;
        self.shared_header().get(at).is_some_and(header::is_marked)
    }

    /// A copy of the file's header.
    pub(crate) fn header(&self) -> [u8; HEADER] {
        header::copy(self.shared_header())
    }

    /// The file after its header.
    pub(crate) fn body(&self) -> &[u8] {
        // SAFETY: the map has MIN_SIZE bytes or more, and a header is less.
        let start = unsafe { self.start.add(HEADER) };
        // SAFETY: mmap gave `len` readable bytes at `self.start`, which live until `self` is dropped; the publisher,
        // the only one who may write to the file, writes to nothing but its header.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), self.len - HEADER) }
    }

    fn shared_header(&self) -> &[AtomicU8; HEADER] {
        // SAFETY: the map has MIN_SIZE bytes or more, all readable, and lives until `self` is dropped. Bytes are aligned
        // anywhere, and are only loaded, which is allowed where writing is not (`core::sync::atomic`).
        unsafe { self.start.cast().as_ref() }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are those of a map that only `self` holds, and what it lends borrows `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast::<c_void>(), self.len) };
    }
}

/// Identifies the file at `path`.
///
/// # Errors
/// As [`Map::open`].
pub fn at(path: &CStr) -> Result<Id> {
    const HERE: c_int = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: `path` ends with a NUL, and fstatat(2) writes a `stat`, for which there is room.
    let found =
        stat(|stat| unsafe { libc::syscall(SYS_FSTATAT, libc::AT_FDCWD, path.as_ptr(), stat, HERE) })?;
    trusted(&found)?;
    Ok(id(&found))
}

/// Identifies the root directory of this process; none if it cannot be determined.
#[must_use]
pub fn root() -> Option<Id> {
    let root = c"/".as_ptr();
    // SAFETY: the path ends with a NUL, and fstatat(2) writes a `stat`, for which there is room.
    let found = stat(|stat| unsafe { libc::syscall(SYS_FSTATAT, libc::AT_FDCWD, root, stat, 0) });
    // Its size and time change with what is created in it.
    found.ok().map(|found| Id { size: 0, modified: (0, 0), ..id(&found) })
}

/// Whether the beginning of these bytes can be read.
pub(crate) fn is_readable(bytes: &[u8]) -> bool {
    readable_at(bytes.as_ptr())
}

/// Whether the kernel can read at `at`; true if it does not say. Afterwards, the page is in memory.
///
/// rt_sigprocmask(2) copies the set before it looks at what to do with it, and there is nothing that could be done
/// with -1. So it reads eight bytes, returns EFAULT or EINVAL, and changes nothing. It works on every kernel, and no
/// filter of system calls refuses it (Abseil's `AddressIsReadable` asks in the same way).
fn readable_at(at: *const u8) -> bool {
    const NOTHING: c_int = -1;
    const SET: usize = 8;
    // SAFETY: the kernel checks the address, and writes nothing: the old set is not wanted.
    let done =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NOTHING, at, ptr::null_mut::<c_void>(), SET) };
    done == 0 || last_error() != Error::System(libc::EFAULT)
}

/// A clock in milliseconds that nobody can set, and that is read without a system call (`vdso(7)`). It is some
/// milliseconds late.
#[must_use]
pub fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime writes a timespec. It knows this clock since Linux 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    // Neither is negative: the clock counts from the start of the machine, which also fits in 32 bits.
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds.wrapping_mul(1000).wrapping_add(nanoseconds / 1_000_000)
}

fn stat(call: impl FnOnce(*mut Stat) -> c_long) -> Result<Stat> {
    let mut stat = MaybeUninit::<Stat>::zeroed();
    if call(stat.as_mut_ptr()) != 0 {
        return Err(last_error());
    }
    // SAFETY: any bytes are a `stat`, and all are zero or written by the kernel.
    Ok(unsafe { stat.assume_init() })
}

fn id(stat: &Stat) -> Id {
    Id {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: stat.st_size,
        modified: (stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Checks the file and returns its size.
fn trusted(stat: &Stat) -> Result<usize> {
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Error::Foreign("not a regular file"));
    }
    if stat.st_mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
        return Err(Error::Foreign("writable by group or others"));
    }
    if stat.st_uid != 0 && stat.st_uid != OVERFLOW_UID {
        return Err(Error::Foreign("not owned by root"));
    }
    match usize::try_from(stat.st_size) {
        Ok(len @ MIN_SIZE..=MAX_SIZE) => Ok(len),
        Ok(..MIN_SIZE) => Err(Error::Corrupt("shorter than a page")),
        _ => Err(Error::Foreign("larger than any cache")),
    }
}

fn map(fd: c_long, found: Stat) -> Result<Map> {
    let len = trusted(&found)?;
    let fd = c_int::try_from(fd).map_err(|_| Error::System(libc::EBADF))?;
    // SAFETY: a new map at a place of the kernel's choice touches no memory of ours (`mmap(2)`).
    let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(last_error());
    }
    match NonNull::new(start.cast::<u8>()) {
        Some(start) => Ok(Map {
            start,
            len,
            id: id(&found),
            tried: Tried::new(),
            populates: AtomicBool::new(len <= POPULATED),
            _owns: PhantomData,
        }),
        None => Err(Error::System(libc::EFAULT)),
    }
}

fn last_error() -> Error {
    // SAFETY: glibc returns the calling thread's errno, which is always there (`errno(3)`).
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the pointer above is valid in this thread.
    Error::System(unsafe { place.read() })
}
