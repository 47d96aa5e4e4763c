//! A reader like glibc: the installed module, loaded once and called repeatedly.

use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;

use libloading::Library;

type GetPwNam =
    unsafe extern "C" fn(*const c_char, *mut libc::passwd, *mut c_char, usize, *mut c_int) -> c_int;

/// The installed module.
pub(crate) struct Module {
    getpwnam: GetPwNam,
    // Declared last: the fields above point into it.
    _library: Library,
}

/// The fields that are looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) uid: u32,
    pub(crate) gecos: String,
    pub(crate) shell: String,
}

impl Module {
    pub(crate) fn load() -> Self {
        // SAFETY: the module has no constructors that need anything of this process.
        let library = unsafe { Library::new(tests::module()) }.unwrap();
        // SAFETY: this is its type in nss.h.
        let getpwnam = *unsafe { library.get::<GetPwNam>(b"_nss_iam_getpwnam_r") }.unwrap();
        Self { getpwnam, _library: library }
    }

    /// The entry, or the status of nss.h and the errno.
    pub(crate) fn passwd(&self, name: &CStr) -> Result<Entry, (c_int, c_int)> {
        let (mut found, mut buffer, mut errno) = (MaybeUninit::<libc::passwd>::uninit(), [0; 1024], 0);
        let room = buffer.len();
        // SAFETY: all pointers are to values that live longer than the call, and the buffer has `room` bytes.
        let status = unsafe {
            (self.getpwnam)(name.as_ptr(), found.as_mut_ptr(), buffer.as_mut_ptr(), room, &raw mut errno)
        };
        if status != 1 {
            return Err((status, errno));
        }
        // SAFETY: on success every field is set.
        let found = unsafe { found.assume_init() };
        Ok(Entry { uid: found.pw_uid, gecos: string(found.pw_gecos), shell: string(found.pw_shell) })
    }
}

fn string(field: *const c_char) -> String {
    // SAFETY: the module ends every string within the buffer, which still lives in the only caller.
    unsafe { CStr::from_ptr(field) }.to_str().unwrap().to_owned()
}
