//! A cache file as bytes: checked, mapped, and the descriptor closed again. The crate's only unsafe code.
//!
//! Published files are replaced by rename and never written in place, but for one byte of the header, the mark of a
//! replaced file, whose every value reads alike (see `pages`). That is what makes a shared map a `&[u8]`.
//! Whoever truncates the live file in place as root makes its readers fault; the manual says so.
#![expect(
    unsafe_code,
    reason = "open, fstat, mmap and munmap are C functions, and std is not to be had here"
)]

use core::ffi::{CStr, c_void};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::{Error, Result};

/// The largest file that is mapped, in bytes: far above 50 000 users with five RSA keys each.
const MAX_SIZE: usize = 1 << 30;

/// The smallest database that SQLite writes is one page of 512 bytes.
const MIN_SIZE: usize = 512;

/// How `nobody` is shown: any owner that a user namespace does not map (`user_namespaces(7)`).
const OVERFLOW_UID: libc::uid_t = 65534;

/// A cache file, mapped read-only until this is dropped. Keeps no descriptor: sshd runs `closefrom(3)` between two
/// lookups, and nobody else's descriptor may end up being ours.
pub struct Map {
    start: NonNull<u8>,
    len: usize,
    _owns: PhantomData<[u8]>,
}

impl Map {
    /// Opens and maps the file at `path`.
    ///
    /// # Errors
    /// [`Error::System`] with `open(2)`'s, `fstat(2)`'s or `mmap(2)`'s errno (a symbolic link: `ELOOP`);
    /// [`Error::Foreign`] unless it is a regular file, owned by root, writable by its owner only.
    pub fn open(path: &CStr) -> Result<Self> {
        // O_NONBLOCK: opening a FIFO must not wait for a writer (`fifo(7)`).
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        // SAFETY: `path` ends with a NUL, as every CStr does.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        if fd < 0 {
            return Err(last_error());
        }
        let map = size_of_trusted(fd).and_then(|len| map(fd, len));
        // SAFETY: `fd` was opened above and has been given to nobody.
        unsafe { libc::close(fd) };
        map
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mmap gave `len` readable bytes at `start`, which live until `self` is dropped; the publisher, the
        // only one who may write to the file, writes nothing but the mark that the top of this file names.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are those of a map that only `self` holds, and `bytes` borrows `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast::<c_void>(), self.len) };
    }
}

fn size_of_trusted(fd: libc::c_int) -> Result<usize> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for what fstat writes.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return Err(last_error());
    }
    // SAFETY: fstat returned 0, so it filled the structure (`stat(2)`).
    let stat = unsafe { stat.assume_init() };
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
        Ok(len) if len > MAX_SIZE => Err(Error::Foreign("larger than any cache")),
        _ => Err(Error::Corrupt("shorter than a page")),
    }
}

fn map(fd: libc::c_int, len: usize) -> Result<Map> {
    // SAFETY: a new map at a place of the kernel's choice touches no memory of ours (`mmap(2)`).
    let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(last_error());
    }
    match NonNull::new(start.cast::<u8>()) {
        Some(start) => Ok(Map { start, len, _owns: PhantomData }),
        None => Err(Error::System(libc::EFAULT)),
    }
}

fn last_error() -> Error {
    // SAFETY: glibc returns the calling thread's errno, which is always there (`errno(3)`).
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the pointer above is valid in this thread.
    Error::System(unsafe { place.read() })
}
