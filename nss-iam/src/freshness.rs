//! Tests of `retention`: every rule of freshness, on a machine where the test controls clock, file system and
//! publisher.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use reader::{Error, Result};

use crate::retention::{File, HIDDEN, Held, Kept, SECOND, System};
use crate::slots::{Slot, Slots};
use crate::sync::{AtomicU32, AtomicU64, UnsafeCell};

const GONE: Error = Error::System(libc::ENOENT);
const UNREADABLE: Error = Error::System(libc::EIO);
const FOREIGN: Error = Error::Foreign("not ours");

#[derive(Default)]
struct Fake {
    now: Cell<u64>,
    root: Cell<u32>,
    path: RefCell<Option<Result<Inode>>>,
    looks: Cell<u32>,
    opens: Cell<u32>,
    open_files: Rc<Cell<i32>>,
}

#[derive(Clone)]
struct Inode {
    id: u32,
    retired: Rc<Cell<bool>>,
    unreadable: Rc<Cell<bool>>,
}

struct Opened {
    inode: Inode,
    open_files: Rc<Cell<i32>>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open_files.set(self.open_files.get() - 1);
    }
}

impl File for Opened {
    type Id = u32;

    fn id(&self) -> u32 {
        self.inode.id
    }

    fn retired(&self) -> bool {
        assert!(!self.inode.unreadable.get(), "SIGBUS");
        self.inode.retired.get()
    }

    fn recheck(&self) -> Result<()> {
        if self.inode.unreadable.get() { Err(UNREADABLE) } else { Ok(()) }
    }
}

impl Fake {
    fn inode(&self) -> Result<Inode> {
        self.path.borrow().clone().unwrap_or(Err(GONE))
    }
}

impl System for Fake {
    type File = Opened;

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn open(&self) -> Result<Opened> {
        self.opens.set(self.opens.get() + 1);
        let inode = self.inode()?;
        if inode.unreadable.get() {
            return Err(UNREADABLE);
        }
        self.open_files.set(self.open_files.get() + 1);
        Ok(Opened { inode, open_files: Rc::clone(&self.open_files) })
    }

    fn at_path(&self) -> Result<u32> {
        self.looks.set(self.looks.get() + 1);
        self.inode().map(|inode| inode.id)
    }

    fn root(&self) -> Option<u32> {
        Some(self.root.get())
    }
}

type World = Kept<Fake, 2>;

/// A machine with file 1 at the path.
fn world() -> World {
    let slot = || Slot { state: AtomicU32::new(0), value: UnsafeCell::new(std::mem::MaybeUninit::uninit()) };
    let world = Kept {
        system: Fake::default(),
        slots: Slots { current: AtomicU64::new(0), slots: [slot(), slot()] },
        absent: AtomicU64::new(0),
    };
    world.later(1_000_000);
    world.put(1);
    world
}

impl World {
    fn later(&self, milliseconds: u64) {
        self.system.now.set(self.system.now.get() + milliseconds);
    }

    /// Renames another file to the path.
    fn put(&self, id: u32) -> Inode {
        let inode = Inode { id, retired: Rc::default(), unreadable: Rc::default() };
        self.system.path.replace(Some(Ok(inode.clone())));
        inode
    }

    /// Publishes like a publisher that is not killed.
    fn publish(&self, id: u32) {
        let old = self.system.inode();
        self.put(id);
        old.unwrap().retired.set(true);
    }

    fn fails(&self, error: Error) {
        self.system.path.replace(Some(Err(error)));
    }

    /// The file that answers a call.
    fn answer(&self) -> Result<u32> {
        self.file().map(|held| held.file().id())
    }

    fn calls(&self) -> (u32, u32) {
        (self.system.looks.take(), self.system.opens.take())
    }
}

#[test]
fn a_warm_lookup_makes_only_one_stat_call_a_second() {
    let world = world();
    assert_eq!(world.answer(), Ok(1));
    assert_eq!(world.calls(), (0, 1));
    for _ in 0..10 {
        for _ in 0..100 {
            world.later(SECOND / 100 - 1);
            assert_eq!(world.answer(), Ok(1));
        }
        assert_eq!(world.calls(), (0, 0));
        world.later(100);
        assert_eq!(world.answer(), Ok(1));
        assert_eq!(world.calls(), (1, 0));
    }
}

#[test]
fn a_published_file_is_seen_by_the_next_lookup_and_the_old_one_is_closed() {
    let world = world();
    for id in 1..100 {
        assert_eq!(world.answer(), Ok(id));
        assert_eq!(world.system.open_files.get(), 1);
        world.publish(id + 1);
    }
}

#[test]
fn a_file_whose_publisher_was_killed_before_the_mark_is_seen_within_a_second() {
    let world = world();
    assert_eq!(world.answer(), Ok(1));
    world.put(2);
    world.later(SECOND - 1);
    assert_eq!(world.answer(), Ok(1));
    world.later(1);
    assert_eq!(world.answer(), Ok(2));
    assert_eq!(world.system.open_files.get(), 1);
}

#[test]
fn a_missing_file_is_searched_for_once_a_second() {
    let world = world();
    world.fails(GONE);
    assert_eq!(world.answer(), Err(GONE));
    world.put(1);
    world.later(SECOND - 1);
    assert_eq!(world.answer(), Err(GONE));
    assert_eq!(world.calls(), (0, 1));
    world.later(1);
    assert_eq!(world.answer(), Ok(1));
}

#[test]
fn a_file_that_was_missing_at_the_first_tick_of_the_clock_is_found_later() {
    let world = world();
    world.system.now.set(0);
    world.fails(GONE);
    assert_eq!(world.answer(), Err(GONE));
    world.put(1);
    world.later(SECOND + 1);
    assert_eq!(world.answer(), Ok(1));
}

#[test]
fn a_deleted_file_answers_for_a_second_at_most_and_its_successor_is_found() {
    let world = world();
    assert_eq!(world.answer(), Ok(1));
    world.fails(GONE);
    world.later(SECOND);
    assert_eq!(world.answer(), Err(GONE));
    assert_eq!(world.system.open_files.get(), 0);
    world.put(2);
    world.later(SECOND);
    assert_eq!(world.answer(), Ok(2));
}

#[test]
fn a_file_that_is_no_longer_trusted_is_an_error_until_it_is_trusted_again() {
    let world = world();
    assert_eq!(world.answer(), Ok(1));
    world.fails(FOREIGN);
    world.later(SECOND);
    assert_eq!(world.answer(), Err(FOREIGN));
    assert_eq!(world.answer(), Err(FOREIGN), "not the file that was good a moment ago");
    world.put(2);
    assert_eq!(world.answer(), Ok(2));
}

/// An unreadable file panics here where it would end the process.
#[test]
fn a_file_that_becomes_unreadable_is_an_error_and_its_successor_answers() {
    let world = world();
    let first = world.put(1);
    assert_eq!(world.answer(), Ok(1));
    world.later(SECOND);
    first.unreadable.set(true);
    assert_eq!(world.answer(), Err(UNREADABLE));
    assert_eq!(world.system.open_files.get(), 0);
    world.calls();
    world.later(SECOND - 1);
    assert_eq!(world.answer(), Err(UNREADABLE));
    assert_eq!(world.calls(), (0, 0), "a disk may take seconds to fail");
    world.later(1);
    assert_eq!(world.answer(), Err(UNREADABLE));
    world.put(2);
    world.later(SECOND);
    assert_eq!(world.answer(), Ok(2));
}

#[test]
fn the_successor_of_an_unreadable_file_answers_at_once() {
    let world = world();
    let first = world.put(1);
    assert_eq!(world.answer(), Ok(1));
    world.put(2);
    world.later(SECOND);
    first.unreadable.set(true);
    assert_eq!(world.answer(), Ok(2));
}

#[test]
fn an_enumeration_does_not_continue_in_a_file_that_became_unreadable() {
    let world = world();
    let first = world.put(1);
    let version = world.file().unwrap().version().unwrap();
    assert!(world.same(version).is_some());
    world.later(SECOND);
    first.unreadable.set(true);
    assert!(world.same(version).is_none());
}

/// docs/reference/cache.md: if it is the same file, the map is used, and the path is checked once a second.
#[test]
fn a_restored_hard_link_is_used_and_checked_once_a_second() {
    let world = world();
    let first = world.put(1);
    assert_eq!(world.answer(), Ok(1));
    world.publish(2);
    world.system.path.replace(Some(Ok(first)));
    world.calls();
    for _ in 0..5 {
        for _ in 0..10 {
            assert_eq!(world.answer(), Ok(1));
            world.later(SECOND / 10);
        }
        assert!(world.calls().0 <= 2);
    }
    // The mark is already set: this is why the path is checked.
    world.publish(3);
    world.later(SECOND);
    assert_eq!(world.answer(), Ok(3));
}

/// The file is marked while it is opened: it was at the path, but no longer is.
#[test]
fn a_file_that_is_marked_when_it_is_opened_is_checked_by_the_next_lookup() {
    let world = world();
    let first = world.put(1);
    first.retired.set(true);
    assert_eq!(world.answer(), Ok(1));
    world.put(2);
    assert_eq!(world.answer(), Ok(2));
}

fn chrooted() -> World {
    let world = world();
    assert_eq!(world.answer(), Ok(1));
    world.system.root.set(7);
    world
}

#[test]
fn in_a_chroot_a_file_that_is_not_replaced_stays_in_use() {
    let world = chrooted();
    world.fails(GONE);
    for _ in 0..3 {
        world.later(HIDDEN);
        assert_eq!(world.answer(), Ok(1));
    }
}

/// docs/reference/cache.md: if the path is missing in a chroot, a marked map is used for ten minutes.
#[test]
fn in_a_chroot_a_replaced_file_stays_in_use_for_ten_minutes() {
    let world = chrooted();
    world.publish(2);
    world.fails(GONE);
    assert_eq!(world.answer(), Ok(1));
    let mut served = 0;
    while world.answer().is_ok() {
        world.calls();
        assert_eq!(world.answer(), Ok(1));
        assert_eq!(world.calls(), (0, 0), "one look a second");
        world.later(SECOND);
        served += SECOND;
    }
    assert_eq!(served, HIDDEN);
    assert_eq!(world.answer(), Err(GONE));
    assert_eq!(world.system.open_files.get(), 0);
}

#[test]
fn a_process_that_sees_the_path_again_sees_the_file_there() {
    let world = chrooted();
    world.publish(2);
    let second = world.system.path.replace(Some(Err(GONE)));
    assert_eq!(world.answer(), Ok(1));
    world.later(SECOND);
    world.system.path.replace(second);
    assert_eq!(world.answer(), Ok(2));
}

/// A sandbox that forbids stat(2) does not prove that the file is gone.
#[test]
fn a_path_that_may_not_be_checked_counts_as_hidden_by_a_chroot() {
    let world = world();
    let first = world.put(1);
    assert_eq!(world.answer(), Ok(1));
    world.fails(Error::System(libc::EACCES));
    world.later(SECOND);
    assert_eq!(world.answer(), Ok(1));
    first.retired.set(true);
    assert_eq!(world.answer(), Ok(1));
    world.later(HIDDEN);
    assert_eq!(world.answer(), Err(Error::System(libc::EACCES)));
}

/// As in a child in a different time namespace.
#[test]
fn a_clock_that_is_set_back_makes_nothing_stale() {
    let world = world();
    assert_eq!(world.answer(), Ok(1));
    world.system.now.set(500);
    world.put(2);
    assert_eq!(world.answer(), Ok(2));
    world.system.now.set(100);
    world.put(3);
    world.later(SECOND - 400);
    assert_eq!(world.answer(), Ok(2), "less than a second away");
    world.later(800 + SECOND);
    assert_eq!(world.answer(), Ok(3));
}

#[test]
fn without_a_free_slot_each_lookup_opens_the_file() {
    let world = world();
    // The state that a fork leaves in the child: threads that the child does not have use both files.
    for id in [2, 3] {
        std::mem::forget(world.file().unwrap());
        world.publish(id);
    }
    for id in 3..10 {
        assert_eq!(world.answer(), Ok(id));
        assert_eq!(world.answer(), Ok(id));
        assert_eq!(world.system.open_files.get(), 2, "no more than those two");
        world.publish(id + 1);
    }
}

#[test]
fn an_enumeration_continues_in_the_same_file_for_a_second_until_it_is_replaced() {
    let world = world();
    let version = world.file().unwrap().version().unwrap();
    world.later(SECOND - 1);
    assert!(matches!(world.same(version), Some(Held::Kept(_))));
    assert_eq!(world.calls(), (0, 1));
    world.later(1);
    assert!(world.same(version).is_none());
    assert_eq!(world.answer(), Ok(1));
    assert!(matches!(world.same(version), Some(Held::Kept(_))));
    world.publish(2);
    assert!(world.same(version).is_none());
    assert_eq!(world.answer(), Ok(2));
    assert!(world.same(version).is_none());
}
