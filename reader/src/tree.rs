//! Searches in SQLite's B-trees ("B-tree Pages"): tables by rowid, indexes by their first column, a text.
//!
//! Every loop ends: a way down has at most [`MAX_DEPTH`] pages, a search in a page halves, rowids must increase.
#![forbid(unsafe_code)]

use core::cmp::Ordering;

use crate::pages::{Pages, Text, be16, be32};
use crate::record::Record;
use crate::{Error, Result};

/// SQLite's own limit (`BTCURSOR_MAX_DEPTH`).
const MAX_DEPTH: usize = 20;

/// Tables and indexes of a cache file; there are four, later versions may add some.
const MAX_SCHEMA: usize = 64;

const TOO_DEEP: Error = Error::Corrupt("tree too deep");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Index,
}

/// One page of a tree.
struct Node<'a> {
    pages: Pages<'a>,
    bytes: &'a [u8],
    /// Offsets in the page count from here before `bytes`: the file's header precedes page 1.
    skipped: usize,
    /// How many cells.
    len: usize,
    /// The right-most child; none in a leaf.
    right: Option<u32>,
}

impl<'a> Node<'a> {
    fn read(pages: Pages<'a>, number: u32, kind: Kind) -> Result<Self> {
        let (bytes, skipped) = pages.page(number)?;
        let leaf = match (bytes.first(), kind) {
            (Some(0x0d), Kind::Table) | (Some(0x0a), Kind::Index) => true,
            (Some(0x05), Kind::Table) | (Some(0x02), Kind::Index) => false,
            _ => return Err(Error::Corrupt("not a page of this kind of tree")),
        };
        let len = usize::from(be16(bytes, 3)?);
        let right = if leaf { None } else { Some(be32(bytes, 8)?) };
        Ok(Node { pages, bytes, skipped, len, right })
    }

    /// A cell from its beginning to the end of the page, behind the pointer to its left child if it has one.
    fn cell(&self, at: usize) -> Result<(Option<u32>, Text<'a>)> {
        let pointers = if self.right.is_some() { 12 } else { 8 };
        let offset = usize::from(be16(self.bytes, pointers + 2 * at)?);
        let Some(cell) = offset.checked_sub(self.skipped).and_then(|offset| self.bytes.get(offset..)) else {
            return Err(Error::Corrupt("cell outside of its page"));
        };
        match cell.split_first_chunk::<4>() {
            Some((child, cell)) if self.right.is_some() => {
                Ok((Some(u32::from_be_bytes(*child)), self.pages.local(cell)))
            }
            _ => Ok((None, self.pages.local(cell))),
        }
    }

    /// The child left of the cell, or the right-most one behind the last.
    fn child(&self, at: usize) -> Result<Option<u32>> {
        if at < self.len { self.cell(at).map(|(child, _)| child) } else { Ok(self.right) }
    }

    /// A table's cell: its rowid, and in a leaf the row.
    fn row(&self, at: usize) -> Result<(i64, Text<'a>)> {
        let (_, mut cell) = self.cell(at)?;
        let size = if self.right.is_some() { 0 } else { cell.varint()? };
        let rowid = cell.varint()?.cast_signed();
        Ok((rowid, self.pages.payload(cell, size, true)?))
    }

    /// An index's cell: the indexed text, and the columns behind it, of which the last is the rowid.
    fn key(&self, at: usize) -> Result<(Text<'a>, Record<'a>)> {
        let (_, mut cell) = self.cell(at)?;
        let size = cell.varint()?;
        let mut record = Record::new(self.pages.payload(cell, size, false)?)?;
        Ok((record.text()?, record))
    }

    /// The first cell that is not before what is searched.
    fn first(&self, mut before: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle)? { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

/// The row with the smallest rowid that is `least` or more.
pub(crate) fn row_from<'a>(pages: Pages<'a>, root: u32, least: i64) -> Result<Option<(i64, Text<'a>)>> {
    let mut page = root;
    // The lowest page passed that has all that follows the page searched.
    let mut beside = None;
    for _ in 0..2 * MAX_DEPTH {
        let node = Node::read(pages, page, Kind::Table)?;
        let at = node.first(|at| Ok(node.row(at)?.0 < least))?;
        if let Some(child) = node.child(at)? {
            page = child;
            if at < node.len {
                beside = node.child(at + 1)?;
            }
        } else if at < node.len {
            return node.row(at).map(Some);
        } else if let Some(next) = beside.take() {
            page = next;
        } else {
            return Ok(None);
        }
    }
    Err(TOO_DEEP)
}

/// The row with exactly this rowid.
pub(crate) fn row<'a>(pages: Pages<'a>, root: u32, rowid: i64) -> Result<Option<Text<'a>>> {
    let found = row_from(pages, root, rowid)?;
    Ok(found.filter(|(found, _)| *found == rowid).map(|(_, row)| row))
}

/// The rowid that an index has for `key`.
pub(crate) fn rowid_of(pages: Pages<'_>, root: u32, key: &[u8]) -> Result<Option<i64>> {
    let mut page = root;
    for _ in 0..MAX_DEPTH {
        let node = Node::read(pages, page, Kind::Index)?;
        let at = node.first(|at| Ok(node.key(at)?.0.compare(key) == Ordering::Less))?;
        if at < node.len {
            let (text, mut columns) = node.key(at)?;
            if text.compare(key) == Ordering::Equal {
                return columns.int().map(Some);
            }
        }
        match node.child(at)? {
            Some(child) => page = child,
            None => return Ok(None),
        }
    }
    Err(TOO_DEEP)
}

/// The root pages of tables or indexes, which share one space of names, by the schema table, which begins at page 1.
pub(crate) fn roots<const N: usize>(pages: Pages<'_>, names: [&str; N]) -> Result<[u32; N]> {
    let mut roots = [0; N];
    let mut least = i64::MIN;
    for _ in 0..MAX_SCHEMA {
        let Some((rowid, row)) = row_from(pages, 1, least)? else {
            break;
        };
        // type, name, tbl_name, rootpage, sql
        let mut record = Record::new(row)?;
        let (_, name, _, root) = (record.text()?, record.text()?, record.text()?, record.u32()?);
        for (wanted, found) in names.iter().zip(&mut roots) {
            if name.compare(wanted.as_bytes()) == Ordering::Equal {
                *found = root;
            }
        }
        least = rowid.saturating_add(1);
    }
    if roots.contains(&0) { Err(Error::Corrupt("a table or index is missing")) } else { Ok(roots) }
}
