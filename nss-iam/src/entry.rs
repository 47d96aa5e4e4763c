//! The functions that glibc calls, with the signatures of its `nss/` headers and manual ("NSS Modules Interface").
//!
//! All are `unsafe` for the same reason: they take pointers from C. glibc guarantees that names are C strings, and
//! that `result`, `buffer` with its `buflen` bytes and `errnop` belong to the caller for the whole call.
#![expect(unsafe_code, reason = "the C ABI: exported symbols, and pointers that glibc passes")]
#![expect(clippy::missing_safety_doc, reason = "the same for all, at the top of the file")]

use core::slice;

use libc::{c_char, c_int, c_long, gid_t, size_t, uid_t};
use reader::{NAME_MAX, name_is_ours};

use crate::buffer::Buffer;
use crate::groups::List;
use crate::lookup::{self, Cursor};
use crate::outcome::{Miss, Outcome, Status, guard, tell};

static USERS: Cursor = Cursor::new();
static GROUPS: Cursor = Cursor::new();
static SHADOWS: Cursor = Cursor::new();

/// getpwnam_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getpwnam_r(
    name: *const c_char,
    result: *mut libc::passwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a C string that lives, unchanged, for the whole call.
    let name = unsafe { name_at(name) };
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            lookup::user_by_name(name?, |found| lookup::passwd(found, buffer))
        })
    }
}

/// getpwuid_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getpwuid_r(
    uid: uid_t,
    result: *mut libc::passwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            lookup::user_by_uid(uid, |found| lookup::passwd(found, buffer))
        })
    }
}

/// getpwent_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getpwent_r(
    result: *mut libc::passwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| USERS.next_user(|found| lookup::passwd(found, buffer)))
    }
}

/// setpwent(3): starts from the beginning. Nothing is opened, so `stayopen` does not matter.
#[unsafe(no_mangle)]
pub extern "C" fn _nss_iam_setpwent(_stayopen: c_int) -> c_int {
    USERS.rewind();
    Status::Success as c_int
}

/// endpwent(3).
#[unsafe(no_mangle)]
pub extern "C" fn _nss_iam_endpwent() -> c_int {
    USERS.rewind();
    Status::Success as c_int
}

/// getgrnam_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getgrnam_r(
    name: *const c_char,
    result: *mut libc::group,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a C string that lives, unchanged, for the whole call.
    let name = unsafe { name_at(name) };
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            lookup::group_by_name(name?, |found| lookup::group(found, buffer))
        })
    }
}

/// getgrgid_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getgrgid_r(
    gid: gid_t,
    result: *mut libc::group,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            lookup::group_by_gid(gid, |found| lookup::group(found, buffer))
        })
    }
}

/// getgrent_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getgrent_r(
    result: *mut libc::group,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            GROUPS.next_group(|found| lookup::group(found, buffer))
        })
    }
}

/// setgrent(3): starts from the beginning. Nothing is opened, so `stayopen` does not matter.
#[unsafe(no_mangle)]
pub extern "C" fn _nss_iam_setgrent(_stayopen: c_int) -> c_int {
    GROUPS.rewind();
    Status::Success as c_int
}

/// endgrent(3).
#[unsafe(no_mangle)]
pub extern "C" fn _nss_iam_endgrent() -> c_int {
    GROUPS.rewind();
    Status::Success as c_int
}

/// getspnam_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getspnam_r(
    name: *const c_char,
    result: *mut libc::spwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a C string that lives, unchanged, for the whole call.
    let name = unsafe { name_at(name) };
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            lookup::user_by_name(name?, |found| lookup::shadow(found, buffer))
        })
    }
}

/// getspent_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_getspent_r(
    result: *mut libc::spwd,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a structure, `buflen` bytes and an errno that are its own for the whole call.
    unsafe {
        entry(result, buffer, buflen, errnop, |buffer| {
            SHADOWS.next_user(|found| lookup::shadow(found, buffer))
        })
    }
}

/// setspent(3): starts from the beginning. Nothing is opened, so `stayopen` does not matter.
#[unsafe(no_mangle)]
pub extern "C" fn _nss_iam_setspent(_stayopen: c_int) -> c_int {
    SHADOWS.rewind();
    Status::Success as c_int
}

/// endspent(3).
#[unsafe(no_mangle)]
pub extern "C" fn _nss_iam_endspent() -> c_int {
    SHADOWS.rewind();
    Status::Success as c_int
}

/// For initgroups(3) and getgrouplist(3): adds the groups of `name` except `group`, which the caller has already
/// added. Adds none if `group` is the primary group of a different user with this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_iam_initgroups_dyn(
    name: *const c_char,
    group: gid_t,
    start: *mut c_long,
    size: *mut c_long,
    groupsp: *mut *mut gid_t,
    limit: c_long,
    errnop: *mut c_int,
) -> c_int {
    // SAFETY: glibc passes a C string that lives, unchanged, for the whole call.
    let name = unsafe { name_at(name) };
    // SAFETY: glibc keeps an array from malloc with `*size` places, of which `*start` are set (nss/initgroups.c).
    let list = unsafe { List::new(start, size, groupsp, limit) };
    let call = || {
        list.ok_or(Miss::NotFound)?.all_or_none(|list| {
            lookup::groups_of(name?, group, |gid| if gid == group { Ok(()) } else { list.add(gid) })
        })
    };
    // SAFETY: glibc passes a pointer to the thread's errno.
    unsafe { reply(errnop, call) }
}

/// The name at `name`, if it can be a name that nss-iam assigns. Reads no further than the longest possible name.
///
/// # Safety
/// `name` is null or a C string, for `'a`.
unsafe fn name_at<'a>(name: *const c_char) -> Outcome<&'a [u8]> {
    if name.is_null() {
        return Err(Miss::NotFound);
    }
    // SAFETY: strnlen reads up to the NUL, which there is.
    let len = unsafe { libc::strnlen(name, NAME_MAX + 1) };
    // SAFETY: strnlen has read these bytes just now, and nobody writes to a name during a call.
    let name: &[u8] = unsafe { slice::from_raw_parts(name.cast(), len) };
    if name_is_ours(name) { Ok(name) } else { Err(Miss::NotFound) }
}

/// A call that returns one entry: `*result` is written only if the entry was found.
///
/// # Safety
/// `result` is the caller's to write; `buffer`, for `buflen` bytes, and `errnop` are, too, or null.
unsafe fn entry<T>(
    result: *mut T,
    buffer: *mut c_char,
    buflen: size_t,
    errnop: *mut c_int,
    find: impl FnOnce(&mut Buffer<'_>) -> Outcome<T>,
) -> c_int {
    let call = || {
        // SAFETY: this function's caller vouches for `buffer` and `buflen`.
        let found = find(&mut unsafe { Buffer::new(buffer, buflen) })?;
        // SAFETY: this function's caller vouches for `result`; what it held, a C structure, needs no drop.
        unsafe { result.write(found) };
        Ok(())
    };
    // SAFETY: this function's caller vouches for `errnop`.
    unsafe { reply(errnop, call) }
}

/// Any call, and its status: errno is left unchanged unless something is missing.
///
/// # Safety
/// `errnop` is null or the caller's to write.
unsafe fn reply(errnop: *mut c_int, call: impl FnOnce() -> Outcome<()>) -> c_int {
    // SAFETY: glibc returns the calling thread's errno, which is always there (errno(3)).
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the pointer is that of this thread, which is still the one that runs.
    let before = unsafe { errno.read() };
    let (status, code) = tell(&guard(call));
    // SAFETY: the pointer is that of this thread, and Rust code holds no reference to it.
    unsafe { errno.write(code.unwrap_or(before)) };
    if let Some(code) = code
        && !errnop.is_null()
    {
        // SAFETY: this function's caller vouches for `errnop`. glibc passes &errno itself.
        unsafe { errnop.write(code) };
    }
    status as c_int
}
