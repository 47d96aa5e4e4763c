//! The file's header and its pages.
//!
//! All other code sees the bytes through [`Text`], which cannot leave the database. Nearly every run of bytes lies
//! in one page: this case is short and comes first everywhere, and the other case is separate.
#![forbid(unsafe_code)]

use crate::header::{HEADER, MARK};
use crate::numbers::{be16, be32};
use crate::readable::Tried;
use crate::{Error, MAJOR, Result};

/// The pages of a database whose header was checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages<'a> {
    /// The file from byte 100 to the end of the last page.
    body: &'a [u8],
    sizes: Sizes,
    /// Of a mapped file: the pages that can be read.
    tried: Option<&'a Tried>,
}

/// The facts in the header about the pages and their rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// The minor version.
    minor: u32,
    page: usize,
    /// Of a page, without the reserved bytes at its end.
    usable: usize,
    /// The end of the last page, counted from byte 100.
    end: usize,
    /// The maximum number of bytes of an index's row in its cell.
    index_local: usize,
}

impl<'a> Pages<'a> {
    /// Checks the header: see "The Database Header" of the file format, and the cache's own rules in `schema.sql`.
    pub(crate) fn open(
        header: &[u8; HEADER],
        body: &'a [u8],
        tried: Option<&'a Tried>,
        application: u32,
    ) -> Result<Self> {
        if !header.starts_with(b"SQLite format 3\0") {
            return Err(Error::Foreign("not an SQLite database"));
        }
        if be32(header, 68)? != application {
            return Err(Error::Foreign("not this application's database"));
        }
        let version = be32(header, MARK.0)? & !(u32::from(MARK.1) << 24);
        if version / 100 != MAJOR {
            return Err(Error::Foreign("of another major version"));
        }
        // Write version 3 keeps SQLite itself from writing; read version 2 would mean WAL, which stores
        // pages elsewhere.
        if be16(header, 18)? != 0x0301 {
            return Err(Error::Foreign("not a published snapshot"));
        }
        if be32(header, 56)? != 1 {
            return Err(Error::Foreign("not in UTF-8"));
        }
        let page = match be16(header, 16)? {
            1 => 65536,
            size => usize::from(size),
        };
        let [_, reserved] = be16(header, 19)?.to_be_bytes();
        let usable = page.saturating_sub(usize::from(reserved));
        if page < 512 || !page.is_power_of_two() || usable < 480 {
            return Err(Error::Corrupt("impossible page size"));
        }
        // The page count in the header is valid if it was written with the last change.
        let len = HEADER + body.len();
        let in_file = len / page;
        let count = match be32(header, 28)? as usize {
            count if count > 0 && be32(header, 24)? == be32(header, 92)? => count,
            _ => in_file,
        };
        if len & (page - 1) != 0 || count > in_file {
            return Err(Error::Corrupt("truncated"));
        }
        let end = count.saturating_mul(page).saturating_sub(HEADER);
        let index_local = portion(usable, 64);
        Ok(Self::again(body, tried, Sizes { page, usable, end, index_local, minor: version % 100 }))
    }

    /// The same pages again: `sizes` is the result of [`Self::sizes`] for this `body`.
    pub(crate) fn again(body: &'a [u8], tried: Option<&'a Tried>, sizes: Sizes) -> Self {
        Pages { body: body.get(..sizes.end).unwrap_or(&[]), sizes, tried }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.sizes
    }

    #[inline]
    pub(crate) fn minor(&self) -> u32 {
        self.sizes.minor
    }

    /// The usable bytes of page `number`, and how many of its first bytes are missing (those of the header, in
    /// page 1).
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such page; [`Error::System`] if the page of a mapped file cannot be read.
    #[inline]
    pub(crate) fn page(&self, number: u32) -> Result<(&'a [u8], usize)> {
        let skip = if number == 1 { HEADER } else { 0 };
        let page = self.slice(number, skip).ok_or(Error::Corrupt("page outside of the file"))?;
        if let Some(tried) = self.tried {
            tried.check(number, page)?;
        }
        Ok((page, skip))
    }

    #[inline]
    fn slice(&self, number: u32, skip: usize) -> Option<&'a [u8]> {
        let start = (number.checked_sub(1)? as usize).checked_mul(self.sizes.page)?;
        let len = self.sizes.usable.checked_sub(skip)?;
        self.body.get(start.checked_add(skip)?.checked_sub(HEADER)?..)?.get(..len)
    }

    /// The payload of `size` bytes in a cell; `cell` begins after the cell's numbers and ends at the end of the
    /// page.
    #[inline]
    pub(crate) fn local<'p>(&self, cell: &'p [u8], size: u64, table: bool) -> Option<&'p [u8]> {
        let len = usize::try_from(size).ok().filter(|len| *len <= self.most_local(table))?;
        cell.get(..len)
    }

    #[inline]
    fn most_local(&self, table: bool) -> usize {
        if table { self.sizes.usable - 35 } else { self.sizes.index_local }
    }

    /// For a payload that continues elsewhere: its beginning, the next page, and the total length ("B-tree Cell
    /// Payload Overflow Pages").
    #[cold]
    #[inline(never)]
    pub(crate) fn spilled<'p>(&self, cell: &'p [u8], size: u64, table: bool) -> Result<(&'p [u8], u32, u32)> {
        let max = self.most_local(table);
        let len = match (usize::try_from(size), u32::try_from(size)) {
            (Ok(size), _) if size <= max => return Err(OUTSIDE),
            (Ok(size), Ok(len)) if size <= self.body.len() => len,
            _ => return Err(Error::Corrupt("payload larger than the file")),
        };
        let min = portion(self.sizes.usable, 32);
        let rest = (len as usize).saturating_sub(min).checked_rem(self.sizes.usable - 4).unwrap_or(0);
        let local = if min + rest <= max { min + rest } else { min };
        let (chunk, rest) = cell.split_at_checked(local).ok_or(OUTSIDE)?;
        Ok((chunk, be32(rest, 0)?, len))
    }
}

/// `usable` is 480 to 65536, so nothing here overflows or goes below zero.
fn portion(usable: usize, fraction: usize) -> usize {
    (usable - 12) * fraction / 255 - 23
}

pub(crate) const OUTSIDE: Error = Error::Corrupt("cell outside of its page");
