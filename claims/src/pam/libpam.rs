//! Calls to libpam, which is loaded only here: a program that links it does not start on a host without it.
#![expect(unsafe_code, reason = "libpam has only a C interface")]

use std::ffi::{CStr, c_char, c_int, c_void};

use super::Account;

/// _pam_types.h
const SUCCESS: c_int = 0;
const AUTHINFO_UNAVAIL: c_int = 9;
const CONV_ERR: c_int = 19;
const TTY: c_int = 3;
const SILENT: c_int = 0x8000;
/// The two kinds of message to which there is no reply.
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Conv = extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    conv: Conv,
    data: *mut c_void,
}

type Handle = *mut c_void;
type Start = unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int;
type SetItem = unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int;
type Manage = unsafe extern "C" fn(Handle, c_int) -> c_int;
type Describe = unsafe extern "C" fn(Handle, c_int) -> *const c_char;

struct Functions {
    start: Start,
    set_item: SetItem,
    acct_mgmt: Manage,
    strerror: Describe,
}

/// Reads no message, and answers no question, as sshd does for a login with a key (auth-pam.c, sshpam_store_conv).
extern "C" fn silent(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    _: *mut c_void,
) -> c_int {
    let Ok(count) = usize::try_from(count) else { return CONV_ERR };
    for index in 0..count {
        let place = messages.wrapping_add(index);
        // SAFETY: libpam passes an array of `count` pointers (pam_conv(3)).
        let Some(&message) = (unsafe { place.as_ref() }) else { return CONV_ERR };
        // SAFETY: each of them points to a message that lives during this call.
        let Some(message) = (unsafe { message.as_ref() }) else { return CONV_ERR };
        if ![ERROR_MSG, TEXT_INFO].contains(&message.style) {
            return CONV_ERR;
        }
    }
    // SAFETY: calloc takes two numbers.
    let empty: *mut Response = unsafe { libc::calloc(count.max(1), size_of::<Response>()) }.cast();
    if empty.is_null() || responses.is_null() {
        return CONV_ERR;
    }
    // SAFETY: not null, and libpam owns the array from now on and frees it.
    unsafe { responses.write(empty) };
    SUCCESS
}

/// Stays loaded: this process ends after the answer.
fn load() -> Result<Functions, String> {
    // SAFETY: a C string; the constructors of libpam run.
    let handle = unsafe { libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        return Err("libpam.so.0 is not installed".to_owned());
    }
    let find = |name: &CStr| {
        // SAFETY: a handle of dlopen(3) that is never closed, and a C string.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
        if found.is_null() {
            Err(format!("libpam.so.0 has no {}", name.to_string_lossy()))
        } else {
            Ok(found)
        }
    };
    let [start, set_item, acct_mgmt, strerror] =
        [find(c"pam_start")?, find(c"pam_set_item")?, find(c"pam_acct_mgmt")?, find(c"pam_strerror")?];
    Ok(Functions {
        // SAFETY: the function of that name has this type (pam_start(3)).
        start: unsafe { std::mem::transmute::<*mut c_void, Start>(start) },
        // SAFETY: as above, pam_set_item(3).
        set_item: unsafe { std::mem::transmute::<*mut c_void, SetItem>(set_item) },
        // SAFETY: as above, pam_acct_mgmt(3).
        acct_mgmt: unsafe { std::mem::transmute::<*mut c_void, Manage>(acct_mgmt) },
        // SAFETY: as above, pam_strerror(3).
        strerror: unsafe { std::mem::transmute::<*mut c_void, Describe>(strerror) },
    })
}

/// The account stage of `service` for `user`. No session is opened, so nothing is created and nobody is logged in.
pub(super) fn account(service: &CStr, user: &CStr) -> Account {
    let pam = match load() {
        Ok(pam) => pam,
        Err(why) => return Account::Unasked(why),
    };
    let conversation = Conversation { conv: silent, data: std::ptr::null_mut() };
    let mut handle: Handle = std::ptr::null_mut();
    // SAFETY: C strings, and a conversation that outlives the handle. The process ends without pam_end(3).
    let started = unsafe { (pam.start)(service.as_ptr(), user.as_ptr(), &conversation, &mut handle) };
    if started != SUCCESS || handle.is_null() {
        return Account::Unasked(format!("pam_start fails with {started}"));
    }
    // sshd sets this, and pam_access(8) refuses a user of whom it knows neither a host nor a terminal.
    // SAFETY: a handle of pam_start, and a C string, which libpam copies.
    unsafe { (pam.set_item)(handle, TTY, c"ssh".as_ptr().cast()) };
    // SAFETY: a handle of pam_start.
    let code = unsafe { (pam.acct_mgmt)(handle, SILENT) };
    if code == SUCCESS {
        return Account::Allowed;
    }
    // SAFETY: a handle of pam_start, and any number.
    let why = unsafe { (pam.strerror)(handle, code) };
    let why = if why.is_null() {
        format!("status {code}")
    } else {
        // SAFETY: not null, so a C string that lives as long as libpam is loaded.
        unsafe { CStr::from_ptr(why) }.to_string_lossy().into_owned()
    };
    Account::Refused { unavailable: code == AUTHINFO_UNAVAIL, why }
}
