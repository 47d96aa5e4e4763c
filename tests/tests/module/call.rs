//! Calls the module's functions like glibc, and watches everything around them: `*result`, errno, and the bytes
//! after the buffer.

use std::ffi::{CStr, c_char, c_int, c_long};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use libloading::Library;
use nix::errno::Errno;
use tests::Machine;

pub(crate) const TRYAGAIN: c_int = -2;
pub(crate) const UNAVAIL: c_int = -1;
pub(crate) const NOTFOUND: c_int = 0;
pub(crate) const SUCCESS: c_int = 1;

/// The value of errno and `*errnop` before each call.
pub(crate) const ERRNO_BEFORE: c_int = 4711;
const ERRNOP_BEFORE: c_int = 4712;
const PATTERN: u8 = 0xa5;

type ByName<T> = unsafe extern "C" fn(*const c_char, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type ById<T> = unsafe extern "C" fn(u32, *mut T, *mut c_char, usize, *mut c_int) -> c_int;
type Next<T> = unsafe extern "C" fn(*mut T, *mut c_char, usize, *mut c_int) -> c_int;
type Dyn = unsafe extern "C" fn(
    *const c_char,
    u32,
    *mut c_long,
    *mut c_long,
    *mut *mut u32,
    c_long,
    *mut c_int,
) -> c_int;

/// A loaded module.
pub(crate) struct Module {
    pub(crate) getpwnam: ByName<libc::passwd>,
    pub(crate) getpwuid: ById<libc::passwd>,
    pub(crate) getpwent: Next<libc::passwd>,
    pub(crate) getgrnam: ByName<libc::group>,
    pub(crate) getgrgid: ById<libc::group>,
    pub(crate) getgrent: Next<libc::group>,
    pub(crate) getspnam: ByName<libc::spwd>,
    pub(crate) getspent: Next<libc::spwd>,
    pub(crate) initgroups: Dyn,
    module: Library,
}

impl Module {
    /// A copy of the built module, loaded separately.
    pub(crate) fn load(_: &Machine) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = format!("/tmp/libnss_iam-{}.so", COUNT.fetch_add(1, Ordering::Relaxed));
        std::fs::copy(crate::library(), &path).unwrap();
        // SAFETY: the module has no constructors that need anything of this process.
        let library = unsafe { Library::new(path) }.unwrap();
        Module {
            getpwnam: symbol(&library, "getpwnam_r"),
            getpwuid: symbol(&library, "getpwuid_r"),
            getpwent: symbol(&library, "getpwent_r"),
            getgrnam: symbol(&library, "getgrnam_r"),
            getgrgid: symbol(&library, "getgrgid_r"),
            getgrent: symbol(&library, "getgrent_r"),
            getspnam: symbol(&library, "getspnam_r"),
            getspent: symbol(&library, "getspent_r"),
            initgroups: symbol(&library, "initgroups_dyn"),
            module: library,
        }
    }

    /// `set*ent` for `rewind("setpwent")`, or `end*ent`.
    pub(crate) fn rewind(&self, function: &str) {
        let function: unsafe extern "C" fn(c_int) -> c_int = symbol(&self.module, function);
        // SAFETY: set*ent takes an int, end*ent takes nothing and leaves the register alone.
        assert_eq!(unsafe { function(0) }, SUCCESS);
    }

    /// All ways to look up an entry, for an active user and a group of `data::odd`.
    pub(crate) fn everything<'a>(&'a self) -> Vec<(&'a str, Ask<'a>)> {
        let (user, group) = (c"user8", c"iam-users");
        let uid = policy::Id::computed(&policy::IamId::new("user8")).get();
        let gid = policy::Id::computed(&policy::IamId::new("group:iam-users")).get();
        vec![
            (
                "getpwnam_r",
                Box::new(move |room| by_name(self.getpwnam, user, room).map(|found| found.line())),
            ),
            ("getpwuid_r", Box::new(move |room| by_id(self.getpwuid, uid, room).map(|found| found.line()))),
            ("getpwent_r", Box::new(move |room| next(self.getpwent, room).map(|found| found.line()))),
            (
                "getgrnam_r",
                Box::new(move |room| by_name(self.getgrnam, group, room).map(|found| found.line())),
            ),
            ("getgrgid_r", Box::new(move |room| by_id(self.getgrgid, gid, room).map(|found| found.line()))),
            ("getgrent_r", Box::new(move |room| next(self.getgrent, room).map(|found| found.line()))),
            (
                "getspnam_r",
                Box::new(move |room| by_name(self.getspnam, user, room).map(|found| found.line())),
            ),
            ("getspent_r", Box::new(move |room| next(self.getspent, room).map(|found| found.line()))),
            ("initgroups_dyn", Box::new(move |_| self.groups(user, uid).map(|gids| format!("{gids:?}")))),
        ]
    }

    /// The groups that `initgroups_dyn` adds to an empty list.
    pub(crate) fn groups(&self, user: &CStr, skip: u32) -> Result<Vec<u32>, Failure> {
        let mut list = Vec::new();
        self.initgroups(user, skip, &mut list, 1, -1).map(|()| list)
    }

    /// `initgroups_dyn` on a list from malloc that contains `list` and has room for `size` groups.
    pub(crate) fn initgroups(
        &self,
        user: &CStr,
        skip: u32,
        list: &mut Vec<u32>,
        mut size: c_long,
        limit: c_long,
    ) -> Result<(), Failure> {
        let mut start = c_long::try_from(list.len()).unwrap();
        let room = usize::try_from(size).unwrap();
        // SAFETY: malloc takes any size.
        let mut groups: *mut u32 = unsafe { libc::malloc(4 * room) }.cast();
        assert!(room >= list.len() && !groups.is_null());
        // SAFETY: there is room for `size` groups, which is `list.len()` or more.
        unsafe { std::ptr::copy_nonoverlapping(list.as_ptr(), groups, list.len()) };
        let status = watched(|errnop| {
            // SAFETY: the arguments are what nss/initgroups.c passes.
            unsafe {
                (self.initgroups)(user.as_ptr(), skip, &mut start, &mut size, &mut groups, limit, errnop)
            }
        });
        assert!(start <= size);
        assert!(
            limit <= 0 || size <= limit || usize::try_from(size) == Ok(room),
            "no more room than allowed"
        );
        // SAFETY: the function set the first `start` groups.
        *list = unsafe { std::slice::from_raw_parts(groups, usize::try_from(start).unwrap()) }.to_vec();
        // SAFETY: malloc's, or realloc's if the function made it longer.
        unsafe { libc::free(groups.cast()) };
        status
    }
}

/// A call with a buffer that is large enough; it returns the line of an entry.
pub(crate) type Ask<'a> = Box<dyn Fn(usize) -> Result<String, Failure> + 'a>;

fn symbol<T: Copy>(library: &Library, name: &str) -> T {
    // SAFETY: T is the type that nss.h gives the function of that name.
    *unsafe { library.get::<T>(format!("_nss_iam_{name}")) }.unwrap()
}

/// A status that is not SUCCESS, and the errno that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) c_int, pub(crate) c_int);

pub(crate) const TOO_SMALL: Failure = Failure(TRYAGAIN, libc::ERANGE);
pub(crate) const NO_SUCH: Failure = Failure(NOTFOUND, libc::ENOENT);

/// An entry, with the buffer that it points into.
pub(crate) struct Found<T> {
    entry: T,
    buffer: Vec<u8>,
}

pub(crate) fn by_name<T>(function: ByName<T>, name: &CStr, room: usize) -> Result<Found<T>, Failure> {
    // SAFETY: `entry` passes valid pointers, `name` is a C string.
    entry(room, 0, |result, buffer, errnop| unsafe { function(name.as_ptr(), result, buffer, room, errnop) })
}

/// Like [`by_name`], but the buffer begins `offset` bytes after an aligned address.
pub(crate) fn by_name_at<T>(function: ByName<T>, name: &CStr, offset: usize) -> Result<Found<T>, Failure> {
    let room = 1 << 16;
    // SAFETY: `entry` passes valid pointers, `name` is a C string.
    entry(room, offset, |result, buffer, errnop| unsafe {
        function(name.as_ptr(), result, buffer, room, errnop)
    })
}

/// Like [`by_name`], with any pointer as the name.
pub(crate) fn by_pointer<T>(function: ByName<T>, name: *const c_char) -> Result<Found<T>, Failure> {
    // SAFETY: `entry` passes valid pointers, `name` is null.
    entry(99, 0, |result, buffer, errnop| unsafe { function(name, result, buffer, 99, errnop) })
}

pub(crate) fn by_id<T>(function: ById<T>, id: u32, room: usize) -> Result<Found<T>, Failure> {
    // SAFETY: `entry` passes valid pointers.
    entry(room, 0, |result, buffer, errnop| unsafe { function(id, result, buffer, room, errnop) })
}

pub(crate) fn next<T>(function: Next<T>, room: usize) -> Result<Found<T>, Failure> {
    // SAFETY: `entry` passes valid pointers.
    entry(room, 0, |result, buffer, errnop| unsafe { function(result, buffer, room, errnop) })
}

fn entry<T>(
    room: usize,
    offset: usize,
    call: impl Fn(*mut T, *mut c_char, *mut c_int) -> c_int,
) -> Result<Found<T>, Failure> {
    const BEHIND: usize = 64;
    let mut buffer = vec![PATTERN; offset + room + BEHIND];
    let mut result = MaybeUninit::<T>::uninit();
    let size = size_of::<T>();
    // SAFETY: `result` has `size` bytes.
    unsafe { result.as_mut_ptr().cast::<u8>().write_bytes(PATTERN, size) };
    let status = watched(|errnop| call(result.as_mut_ptr(), buffer[offset..].as_mut_ptr().cast(), errnop));
    assert!(buffer[offset + room..].iter().all(|byte| *byte == PATTERN), "wrote behind the buffer");
    if status.is_err() {
        // SAFETY: all bytes of `result` were set above.
        let bytes = unsafe { std::slice::from_raw_parts(result.as_ptr().cast::<u8>(), size) };
        assert!(bytes.iter().all(|byte| *byte == PATTERN), "*result is touched only if an entry is found");
    }
    // SAFETY: after SUCCESS the function has set it, and C structures may hold any bytes.
    status.map(|()| Found { entry: unsafe { result.assume_init() }, buffer })
}

/// Runs a call, and checks the rules for errno.
fn watched(call: impl FnOnce(*mut c_int) -> c_int) -> Result<(), Failure> {
    let mut errnop = ERRNOP_BEFORE;
    Errno::set_raw(ERRNO_BEFORE);
    let status = call(&mut errnop);
    let errno = Errno::last_raw();
    if status == SUCCESS {
        assert_eq!((errno, errnop), (ERRNO_BEFORE, ERRNOP_BEFORE), "errno is preserved on success");
        return Ok(());
    }
    assert_eq!(errno, errnop, "errno and *errnop say the same");
    assert!(![0, ERRNO_BEFORE, ERRNOP_BEFORE].contains(&errno), "errno is set on failure");
    Err(Failure(status, errno))
}

impl<T> Found<T> {
    /// The C string at a pointer, which must lie within the buffer.
    fn text(&self, at: *const c_char) -> &str {
        let at = at.addr().checked_sub(self.buffer.as_ptr().addr()).unwrap();
        CStr::from_bytes_until_nul(&self.buffer[at..]).unwrap().to_str().unwrap()
    }
}

/// An entry as the line of its file in /etc.
pub(crate) trait Line {
    fn line(&self) -> String;
}

impl Line for Found<libc::passwd> {
    fn line(&self) -> String {
        let it = &self.entry;
        let (name, passwd, gecos) = (self.text(it.pw_name), self.text(it.pw_passwd), self.text(it.pw_gecos));
        let (home, shell) = (self.text(it.pw_dir), self.text(it.pw_shell));
        format!("{name}:{passwd}:{}:{}:{gecos}:{home}:{shell}", it.pw_uid, it.pw_gid)
    }
}

impl Line for Found<libc::group> {
    fn line(&self) -> String {
        let it = &self.entry;
        assert!(it.gr_mem.is_aligned(), "gr_mem is aligned");
        let start = it.gr_mem.addr() - self.buffer.as_ptr().addr();
        let members: Vec<&str> = self.buffer[start..]
            .chunks_exact(size_of::<usize>())
            .map(|pointer| usize::from_ne_bytes(pointer.try_into().unwrap()))
            .take_while(|pointer| *pointer != 0)
            .map(|pointer| self.text(std::ptr::without_provenance(pointer)))
            .collect();
        format!("{}:{}:{}:{}", self.text(it.gr_name), self.text(it.gr_passwd), it.gr_gid, members.join(","))
    }
}

impl Line for Found<libc::spwd> {
    fn line(&self) -> String {
        let it = &self.entry;
        let field = |days: c_long| if days == -1 { String::new() } else { days.to_string() };
        assert_eq!(it.sp_flag, libc::c_ulong::MAX, "what glibc reads from an empty field");
        let days = [it.sp_lstchg, it.sp_min, it.sp_max, it.sp_warn, it.sp_inact, it.sp_expire].map(field);
        format!("{}:{}:{}:", self.text(it.sp_namp), self.text(it.sp_pwdp), days.join(":"))
    }
}
