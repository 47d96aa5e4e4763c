//! The content of a small disk, of which most is empty.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

const BLOCK: usize = 4096;

/// The blocks that are not empty, by their number. A copy shares them.
#[derive(Debug, Clone, Default)]
pub struct Image(BTreeMap<u64, Rc<[u8]>>);

impl Image {
    pub(super) fn read(file: &Path) -> Self {
        let mut image = Self::default();
        image.put(0, &fs::read(file).unwrap());
        image
    }

    /// Writes a sparse file.
    pub(super) fn write(&self, path: &Path, size: u64) {
        let file = File::create(path).unwrap();
        file.set_len(size).unwrap();
        for (number, block) in &self.0 {
            file.write_all_at(block, number * BLOCK as u64).unwrap();
        }
    }

    /// Replaces what is at this offset, in bytes.
    pub(super) fn put(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (number, start) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - start));
            let mut block = self.0.remove(&number).map_or_else(|| vec![0; BLOCK], |block| block.to_vec());
            block[start..start + now.len()].copy_from_slice(now);
            if block.iter().any(|byte| *byte != 0) {
                self.0.insert(number, block.into());
            }
            offset += now.len() as u64;
            bytes = later;
        }
    }
}
