//! What a row must be before it is an answer, whoever wrote the file. The writer validates the same and more; this is
//! the floor that is compiled into every reader.
#![forbid(unsafe_code)]

use crate::pages::Text;
use crate::{Error, Result};

/// The longest login or group name in bytes: 32, and `-<uid>` behind it where a disabled user had to give up the name.
pub const NAME_MAX: usize = 43;

/// The first id that may belong to us at all; below are root and the system's own.
pub const LEAST: u32 = 1000;

/// The ids that are computed from IAM's.
const COMPUTED: core::ops::RangeInclusive<u32> = 0x7000_0000..=0x7ffd_ffff;

/// Whether an id may be published: a computed one, or one that the administrator gave, which is none of those that
/// mean nobody (as 16 bits wide -1, too).
#[must_use]
pub fn floor(id: u32, pinned: bool) -> bool {
    COMPUTED.contains(&id) || pinned && id >= LEAST && !matches!(id, 65534 | 65535 | u32::MAX)
}

/// Whether a name can be one of ours. What cannot needs no look at the cache.
#[must_use]
pub fn name_is_ours(name: &[u8]) -> bool {
    let mut check = Name::default();
    name.iter().all(|byte| check.push(*byte)) && check.end()
}

/// Checks a name byte by byte.
#[derive(Default)]
pub(crate) struct Name {
    len: usize,
    /// Not a digit was seen: tools take a number for an id.
    word: bool,
}

impl Name {
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        self.len += 1;
        self.word |= !byte.is_ascii_digit();
        let anywhere = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        self.len <= NAME_MAX && (anywhere || self.len > 1 && matches!(byte, b'.' | b'@' | b'-'))
    }

    pub(crate) fn end(&self) -> bool {
        self.word
    }
}

/// The same for a value of a row.
pub(crate) fn name(text: Text<'_>) -> Result<Text<'_>> {
    let mut check = Name::default();
    if text.bytes().all(|byte| check.push(byte)) && check.end() {
        Ok(text)
    } else {
        Err(Error::Corrupt("impossible name"))
    }
}

/// A field of `passwd(5)`: printable ASCII without `:`.
pub(crate) fn field(text: Text<'_>) -> Result<Text<'_>> {
    all(text, |byte| printable(byte) && byte != b':')
}

/// A field that is an absolute path.
pub(crate) fn path(text: Text<'_>) -> Result<Text<'_>> {
    match text.bytes().next() {
        Some(b'/') => field(text),
        _ => Err(Error::Corrupt("not an absolute path")),
    }
}

/// One line of printable ASCII.
pub(crate) fn line(text: Text<'_>) -> Result<Text<'_>> {
    all(text, printable)
}

/// Lines of printable ASCII.
pub(crate) fn lines(text: Text<'_>) -> Result<Text<'_>> {
    all(text, |byte| printable(byte) || byte == b'\n')
}

fn printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn all(text: Text<'_>, good: impl Fn(u8) -> bool) -> Result<Text<'_>> {
    if text.bytes().all(good) { Ok(text) } else { Err(Error::Corrupt("impossible characters")) }
}
