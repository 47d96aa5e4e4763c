//! The system that the module runs on, and the cache that is kept open.
#![forbid(unsafe_code)]

use core::ffi::CStr;

use reader::{Id, Result, Snapshot};

use crate::retention::{File, Kept, System};
use crate::slots::{Slot, Slots};
use crate::sync::{AtomicU32, AtomicU64, UnsafeCell};

const CACHE: &CStr = c"/var/lib/nss-iam/cache.db";

/// The maximum number of files that are open at the same time: the current one, those that threads still read while
/// they are replaced, and those that a fork has left counted.
const FILES: usize = 8;

pub(crate) static KEPT: Kept<Here, FILES> = Kept {
    system: Here,
    slots: Slots {
        current: AtomicU64::new(0),
        slots: [const {
            Slot { state: AtomicU32::new(0), value: UnsafeCell::new(core::mem::MaybeUninit::uninit()) }
        }; FILES],
    },
    absent: AtomicU64::new(0),
};

pub(crate) struct Here;

impl System for Here {
    type File = Snapshot;

    fn now(&self) -> u64 {
        reader::now()
    }

    fn open(&self) -> Result<Snapshot> {
        Snapshot::open(CACHE)
    }

    fn at_path(&self) -> Result<Id> {
        reader::at(CACHE)
    }

    fn root(&self) -> Option<Id> {
        reader::root()
    }
}

impl File for Snapshot {
    type Id = Id;

    fn id(&self) -> Id {
        self.id()
    }

    fn retired(&self) -> bool {
        self.retired()
    }

    fn recheck(&self) -> Result<()> {
        self.recheck()
    }
}
