//! A user's list of groups.
#![forbid(unsafe_code)]

use crate::text::{Chunks, Text};
use crate::{Error, Result};

/// Numbers separated by one space.
pub(crate) struct Gids<'a> {
    chunk: &'a [u8],
    later: Chunks<'a>,
    more: bool,
}

impl<'a> Gids<'a> {
    pub(crate) fn of(text: Text<'a>) -> Self {
        Gids { chunk: &[], later: text.chunks(), more: !text.is_empty() }
    }

    #[inline(always)]
    fn number(&mut self) -> Option<u32> {
        let (mut number, mut digits, mut chunk) = (0, 0, self.chunk);
        self.more = loop {
            let Some((byte, rest)) = chunk.split_first() else {
                match self.later.next() {
                    Some(next) => chunk = next,
                    None => break false,
                }
                continue;
            };
            chunk = rest;
            if *byte == b' ' {
                break true;
            }
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 || digits == 10 {
                return None;
            }
            number = number * 10 + u64::from(digit);
            digits += 1;
        };
        self.chunk = chunk;
        u32::try_from(number).ok().filter(|_| digits > 0)
    }
}

impl Iterator for Gids<'_> {
    type Item = Result<u32>;

    /// If there is an error, it is the last item.
    fn next(&mut self) -> Option<Result<u32>> {
        if !self.more {
            return None;
        }
        let number = self.number();
        self.more &= number.is_some();
        Some(number.ok_or(Error::Corrupt("impossible list of gids")))
    }
}
