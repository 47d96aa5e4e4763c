//! Answers from the cache as it is at each call.
//!
//! An enumeration stores the last id that it returned, so it can continue in whatever file is current, and the
//! place in the file where that was, which is valid as long as the file is the same.
#![forbid(unsafe_code)]

use core::num::NonZero;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libc::{c_char, c_long};
use reader::{Cache, Group, LEAST, Place, Snapshot, User};

use crate::buffer::Buffer;
use crate::caller::is_nscd;
use crate::outcome::{Miss, Outcome};
use crate::process_cache::KEPT;
use crate::retention::Held;
use crate::slots::Version;

/// The position of an enumeration. getpwent(3) has one per process.
pub(crate) struct Cursor {
    /// The last id that was returned, 0 before the first.
    last: AtomicU32,
    /// Its [`Place`], and the low bits of the file's version. If threads share an enumeration, it may not be
    /// the place of `last`; `reader` notices.
    place: AtomicU64,
}

impl Cursor {
    pub(crate) const fn new() -> Self {
        Cursor { last: AtomicU32::new(0), place: AtomicU64::new(0) }
    }

    pub(crate) fn rewind(&self) {
        self.place.store(0, Ordering::Relaxed);
        self.last.store(0, Ordering::Relaxed);
    }

    /// The next user, as written by `fill`. A user for whom the buffer is too small is returned again by the
    /// next call.
    pub(crate) fn next_user<T>(&self, fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {
        let last = self.last.load(Ordering::Relaxed);
        let give = |user: &User<'_>, held: &Held<'_, Snapshot>| {
            let entry = fill(user)?;
            self.stands_at(user.uid, user.place, held);
            Ok(entry)
        };
        if let Some((held, place)) = self.same_file()
            && let Some(found) = &held.file().cache().user_behind(place, last)
        {
            return give(found.as_ref().map_err(|error| *error)?, &held);
        }
        let held = KEPT.file()?;
        let cache = held.file().cache();
        let found = &cache.user_after(last)?;
        give(found.as_ref().ok_or(Miss::NotFound)?, &held)
    }

    /// The next group, in the same way.
    pub(crate) fn next_group<T>(&self, fill: impl FnOnce(&Group<'_>) -> Outcome<T>) -> Outcome<T> {
        let last = self.last.load(Ordering::Relaxed);
        let give = |group: &Group<'_>, held: &Held<'_, Snapshot>| {
            let entry = fill(group)?;
            self.stands_at(group.gid, group.place, held);
            Ok(entry)
        };
        if let Some((held, place)) = self.same_file()
            && let Some(found) = &held.file().cache().group_behind(place, last)
        {
            return give(found.as_ref().map_err(|error| *error)?, &held);
        }
        let held = KEPT.file()?;
        let cache = held.file().cache();
        let found = &cache.group_after(last)?;
        give(found.as_ref().ok_or(Miss::NotFound)?, &held)
    }

    /// The file and the place of the last entry, if that file is still the mapped one.
    fn same_file(&self) -> Option<(Held<'_, Snapshot>, Place)> {
        let bits = self.place.load(Ordering::Relaxed);
        let held = KEPT.same(NonZero::new(bits >> Place::BITS)?)?;
        Some((held, Place::from_bits(bits)))
    }

    fn stands_at(&self, id: u32, place: Place, held: &Held<'_, Snapshot>) {
        const { assert!(Version::BITS + Place::BITS <= u64::BITS) };
        let version = held.version().map_or(0, NonZero::get);
        self.place.store(version << Place::BITS | place.to_bits(), Ordering::Relaxed);
        self.last.store(id, Ordering::Relaxed);
    }
}

pub(crate) fn user_by_name<T>(name: &[u8], fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {
    ask(|cache| fill(&cache.user_by_name(name)?.ok_or(Miss::NotFound)?))
}

pub(crate) fn user_by_uid<T>(uid: u32, fill: impl FnOnce(&User<'_>) -> Outcome<T>) -> Outcome<T> {
    // For `ls -l /` in a root without local users, the cache need not be opened.
    if uid < LEAST {
        return Err(Miss::NotFound);
    }
    ask(|cache| {
        let user = cache.user_by_uid(uid)?.ok_or(Miss::NotFound)?;
        if !user.active && is_nscd() { Err(Miss::NotFound) } else { fill(&user) }
    })
}

pub(crate) fn group_by_name<T>(name: &[u8], fill: impl FnOnce(&Group<'_>) -> Outcome<T>) -> Outcome<T> {
    ask(|cache| fill(&cache.group_by_name(name)?.ok_or(Miss::NotFound)?))
}

pub(crate) fn group_by_gid<T>(gid: u32, fill: impl FnOnce(&Group<'_>) -> Outcome<T>) -> Outcome<T> {
    if gid < LEAST {
        return Err(Miss::NotFound);
    }
    ask(|cache| {
        let group = cache.group_by_gid(gid)?.ok_or(Miss::NotFound)?;
        if is_nscd() && cache.user_by_uid(gid)?.is_some_and(|user| !user.active) {
            return Err(Miss::NotFound);
        }
        fill(&group)
    })
}

/// The primary group that callers of getgrouplist(3) pass if they know none, such as nscd(8) and `getent
/// initgroups` (glibc's nscd/initgrcache.c and nss/getent.c).
const NO_GROUP: u32 = u32::MAX;

/// Passes each supplementary group of a user to `add`. `group` is the primary group of the user that the caller has
/// found by this name. If it differs from the one in the cache, it is a different user: for example a local account
/// that was created after the last refresh and must not get the groups of the nss-iam user with the same name.
///
/// No nss-iam user has a primary group below the least id, so root and the system's accounts do not depend on the cache:
/// not on its disk, and not on its content.
pub(crate) fn groups_of(name: &[u8], group: u32, mut add: impl FnMut(u32) -> Outcome<()>) -> Outcome<()> {
    if group < LEAST {
        return Err(Miss::NotFound);
    }
    ask(|cache| match &cache.user_by_name(name)? {
        Some(user) if group == user.uid || group == NO_GROUP => {
            cache.supplementary(user)?.try_for_each(|gid| add(gid?))
        }
        _ => Err(Miss::NotFound),
    })
}

/// passwd(5). The password field is `x`: see shadow(5). Any other value would make PAM ignore an expired account.
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

/// shadow(5). The password is `*`, which no password matches; `!` would mean a locked account, which sshd refuses.
/// Fields that are not set are -1, as glibc reads empty ones.
pub(crate) fn shadow(user: &User<'_>, buffer: &mut Buffer<'_>) -> Outcome<libc::spwd> {
    let dates = user.dates()?;
    Ok(libc::spwd {
        sp_namp: buffer.text(user.name)?,
        sp_pwdp: buffer.literal(c"*")?,
        sp_lstchg: days(dates.lastchg),
        sp_min: -1,
        sp_max: -1,
        sp_warn: -1,
        sp_inact: -1,
        sp_expire: days(dates.expire),
        sp_flag: libc::c_ulong::MAX,
    })
}

fn days(days: i64) -> c_long {
    c_long::try_from(days).unwrap_or(c_long::MAX)
}

/// group(5).
pub(crate) fn group(group: &Group<'_>, buffer: &mut Buffer<'_>) -> Outcome<libc::group> {
    let members = &group.members;
    // The table comes first, with an additional null pointer at its end: its size is known before any name is
    // read.
    let table = buffer.table(members.count().saturating_add(1))?;
    let gr_name = buffer.text(group.name)?;
    let gr_passwd = buffer.literal(c"x")?;
    let names = buffer.bytes(members.size())?;
    let start: *mut c_char = names.as_mut_ptr().cast();
    let mut places = table.iter_mut();
    members.copy_to(names, |begin| {
        if let Some(place) = places.next() {
            *place = start.wrapping_add(begin);
        }
    })?;
    Ok(libc::group { gr_name, gr_passwd, gr_gid: group.gid, gr_mem: table.as_mut_ptr() })
}

fn ask<T>(question: impl FnOnce(Cache<'_>) -> Outcome<T>) -> Outcome<T> {
    let held = KEPT.file()?;
    question(held.file().cache())
}
