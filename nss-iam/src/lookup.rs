//! The answers: cache.db is mapped, asked, and let go of in each call, so that a replaced file is seen at once.
//!
//! An enumeration keeps nothing but the last id it gave, so it goes on in the file that is there by then.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::c_long;
use reader::{Cache, Group, LEAST, Map, User};

use crate::buffer::Buffer;
use crate::outcome::{Miss, Outcome};

const CACHE: &CStr = c"/var/lib/nss-iam/cache.db";

/// Where an enumeration stands: the last id that was given, 0 before the first. getpwent(3) has one per process.
pub(crate) struct Cursor(AtomicU32);

impl Cursor {
    pub(crate) const fn new() -> Self {
        Cursor(AtomicU32::new(0))
    }

    pub(crate) fn rewind(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The next user, as `fill` puts it. A user for whom the buffer is too small comes again.
    pub(crate) fn next_user<T>(&self, fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {
        ask(|cache| {
            let user = cache.user_after(self.0.load(Ordering::Relaxed))?.ok_or(Miss::NotFound)?;
            let entry = fill(&user)?;
            self.0.store(user.uid, Ordering::Relaxed);
            Ok(entry)
        })
    }

    /// The next group, likewise.
    pub(crate) fn next_group<T>(&self, fill: impl FnOnce(&Group<'_>) -> Outcome<T>) -> Outcome<T> {
        ask(|cache| {
            let group = cache.group_after(self.0.load(Ordering::Relaxed))?.ok_or(Miss::NotFound)?;
            let entry = fill(&group)?;
            self.0.store(group.gid, Ordering::Relaxed);
            Ok(entry)
        })
    }
}

pub(crate) fn user_by_name<T>(name: &[u8], fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {
    ask(|cache| fill(&cache.user_by_name(name)?.ok_or(Miss::NotFound)?))
}

pub(crate) fn user_by_uid<T>(uid: u32, fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {
    // `ls -l /` of a root without local users need not open the cache.
    if uid < LEAST {
        return Err(Miss::NotFound);
    }
    ask(|cache| fill(&cache.user_by_uid(uid)?.ok_or(Miss::NotFound)?))
}

pub(crate) fn group_by_name<T>(name: &[u8], fill: impl FnOnce(&Group<'_>) -> Outcome<T>) -> Outcome<T> {
    ask(|cache| fill(&cache.group_by_name(name)?.ok_or(Miss::NotFound)?))
}

pub(crate) fn group_by_gid<T>(gid: u32, fill: impl FnOnce(&Group<'_>) -> Outcome<T>) -> Outcome<T> {
    if gid < LEAST {
        return Err(Miss::NotFound);
    }
    ask(|cache| fill(&cache.group_by_gid(gid)?.ok_or(Miss::NotFound)?))
}

/// Gives each supplementary group of a user to `add`.
pub(crate) fn groups_of(name: &[u8], mut add: impl FnMut(u32) -> Outcome<()>) -> Outcome<()> {
    ask(|cache| {
        let user = cache.user_by_name(name)?.ok_or(Miss::NotFound)?;
        cache.supplementary(&user)?.try_for_each(&mut add)
    })
}

/// passwd(5). The password field is `x`: see shadow(5). Any other would make PAM ignore an expired account.
pub(crate) fn passwd(user: &User<'_>, buffer: &mut Buffer<'_>) -> Outcome<libc::passwd> {
    Ok(libc::passwd {
        pw_name: buffer.text(user.name)?,
        pw_passwd: buffer.literal(c"x")?,
        pw_uid: user.uid,
        pw_gid: user.uid,
        pw_gecos: buffer.text(user.gecos)?,
        pw_dir: buffer.text(user.home)?,
        pw_shell: buffer.text(user.shell)?,
    })
}

/// shadow(5). The password is `*`, which none can match; `!` would be a locked account, which sshd refuses. Fields
/// that are not set are -1, as glibc reads empty ones.
pub(crate) fn shadow(user: &User<'_>, buffer: &mut Buffer<'_>) -> Outcome<libc::spwd> {
    Ok(libc::spwd {
        sp_namp: buffer.text(user.name)?,
        sp_pwdp: buffer.literal(c"*")?,
        sp_lstchg: days(user.lastchg),
        sp_min: -1,
        sp_max: -1,
        sp_warn: -1,
        sp_inact: -1,
        sp_expire: days(user.expire),
        sp_flag: libc::c_ulong::MAX,
    })
}

fn days(days: i64) -> c_long {
    c_long::try_from(days).unwrap_or(c_long::MAX)
}

/// group(5).
pub(crate) fn group(group: &Group<'_>, buffer: &mut Buffer<'_>) -> Outcome<libc::group> {
    let members = &group.members;
    // The table comes first, with one null pointer more at its end: its size is known before a name is read.
    let table = buffer.table(members.count().saturating_add(1))?;
    let gr_name = buffer.text(group.name)?;
    let gr_passwd = buffer.literal(c"x")?;
    let names = buffer.bytes(members.size())?;
    members.copy_to(names)?;
    for (place, name) in table.iter_mut().zip(names.split_inclusive_mut(|byte| *byte == 0)) {
        *place = name.as_mut_ptr().cast();
    }
    Ok(libc::group { gr_name, gr_passwd, gr_gid: group.gid, gr_mem: table.as_mut_ptr() })
}

fn ask<T>(question: impl FnOnce(Cache<'_>) -> Outcome<T>) -> Outcome<T> {
    let map = Map::open(CACHE)?;
    question(Cache::open(map.bytes())?)
}
