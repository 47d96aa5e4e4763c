//! The switch from one file to the next under a model checker, which runs every interleaving of a few threads, with
//! every value that the memory orders allow a load to give: nobody reads a file that was let go of, nothing leaks, and
//! nobody waits (a wait would be a run without an end, which loom reports).
//!
//! The two files under test are those of the module, with loom's types in the place of `sync.rs`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "not all of the two files is called from here")]

#[path = "../src/kept.rs"]
mod kept;
#[path = "../src/slots.rs"]
mod slots;

/// As `src/sync.rs`.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
}

use std::mem::MaybeUninit;
use std::sync::Arc;

use kept::{File, Kept, System};

use loom::thread;
use reader::Error;
use slots::{Slot, Slots};
use sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, UnsafeCell};

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
struct Machine(Arc<Disk>);

struct Opened {
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
    fn new() -> Self {
        Machine(Arc::new(Disk {
            path: AtomicU32::new(1),
            retired: std::array::from_fn(|_| AtomicBool::new(false)),
            opened: AtomicU32::new(0),
            open: std::array::from_fn(|_| AtomicBool::new(false)),
        }))
    }

    /// A rename, and then the mark.
    fn publish(&self, id: u32) {
        let old = self.0.path.swap(id, Ordering::AcqRel);
        self.0.retired[old as usize].store(true, Ordering::Release);
    }

    fn open_files(&self) -> usize {
        self.0.open.iter().filter(|open| open.load(Ordering::Relaxed)).count()
    }
}

type Cache = Kept<Machine, SLOTS>;

fn cache(machine: &Machine) -> Arc<Cache> {
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
fn ask(cache: &Cache) -> u32 {
    let held = cache.file().unwrap();
    let file = held.file();
    assert!(file.is_open(), "a file was let go of while it is read");
    let id = file.id;
    loom::thread::yield_now();
    assert!(file.is_open(), "a file was let go of while it is read");
    id
}

fn explore(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}

/// What is left when all threads are done: the file at the path, and no other.
fn settled(machine: &Machine, cache: &Cache, id: u32) {
    assert_eq!(ask(cache), id);
    assert_eq!(machine.open_files(), 1);
}

#[test]
fn threads_that_read_while_the_file_is_replaced_read_an_open_file() {
    explore(4, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        assert_eq!(ask(&cache), 1);
        let reader = thread::spawn({
            let cache = Arc::clone(&cache);
            move || {
                let first = ask(&cache);
                let second = ask(&cache);
                assert!([1, 2].contains(&first) && [1, 2].contains(&second));
            }
        });
        machine.publish(2);
        assert_eq!(ask(&cache), 2, "a file that is published is seen by whoever knows of it");
        reader.join().unwrap();
        settled(&machine, &cache, 2);
    });
}

#[test]
fn two_readers_and_a_publisher_leave_one_file_open() {
    explore(2, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        assert_eq!(ask(&cache), 1);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let cache = Arc::clone(&cache);
                thread::spawn(move || ask(&cache))
            })
            .collect();
        machine.publish(2);
        for reader in readers {
            assert!([1, 2].contains(&reader.join().unwrap()));
        }
        settled(&machine, &cache, 2);
    });
}

#[test]
fn the_first_lookups_of_three_threads_at_once_open_a_file_each_and_keep_one() {
    explore(2, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let cache = Arc::clone(&cache);
                thread::spawn(move || assert_eq!(ask(&cache), 1))
            })
            .collect();
        assert_eq!(ask(&cache), 1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        settled(&machine, &cache, 1);
    });
}

/// The second publication can meet a thread that still installs what it opened before the first.
#[test]
fn two_publications_in_a_row_never_bring_an_older_file_back() {
    explore(3, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        assert_eq!(ask(&cache), 1);
        let reader = thread::spawn({
            let cache = Arc::clone(&cache);
            move || assert!((1..=3).contains(&ask(&cache)))
        });
        machine.publish(2);
        assert_eq!(ask(&cache), 2);
        machine.publish(3);
        assert_eq!(ask(&cache), 3);
        reader.join().unwrap();
        settled(&machine, &cache, 3);
    });
}

/// Makes `value` the current one. False if all slots are taken.
fn put<const N: usize>(slots: &Slots<[u32; 2], N>, value: u32) -> bool {
    slots.put([value; 2], version(slots)).is_ok()
}

fn version<const N: usize>(slots: &Slots<[u32; 2], N>) -> slots::Version {
    slots.current().map_or_else(|version| version, |used| used.version)
}

fn slots<const N: usize>() -> Arc<Slots<[u32; 2], N>> {
    let slot = || Slot { state: AtomicU32::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) };
    Arc::new(Slots { current: AtomicU64::new(0), slots: std::array::from_fn(|_| slot()) })
}

/// A reader that has seen which slot is the current one, and comes to it when it has been emptied and filled again.
#[test]
fn a_slot_that_is_used_again_shows_its_new_value() {
    explore(5, || {
        let slots = slots::<2>();
        assert!(put(&slots, 1));
        let reader = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                if let Ok(used) = slots.current() {
                    assert_eq!(used[0], used[1]);
                }
            }
        });
        // The second finds no slot if the reader has come to the one that is free.
        let _ = put(&slots, 2) && put(&slots, 3);
        reader.join().unwrap();
    });
}

/// The slot that it was to replace is the current one again by then, with something else in it.
#[test]
fn what_was_opened_before_others_were_published_does_not_become_the_current_one() {
    explore(5, || {
        let slots = slots::<4>();
        assert!(put(&slots, 1));
        let late = thread::spawn({
            let (slots, stale) = (Arc::clone(&slots), version(&slots));
            move || slots.put([10; 2], stale).map(|used| used.version.count()).ok()
        });
        let second = slots.put([2; 2], version(&slots)).map(|used| used.version.count()).ok();
        assert!(put(&slots, 3));
        let late = late.join().unwrap();
        assert_eq!(slots.current().map(|used| used[0]).ok(), Some(3));
        assert_ne!(late, second, "a walk of one would go on in the other");
    });
}

/// fork(2) in the middle of other threads' lookups: their counts stay, for ever. Nobody waits for them.
#[test]
fn counts_that_no_thread_will_take_back_cost_a_slot_and_nothing_else() {
    explore(3, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        std::mem::forget(cache.file().unwrap());
        machine.publish(2);
        std::mem::forget(cache.file().unwrap());
        machine.publish(3);
        let other = thread::spawn({
            let cache = Arc::clone(&cache);
            move || assert_eq!(ask(&cache), 3)
        });
        assert_eq!(ask(&cache), 3);
        other.join().unwrap();
        assert_eq!(machine.open_files(), 2, "the two that are lost");
    });
}
