//! The module in processes that behave like daemons: threads, fork, closefrom.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cache::snapshot::Cache;
use tests::Machine;

use crate::call::{Line, Module, by_id, by_name};
use crate::data;

const ROOM: usize = 1 << 16;

/// Runs `check` in a child that has only the calling thread. Also false if it panics, or hangs for a minute.
pub(crate) fn in_child(check: impl FnOnce() -> bool) -> bool {
    let forking = data::SQLITE.write().unwrap();
    // SAFETY: the child calls glibc and the module, and leaves by _exit; glibc keeps malloc usable across a fork.
    match unsafe { libc::fork() } {
        -1 => panic!("cannot fork"),
        0 => {
            drop(forking);
            // SAFETY: alarm takes any number; nobody handles SIGALRM, so it ends the child.
            unsafe { libc::alarm(60) };
            let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
            // SAFETY: _exit is always allowed.
            unsafe { libc::_exit(i32::from(!ok)) }
        }
        child => {
            drop(forking);
            let mut status = -1;
            // SAFETY: `child` is a child of this process, and `status` is writable.
            while unsafe { libc::waitpid(child, &mut status, 0) } == -1 {}
            status == 0
        }
    }
}

/// A machine on which this data is published.
fn published() -> Option<(Machine, Cache)> {
    let machine = Machine::enter()?;
    let published = data::odd();
    data::publish(&published);
    Some((machine, data::named(&published)))
}

/// Whether entries of a user and a group, by name and by id, are correct.
fn right(module: &Module, published: &Cache, n: usize) -> bool {
    let user = &published.users[n % published.users.len()];
    let group = &published.groups[n % published.groups.len()];
    let name = CString::new(user.name.as_str()).unwrap();
    let line = data::passwd_line(user);
    let groups = user.groups.iter().map(|gid| gid.get()).chain(user.local.iter().copied());
    by_name(module.getpwnam, &name, ROOM).is_ok_and(|found| found.line() == line)
        && by_id(module.getpwuid, user.uid.get(), ROOM).is_ok_and(|found| found.line() == line)
        && by_name(module.getspnam, &name, ROOM).is_ok_and(|found| found.line() == data::shadow_line(user))
        && by_id(module.getgrgid, group.gid.get(), ROOM)
            .is_ok_and(|found| found.line() == data::group_line(group))
        && module.groups(&name, user.uid.get()).is_ok_and(|gids| gids.into_iter().eq(groups))
}

/// While all threads look up users, the file is replaced repeatedly: each answer is still correct.
#[test]
fn eight_threads_get_right_answers_while_the_file_is_replaced() {
    let Some((machine, published)) = published() else { return };
    let module = Module::load(&machine);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (module, published, done) = (&module, &published, &done);
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    let mut n = thread;
                    while !done.load(Ordering::Relaxed) || n < 200 {
                        assert!(right(module, published, n), "lookup {n}");
                        n += 1;
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            data::publish(&data::odd());
        }
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_child_forked_while_other_threads_look_up_can_look_up() {
    let Some((machine, published)) = published() else { return };
    let module = Module::load(&machine);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (module, published, done) = (&module, &published, &done);
        for thread in 0..8 {
            scope.spawn(move || {
                let mut n = thread;
                while !done.load(Ordering::Relaxed) {
                    right(module, published, n);
                    n += 1;
                }
            });
        }
        let failed = (0..200).find(|n| !in_child(|| right(module, published, *n)));
        done.store(true, Ordering::Relaxed);
        assert_eq!(failed, None);
    });
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Including replaced files, which are shown as `cache.db (deleted)`.
fn maps_of_the_cache() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/cache.db")).count()
}

/// sshd closes all descriptors that it does not know with closefrom(3), then looks up groups.
#[test]
fn closing_all_files_between_lookups_does_not_matter() {
    let Some((machine, published)) = published() else { return };
    let module = Module::load(&machine);
    assert!(in_child(|| {
        let before = right(&module, &published, 1);
        // SAFETY: the child needs no descriptor above 2.
        let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
        // The next descriptors that are opened have the numbers that the module's would have had.
        let other = std::fs::File::open("/dev/zero").unwrap();
        let after = right(&module, &published, 2) && right(&module, &published, 3);
        before && closed == 0 && after && nix::unistd::read(&other, &mut [1; 8]) == Ok(8)
    }));
}

/// docs/reference/module.md: it keeps no file descriptor between calls.
#[test]
fn one_map_and_no_file_stays_open_after_a_call() {
    let Some((machine, published)) = published() else { return };
    let module = Module::load(&machine);
    // In a child, where no thread of another test opens or maps anything; existing maps stay.
    assert!(in_child(|| {
        let (before, theirs) = (open_files(), maps_of_the_cache());
        let found = (0..50).all(|n| right(&module, &published, n));
        let missed = by_name(module.getpwnam, c"nobody-here", ROOM).is_err();
        let kept = maps_of_the_cache() == theirs + 1;
        data::replace(&[0; 4096]);
        let refused = by_name(module.getpwnam, c"user8", ROOM).is_err();
        let dropped = maps_of_the_cache() == theirs;
        data::publish(&data::odd());
        let again = right(&module, &published, 1) && maps_of_the_cache() == theirs + 1;
        found && missed && kept && refused && dropped && again && before == open_files()
    }));
}
