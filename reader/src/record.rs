//! One row: the record format of SQLite ("Record Format"), read column by column from the left.
#![forbid(unsafe_code)]

use crate::pages::Text;
use crate::{Error, Result};

/// A row whose first columns may have been taken off. Columns behind those that a reader knows are left alone: a
/// later minor version adds some.
pub(crate) struct Record<'a> {
    /// Serial types of the columns to come.
    types: Text<'a>,
    /// Their values.
    values: Text<'a>,
}

enum Value<'a> {
    Null,
    Int(i64),
    Text(Text<'a>),
    Other,
}

impl<'a> Record<'a> {
    pub(crate) fn new(payload: Text<'a>) -> Result<Self> {
        let mut types = payload;
        let size = types.varint()?;
        let own = payload.len() - types.len();
        let Some(size) = usize::try_from(size).ok().and_then(|size| size.checked_sub(own)) else {
            return Err(Error::Corrupt("impossible record header"));
        };
        let mut values = types;
        let types = values.take(size)?;
        Ok(Record { types, values })
    }

    /// The INTEGER PRIMARY KEY column, whose value is the rowid and not here.
    pub(crate) fn rowid(&mut self) -> Result<()> {
        match self.next()? {
            Value::Null => Ok(()),
            _ => Err(Error::Corrupt("a rowid column with a value")),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        match self.next()? {
            Value::Int(value) => Ok(value),
            _ => Err(Error::Corrupt("not an integer")),
        }
    }

    /// An integer that is an id or a count.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        u32::try_from(self.int()?).map_err(|_| Error::Corrupt("integer out of range"))
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        match self.int()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Corrupt("neither 0 nor 1")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<Text<'a>> {
        match self.next()? {
            Value::Text(value) => Ok(value),
            _ => Err(Error::Corrupt("not text")),
        }
    }

    fn next(&mut self) -> Result<Value<'a>> {
        if self.types.is_empty() {
            return Err(Error::Corrupt("too few columns"));
        }
        let kind = self.types.varint()?;
        let bytes = match kind {
            0 => return Ok(Value::Null),
            1..=4 => kind as usize,
            5 => 6,
            6 => 8,
            7 => return self.values.take(8).map(|_| Value::Other),
            8 => return Ok(Value::Int(0)),
            9 => return Ok(Value::Int(1)),
            10 | 11 => return Err(Error::Corrupt("reserved column type")),
            _ => {
                let len = usize::try_from((kind - 12) / 2)
                    .map_err(|_| Error::Corrupt("value longer than its row"))?;
                let value = self.values.take(len)?;
                return Ok(if kind & 1 == 1 { Value::Text(value) } else { Value::Other });
            }
        };
        let number = self.values.take(bytes)?;
        let negative = number.bytes().next().is_some_and(|first| first & 0x80 != 0);
        let sign = if negative { -1 } else { 0 };
        Ok(Value::Int(number.bytes().fold(sign, |value, byte| value << 8 | i64::from(byte))))
    }
}
