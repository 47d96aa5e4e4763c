//! `cache.db`: what NSS answers. The columns are those of `cache/src/schema.sql`.
//!
//! A row that breaks a rule is `Corrupt`, also in an enumeration, which then ends: the writer checks more than this
//! does, so such a row means that the file cannot be trusted.
#![forbid(unsafe_code)]

use crate::check;
use crate::pages::{Chunks, Pages, Text};
use crate::record::Record;
use crate::tree;
use crate::{Error, Result};

/// "niac".
const APPLICATION: u32 = 0x6e69_6163;

/// An open `cache.db`.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    pages: Pages<'a>,
    passwd: u32,
    passwd_name: u32,
    grp: u32,
    grp_name: u32,
}

/// A user: `passwd(5)`, `shadow(5)` and the supplementary groups. The primary group's gid is the uid.
pub struct User<'a> {
    /// Never below the floor.
    pub uid: u32,
    /// At most [`crate::NAME_MAX`] bytes.
    pub name: Text<'a>,
    /// Whether the user may log in.
    pub active: bool,
    /// Printable ASCII.
    pub gecos: Text<'a>,
    /// An absolute path.
    pub home: Text<'a>,
    /// An absolute path.
    pub shell: Text<'a>,
    /// Days since 1970, more than 0.
    pub lastchg: i64,
    /// Days since 1970; -1: none. 1 for everyone who is not active.
    pub expire: i64,
    groups: Text<'a>,
    local: Text<'a>,
}

/// A group: `group(5)`.
pub struct Group<'a> {
    /// Never below the floor.
    pub gid: u32,
    /// At most [`crate::NAME_MAX`] bytes.
    pub name: Text<'a>,
    /// Login names.
    pub members: Members<'a>,
    pinned: bool,
}

/// The members of a group.
pub struct Members<'a> {
    count: usize,
    text: Text<'a>,
}

impl<'a> Cache<'a> {
    /// Checks the header and finds the tables.
    ///
    /// # Errors
    /// [`Error::Foreign`] and [`Error::Corrupt`], as all functions of this.
    pub fn open(file: &'a [u8]) -> Result<Self> {
        let pages = Pages::open(file, APPLICATION)?;
        let roots = tree::roots(pages, ["passwd", "passwd_name", "grp", "grp_name"])?;
        let [passwd, passwd_name, grp, grp_name] = roots;
        Ok(Cache { pages, passwd, passwd_name, grp, grp_name })
    }

    /// The user of that login name.
    pub fn user_by_name(&self, name: &[u8]) -> Result<Option<User<'a>>> {
        let Some(uid) = tree::rowid_of(self.pages, self.passwd_name, name)? else {
            return Ok(None);
        };
        match tree::row(self.pages, self.passwd, uid)?.map(|row| User::read(uid, row)).transpose()? {
            Some(user) if user.name.compare(name).is_eq() => Ok(Some(user)),
            _ => Err(INDEX_DIFFERS),
        }
    }

    /// The user of that uid.
    pub fn user_by_uid(&self, uid: u32) -> Result<Option<User<'a>>> {
        let row = tree::row(self.pages, self.passwd, i64::from(uid))?;
        row.map(|row| User::read(i64::from(uid), row)).transpose()
    }

    /// The user with the smallest uid above `uid`.
    pub fn user_after(&self, uid: u32) -> Result<Option<User<'a>>> {
        let row = tree::row_from(self.pages, self.passwd, i64::from(uid) + 1)?;
        row.map(|(uid, row)| User::read(uid, row)).transpose()
    }

    /// The group of that name.
    pub fn group_by_name(&self, name: &[u8]) -> Result<Option<Group<'a>>> {
        let Some(gid) = tree::rowid_of(self.pages, self.grp_name, name)? else {
            return Ok(None);
        };
        match tree::row(self.pages, self.grp, gid)?.map(|row| Group::read(gid, row)).transpose()? {
            Some(group) if group.name.compare(name).is_eq() => Ok(Some(group)),
            _ => Err(INDEX_DIFFERS),
        }
    }

    /// The group of that gid.
    pub fn group_by_gid(&self, gid: u32) -> Result<Option<Group<'a>>> {
        let row = tree::row(self.pages, self.grp, i64::from(gid))?;
        row.map(|row| Group::read(i64::from(gid), row)).transpose()
    }

    /// The group with the smallest gid above `gid`.
    pub fn group_after(&self, gid: u32) -> Result<Option<Group<'a>>> {
        let row = tree::row_from(self.pages, self.grp, i64::from(gid) + 1)?;
        row.map(|(gid, row)| Group::read(gid, row)).transpose()
    }

    /// The supplementary groups of a user, all checked before the first is handed out: those published here keep to
    /// the floor, and local ones are anything but root's group, and none for a user who is not active.
    pub fn supplementary(&self, user: &User<'a>) -> Result<impl Iterator<Item = u32> + use<'a>> {
        if !user.active && !user.local.is_empty() {
            return Err(Error::Corrupt("local groups of a user who is not active"));
        }
        for gid in Gids::of(user.groups) {
            let gid = gid?;
            let pinned = || self.group_by_gid(gid).map(|group| group.is_some_and(|group| group.pinned));
            if !check::floor(gid, false) && !pinned()? {
                return Err(Error::Corrupt("gid below the floor"));
            }
        }
        for gid in Gids::of(user.local) {
            if matches!(gid?, 0 | u32::MAX) {
                return Err(Error::Corrupt("root's group"));
            }
        }
        Ok(Gids::of(user.groups).chain(Gids::of(user.local)).flatten())
    }
}

impl<'a> User<'a> {
    fn read(uid: i64, row: Text<'a>) -> Result<Self> {
        let mut row = Record::new(row)?;
        row.rowid()?;
        let name = check::name(row.text()?)?;
        let gid = row.int()?;
        let pinned = row.bool()?;
        let uid = published(uid, pinned)?;
        if gid != i64::from(uid) {
            return Err(Error::Corrupt("gid is not the uid"));
        }
        let user = User {
            uid,
            name,
            active: row.bool()?,
            gecos: check::field(row.text()?)?,
            home: check::path(row.text()?)?,
            shell: check::path(row.text()?)?,
            lastchg: row.int()?,
            expire: row.int()?,
            groups: row.text()?,
            local: row.text()?,
        };
        if user.lastchg < 1 || if user.active { user.expire < -1 } else { user.expire != 1 } {
            return Err(Error::Corrupt("impossible dates"));
        }
        Ok(user)
    }
}

impl<'a> Group<'a> {
    fn read(gid: i64, row: Text<'a>) -> Result<Self> {
        let mut row = Record::new(row)?;
        row.rowid()?;
        let name = check::name(row.text()?)?;
        let pinned = row.bool()?;
        let gid = published(gid, pinned)?;
        let count = row.u32()? as usize;
        let text = row.text()?;
        // A name and a comma are two bytes at least; without this a count could ask for any buffer.
        if count > text.len().div_ceil(2) || (count == 0) != text.is_empty() {
            return Err(WRONG_COUNT);
        }
        Ok(Group { gid, name, members: Members { count, text }, pinned })
    }
}

impl Members<'_> {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many bytes [`Self::copy_to`] fills: each name and a NUL.
    #[must_use]
    pub fn size(&self) -> usize {
        if self.count == 0 { 0 } else { self.text.len() + 1 }
    }

    /// Copies the names, each with a NUL behind it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a name is not one of ours, if they are not `count`, or if `out` is not of `size`.
    pub fn copy_to(&self, out: &mut [u8]) -> Result<()> {
        if out.len() != self.size() {
            return Err(Error::Corrupt("no room for the members"));
        }
        let mut count = 0;
        let mut check = check::Name::default();
        // The NUL behind the last name comes where the next comma would be.
        let bytes = self.text.bytes().chain((self.count > 0).then_some(b','));
        for (byte, place) in bytes.zip(out) {
            *place = byte;
            if byte == b',' {
                *place = 0;
                if !core::mem::take(&mut check).end() {
                    return Err(Error::Corrupt("impossible name"));
                }
                count += 1;
            } else if !check.push(byte) {
                return Err(Error::Corrupt("impossible name"));
            }
        }
        if count == self.count { Ok(()) } else { Err(WRONG_COUNT) }
    }
}

const INDEX_DIFFERS: Error = Error::Corrupt("an index differs from its table");
const WRONG_COUNT: Error = Error::Corrupt("wrong count of members");

fn published(id: i64, pinned: bool) -> Result<u32> {
    match u32::try_from(id) {
        Ok(id) if check::floor(id, pinned) => Ok(id),
        _ => Err(Error::Corrupt("id below the floor")),
    }
}

/// Numbers with one space between them.
struct Gids<'a> {
    chunks: core::iter::Copied<core::iter::Flatten<Chunks<'a>>>,
    more: bool,
}

impl<'a> Gids<'a> {
    fn of(text: Text<'a>) -> Self {
        Gids { chunks: text.chunks().flatten().copied(), more: !text.is_empty() }
    }

    fn number(&mut self) -> Option<u32> {
        let mut number: Option<u32> = None;
        self.more = false;
        for byte in self.chunks.by_ref() {
            if byte == b' ' {
                self.more = true;
                break;
            }
            let digit = char::from(byte).to_digit(10)?;
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
        }
        number
    }
}

impl Iterator for Gids<'_> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        self.more.then(|| self.number().ok_or(Error::Corrupt("impossible list of gids")))
    }
}
