//! Runs of bytes: values of rows, which continue in overflow pages if one page is too small.
#![forbid(unsafe_code)]

use core::cmp::Ordering;

use crate::numbers::{SHORT, signed, varint};
use crate::pages::Pages;
use crate::{Error, Result};

/// A run of bytes: a value of a row, or the rest of one. Long runs are spread over pages, hence the chunks.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    pages: &'a Pages<'a>,
    /// The first bytes, at most `len`.
    chunk: &'a [u8],
    /// The overflow page with the bytes after `chunk`, if `len` is larger.
    next: u32,
    len: u32,
}

impl<'a> Text<'a> {
    /// Bytes that lie in one page.
    #[inline]
    pub(crate) fn of(pages: &'a Pages<'a>, chunk: &'a [u8]) -> Self {
        Text { pages, chunk, next: 0, len: chunk.len() as u32 }
    }

    /// A cell's payload of `size` bytes, of which the cell may contain only the beginning.
    pub(crate) fn payload(pages: &'a Pages<'a>, cell: &'a [u8], size: u64, table: bool) -> Result<Self> {
        match pages.local(cell, size, table) {
            Some(chunk) => Ok(Text::of(pages, chunk)),
            None => {
                let (chunk, next, len) = pages.spilled(cell, size, table)?;
                Ok(Text { pages, chunk, next, len })
            }
        }
    }

    /// In bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no bytes.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn pages(&self) -> &'a Pages<'a> {
        self.pages
    }

    /// The whole run, if it lies in one page.
    #[inline]
    pub(crate) fn local(&self) -> Option<&'a [u8]> {
        (self.chunk.len() == self.len()).then_some(self.chunk)
    }

    /// The bytes in pieces. If a chain of pages ends too early, so does the iterator; for the values of a row
    /// this cannot happen, because the chain was followed before.
    #[must_use]
    #[inline]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks(*self)
    }

    /// The bytes one by one.
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
        if copied == self.len() { Ok(()) } else { Err(BROKEN_CHAIN) }
    }

    /// SQLite's BINARY collation: like `memcmp(3)`, and a prefix comes before a longer text.
    #[must_use]
    #[inline]
    pub fn compare(&self, other: &[u8]) -> Ordering {
        self.local().map_or_else(|| self.compare_chunks(other), |all| all.cmp(other))
    }

    #[cold]
    fn compare_chunks(&self, other: &[u8]) -> Ordering {
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

    /// Goes to the next overflow page. `len` must already be the remaining length.
    fn turn(&mut self) -> Result<()> {
        let (page, skipped) = self.pages.page(self.next)?;
        let Some((next, content)) = page.split_first_chunk::<4>().filter(|_| skipped == 0) else {
            return Err(BROKEN_CHAIN);
        };
        self.next = u32::from_be_bytes(*next);
        self.chunk = content.get(..self.len()).unwrap_or(content);
        Ok(())
    }
}

/// See [`Text::chunks`].
#[derive(Debug, Clone)]
pub struct Chunks<'a>(Text<'a>);

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.chunk.is_empty() {
            if self.0.len == 0 {
                return None;
            }
            self.0.turn().ok()?;
        }
        let chunk = self.0.chunk;
        // A chunk is never longer than the remaining length.
        self.0.len = self.0.len.wrapping_sub(chunk.len() as u32);
        self.0.chunk = &[];
        Some(chunk)
    }
}

/// The source of a row's values: a [`Text`], or plain bytes if the row lies in one page, as nearly every row does.
pub(crate) trait Bytes<'a>: Copy {
    fn count(&self) -> usize;
    /// Removes the first `count` bytes, after following all the pages that contain them.
    fn take(&mut self, count: usize) -> Result<Self>;
    /// Removes a varint: big-endian groups of seven bits, with the top bit set in all bytes but the last; a
    /// ninth byte has eight bits.
    fn varint(&mut self) -> Result<u64>;
    /// Removes a signed big-endian number of 1 to 8 bytes.
    fn number(&mut self, bytes: usize) -> Result<i64>;
    fn pieces(self) -> impl Iterator<Item = &'a [u8]>;
    fn text(self, pages: &'a Pages<'a>) -> Text<'a>;
}

impl<'a> Bytes<'a> for &'a [u8] {
    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> Result<Self> {
        let (taken, rest) = self.split_at_checked(count).ok_or(TOO_LONG)?;
        *self = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64> {
        let (value, rest) = varint(self).ok_or(SHORT)?;
        *self = rest;
        Ok(value)
    }

    #[inline(always)]
    fn number(&mut self, bytes: usize) -> Result<i64> {
        let number = self.take(bytes)?;
        let known = match bytes {
            1 => number.first_chunk().map(|bytes| i64::from(i8::from_be_bytes(*bytes))),
            2 => number.first_chunk().map(|bytes| i64::from(i16::from_be_bytes(*bytes))),
            4 => number.first_chunk().map(|bytes| i64::from(i32::from_be_bytes(*bytes))),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| signed(number)))
    }

    #[inline(always)]
    fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        core::iter::once(self)
    }

    #[inline(always)]
    fn text(self, pages: &'a Pages<'a>) -> Text<'a> {
        Text::of(pages, self)
    }
}

impl<'a> Bytes<'a> for Text<'a> {
    fn count(&self) -> usize {
        self.len()
    }

    fn take(&mut self, count: usize) -> Result<Self> {
        let len = u32::try_from(count).ok().filter(|len| *len <= self.len).ok_or(TOO_LONG)?;
        let chunk = self.chunk.get(..count).unwrap_or(self.chunk);
        let taken = Text { chunk, len, ..*self };
        let rest = self.len - len;
        let mut to_skip = count;
        // At most `len` bytes of payload are followed, which is at most the file's size, so a cycle ends.
        loop {
            match self.chunk.get(to_skip..) {
                Some(chunk) => {
                    self.chunk = chunk;
                    self.len = rest;
                    return Ok(taken);
                }
                None => to_skip -= self.chunk.len(),
            }
            self.len -= self.chunk.len() as u32;
            self.turn()?;
        }
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for at in 0..9 {
            let byte = self.take(1)?.chunks().next().and_then(<[u8]>::first);
            let byte = *byte.ok_or(BROKEN_CHAIN)?;
            if at == 8 {
                value = value << 8 | u64::from(byte);
                break;
            }
            value = value << 7 | u64::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    fn number(&mut self, bytes: usize) -> Result<i64> {
        let mut number = [0; 8];
        let number = number.get_mut(..bytes).ok_or(TOO_LONG)?;
        self.take(bytes)?.copy_to(number)?;
        Ok(signed(number))
    }

    fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        self.chunks()
    }

    fn text(self, _: &'a Pages<'a>) -> Text<'a> {
        self
    }
}

const BROKEN_CHAIN: Error = Error::Corrupt("broken chain of overflow pages");
const TOO_LONG: Error = Error::Corrupt("value longer than its row");
