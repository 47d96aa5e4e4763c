//! What only C can ask of glibc: one service alone, its module, and all of `files`.
#![expect(unsafe_code, reason = "functions of glibc that have no safe form")]

use std::ffi::{CStr, CString};

use libc::{c_char, c_int};

unsafe extern "C" {
    // nss.h. Public since glibc 2.0, for programs that choose their services themselves (nscd, getent -s).
    fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
}

/// What dlopen(3) says of `libnss_SERVICE.so.2`.
pub(super) enum Module {
    Loaded,
    /// There is none.
    Absent,
    /// There is one that cannot be loaded, and why.
    Broken(String),
}

/// From now on this process asks `service` and no other. glibc then asks nscd(8) no more, either.
pub(super) fn use_only(service: &str) -> bool {
    let Ok(service) = CString::new(service) else { return false };
    [c"passwd", c"group", c"initgroups"].iter().all(|database| {
        // SAFETY: both are C strings, and glibc makes copies of what it keeps (nss/nss_database.c).
        unsafe { __nss_configure_lookup(database.as_ptr(), service.as_ptr()) == 0 }
    })
}

/// glibc takes a module that it cannot load for one that knows nobody.
pub(super) fn module(service: &str) -> Module {
    let file = format!("libnss_{service}.so.2");
    let Ok(name) = CString::new(file.as_str()) else { return Module::Absent };
    // SAFETY: a C string. The module's constructors run, as they do at the first lookup.
    if !unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) }.is_null() {
        return Module::Loaded;
    }
    // SAFETY: null or a C string that lives until the next call of this thread (dlerror(3)).
    let why = unsafe { libc::dlerror() };
    if why.is_null() {
        return Module::Absent;
    }
    // SAFETY: not null, see above.
    let why = unsafe { CStr::from_ptr(why) }.to_string_lossy().into_owned();
    // dlerror(3) begins with the object that is missing: the module itself, or a library that it needs.
    let absent = why.starts_with(&format!("{file}:")) && why.contains("No such file or directory");
    if absent { Module::Absent } else { Module::Broken(why) }
}

/// Name and uid of each user.
pub(super) fn users() -> Vec<(String, u32)> {
    let mut users = Vec::new();
    // SAFETY: the only thread of this process that enumerates users.
    unsafe { libc::setpwent() };
    loop {
        // SAFETY: as above; what is returned is valid until the next call.
        let entry = unsafe { libc::getpwent() };
        // SAFETY: null at the end, else a complete entry.
        let Some(entry) = (unsafe { entry.as_ref() }) else { return users };
        // SAFETY: a C string of that entry.
        let name = unsafe { text(entry.pw_name) };
        users.push((name, entry.pw_uid));
    }
}

/// Name, gid and members of each group.
pub(super) fn groups() -> Vec<(String, u32, Vec<String>)> {
    let mut groups = Vec::new();
    // SAFETY: the only thread of this process that enumerates groups.
    unsafe { libc::setgrent() };
    loop {
        // SAFETY: as above; what is returned is valid until the next call.
        let entry = unsafe { libc::getgrent() };
        // SAFETY: null at the end, else a complete entry.
        let Some(entry) = (unsafe { entry.as_ref() }) else { return groups };
        let mut members = Vec::new();
        let mut place = entry.gr_mem;
        // SAFETY: a table of pointers whose last one is null (getgrent(3)).
        while let Some(&member) = unsafe { place.as_ref() } {
            if member.is_null() {
                break;
            }
            // SAFETY: a C string of that entry.
            members.push(unsafe { text(member) });
            place = place.wrapping_add(1);
        }
        // SAFETY: a C string of that entry.
        let name = unsafe { text(entry.gr_name) };
        groups.push((name, entry.gr_gid, members));
    }
}

/// # Safety
/// Null or a C string.
unsafe fn text(place: *const c_char) -> String {
    if place.is_null() {
        return String::new();
    }
    // SAFETY: this function's caller vouches for it.
    unsafe { CStr::from_ptr(place) }.to_string_lossy().into_owned()
}
