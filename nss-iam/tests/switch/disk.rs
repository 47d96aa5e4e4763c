//! A machine for `kept`, of loom's atomics: what the kernel and the publisher do.

use std::mem::MaybeUninit;
use std::sync::Arc;

use reader::Error;

use crate::kept::{self, File, Kept, System};
use crate::slots::{Slot, Slots};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, UnsafeCell};

/// Files that a test opens at most.
const FILES: usize = 8;
/// Slots, fewer than those that all threads together could use.
const SLOTS: usize = 2;

/// A file system with one path, and what became of each file that was opened.
struct Disk {
    path: AtomicU32,
    retired: [AtomicBool; 4],
    opened: AtomicU32,
    open: [AtomicBool; FILES],
}

#[derive(Clone)]
pub(crate) struct Machine(Arc<Disk>);

pub(crate) struct Opened {
    disk: Arc<Disk>,
    id: u32,
    handle: usize,
}

impl Opened {
    fn is_open(&self) -> bool {
        self.disk.open[self.handle].load(Ordering::Relaxed)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        assert!(self.disk.open[self.handle].swap(false, Ordering::Relaxed), "let go of twice");
    }
}

impl File for Opened {
    type Id = u32;

    fn id(&self) -> u32 {
        self.id
    }

    fn retired(&self) -> bool {
        assert!(self.is_open());
        self.disk.retired[self.id as usize].load(Ordering::Acquire)
    }
}

impl System for Machine {
    type File = Opened;

    fn now(&self) -> u64 {
        1_000_000
    }

    fn open(&self) -> reader::Result<Opened> {
        let id = self.0.path.load(Ordering::Acquire);
        if id == 0 {
            return Err(Error::System(libc::ENOENT));
        }
        let handle = self.0.opened.fetch_add(1, Ordering::Relaxed) as usize;
        self.0.open[handle].store(true, Ordering::Relaxed);
        Ok(Opened { disk: Arc::clone(&self.0), id, handle })
    }

    fn at_path(&self) -> reader::Result<u32> {
        Ok(self.0.path.load(Ordering::Acquire))
    }

    fn root(&self) -> Option<u32> {
        Some(0)
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        Machine(Arc::new(Disk {
            path: AtomicU32::new(1),
            retired: std::array::from_fn(|_| AtomicBool::new(false)),
            opened: AtomicU32::new(0),
            open: std::array::from_fn(|_| AtomicBool::new(false)),
        }))
    }

    /// A rename, and then the mark.
    pub(crate) fn publish(&self, id: u32) {
        let old = self.0.path.swap(id, Ordering::AcqRel);
        self.0.retired[old as usize].store(true, Ordering::Release);
    }

    pub(crate) fn open_files(&self) -> usize {
        self.0.open.iter().filter(|open| open.load(Ordering::Relaxed)).count()
    }
}

pub(crate) type Cache = Kept<Machine, SLOTS>;

pub(crate) fn cache(machine: &Machine) -> Arc<Cache> {
    let slot = || Slot {
        state: AtomicU32::new(0),
        value: UnsafeCell::new(MaybeUninit::<kept::Look<Opened>>::uninit()),
    };
    Arc::new(Kept {
        system: machine.clone(),
        slots: Slots { current: AtomicU64::new(0), slots: std::array::from_fn(|_| slot()) },
        missing: AtomicU64::new(0),
    })
}

/// One lookup: which file it was answered from.
pub(crate) fn ask(cache: &Cache) -> u32 {
    let held = cache.file().unwrap();
    let file = held.file();
    assert!(file.is_open(), "a file was let go of while it is read");
    let id = file.id;
    loom::thread::yield_now();
    assert!(file.is_open(), "a file was let go of while it is read");
    id
}
