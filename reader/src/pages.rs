//! The file's header, its pages, and byte runs that go on in overflow pages.
//!
//! Everything above this file sees bytes through [`Text`], which cannot leave the database.
#![forbid(unsafe_code)]

use core::cmp::Ordering;

use crate::{Error, MAJOR, Result};

/// The header is the first 100 bytes of the file, and of page 1. The pages below begin behind it, so that a mark in
/// the header may change under a reader.
const HEADER: usize = 100;

/// Set in `user_version` of a file that has been replaced. Its content is as good as it was.
const RETIRED: u32 = 1 << 31;

/// The pages of a database whose header was checked.
#[derive(Clone, Copy)]
pub(crate) struct Pages<'a> {
    /// The file from byte 100 to the end of the last page.
    body: &'a [u8],
    size: usize,
    /// Of a page, without the reserved bytes at its end.
    usable: usize,
}

impl<'a> Pages<'a> {
    /// Checks the header: see "The Database Header" of the file format, and the cache's own rules in `schema.sql`.
    pub(crate) fn open(file: &'a [u8], application: u32) -> Result<Self> {
        let Some((header, body)) = file.split_first_chunk::<HEADER>() else {
            return Err(Error::Corrupt("shorter than a header"));
        };
        if !header.starts_with(b"SQLite format 3\0") {
            return Err(Error::Foreign("not an SQLite database"));
        }
        if be32(header, 68)? != application {
            return Err(Error::Foreign("not this application's database"));
        }
        if (be32(header, 60)? & !RETIRED) / 100 != MAJOR {
            return Err(Error::Foreign("of another major version"));
        }
        // Write version 3 keeps SQLite itself from writing; read version 2 would be WAL, whose pages are elsewhere.
        if be16(header, 18)? != 0x0301 {
            return Err(Error::Foreign("not a published snapshot"));
        }
        if be32(header, 56)? != 1 {
            return Err(Error::Foreign("not in UTF-8"));
        }
        let size = match be16(header, 16)? {
            1 => 65536,
            size => usize::from(size),
        };
        let [_, reserved] = be16(header, 19)?.to_be_bytes();
        let usable = size.saturating_sub(usize::from(reserved));
        if size < 512 || !size.is_power_of_two() || usable < 480 {
            return Err(Error::Corrupt("impossible page size"));
        }
        // The page count in the header is valid if it was written with the last change.
        let in_file = file.len() / size;
        let count = match be32(header, 28)? as usize {
            count if count > 0 && be32(header, 24)? == be32(header, 92)? => count,
            _ => in_file,
        };
        if file.len() & (size - 1) != 0 || count > in_file {
            return Err(Error::Corrupt("truncated"));
        }
        let end = count.saturating_mul(size).saturating_sub(HEADER);
        match body.get(..end) {
            Some(body) => Ok(Pages { body, size, usable }),
            None => Err(Error::Corrupt("truncated")),
        }
    }

    /// The usable bytes of page `number`, and how many of its first bytes are missing: the header's, of page 1.
    pub(crate) fn page(&self, number: u32) -> Result<(&'a [u8], usize)> {
        let skip = if number == 1 { HEADER } else { 0 };
        match self.slice(number, skip) {
            Some(page) => Ok((page, skip)),
            None => Err(Error::Corrupt("page outside of the file")),
        }
    }

    fn slice(&self, number: u32, skip: usize) -> Option<&'a [u8]> {
        let start = (number.checked_sub(1)? as usize).checked_mul(self.size)?;
        self.body.get(start.checked_add(skip)?.checked_sub(HEADER)?..)?.get(..self.usable.checked_sub(skip)?)
    }

    /// What a cell says of its payload: how many bytes it has, of which `local` stand in the cell itself.
    /// "B-tree Cell Payload Overflow Pages" of the file format.
    pub(crate) fn payload(&self, cell: Text<'a>, size: u64, table: bool) -> Result<Text<'a>> {
        let len = match usize::try_from(size) {
            Ok(len) if len <= self.body.len() => len,
            _ => return Err(Error::Corrupt("payload larger than the file")),
        };
        // `usable` is 480 to 65536, so nothing here overflows or goes below zero.
        let portion = |fraction: usize| (self.usable - 12) * fraction / 255 - 23;
        let max = if table { self.usable - 35 } else { portion(64) };
        let local = if len <= max {
            len
        } else {
            let min = portion(32);
            let rest = len.saturating_sub(min).checked_rem(self.usable - 4).unwrap_or(0);
            if min + rest <= max { min + rest } else { min }
        };
        let Some((chunk, rest)) = cell.chunk.split_at_checked(local) else {
            return Err(Error::Corrupt("cell outside of its page"));
        };
        let next = if local < len { be32(rest, 0)? } else { 0 };
        Ok(Text { pages: *self, chunk, next, len })
    }

    /// Bytes that lie in one page.
    pub(crate) fn local(&self, chunk: &'a [u8]) -> Text<'a> {
        Text { pages: *self, chunk, next: 0, len: chunk.len() }
    }
}

/// A run of bytes: a value of a row, or what is left of a cell. Long ones are spread over pages, hence the chunks.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pages: Pages<'a>,
    /// The first bytes, at most `len`.
    chunk: &'a [u8],
    /// The overflow page that holds the bytes behind `chunk`, while `len` is more.
    next: u32,
    len: usize,
}

impl<'a> Text<'a> {
    /// In bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, piece by piece. A chain of pages that ends too early ends it too; of a row's values the chain was
    /// walked before, so that this cannot happen.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks(*self)
    }

    /// One by one.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.chunks().flatten().copied()
    }

    /// Copies all of it to the beginning of `out`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if `out` is shorter than `len`; `out` then holds some of the bytes.
    pub fn copy_to(&self, out: &mut [u8]) -> Result<()> {
        let mut rest = out;
        let mut copied = 0;
        for chunk in self.chunks() {
            let Some((now, later)) = rest.split_at_mut_checked(chunk.len()) else {
                return Err(Error::Corrupt("no room for a value"));
            };
            now.copy_from_slice(chunk);
            copied += chunk.len();
            rest = later;
        }
        if copied == self.len { Ok(()) } else { Err(BROKEN_CHAIN) }
    }

    /// SQLite's BINARY collation: as `memcmp(3)` orders, and a prefix before what it begins.
    #[must_use]
    pub fn compare(&self, other: &[u8]) -> Ordering {
        let mut rest = other;
        for chunk in self.chunks() {
            let (now, later) = rest.split_at_checked(chunk.len()).unwrap_or((rest, &[]));
            match chunk.cmp(now) {
                Ordering::Equal => rest = later,
                unequal => return unequal,
            }
        }
        if rest.is_empty() { Ordering::Equal } else { Ordering::Less }
    }

    /// Takes the first `count` bytes off, having walked all the pages that they lie in.
    pub(crate) fn take(&mut self, count: usize) -> Result<Text<'a>> {
        let Some(rest) = self.len.checked_sub(count) else {
            return Err(Error::Corrupt("value longer than its row"));
        };
        let mut taken = *self;
        taken.len = count;
        taken.chunk = taken.chunk.get(..count).unwrap_or(taken.chunk);
        let mut to_skip = count;
        // At most `len` bytes of payload are walked, which is at most the file's size: a circle ends.
        loop {
            match self.chunk.get(to_skip..) {
                Some(chunk) => {
                    self.chunk = chunk;
                    self.len = rest;
                    return Ok(taken);
                }
                None => to_skip -= self.chunk.len(),
            }
            self.len -= self.chunk.len();
            self.turn()?;
        }
    }

    /// The first byte, taken off.
    pub(crate) fn byte(&mut self) -> Result<u8> {
        let byte = self.take(1)?;
        byte.bytes().next().ok_or(BROKEN_CHAIN)
    }

    /// A varint, taken off: big-endian groups of seven bits, but for a ninth byte, which has eight.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for _ in 0..8 {
            let byte = self.byte()?;
            value = value << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Ok(value << 8 | u64::from(self.byte()?))
    }

    /// Goes to the next overflow page. `len` must already be what is left.
    fn turn(&mut self) -> Result<()> {
        let (page, skipped) = self.pages.page(self.next)?;
        let Some((next, content)) = page.split_first_chunk::<4>().filter(|_| skipped == 0) else {
            return Err(BROKEN_CHAIN);
        };
        self.next = u32::from_be_bytes(*next);
        self.chunk = content.get(..self.len).unwrap_or(content);
        Ok(())
    }
}

/// See [`Text::chunks`].
#[derive(Clone)]
pub struct Chunks<'a>(Text<'a>);

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.chunk.is_empty() {
            if self.0.len == 0 {
                return None;
            }
            self.0.turn().ok()?;
        }
        let chunk = self.0.chunk;
        self.0.len = self.0.len.checked_sub(chunk.len())?;
        self.0.chunk = &[];
        Some(chunk)
    }
}

const BROKEN_CHAIN: Error = Error::Corrupt("broken chain of overflow pages");
const SHORT: Error = Error::Corrupt("number outside of its page");

/// A big-endian number at a place.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map(|bytes| u16::from_be_bytes(*bytes)).ok_or(SHORT)
}

/// A big-endian number at a place.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(SHORT)
}
