//! Calls to glibc that need C: asking a single service, its module, and reading all of `files`.
#![expect(unsafe_code, reason = "functions of glibc that have no safe form")]

use std::ffi::{CStr, CString};

use libc::{c_char, c_int, c_long};
use nix::errno::Errno;

unsafe extern "C" {
    // nss.h. Public since glibc 2.0, for programs that choose their services themselves (nscd, getent -s).
    fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    // getusershell(3).
    fn setusershell();
    fn getusershell() -> *const c_char;
}

/// The result of dlopen(3) for `libnss_SERVICE.so.2`.
pub(super) enum Module {
    /// The module is part of glibc, or was loaded.
    Loaded(Functions),
    /// The module does not exist.
    Absent,
    /// The module exists but cannot be loaded, and the reason.
    Broken(String),
}

/// Functions of a module whose status glibc does not pass on, nss.h.
#[derive(Default)]
pub(super) struct Functions {
    initgroups: Option<InitGroups>,
    set: Option<unsafe extern "C" fn(c_int) -> c_int>,
    next: Option<unsafe extern "C" fn(*mut libc::group, *mut c_char, libc::size_t, *mut c_int) -> c_int>,
}

type InitGroups = unsafe extern "C" fn(
    *const c_char,
    libc::gid_t,
    *mut c_long,
    *mut c_long,
    *mut *mut libc::gid_t,
    c_long,
    *mut c_int,
) -> c_int;

/// `enum nss_status`: this value and higher ones are an answer, lower ones are not.
const NOT_FOUND: c_int = 0;
/// getgrouplist(3) returns this group if it has no other.
const NO_GROUP: libc::gid_t = libc::gid_t::MAX;

impl Functions {
    fn of(service: &str, handle: *mut libc::c_void) -> Self {
        let find = |function: &str| {
            let name = CString::new(format!("_nss_{service}_{function}")).ok()?;
            // SAFETY: a handle of dlopen(3) that is never closed, and a C string.
            let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        Self {
            // SAFETY: a module's function of that name has this type (nss.h), and stays loaded.
            initgroups: find("initgroups_dyn").map(|found| unsafe { std::mem::transmute(found) }),
            // SAFETY: as above.
            set: find("setgrent").map(|found| unsafe { std::mem::transmute(found) }),
            // SAFETY: as above.
            next: find("getgrent_r").map(|found| unsafe { std::mem::transmute(found) }),
        }
    }

    /// Why the groups of a user cannot be determined although getgrouplist(3) reports none; `None` if they can.
    pub(super) fn no_groups(&self, name: &CStr) -> Option<Errno> {
        match (self.initgroups, self.set, self.next) {
            (Some(initgroups), ..) => {
                let (mut start, mut size, mut errno) = (1, 8, 0);
                // SAFETY: calloc takes two numbers. The function may enlarge the array with realloc(3).
                let mut groups: *mut libc::gid_t =
                    unsafe { libc::calloc(8, size_of::<libc::gid_t>()) }.cast();
                if groups.is_null() {
                    return Some(Errno::ENOMEM);
                }
                // SAFETY: the pointer is not null and the array has eight elements.
                unsafe { groups.write(NO_GROUP) };
                // SAFETY: all arguments are owned by this function and have the values that glibc's
                // internal_getgrouplist passes.
                let status = unsafe {
                    initgroups(name.as_ptr(), NO_GROUP, &mut start, &mut size, &mut groups, 0, &mut errno)
                };
                // SAFETY: from calloc above, or from realloc of the function.
                unsafe { libc::free(groups.cast()) };
                (status < NOT_FOUND).then(|| Errno::from_raw(errno))
            }
            // In this case, glibc searches all groups.
            (None, Some(set), Some(next)) => {
                let mut group = std::mem::MaybeUninit::<libc::group>::uninit();
                let (mut buffer, mut errno) = (vec![0; 1 << 20], 0);
                // SAFETY: the argument is a number.
                unsafe { set(0) };
                // SAFETY: a structure and a buffer of that size, which are this function's own.
                let status =
                    unsafe { next(group.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &mut errno) };
                (status < NOT_FOUND).then(|| Errno::from_raw(errno))
            }
            _ => None,
        }
    }
}

/// From now on, this process asks only `service`. glibc then no longer asks nscd(8) either.
pub(super) fn use_only(service: &str) -> bool {
    let Ok(service) = CString::new(service) else { return false };
    [c"passwd", c"group", c"initgroups"].iter().all(|database| {
        // SAFETY: both are C strings, and glibc makes copies of what it keeps (nss/nss_database.c).
        unsafe { __nss_configure_lookup(database.as_ptr(), service.as_ptr()) == 0 }
    })
}

/// Part of the C library since glibc 2.34.
const BUILT_IN: [&str; 1] = ["files"];

/// glibc treats a module that it cannot load like one that knows nobody.
pub(super) fn module(service: &str) -> Module {
    let file = format!("libnss_{service}.so.2");
    let Ok(name) = CString::new(file.as_str()) else { return Module::Absent };
    if BUILT_IN.contains(&service) {
        return Module::Loaded(Functions::default());
    }
    // SAFETY: a C string. The module's constructors run, as they do at the first lookup.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    if !handle.is_null() {
        return Module::Loaded(Functions::of(service, handle));
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

/// Each valid login shell.
pub(super) fn shells() -> Vec<String> {
    let mut shells = Vec::new();
    // SAFETY: the only thread of this process that enumerates shells.
    unsafe { setusershell() };
    loop {
        // SAFETY: as above; what is returned is valid until the next call.
        let shell = unsafe { getusershell() };
        if shell.is_null() {
            return shells;
        }
        // SAFETY: not null, so a C string.
        shells.push(unsafe { text(shell) });
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
