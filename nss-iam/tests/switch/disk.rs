//! A machine for `retention`: the actions of the kernel and the publisher, with loom's atomics. The code that reads
//! a mapped file is that of `reader`.

use std::mem::MaybeUninit;
use std::sync::Arc;

use reader::Error;

use crate::header::{self, MARK};
use crate::retention::{self, File, Kept, System};
use crate::slots::{Slot, Slots};
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, UnsafeCell};

/// The maximum number of files that a test opens.
const FILES: usize = 8;
/// Slots: fewer than all threads together could use.
const SLOTS: usize = 2;

/// A file system with one path, and the state of each file that was opened.
struct Disk {
    path: AtomicU32,
    /// The byte of each file's header that has the mark. The rest of the byte is the file's number.
    headers: [[AtomicU8; 1]; 4],
    opened: AtomicU32,
    open: [AtomicBool; FILES],
    /// Not loom's: the clock and the count share nothing with the code under test.
    now: std::sync::atomic::AtomicU64,
    looks: std::sync::atomic::AtomicU32,
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
        let [byte] = &self.disk.headers[self.id as usize];
        header::is_marked(byte)
    }

    fn recheck(&self) -> reader::Result<()> {
        assert!(self.is_open());
        Ok(())
    }
}

impl System for Machine {
    type File = Opened;

    fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    fn open(&self) -> reader::Result<Opened> {
        let id = self.0.path.load(Ordering::Acquire);
        if id == 0 {
            return Err(Error::System(libc::ENOENT));
        }
        let handle = self.0.opened.fetch_add(1, Ordering::Relaxed) as usize;
        self.0.open[handle].store(true, Ordering::Relaxed);
        let [byte] = header::copy(&self.0.headers[id as usize]);
        assert_eq!(u32::from(byte & !MARK.1), id, "another header than that of the file");
        Ok(Opened { disk: Arc::clone(&self.0), id, handle })
    }

    fn at_path(&self) -> reader::Result<u32> {
        self.0.looks.fetch_add(1, Ordering::Relaxed);
        match self.0.path.load(Ordering::Acquire) {
            0 => Err(Error::System(libc::ENOENT)),
            id => Ok(id),
        }
    }

    fn root(&self) -> Option<u32> {
        Some(0)
    }
}

impl Machine {
    /// A machine with file 1.
    pub(crate) fn new() -> Self {
        Self::with(1)
    }

    /// A machine with this file; 0 for none.
    pub(crate) fn with(id: u32) -> Self {
        Machine(Arc::new(Disk {
            path: AtomicU32::new(id),
            headers: std::array::from_fn(|id| [AtomicU8::new(id as u8)]),
            opened: AtomicU32::new(0),
            open: std::array::from_fn(|_| AtomicBool::new(false)),
            now: 1_000_000.into(),
            looks: 0.into(),
        }))
    }

    /// A rename, and then the mark. The kernel guarantees that a thread that sees the mark also sees the
    /// rename: see `retire` in `cache/src/publish.rs`.
    pub(crate) fn publish(&self, id: u32) {
        let old = self.rename(id);
        let [byte] = &self.0.headers[old as usize];
        byte.fetch_or(MARK.1, Ordering::Release);
    }

    /// Returns the file that was at the path.
    pub(crate) fn rename(&self, id: u32) -> u32 {
        self.0.path.swap(id, Ordering::AcqRel)
    }

    pub(crate) fn later(&self, milliseconds: u64) {
        self.0.now.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// How often the path was checked.
    pub(crate) fn looks(&self) -> u32 {
        self.0.looks.load(Ordering::Relaxed)
    }

    pub(crate) fn open_files(&self) -> usize {
        self.0.open.iter().filter(|open| open.load(Ordering::Relaxed)).count()
    }
}

pub(crate) type Cache = Kept<Machine, SLOTS>;

pub(crate) fn cache(machine: &Machine) -> Arc<Cache> {
    let slot = || Slot {
        state: AtomicU32::new(0),
        value: UnsafeCell::new(MaybeUninit::<retention::Look<Opened>>::uninit()),
    };
    Arc::new(Kept {
        system: machine.clone(),
        slots: Slots { current: AtomicU64::new(0), slots: std::array::from_fn(|_| slot()) },
        absent: AtomicU64::new(0),
    })
}

/// One lookup: the file that answered it.
pub(crate) fn ask(cache: &Cache) -> u32 {
    let held = cache.file().unwrap();
    let file = held.file();
    assert!(file.is_open(), "a file was closed while it is read");
    let id = file.id;
    loom::thread::yield_now();
    assert!(file.is_open(), "a file was closed while it is read");
    id
}
