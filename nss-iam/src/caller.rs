//! Which program has loaded the module.
#![expect(unsafe_code, reason = "a variable of glibc")]

use core::slice;

use libc::c_char;

unsafe extern "C" {
    /// The last part of `argv[0]`, errno.h of glibc.
    static program_invocation_short_name: *const c_char;
}

const NSCD: &[u8] = b"nscd";

/// Whether this is nscd(8), which also caches an answer by uid under the name (nscd/pwdcache.c), and so would bring
/// back the name of a user who no longer has one. A program that merely has this name does not get the names of
/// these users.
pub(crate) fn is_nscd() -> bool {
    // SAFETY: glibc sets it before any other code runs, and nobody writes to it later.
    let name = unsafe { program_invocation_short_name };
    if name.is_null() {
        return false;
    }
    // SAFETY: a C string, of which no more is read than up to its NUL.
    let len = unsafe { libc::strnlen(name, NSCD.len() + 1) };
    // SAFETY: strnlen has read these bytes just now.
    let name: &[u8] = unsafe { slice::from_raw_parts(name.cast(), len) };
    name == NSCD
}
