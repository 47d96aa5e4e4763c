//! The entries of `cache.db`: a row of `passwd` as a user, a row of `grp` as a group.
//!
//! A row that breaks a rule is `Corrupt`: the writer checks more than this does.
#![forbid(unsafe_code)]

use crate::check;
use crate::pages::Pages;
use crate::record::Record;
use crate::text::{Bytes, Text};
use crate::tree::{Found, Place};
use crate::{Error, Result};

/// A user: `passwd(5)`, `shadow(5)` and the supplementary groups. The primary group's gid is the uid.
#[derive(Debug, Clone, Copy)]
pub struct User<'a> {
    /// Never below the floor.
    pub uid: u32,
    /// At most [`crate::NAME_MAX`] bytes.
    pub name: Text<'a>,
    /// Whether the user may log in. If not, the user is found by uid only.
    pub active: bool,
    /// Printable ASCII.
    pub gecos: Text<'a>,
    /// An absolute path.
    pub home: Text<'a>,
    /// An absolute path.
    pub shell: Text<'a>,
    /// Where an enumeration continues.
    pub place: Place,
    /// The columns of the [`Tail`].
    rest: Record<'a, Text<'a>>,
}

/// The last columns of a user. Only `shadow(5)` and initgroups(3) need them, so they are read only there.
pub(crate) struct Tail<'a> {
    pub dates: Dates,
    pub groups: Text<'a>,
    pub local: Text<'a>,
}

/// The dates of `shadow(5)`, in days since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Dates {
    /// More than 0.
    pub lastchg: i64,
    /// -1: none. 1 for every inactive user.
    pub expire: i64,
}

/// A group: `group(5)`.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Never below the floor.
    pub gid: u32,
    /// At most [`crate::NAME_MAX`] bytes.
    pub name: Text<'a>,
    /// Login names.
    pub members: Members<'a>,
    /// Where an enumeration continues, if this is from one.
    pub place: Place,
    pub(crate) pinned: bool,
}

/// The members of a group.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    count: usize,
    text: Text<'a>,
}

// An entry is built in place in the caller: moving it would take as long as reading it.
impl<'a> User<'a> {
    #[inline(never)]
    pub(crate) fn read(pages: &'a Pages<'a>, found: &Found<'a>) -> Result<Self> {
        match found.local() {
            Some(row) => Self::decode(pages, found, row),
            None => Self::decode_spilled(pages, found),
        }
    }

    #[cold]
    #[inline(never)]
    fn decode_spilled(pages: &'a Pages<'a>, found: &Found<'a>) -> Result<Self> {
        Self::decode(pages, found, found.row()?)
    }

    #[inline(always)]
    fn decode(pages: &'a Pages<'a>, found: &Found<'a>, row: impl Bytes<'a>) -> Result<Self> {
        let mut row = Record::new(row)?;
        row.rowid()?;
        let name = check::name(row.text()?)?;
        let gid = row.int()?;
        let pinned = row.bool()?;
        let uid = published(found.rowid, pinned)?;
        if gid != i64::from(uid) {
            return Err(Error::Corrupt("gid is not the uid"));
        }
        let active = row.bool()?;
        let gecos = check::field(row.text()?)?;
        let home = check::path(row.text()?)?;
        let shell = check::path(row.text()?)?;
        Ok(User {
            uid,
            name: name.text(pages),
            active,
            gecos: gecos.text(pages),
            home: home.text(pages),
            shell: shell.text(pages),
            place: found.place,
            rest: row.text_in(pages),
        })
    }

    /// The dates when the account was created and when it expires.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn dates(&self) -> Result<Dates> {
        self.tail().map(|tail| tail.dates)
    }

    pub(crate) fn tail(&self) -> Result<Tail<'a>> {
        let pages = self.rest.pages();
        match self.rest.local() {
            Some(row) => Tail::decode(pages, self.active, row),
            None => Tail::decode_spilled(pages, self.active, self.rest),
        }
    }
}

impl<'a> Tail<'a> {
    #[cold]
    #[inline(never)]
    fn decode_spilled(pages: &'a Pages<'a>, active: bool, row: Record<'a, Text<'a>>) -> Result<Self> {
        Self::decode(pages, active, row)
    }

    #[inline(always)]
    fn decode<B: Bytes<'a>>(pages: &'a Pages<'a>, active: bool, mut row: Record<'a, B>) -> Result<Self> {
        let (lastchg, expire) = (row.int()?, row.int()?);
        if lastchg < 1 || if active { expire < -1 } else { expire != 1 } {
            return Err(Error::Corrupt("impossible dates"));
        }
        let (groups, local) = (row.text()?, row.text()?);
        Ok(Tail { dates: Dates { lastchg, expire }, groups: groups.text(pages), local: local.text(pages) })
    }
}

impl<'a> Group<'a> {
    /// The private group of a user without a row for it. It gives nobody a supplementary group, so it is not
    /// pinned.
    pub(crate) fn private(pages: &'a Pages<'a>, user: &User<'a>) -> Self {
        let members = Members { count: 0, text: Text::of(pages, &[]) };
        Group { gid: user.uid, name: user.name, members, place: user.place, pinned: false }
    }

    #[inline(never)]
    pub(crate) fn read(pages: &'a Pages<'a>, found: &Found<'a>) -> Result<Self> {
        match found.local() {
            Some(row) => Self::decode(pages, found, row),
            None => Self::decode_spilled(pages, found),
        }
    }

    #[cold]
    #[inline(never)]
    fn decode_spilled(pages: &'a Pages<'a>, found: &Found<'a>) -> Result<Self> {
        Self::decode(pages, found, found.row()?)
    }

    #[inline(always)]
    fn decode(pages: &'a Pages<'a>, found: &Found<'a>, row: impl Bytes<'a>) -> Result<Self> {
        let mut row = Record::new(row)?;
        row.rowid()?;
        let name = check::name(row.text()?)?;
        let pinned = row.bool()?;
        let gid = published(found.rowid, pinned)?;
        let count = row.u32()? as usize;
        let text = row.text()?;
        // A name and a comma take at least two bytes; without this check, a count could request any buffer
        // size.
        if count > text.count().div_ceil(2) || (count == 0) != (text.count() == 0) {
            return Err(WRONG_COUNT);
        }
        let members = Members { count, text: text.text(pages) };
        Ok(Group { gid, name: name.text(pages), members, place: found.place, pinned })
    }
}

impl Members<'_> {
    /// The number of members.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of bytes that [`Self::copy_to`] fills: each name and a NUL.
    #[must_use]
    pub fn size(&self) -> usize {
        if self.count == 0 { 0 } else { self.text.len() + 1 }
    }

    /// Copies the names, each followed by a NUL, and reports where each begins.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a name is invalid, if their number is not `count`, or if `out` does not have the
    /// length `size`.
    pub fn copy_to(&self, out: &mut [u8], begins: impl FnMut(usize)) -> Result<()> {
        if out.len() != self.size() {
            return Err(Error::Corrupt("no room for the members"));
        }
        let Some((last, text)) = out.split_last_mut() else {
            return Ok(());
        };
        self.text.copy_to(text)?;
        // The NUL after the last name is where the next comma would be.
        *last = b',';
        if check::split_names(out, begins)? == self.count { Ok(()) } else { Err(WRONG_COUNT) }
    }
}

pub(crate) const BELOW_FLOOR: Error = Error::Corrupt("id below the floor");
const WRONG_COUNT: Error = Error::Corrupt("wrong count of members");

fn published(id: i64, pinned: bool) -> Result<u32> {
    match u32::try_from(id) {
        Ok(id) if check::floor(id, pinned) => Ok(id),
        _ => Err(BELOW_FLOOR),
    }
}
