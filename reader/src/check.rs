//! The rules for a row, whoever wrote the file. The writer checks these rules and more; these are compiled into
//! every reader.
#![forbid(unsafe_code)]

use crate::text::Bytes;
use crate::{Error, Result};

/// The maximum length of a login or group name, in bytes: 32, plus `-<uid>` if a disabled user had to give up the
/// name.
pub const NAME_MAX: usize = 43;

/// The first id that nss-iam can use; lower ids belong to root and the system.
pub const LEAST: u32 = 1000;

/// The computed ids.
const COMPUTED: core::ops::RangeInclusive<u32> = 0x7000_0000..=0x7ffd_ffff;

/// Whether an id may be published: a computed id, or one that the administrator assigned, except those that mean
/// nobody (including the 16-bit form of -1).
#[must_use]
pub fn floor(id: u32, pinned: bool) -> bool {
    COMPUTED.contains(&id) || pinned && id >= LEAST && !matches!(id, 65534 | 65535 | u32::MAX)
}

/// Classes of bytes, by what they may be part of.
mod class {
    /// A name.
    pub(super) const NAME: u8 = 1;
    /// The beginning of a name.
    pub(super) const BEGIN: u8 = 2;
    pub(super) const DIGIT: u8 = 4;
    /// A field of `passwd(5)`: printable ASCII without `:`.
    pub(super) const FIELD: u8 = 8;
    /// A line: printable ASCII.
    pub(super) const LINE: u8 = 16;
    /// Several lines.
    pub(super) const LINES: u8 = 32;

    /// The classes of each byte.
    pub(super) static OF: [u8; 256] = {
        let mut of = [0; 256];
        let mut rest: &mut [u8] = &mut of;
        let mut byte = 0u8;
        while let Some((place, behind)) = rest.split_first_mut() {
            *place = classes(byte);
            rest = behind;
            byte = byte.wrapping_add(1);
        }
        of
    };

    const fn classes(byte: u8) -> u8 {
        let begin = super::begins_names(byte);
        let line = matches!(byte, b' '..=b'~');
        (super::in_names(byte) as u8 * NAME)
            | (begin as u8 * BEGIN)
            | (byte.is_ascii_digit() as u8 * DIGIT)
            | ((line && byte != b':') as u8 * FIELD)
            | (line as u8 * LINE)
            | ((line || byte == b'\n') as u8 * LINES)
    }
}

fn classes(byte: u8) -> u8 {
    class::OF.get(usize::from(byte)).copied().unwrap_or(0)
}

/// The classes that all bytes have in common.
#[inline(always)]
fn common<'a>(bytes: impl Bytes<'a>) -> u8 {
    let mut common = u8::MAX;
    for piece in bytes.pieces() {
        for byte in piece {
            common &= classes(*byte);
        }
    }
    common
}

/// Without `&&` there are no branches, so many bytes are checked at once.
const fn in_names(byte: u8) -> bool {
    begins_names(byte) | (byte == b'.') | (byte == b'@') | (byte == b'-')
}

const fn begins_names(byte: u8) -> bool {
    byte.is_ascii_lowercase() | byte.is_ascii_digit() | (byte == b'_')
}

/// Whether a name can be one that nss-iam assigns. For other names, the cache need not be searched.
#[must_use]
pub fn name_is_ours(name: &[u8]) -> bool {
    is_name(name)
}

#[inline(always)]
fn is_name<'a>(name: impl Bytes<'a>) -> bool {
    let first = name.pieces().next().and_then(|piece| piece.first()).copied().unwrap_or(0);
    // Programs take a number as an id.
    name.count() <= NAME_MAX
        && classes(first) & class::BEGIN != 0
        && common(name) & (class::NAME | class::DIGIT) == class::NAME
}

/// The same check for a value of a row.
#[inline(always)]
pub(crate) fn name<'a, B: Bytes<'a>>(name: B) -> Result<B> {
    if is_name(name) { Ok(name) } else { Err(IMPOSSIBLE_NAME) }
}

/// Replaces the comma after each name by a NUL, and reports where each name begins. Returns the number of names.
pub(crate) fn split_names(names: &mut [u8], mut begins: impl FnMut(usize)) -> Result<usize> {
    let (mut start, mut count) = (0, 0);
    let mut at = 0;
    while let Some(rest) = names.get(at..).filter(|rest| !rest.is_empty()) {
        let block = rest.first_chunk().copied().unwrap_or_else(|| padded(rest));
        if !block.iter().fold(true, |good, byte| good & (in_names(*byte) | (*byte == b','))) {
            return Err(IMPOSSIBLE_NAME);
        }
        let mut commas = commas(&block);
        while commas != 0 {
            let end = at + commas.trailing_zeros() as usize;
            commas &= commas - 1;
            let good = match names.get(start) {
                Some(b'a'..=b'z' | b'_') => end - start <= NAME_MAX,
                // All digits, an invalid first character, or an empty name.
                _ => names.get(start..end).is_some_and(name_is_ours),
            };
            match names.get_mut(end) {
                Some(comma) if good => *comma = 0,
                _ => return Err(IMPOSSIBLE_NAME),
            }
            begins(start);
            start = end + 1;
            count += 1;
        }
        at += block.len();
    }
    Ok(count)
}

/// The last block, padded.
fn padded(bytes: &[u8]) -> [u8; 64] {
    let mut block = [b'_'; 64];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    block
}

/// A bit for each byte that is a comma; the lowest bit is the first byte.
#[inline(always)]
fn commas(block: &[u8; 64]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    let (eights, _) = block.as_chunks();
    eights.iter().rev().fold(0, |commas, eight| {
        let zero_for_comma = u64::from_le_bytes(*eight) ^ u64::from_ne_bytes([b','; 8]);
        // The top bit of each byte that is zero. No byte carries into the next: the sum of two numbers below
        // 0x80 has at most the top bit.
        let tops = !(((zero_for_comma & LOW) + LOW) | zero_for_comma | LOW);
        // Moves the bits 0, 8, .. 56 to 56, 57, .. 63.
        commas << 8 | (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

/// A field of `passwd(5)`.
#[inline(always)]
pub(crate) fn field<'a, B: Bytes<'a>>(bytes: B) -> Result<B> {
    let mut good = true;
    for piece in bytes.pieces() {
        good &= is_field(piece);
    }
    if good { Ok(bytes) } else { Err(IMPOSSIBLE) }
}

/// Checks eight bytes at a time; the last eight may overlap those before.
#[inline(always)]
fn is_field(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return common(bytes) & class::FIELD != 0;
    };
    let mut good = are_field(*last);
    for eight in bytes.as_chunks().0 {
        good &= are_field(*eight);
    }
    good
}

/// Applies the rule of `class::FIELD` to each byte.
#[inline(always)]
fn are_field(eight: [u8; 8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let bytes = u64::from_ne_bytes(eight);
    // Top bits. No byte carries into the next unless it has a top bit itself, and then the answer is no anyway.
    let bad = bytes
        | bytes.wrapping_add(each(1))
        | !(bytes.wrapping_add(each(0x80 - b' ')))
        | !((bytes ^ each(b':')).wrapping_add(each(0x7f)));
    bad & each(0x80) == 0
}

/// A field that is an absolute path.
#[inline(always)]
pub(crate) fn path<'a, B: Bytes<'a>>(bytes: B) -> Result<B> {
    match bytes.pieces().next().and_then(|piece| piece.first()) {
        Some(b'/') => field(bytes),
        _ => Err(Error::Corrupt("not an absolute path")),
    }
}

/// One line of printable ASCII.
pub(crate) fn line<'a, B: Bytes<'a>>(bytes: B) -> Result<B> {
    all(bytes, class::LINE)
}

/// Lines of printable ASCII.
pub(crate) fn lines<'a, B: Bytes<'a>>(bytes: B) -> Result<B> {
    all(bytes, class::LINES)
}

#[inline(always)]
fn all<'a, B: Bytes<'a>>(bytes: B, class: u8) -> Result<B> {
    if common(bytes) & class != 0 { Ok(bytes) } else { Err(IMPOSSIBLE) }
}

const IMPOSSIBLE: Error = Error::Corrupt("impossible characters");
const IMPOSSIBLE_NAME: Error = Error::Corrupt("impossible name");
