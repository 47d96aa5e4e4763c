//! The outcome of a call, and the only place where it becomes a status and an errno.
#![forbid(unsafe_code)]

use libc::c_int;
use reader::Error;

/// The entry, or why there is none.
pub(crate) type Outcome<T> = Result<T, Miss>;

/// Why nothing was written to `*result`.
#[derive(Debug)]
pub(crate) enum Miss {
    /// The cache is valid, and has no such entry, or no more entries.
    NotFound,
    /// The caller must call again with a larger buffer.
    BufferTooSmall,
    /// There is not enough memory for a longer list of groups.
    OutOfMemory,
    /// The answer is unknown: glibc asks the next service.
    Unavailable(Error),
    /// A bug in this module, which must not end the caller's process.
    #[cfg(any(test, panic = "unwind"))]
    Panicked,
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        Miss::Unavailable(error)
    }
}

/// `enum nss_status` of nss.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Status {
    TryAgain = -2,
    Unavailable = -1,
    NotFound = 0,
    Success = 1,
}

/// The status, and the errno unless it must stay unchanged.
///
/// The GNU C Library manual, "NSS Modules Interface", has the table: TRYAGAIN with ERANGE, "the provided buffer is not
/// large enough"; UNAVAIL with ENOENT, "a necessary input file cannot be found"; NOTFOUND with ENOENT.
pub(crate) fn tell(outcome: &Outcome<()>) -> (Status, Option<c_int>) {
    match outcome {
        Ok(()) => (Status::Success, None),
        Err(Miss::NotFound) => (Status::NotFound, Some(libc::ENOENT)),
        Err(Miss::BufferTooSmall) => (Status::TryAgain, Some(libc::ERANGE)),
        Err(Miss::OutOfMemory) => (Status::TryAgain, Some(libc::ENOMEM)),
        Err(Miss::Unavailable(Error::System(errno))) => (Status::Unavailable, Some(*errno)),
        Err(Miss::Unavailable(Error::Foreign(_))) => (Status::Unavailable, Some(libc::EPERM)),
        Err(Miss::Unavailable(Error::Corrupt(_))) => (Status::Unavailable, Some(libc::EBADMSG)),
        #[cfg(any(test, panic = "unwind"))]
        Err(Miss::Panicked) => (Status::Unavailable, Some(libc::EBADMSG)),
    }
}

/// Runs a call. The shipped library contains no panic that could leave it.
#[cfg(all(not(test), panic = "abort"))]
#[inline(always)]
pub(crate) fn guard(call: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    call()
}

/// Runs a call and catches panics: unwinding into C would end the process.
#[cfg(any(test, panic = "unwind"))]
pub(crate) fn guard(call: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::atomic::{AtomicBool, Ordering};
    // The std that is linked here is not shared with the program, nor is its hook. No `Once`: a child that was
    // forked while another thread was inside it would wait forever.
    static SILENT: AtomicBool = AtomicBool::new(false);
    if !SILENT.swap(true, Ordering::Relaxed) {
        panic::set_hook(Box::new(|_| {}));
    }
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(Miss::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_unavailable_and_stays_inside() {
        let outcome = guard(|| panic!("a mistake"));
        assert_eq!(tell(&outcome), (Status::Unavailable, Some(libc::EBADMSG)));
    }
}
