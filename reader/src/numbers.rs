//! Numbers in SQLite's encoding.
#![forbid(unsafe_code)]

use crate::{Error, Result};

#[inline(never)]
pub(crate) fn signed(number: &[u8]) -> i64 {
    let negative = number.first().is_some_and(|first| first & 0x80 != 0);
    number.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

/// A varint at the beginning of some bytes, usually a small one, and the bytes after it.
#[inline(always)]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 { Some((u64::from(*first), rest)) } else { long_varint(bytes) }
}

#[inline(never)]
fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    any_varint(bytes)
}

/// The same for any size.
#[inline(always)]
pub(crate) fn any_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // A computed id has five bytes.
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

pub(crate) const SHORT: Error = Error::Corrupt("number outside of its page");
