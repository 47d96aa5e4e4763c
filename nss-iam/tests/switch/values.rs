//! Tests of `slots` by itself, with plain values.

use std::mem::MaybeUninit;
use std::sync::Arc;

use loom::thread;

use crate::explore;
use crate::slots::{self, Slot, Slots};
use crate::sync::{AtomicU32, AtomicU64, UnsafeCell};

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
