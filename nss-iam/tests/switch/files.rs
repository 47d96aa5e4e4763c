//! Tests of `retention` and `slots` together, on files that are replaced.

use std::sync::Arc;

use loom::thread;

use crate::disk::{Cache, Machine, ask, cache};
use crate::explore;
use crate::retention::{File, SECOND};

/// Asserts that, when all threads have finished, only the file at the path is open.
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
        assert_eq!(ask(&cache), 2, "a thread that knows of a published file sees it");
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
fn the_first_lookups_of_three_threads_at_once_open_one_file_each_and_keep_one() {
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

/// The second publication can meet a thread that still installs the file that it opened before the first.
#[test]
fn two_publications_in_a_row_never_restore_an_older_file() {
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

/// The place of an enumeration is a page and a cell, which are meaningless in a different file.
#[test]
fn a_step_of_an_enumeration_stays_in_the_file_of_the_step_before_or_reports_that_it_does_not() {
    explore(3, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        let version = cache.file().unwrap().version().unwrap();
        let reader = thread::spawn({
            let cache = Arc::clone(&cache);
            move || {
                if let Some(held) = cache.same(version) {
                    assert_eq!(held.file().id(), 1);
                }
            }
        });
        machine.publish(2);
        assert_eq!(ask(&cache), 2);
        machine.publish(3);
        assert_eq!(ask(&cache), 3);
        reader.join().unwrap();
        settled(&machine, &cache, 3);
    });
}

/// A thread that found no file may report this late: a file exists by then, and is just being replaced.
#[test]
fn a_file_that_has_answered_is_not_missing_while_it_is_replaced() {
    explore(2, || {
        let machine = Machine::with(0);
        let cache = cache(&machine);
        let late = thread::spawn({
            let cache = Arc::clone(&cache);
            move || drop(cache.file())
        });
        machine.publish(1);
        if cache.file().is_ok() {
            machine.publish(2);
            let other = thread::spawn({
                let cache = Arc::clone(&cache);
                move || drop(cache.file())
            });
            assert_eq!(ask(&cache), 2);
            other.join().unwrap();
        }
        late.join().unwrap();
    });
}

/// After a publisher that was killed before it set the mark.
#[test]
fn after_a_second_one_thread_checks_the_path_and_the_other_does_not_wait() {
    explore(3, || {
        let machine = Machine::new();
        let cache = cache(&machine);
        assert_eq!(ask(&cache), 1);
        machine.rename(2);
        machine.later(SECOND);
        let other = thread::spawn({
            let cache = Arc::clone(&cache);
            move || assert!([1, 2].contains(&ask(&cache)))
        });
        assert!([1, 2].contains(&ask(&cache)));
        other.join().unwrap();
        assert_eq!(machine.looks(), 1);
        settled(&machine, &cache, 2);
    });
}

/// fork(2) during lookups of other threads: their counts stay forever. Nobody waits for them.
#[test]
fn counts_that_no_thread_will_ever_reduce_cost_only_a_slot() {
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
