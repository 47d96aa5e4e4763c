//! Searches in SQLite's B-trees ("B-tree Pages"): tables by rowid, indexes by their first column, a text.
//!
//! Every loop ends: a descent has at most [`MAX_DEPTH`] pages, a search in a page halves its range, and rowids must
//! increase.
#![forbid(unsafe_code)]

use core::cmp::Ordering;

use crate::numbers::{any_varint, be16, be32, varint};
use crate::pages::{OUTSIDE, Pages};
use crate::record::Record;
use crate::text::Text;
use crate::{Error, Result};

/// SQLite's own limit (`BTCURSOR_MAX_DEPTH`).
const MAX_DEPTH: usize = 20;

/// The maximum number of tables and indexes in a cache file; there are four, and later versions may add some.
const MAX_SCHEMA: usize = 64;

const TOO_DEEP: Error = Error::Corrupt("tree too deep");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Index,
}

/// The place of a row in a table, valid only for the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// A leaf.
    page: u32,
    /// The cell after the row.
    next: u16,
}

impl Place {
    /// The number of bits in a place: the pages of 512 bytes of the largest file that is mapped, and the cells
    /// of a page of 65536 bytes, where each cell and its pointer take at least six bytes.
    pub const BITS: u32 = 22 + Self::CELL;
    const CELL: u32 = 14;

    /// As one number.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.page) << Self::CELL | u64::from(self.next)
    }

    /// The place from [`Self::to_bits`]. Higher bits are ignored.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let low = |bits: u64, count: u32| bits & ((1 << count) - 1);
        let page = low(bits, Self::BITS) >> Self::CELL;
        Place { page: page as u32, next: low(bits, Self::CELL) as u16 }
    }
}

/// A row that was found.
pub(crate) struct Found<'a> {
    pub(crate) rowid: i64,
    pub(crate) place: Place,
    pages: &'a Pages<'a>,
    size: u64,
    /// From the row's beginning to the end of the page.
    cell: &'a [u8],
}

impl<'a> Found<'a> {
    /// The row, if it lies in one page.
    #[inline(always)]
    pub(crate) fn local(&self) -> Option<&'a [u8]> {
        self.pages.local(self.cell, self.size, true)
    }

    /// The row.
    pub(crate) fn row(&self) -> Result<Text<'a>> {
        Text::payload(self.pages, self.cell, self.size, true)
    }
}

/// One page of a tree.
struct Node<'a> {
    pages: &'a Pages<'a>,
    bytes: &'a [u8],
    /// The pointers to its cells.
    pointers: &'a [[u8; 2]],
    /// Offsets in the page count from this many bytes before `bytes`: the file's header precedes page 1.
    skipped: usize,
    /// The right-most child; none in a leaf.
    right: Option<u32>,
}

impl<'a> Node<'a> {
    #[inline]
    fn read(pages: &'a Pages<'a>, number: u32, kind: Kind) -> Result<Self> {
        let (bytes, skipped) = pages.page(number)?;
        let leaf = match (bytes.first(), kind) {
            (Some(0x0d), Kind::Table) | (Some(0x0a), Kind::Index) => true,
            (Some(0x05), Kind::Table) | (Some(0x02), Kind::Index) => false,
            _ => return Err(Error::Corrupt("not a page of this kind of tree")),
        };
        let len = usize::from(be16(bytes, 3)?);
        let (start, right) = if leaf { (8, None) } else { (12, Some(be32(bytes, 8)?)) };
        let pointers = bytes.get(start..).and_then(|bytes| bytes.get(..2 * len));
        let (pointers, _) = pointers.ok_or(Error::Corrupt("more cells than a page holds"))?.as_chunks();
        Ok(Node { pages, bytes, pointers, skipped, right })
    }

    /// A cell, from its beginning to the end of the page.
    #[inline]
    fn cell(&self, at: usize) -> Result<&'a [u8]> {
        let pointer = self.pointers.get(at).map(|pointer| usize::from(u16::from_be_bytes(*pointer)));
        match pointer.and_then(|pointer| self.bytes.get(pointer.checked_sub(self.skipped)?..)) {
            Some(cell) => Ok(cell),
            None => Err(Error::Corrupt("cell outside of its page")),
        }
    }

    /// A cell after the pointer to its left child, with which the cells of an interior page begin.
    #[inline]
    fn content(&self, at: usize) -> Result<&'a [u8]> {
        let cell = self.cell(at)?;
        if self.right.is_none() { Ok(cell) } else { Ok(cell.get(4..).unwrap_or(&[])) }
    }

    /// The child left of the cell, or the right-most child after the last cell.
    fn child(&self, at: usize) -> Result<Option<u32>> {
        if self.right.is_none() || at >= self.pointers.len() {
            return Ok(self.right);
        }
        be32(self.cell(at)?, 0).map(Some)
    }

    /// The rowid of a table's cell.
    #[inline(always)]
    fn rowid(&self, at: usize) -> Result<i64> {
        let mut cell = self.content(at)?;
        if self.right.is_none() {
            (_, cell) = varint(cell).ok_or(OUTSIDE)?;
        }
        Ok(any_varint(cell).ok_or(OUTSIDE)?.0.cast_signed())
    }

    /// A table leaf's cell.
    #[inline(always)]
    fn row(&self, page: u32, at: usize) -> Result<Found<'a>> {
        let (size, cell) = varint(self.content(at)?).ok_or(OUTSIDE)?;
        let (rowid, cell) = any_varint(cell).ok_or(OUTSIDE)?;
        // A page has at most 65536 bytes, and each cell pointer takes two of them.
        let next = u16::try_from(at + 1).unwrap_or(u16::MAX);
        let place = Place { page, next };
        Ok(Found { rowid: rowid.cast_signed(), place, pages: self.pages, size, cell })
    }

    /// Compares an index's cell with the value that is searched for.
    #[inline(always)]
    fn compare(&self, at: usize, key: &[u8]) -> Result<Ordering> {
        let (size, cell) = varint(self.content(at)?).ok_or(OUTSIDE)?;
        match self.pages.local(cell, size, false) {
            Some(row) => Ok(Record::new(row)?.text()?.cmp(key)),
            None => self.compare_spilled(cell, size, key),
        }
    }

    #[cold]
    #[inline(never)]
    fn compare_spilled(&self, cell: &[u8], size: u64, key: &[u8]) -> Result<Ordering> {
        Ok(Record::new(Text::payload(self.pages, cell, size, false)?)?.text()?.compare(key))
    }

    /// The rowid of an index's cell, which is its last column.
    fn indexed(&self, at: usize) -> Result<i64> {
        let (size, cell) = varint(self.content(at)?).ok_or(OUTSIDE)?;
        let mut columns = Record::new(Text::payload(self.pages, cell, size, false)?)?;
        columns.text()?;
        columns.int()
    }

    /// The first cell that is not before the searched value, and whether it is equal to it.
    #[inline(always)]
    fn search(&self, mut compare: impl FnMut(usize) -> Result<Ordering>) -> Result<(usize, bool)> {
        let (mut low, mut high) = (0, self.pointers.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match compare(middle)? {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok((middle, true)),
                Ordering::Greater => high = middle,
            }
        }
        Ok((low, false))
    }
}

/// The row with the smallest rowid that is at least `least`.
#[inline(never)]
pub(crate) fn row_from<'a>(pages: &'a Pages<'a>, root: u32, least: i64) -> Result<Option<Found<'a>>> {
    let mut page = root;
    // The lowest page on the path that contains everything after the searched page.
    let mut beside = None;
    for _ in 0..2 * MAX_DEPTH {
        let node = Node::read(pages, page, Kind::Table)?;
        let (at, _) = node.search(|at| Ok(node.rowid(at)?.cmp(&least)))?;
        if let Some(child) = node.child(at)? {
            page = child;
            if at < node.pointers.len() {
                beside = node.child(at + 1)?;
            }
        } else if at < node.pointers.len() {
            return node.row(page, at).map(Some);
        } else if let Some(next) = beside.take() {
            page = next;
        } else {
            return Ok(None);
        }
    }
    Err(TOO_DEEP)
}

/// The row after the one that was found at `place` in the same file, unless that was the last of its page. `last`
/// is the rowid of the row before.
#[inline(always)]
pub(crate) fn row_behind<'a>(pages: &'a Pages<'a>, place: Place, last: i64) -> Option<Found<'a>> {
    let node = Node::read(pages, place.page, Kind::Table).ok().filter(|node| node.right.is_none())?;
    node.row(place.page, usize::from(place.next)).ok().filter(|found| found.rowid > last)
}

/// The row with exactly this rowid.
pub(crate) fn row<'a>(pages: &'a Pages<'a>, root: u32, rowid: i64) -> Result<Option<Text<'a>>> {
    let found = row_from(pages, root, rowid)?;
    found.filter(|found| found.rowid == rowid).map(|found| found.row()).transpose()
}

/// The rowid that an index has for `key`.
#[inline(never)]
pub(crate) fn rowid_of<'a>(pages: &'a Pages<'a>, root: u32, key: &[u8]) -> Result<Option<i64>> {
    let mut page = root;
    for _ in 0..MAX_DEPTH {
        let node = Node::read(pages, page, Kind::Index)?;
        let (at, found) = node.search(|at| node.compare(at, key))?;
        if found {
            return node.indexed(at).map(Some);
        }
        match node.child(at)? {
            Some(child) => page = child,
            None => return Ok(None),
        }
    }
    Err(TOO_DEEP)
}

/// The root pages of tables or indexes, which share one set of names, from the schema table, which begins at page
/// 1.
#[inline(never)]
pub(crate) fn roots<const N: usize>(pages: &Pages<'_>, names: [&str; N]) -> Result<[u32; N]> {
    let mut roots = [0; N];
    let mut least = i64::MIN;
    for _ in 0..MAX_SCHEMA {
        let Some(found) = row_from(pages, 1, least)? else {
            break;
        };
        // type, name, tbl_name, rootpage, sql
        let mut record = Record::new(found.row()?)?;
        let (_, name, _, root) = (record.text()?, record.text()?, record.text()?, record.u32()?);
        for (wanted, place) in names.iter().zip(&mut roots) {
            if name.compare(wanted.as_bytes()) == Ordering::Equal {
                *place = root;
            }
        }
        least = found.rowid.saturating_add(1);
    }
    if roots.contains(&0) { Err(Error::Corrupt("a table or index is missing")) } else { Ok(roots) }
}
