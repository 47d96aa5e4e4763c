//! How much of the caller's stack a call uses.

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;

use tests::Machine;

use crate::call::{Module, SUCCESS};
use crate::data;

/// The argument of the function that pthread_create(3) calls; it contains the result.
struct Painted {
    module: Module,
    lowest: *const u8,
    depth: usize,
    answers: usize,
    buffer: Vec<c_char>,
}

const SIZE: usize = 512 * 1024;
const PAINT: u8 = 0xa5;

/// All calls that take a buffer, twice: the first one opens the file. Nothing else is done here, because it would
/// be measured, too.
extern "C" fn calls(argument: *mut c_void) -> *mut c_void {
    // SAFETY: the test passes a `Painted` that it does not touch before this thread has ended.
    let it = unsafe { &mut *argument.cast::<Painted>() };
    let (buffer, room, mut errno) = (it.buffer.as_mut_ptr(), it.buffer.len(), 0);
    let (mut pw, mut gr) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    let mut sp = MaybeUninit::uninit();
    let e: *mut c_int = &mut errno;
    let module = &it.module;
    let (user, group) = (c"user8".as_ptr(), c"iam-users".as_ptr());
    let top = (&raw const errno).addr();
    for _ in 0..2 {
        let (mut start, mut size, mut groups) = (0, 0, std::ptr::null_mut());
        // The same holds for each of them: its signature is that of nss.h, and everything that it gets
        // belongs to this thread.
        let answers = [
            // SAFETY: see above.
            unsafe { (module.getpwnam)(user, pw.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getpwuid)(1003, pw.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getpwent)(pw.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getgrnam)(group, gr.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getgrgid)(1003, gr.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getgrent)(gr.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getspnam)(user, sp.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above.
            unsafe { (module.getspent)(sp.as_mut_ptr(), buffer, room, e) },
            // SAFETY: see above; an empty list has a null pointer.
            unsafe { (module.initgroups)(user, u32::MAX, &mut start, &mut size, &mut groups, -1, e) },
        ];
        it.answers += answers.iter().filter(|status| **status == SUCCESS).count();
        // SAFETY: from realloc, or null.
        unsafe { libc::free(groups.cast()) };
    }
    let mut at = it.lowest;
    // SAFETY: this is the stack of this very thread, from its lowest byte; it ends at what has been used.
    while unsafe { at.read_volatile() } == PAINT {
        // SAFETY: as above: `top` lies above.
        at = unsafe { at.add(1) };
    }
    it.depth = top - at.addr();
    std::ptr::null_mut()
}

#[test]
fn a_call_takes_less_than_16_kib_of_stack() {
    let Some(machine) = Machine::enter() else { return };
    data::publish(&data::odd());
    let mut stack = vec![PAINT; SIZE];
    let mut it = Painted {
        module: Module::load(&machine),
        lowest: stack.as_ptr(),
        depth: 0,
        answers: 0,
        buffer: vec![0; 1 << 16],
    };
    let (mut attributes, mut thread) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: pthread_attr_init(3) sets it.
    assert_eq!(unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) }, 0);
    // SAFETY: the stack lives until the thread has been joined below.
    let set =
        unsafe { libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack.as_mut_ptr().cast(), SIZE) };
    assert_eq!(set, 0);
    let argument: *mut Painted = &mut it;
    // SAFETY: `calls` takes a `Painted`, which lives until the thread has been joined.
    let started =
        unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), calls, argument.cast()) };
    assert_eq!(started, 0);
    // SAFETY: pthread_create has set it.
    let thread = unsafe { thread.assume_init() };
    // SAFETY: the thread was started above.
    assert_eq!(unsafe { libc::pthread_join(thread, std::ptr::null_mut()) }, 0);
    println!("{} bytes", it.depth);
    assert_eq!(it.answers, 18);
    assert!((1..16 * 1024).contains(&it.depth), "{} bytes", it.depth);
}
