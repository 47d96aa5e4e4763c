//! Numbers as SQLite writes them, and what a row is read from.
#![forbid(unsafe_code)]

use crate::pages::Pages;
use crate::text::Text;
use crate::{Error, Result};

/// What a row is read from: a [`Text`], or the plain bytes of one that lies in one page, as nearly every row does.
pub(crate) trait Bytes<'a>: Copy {
    fn count(&self) -> usize;
    /// Takes the first `count` bytes off, having walked all the pages that they lie in.
    fn take(&mut self, count: usize) -> Result<Self>;
    /// A varint, taken off: big-endian groups of seven bits, each but the last with the top bit set; a ninth byte has
    /// eight.
    fn varint(&mut self) -> Result<u64>;
    /// A big-endian number with a sign, of 1 to 8 bytes, taken off.
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
        pages.text(self)
    }
}

#[inline(never)]
pub(crate) fn signed(number: &[u8]) -> i64 {
    let negative = number.first().is_some_and(|first| first & 0x80 != 0);
    number.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

/// A varint at the beginning of some bytes, mostly a small one, and what is behind it.
#[inline(always)]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 { Some((u64::from(*first), rest)) } else { long_varint(bytes) }
}

#[inline(never)]
fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    any_varint(bytes)
}

/// The same of any size.
#[inline(always)]
pub(crate) fn any_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // An id that was computed has five bytes.
    if let Some(([a, b, c, d, e], rest)) = bytes.split_first_chunk()
        && a & b & c & d & !e & 0x80 != 0
    {
        let high = [a, b, c, d].into_iter().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
        return Some((high << 7 | u64::from(*e), rest));
    }
    let (mut value, mut rest) = (0, bytes);
    for _ in 0..8 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        value = value << 7 | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Some((value, rest));
        }
    }
    let (byte, rest) = rest.split_first()?;
    Some((value << 8 | u64::from(*byte), rest))
}

/// A big-endian number at a place.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map(|bytes| u16::from_be_bytes(*bytes)).ok_or(SHORT)
}

/// A big-endian number at a place.
#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(SHORT)
}

pub(crate) const TOO_LONG: Error = Error::Corrupt("value longer than its row");
const SHORT: Error = Error::Corrupt("number outside of its page");
