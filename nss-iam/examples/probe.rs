//! Threads that use all kinds of lookups while the cache is replaced, for valgrind and the sanitizers: `probe
//! DIRECTORY ROUNDS`.
//!
//! DIRECTORY contains snapshots with the users `user0` to `user9` and the group `iam-users`. They replace the cache in
//! turn, as the publisher does it: a rename, and then the mark in the old file.
#![expect(unsafe_code, reason = "calls the module as C does")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test program")]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::fs::{self, OpenOptions};
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nss_iam::entry::{
    _nss_iam_getgrnam_r, _nss_iam_getpwent_r, _nss_iam_getpwnam_r, _nss_iam_getpwuid_r, _nss_iam_getspnam_r,
    _nss_iam_initgroups_dyn, _nss_iam_setpwent,
};

const FILE: &str = "/var/lib/nss-iam/cache.db";
const SUCCESS: c_int = 1;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut snapshots: Vec<PathBuf> =
        fs::read_dir(&arguments[1]).unwrap().map(|entry| entry.unwrap().path()).collect();
    snapshots.sort();
    let rounds: usize = arguments[2].parse().unwrap();
    publish(&snapshots[0]);
    let threads: Vec<libc::pthread_t> = (0..4).map(start).collect();
    for round in 0..rounds {
        publish(&snapshots[round % snapshots.len()]);
        // At least some lookups see each of them.
        let before = ANSWERS.load(Ordering::Relaxed);
        while ANSWERS.load(Ordering::Relaxed) == before {
            std::thread::yield_now();
        }
    }
    DONE.store(true, Ordering::Relaxed);
    for thread in threads {
        // SAFETY: each of them was started, and nobody else waits for it.
        assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
    }
    println!("{} answers", ANSWERS.load(Ordering::Relaxed));
}

static DONE: AtomicBool = AtomicBool::new(false);
static ANSWERS: AtomicUsize = AtomicUsize::new(0);

/// Not threads of std: ThreadSanitizer, unless it is built into std, reports their end as a data race.
fn start(number: usize) -> libc::pthread_t {
    let mut thread = MaybeUninit::uninit();
    let number = std::ptr::without_provenance_mut(number);
    // SAFETY: `run` takes a number for its pointer.
    let started = unsafe { libc::pthread_create(thread.as_mut_ptr(), std::ptr::null(), run, number) };
    assert_eq!(started, 0);
    // SAFETY: pthread_create has set it.
    unsafe { thread.assume_init() }
}

extern "C" fn run(number: *mut c_void) -> *mut c_void {
    let mut n = number.addr();
    while !DONE.load(Ordering::Relaxed) {
        ANSWERS.fetch_add(ask(n), Ordering::Relaxed);
        n += 1;
    }
    std::ptr::null_mut()
}

fn publish(snapshot: &PathBuf) {
    let old = OpenOptions::new().write(true).open(FILE);
    let new = format!("{FILE}.new");
    fs::copy(snapshot, &new).unwrap();
    fs::rename(new, FILE).unwrap();
    if let Ok(old) = old {
        old.write_all_at(&[0x80], 60).unwrap();
    }
}

/// A few questions, with buffers from too small to large enough. Returns how many were answered.
fn ask(n: usize) -> usize {
    let name = CString::new(format!("user{}", n % 10)).unwrap();
    let uid = grown(|pw: *mut libc::passwd, buffer, size, errno| {
        // SAFETY: the pointers are `grown`'s, the name is a C string.
        unsafe { _nss_iam_getpwnam_r(name.as_ptr(), pw, buffer, size, errno) }
    })
    .pw_uid;
    let found = grown(|pw: *mut libc::passwd, buffer, size, errno| {
        // SAFETY: the pointers are `grown`'s.
        unsafe { _nss_iam_getpwuid_r(uid, pw, buffer, size, errno) }
    });
    assert_eq!(found.pw_uid, uid);
    grown(|sp: *mut libc::spwd, buffer, size, errno| {
        // SAFETY: the pointers are `grown`'s, the name is a C string.
        unsafe { _nss_iam_getspnam_r(name.as_ptr(), sp, buffer, size, errno) }
    });
    grown(|gr: *mut libc::group, buffer, size, errno| {
        // SAFETY: the pointers are `grown`'s, the name is a C string.
        unsafe { _nss_iam_getgrnam_r(c"iam-users".as_ptr(), gr, buffer, size, errno) }
    });
    _nss_iam_setpwent(0);
    grown(|pw: *mut libc::passwd, buffer, size, errno| {
        // SAFETY: the pointers are `grown`'s.
        let status = unsafe { _nss_iam_getpwent_r(pw, buffer, size, errno) };
        // Another thread may have finished the enumeration.
        if status == 0 { _nss_iam_setpwent(0) - 3 } else { status }
    });
    5 + groups(&name, uid)
}

/// Calls with buffers of 1, 3, 7 .. bytes, allocated with exactly this size, until the answer fits.
fn grown<T>(call: impl Fn(*mut T, *mut c_char, usize, *mut c_int) -> c_int) -> T {
    let (mut size, mut errno) = (1, 0);
    loop {
        let mut buffer = vec![0; size];
        let mut entry = MaybeUninit::uninit();
        match call(entry.as_mut_ptr(), buffer.as_mut_ptr(), size, &mut errno) {
            // SAFETY: after success it is set. The strings in it are gone, and nobody reads them.
            SUCCESS => return unsafe { entry.assume_init() },
            status => assert_eq!((status, errno), (-2, libc::ERANGE)),
        }
        size = size * 2 + 1;
    }
}

fn groups(name: &CStr, group: u32) -> usize {
    let (mut start, mut size, mut list, mut errno): (c_long, c_long, *mut u32, c_int) =
        (0, 0, std::ptr::null_mut(), 0);
    // SAFETY: what nss/initgroups.c passes, with an empty list.
    let status = unsafe {
        _nss_iam_initgroups_dyn(name.as_ptr(), group, &mut start, &mut size, &mut list, -1, &mut errno)
    };
    // SAFETY: from realloc(3).
    unsafe { libc::free(list.cast()) };
    assert!(status == SUCCESS && start > 0);
    1
}
