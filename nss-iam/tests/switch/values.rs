//! Tests of `slots` alone, with plain values.

use std::mem::MaybeUninit;
use std::sync::Arc;

use loom::thread;

use crate::explore;
use crate::slots::{self, Slot, Slots};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, UnsafeCell};

/// Makes `value` current. False if all slots are in use.
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

/// A reader that has seen which slot is current, and enters it after it was emptied and filled again. The values
/// here count like their versions.
#[test]
fn a_reused_slot_is_not_mistaken_for_its_old_content() {
    explore(5, || {
        let slots = slots::<2>();
        assert!(put(&slots, 1));
        let reader = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                if let Ok(used) = slots.current() {
                    assert_eq!(used[0], used[1]);
                    assert_eq!(
                        u64::from(used[0]),
                        used.version.count(),
                        "a value with the version of another"
                    );
                }
            }
        });
        // The second finds no slot if the reader has come to the one that is free.
        let _ = put(&slots, 2) && put(&slots, 3);
        reader.join().unwrap();
    });
}

/// A value that is put too late is in a slot, and live, but never current.
#[test]
fn a_value_that_is_put_too_late_is_lent_to_nobody_else() {
    explore(5, || {
        let slots = slots::<2>();
        assert!(put(&slots, 1));
        let stale = version(&slots);
        let reader = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                if let Ok(used) = slots.current() {
                    assert_ne!(used[0], 10);
                }
            }
        });
        assert!(put(&slots, 2));
        let _ = slots.put([10; 2], stale);
        reader.join().unwrap();
    });
}

/// As above, but the thread that empties the slot, and fills it again, has seen only that the value was retired.
#[test]
fn a_thread_that_empties_a_slot_passes_on_that_the_value_was_replaced() {
    explore(3, || {
        let slots = slots::<2>();
        assert!(put(&slots, 1));
        let first = version(&slots);
        let late = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                drop(slots.current());
                let _ = slots.put([10; 2], first);
            }
        });
        let reader = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                if let Ok(used) = slots.current()
                    && used.version == first
                {
                    assert_eq!(used[0], 1);
                }
            }
        });
        let _ = slots.put([2; 2], first);
        late.join().unwrap();
        reader.join().unwrap();
    });
}

/// A file is opened to replace the version that was seen, and must not be older than the file that this version
/// replaced.
#[test]
fn a_thread_that_sees_a_change_sees_everything_before_it() {
    explore(5, || {
        let slots = slots::<2>();
        assert!(put(&slots, 1));
        let (old, done) = (version(&slots), Arc::new(AtomicBool::new(false)));
        let reader = thread::spawn({
            let (slots, done) = (Arc::clone(&slots), Arc::clone(&done));
            move || {
                if slots.current().is_err_and(|version| version != old) {
                    assert!(done.load(Ordering::Relaxed));
                }
            }
        });
        done.store(true, Ordering::Relaxed);
        slots.clear(old);
        reader.join().unwrap();
    });
}

/// By then, the slot that it was to replace is current again, with a different value.
#[test]
fn a_file_that_was_opened_before_others_were_published_does_not_become_current() {
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
        assert_ne!(late, second, "an enumeration of one would continue in the other");
    });
}
