//! The log of `blklogwrites`, and what a disk can hold after a cut. Its format is that of Linux's dm-log-writes
//! (drivers/md/dm-log-writes.c): a sector with the magic, then for each entry a sector with its place and kind, and its data.

use std::fs;
use std::ops::Range;
use std::path::Path;

use super::Image;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// Every write and flush, in the order in which the device completed them.
#[derive(Debug)]
pub struct Log {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    made: Image,
}

#[derive(Debug)]
struct Entry {
    offset: u64,
    flags: u64,
    data: Range<usize>,
    /// Bytes that it empties.
    discards: u64,
    /// Where it ends in the log.
    end: u64,
}

/// What the disk holds after a power cut.
#[derive(Debug)]
pub struct Cut {
    /// Which one, for messages.
    pub name: String,
    /// Everything that was completed before this point in the log had been flushed, or may be lost.
    pub at: u64,
    pub(super) image: Image,
}

/// What a power cut leaves of what was written and not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Everything,
    /// Each write or not, by a coin.
    Some,
}

impl Log {
    pub(super) fn read(file: &Path, made: Image) -> Self {
        let bytes = fs::read(file).unwrap();
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!(number(0), MAGIC, "not a log");
        let sector = u32::from_le_bytes(bytes[24..28].try_into().unwrap()) as usize;
        let (mut entries, mut at) = (Vec::new(), sector);
        // The count in its header is not always up to date.
        while at + sector <= bytes.len() {
            let (offset, sectors, flags) = (number(at) * sector as u64, number(at + 8), number(at + 16));
            let length = sectors * sector as u64;
            let start = at + sector;
            let held = if flags & DISCARD == 0 { usize::try_from(length).unwrap() } else { 0 };
            at = start + held;
            if at > bytes.len() {
                break;
            }
            let discards = if flags & DISCARD == 0 { 0 } else { length };
            entries.push(Entry { offset, flags, data: start..at, discards, end: at as u64 });
        }
        Self { bytes, entries, made }
    }

    /// `count` cuts between two points in the log, evenly spread, and one at its end with nothing left of what was not
    /// flushed. The same seed gives the same cuts.
    #[must_use]
    pub fn cuts(&self, within: Range<u64>, count: usize, seed: u64) -> Vec<Cut> {
        let mut coin = Coin(seed);
        let first = self.entries.partition_point(|entry| entry.end <= within.start);
        let last = self.entries.partition_point(|entry| entry.end <= within.end);
        let all = last - first;
        // One at random in each of `count` equal parts.
        let mut wanted: Vec<usize> = (0..count.min(all))
            .map(|part| {
                let (from, to) = (part * all / count.min(all), (part + 1) * all / count.min(all));
                first + from + coin.below(to - from)
            })
            .collect();
        wanted.push(last);
        let mut cuts = Vec::new();
        let (mut stable, mut pending) = (self.made.clone(), Vec::new());
        for number in 0..=last {
            if wanted.contains(&number) {
                let left = match coin.below(4) {
                    _ if number == last => Left::Nothing,
                    0 => Left::Nothing,
                    1 => Left::Everything,
                    _ => Left::Some,
                };
                cuts.push(self.cut(number, &stable, &pending, left, &mut coin));
            }
            let Some(entry) = self.entries.get(number) else { break };
            if entry.flags & FLUSH != 0 {
                pending.drain(..).for_each(|entry| self.put(&mut stable, entry));
            }
            if entry.flags & FUA != 0 {
                self.put(&mut stable, entry);
            } else if !entry.data.is_empty() || entry.discards > 0 {
                pending.push(entry);
            }
        }
        cuts
    }

    /// Before entry `number`.
    fn cut(&self, number: usize, stable: &Image, pending: &[&Entry], left: Left, coin: &mut Coin) -> Cut {
        let mut image = stable.clone();
        let kept: Vec<_> = pending
            .iter()
            .filter(|_| match left {
                Left::Nothing => false,
                Left::Everything => true,
                Left::Some => coin.below(2) == 0,
            })
            .collect();
        kept.iter().for_each(|entry| self.put(&mut image, entry));
        let name = format!(
            "before entry {number} of {}, {} of {} writes left",
            self.entries.len(),
            kept.len(),
            pending.len()
        );
        let at =
            number.checked_sub(1).and_then(|before| self.entries.get(before)).map_or(0, |entry| entry.end);
        Cut { name, at, image }
    }

    fn put(&self, image: &mut Image, entry: &Entry) {
        if entry.discards > 0 {
            image.put(entry.offset, &vec![0; usize::try_from(entry.discards).unwrap()]);
        } else {
            image.put(entry.offset, &self.bytes[entry.data.clone()]);
        }
    }
}

/// Marsaglia's xorshift64*: repeatable, and good enough to choose.
#[derive(Debug)]
struct Coin(u64);

impl Coin {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        usize::try_from(drawn).unwrap() % limit.max(1)
    }
}
