//! One row in SQLite's record format ("Record Format"), read column by column from the left.
#![forbid(unsafe_code)]

use core::marker::PhantomData;

use crate::pages::Pages;
use crate::text::{Bytes, Text};
use crate::{Error, Result};

/// A row whose first columns may already have been read. Columns after those that a reader knows are ignored: a
/// later minor version may add some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a, B> {
    /// Serial types of the remaining columns.
    types: B,
    /// Their values.
    values: B,
    _from: PhantomData<&'a [u8]>,
}

impl<'a, B: Bytes<'a>> Record<'a, B> {
    #[inline(always)]
    pub(crate) fn new(payload: B) -> Result<Self> {
        let mut types = payload;
        let size = types.varint()?;
        let own = payload.count() - types.count();
        let Some(size) = usize::try_from(size).ok().and_then(|size| size.checked_sub(own)) else {
            return Err(Error::Corrupt("impossible record header"));
        };
        let mut values = types;
        let types = values.take(size)?;
        Ok(Record { types, values, _from: PhantomData })
    }

    /// The rest of the row, to be stored.
    #[inline(always)]
    pub(crate) fn text_in(self, pages: &'a Pages<'a>) -> Record<'a, Text<'a>> {
        Record { types: self.types.text(pages), values: self.values.text(pages), _from: PhantomData }
    }

    /// The INTEGER PRIMARY KEY column, whose value is the rowid and is not stored here.
    #[inline(always)]
    pub(crate) fn rowid(&mut self) -> Result<()> {
        match self.types.varint()? {
            0 => Ok(()),
            _ => Err(Error::Corrupt("a rowid column with a value")),
        }
    }

    /// Whether the row has no more columns: that of an earlier minor version.
    pub(crate) fn is_at_end(&self) -> bool {
        self.types.count() == 0
    }

    #[inline(always)]
    pub(crate) fn int(&mut self) -> Result<i64> {
        match self.types.varint()? {
            8 => Ok(0),
            9 => Ok(1),
            kind @ 1..=4 => self.values.number(kind as usize),
            5 => self.values.number(6),
            6 => self.values.number(8),
            _ => Err(Error::Corrupt("not an integer")),
        }
    }

    /// An integer that is an id or a count.
    #[inline(always)]
    pub(crate) fn u32(&mut self) -> Result<u32> {
        u32::try_from(self.int()?).map_err(|_| Error::Corrupt("integer out of range"))
    }

    #[inline(always)]
    pub(crate) fn bool(&mut self) -> Result<bool> {
        match self.types.varint()? {
            8 => Ok(false),
            9 => Ok(true),
            _ => Err(Error::Corrupt("neither 0 nor 1")),
        }
    }

    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<B> {
        match self.types.varint()? {
            kind if kind >= 13 && kind & 1 == 1 => {
                let len = usize::try_from((kind - 13) / 2);
                self.values.take(len.map_err(|_| Error::Corrupt("value longer than its row"))?)
            }
            _ => Err(Error::Corrupt("not text")),
        }
    }
}

impl<'a> Record<'a, Text<'a>> {
    pub(crate) fn pages(&self) -> &'a Pages<'a> {
        self.values.pages()
    }

    /// The same, if it lies in one page.
    #[inline(always)]
    pub(crate) fn local(&self) -> Option<Record<'a, &'a [u8]>> {
        Some(Record { types: self.types.local()?, values: self.values.local()?, _from: PhantomData })
    }
}
