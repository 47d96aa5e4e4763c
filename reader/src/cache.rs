//! `cache.db`: the data for NSS. The columns are those of `cache/src/schema.sql`.
//!
//! An inactive user exists by uid only, and the user's private group by gid only: files keep an owner, but nothing
//! runs or is allowed under the name. Neither is found by name or in an enumeration.
//!
//! A row that breaks a rule is `Corrupt`, also in an enumeration, which then ends: the writer checks more than this
//! does, so a row like this means that the file cannot be trusted.
#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::check;
use crate::entry::{BELOW_FLOOR, Group, Tail, User};
use crate::file::{Id, Map};
use crate::gids::Gids;
use crate::header::HEADER;
use crate::pages::{Pages, Sizes};
use crate::readable::Tried;
use crate::tree::{self, Place};
use crate::{Error, Result};

/// "niac".
const APPLICATION: u32 = 0x6e69_6163;

/// Since this minor version, grp has no private groups of inactive users.
const WITHOUT_INACTIVE: u32 = 1;

/// A `cache.db` whose header was checked and whose tables were found.
#[derive(Debug, Clone, Copy)]
pub struct Cache<'a> {
    pages: Pages<'a>,
    roots: Roots,
}

#[derive(Debug, Clone, Copy)]
struct Roots {
    passwd: u32,
    passwd_name: u32,
    grp: u32,
    grp_name: u32,
}

/// A mapped `cache.db`. What was found when it was opened is stored for all later questions.
#[derive(Debug)]
pub struct Snapshot {
    map: Map,
    sizes: Sizes,
    roots: Roots,
}

impl Snapshot {
    /// Maps the file at `path`, checks its header and finds the tables.
    ///
    /// # Errors
    /// Those of [`Map::open`] and [`Cache::open`].
    pub fn open(path: &CStr) -> Result<Self> {
        let map = Map::open(path)?;
        let Cache { pages, roots } = Cache::read(&map.header(), map.body(), Some(map.tried()))?;
        let sizes = pages.sizes();
        Ok(Snapshot { map, sizes, roots })
    }

    /// The cache, for lookups.
    #[must_use]
    #[inline]
    pub fn cache(&self) -> Cache<'_> {
        Cache { pages: Pages::again(self.map.body(), Some(self.map.tried()), self.sizes), roots: self.roots }
    }

    /// Identifies the file.
    #[must_use]
    pub fn id(&self) -> Id {
        self.map.id()
    }

    /// See [`Map::recheck`].
    ///
    /// # Errors
    /// As there.
    pub fn recheck(&self) -> Result<()> {
        self.map.recheck()
    }

    /// See [`Map::retired`].
    #[must_use]
    #[inline]
    pub fn retired(&self) -> bool {
        self.map.retired()
    }
}

impl<'a> Cache<'a> {
    /// Checks the header and finds the tables.
    ///
    /// # Errors
    /// [`Error::Foreign`] and [`Error::Corrupt`], like all functions of this type.
    pub fn open(file: &'a [u8]) -> Result<Self> {
        match file.split_first_chunk() {
            Some((header, body)) => Self::read(header, body, None),
            None => Err(Error::Corrupt("shorter than a header")),
        }
    }

    fn read(header: &[u8; HEADER], body: &'a [u8], tried: Option<&'a Tried>) -> Result<Self> {
        let pages = Pages::open(header, body, tried, APPLICATION)?;
        let roots = tree::roots(&pages, ["passwd", "passwd_name", "grp", "grp_name"])?;
        let [passwd, passwd_name, grp, grp_name] = roots;
        Ok(Cache { pages, roots: Roots { passwd, passwd_name, grp, grp_name } })
    }

    /// The active user with this login name.
    pub fn user_by_name(&self, name: &[u8]) -> Result<Option<User<'_>>> {
        let Some(uid) = tree::rowid_of(&self.pages, self.roots.passwd_name, name)? else {
            return Ok(None);
        };
        match self.user_from(uid)? {
            Some(user) if i64::from(user.uid) == uid && user.name.compare(name).is_eq() => {
                if user.active {
                    Ok(Some(user))
                } else {
                    Ok(None)
                }
            }
            _ => Err(INDEX_DIFFERS),
        }
    }

    /// The user with this uid, active or not.
    pub fn user_by_uid(&self, uid: u32) -> Result<Option<User<'_>>> {
        let found = tree::row_from(&self.pages, self.roots.passwd, i64::from(uid))?;
        found
            .filter(|found| found.rowid == i64::from(uid))
            .map(|found| User::read(&self.pages, &found))
            .transpose()
    }

    /// The active user with the smallest uid above `uid`.
    pub fn user_after(&self, mut uid: u32) -> Result<Option<User<'_>>> {
        loop {
            // Uids increase with each step, so this ends.
            match self.user_from(i64::from(uid) + 1)? {
                Some(user) if !user.active => uid = user.uid,
                found => return Ok(found),
            }
        }
    }

    /// Like [`Self::user_after`], if `uid` belongs to a user who was found at `place` in this file, and if the
    /// next user is in the same page.
    #[inline(always)]
    #[must_use]
    pub fn user_behind(&self, mut place: Place, mut uid: u32) -> Option<Result<User<'_>>> {
        loop {
            let found = tree::row_behind(&self.pages, place, i64::from(uid))?;
            match User::read(&self.pages, &found) {
                Ok(user) if !user.active => (place, uid) = (user.place, user.uid),
                read => return Some(read),
            }
        }
    }

    fn user_from(&self, least: i64) -> Result<Option<User<'_>>> {
        tree::row_from(&self.pages, self.roots.passwd, least)?
            .map(|found| User::read(&self.pages, &found))
            .transpose()
    }

    /// The group with this name.
    pub fn group_by_name(&self, name: &[u8]) -> Result<Option<Group<'_>>> {
        let Some(gid) = tree::rowid_of(&self.pages, self.roots.grp_name, name)? else {
            return Ok(None);
        };
        match self.group_from(gid)? {
            Some(group) if i64::from(group.gid) == gid && group.name.compare(name).is_eq() => {
                if self.has_no_name(group.gid)? { Ok(None) } else { Ok(Some(group)) }
            }
            _ => Err(INDEX_DIFFERS),
        }
    }

    /// The group with this gid, including private groups of inactive users.
    pub fn group_by_gid(&self, gid: u32) -> Result<Option<Group<'_>>> {
        let found = tree::row_from(&self.pages, self.roots.grp, i64::from(gid))?;
        match found.filter(|found| found.rowid == i64::from(gid)) {
            Some(found) => Group::read(&self.pages, &found).map(Some),
            None => self.private_group(gid),
        }
    }

    /// The private group of an active user is always a row of grp: this never makes up a group that a lookup by
    /// name would not find.
    #[cold]
    #[inline(never)]
    fn private_group(&self, gid: u32) -> Result<Option<Group<'_>>> {
        match self.user_by_uid(gid)? {
            Some(user) if !user.active => Ok(Some(Group::private(&self.pages, &user))),
            _ => Ok(None),
        }
    }

    /// The group with the smallest gid above `gid` among the groups that have a name.
    pub fn group_after(&self, mut gid: u32) -> Result<Option<Group<'_>>> {
        loop {
            // Gids increase with each step, so this ends.
            match self.group_from(i64::from(gid) + 1)? {
                Some(group) if self.has_no_name(group.gid)? => gid = group.gid,
                found => return Ok(found),
            }
        }
    }

    /// Like [`Self::group_after`], if `gid` belongs to a group that was found at `place` in this file, and if
    /// the next group is in the same page.
    #[inline(always)]
    #[must_use]
    pub fn group_behind(&self, place: Place, gid: u32) -> Option<Result<Group<'_>>> {
        if self.pages.minor() < WITHOUT_INACTIVE {
            return self.named_behind(place, gid);
        }
        let found = tree::row_behind(&self.pages, place, i64::from(gid))?;
        Some(Group::read(&self.pages, &found))
    }

    /// Like [`Self::group_behind`], in a file that has groups without a name.
    #[cold]
    #[inline(never)]
    fn named_behind(&self, mut place: Place, mut gid: u32) -> Option<Result<Group<'_>>> {
        loop {
            let found = tree::row_behind(&self.pages, place, i64::from(gid))?;
            let read = Group::read(&self.pages, &found);
            let Ok(group) = &read else { return Some(read) };
            match self.is_private_of_inactive(group.gid) {
                Ok(false) => return Some(read),
                Ok(true) => (place, gid) = (group.place, group.gid),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether the group with this gid, a row of grp, is the private group of an inactive user. Only files of
    /// earlier releases have these rows, until the next refresh: for other files there is no second search.
    #[inline(always)]
    fn has_no_name(&self, gid: u32) -> Result<bool> {
        if self.pages.minor() >= WITHOUT_INACTIVE { Ok(false) } else { self.is_private_of_inactive(gid) }
    }

    #[cold]
    #[inline(never)]
    fn is_private_of_inactive(&self, gid: u32) -> Result<bool> {
        Ok(matches!(self.user_by_uid(gid)?, Some(user) if !user.active))
    }

    fn group_from(&self, least: i64) -> Result<Option<Group<'_>>> {
        tree::row_from(&self.pages, self.roots.grp, least)?
            .map(|found| Group::read(&self.pages, &found))
            .transpose()
    }

    /// The supplementary groups of a user. Published groups are not below the floor; local groups can be any
    /// except root's group, and an inactive user has none. An error may be followed by more groups: none of the
    /// list must be used then.
    ///
    /// # Errors
    /// [`Error::Corrupt`], also for dates that [`User::dates`] refuses.
    pub fn supplementary<'u>(
        &self,
        user: &User<'u>,
    ) -> Result<impl Iterator<Item = Result<u32>> + use<'_, 'a, 'u>> {
        let Tail { groups, local, .. } = user.tail()?;
        if !user.active && !local.is_empty() {
            return Err(Error::Corrupt("local groups of an inactive user"));
        }
        let published = Gids::of(groups).map(|gid| {
            let gid = gid?;
            let pinned = || self.group_by_gid(gid).map(|group| group.is_some_and(|group| group.pinned));
            if check::floor(gid, false) || pinned()? { Ok(gid) } else { Err(BELOW_FLOOR) }
        });
        let local = Gids::of(local).map(|gid| match gid? {
            0 | u32::MAX => Err(Error::Corrupt("root's group")),
            gid => Ok(gid),
        });
        Ok(published.chain(local))
    }
}

const INDEX_DIFFERS: Error = Error::Corrupt("an index differs from its table");
