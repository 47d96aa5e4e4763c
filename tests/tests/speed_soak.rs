//! Many publications while many threads read, with the shipped library. This is a separate program, because it
//! counts the maps of its process.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the module's functions are C's; a test fails by panicking"
)]
#![expect(dead_code, reason = "of what the suite 'module' shares, only a part is needed")]

#[path = "module/call.rs"]
mod call;
#[path = "module/data.rs"]
mod data;

use std::ffi::CString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cache::snapshot::Cache;
use policy::Field;
use tests::Machine;

use call::{Line, Module, by_id, by_name, next};

/// The module as `make install` installs it.
fn library() -> std::path::PathBuf {
    tests::target().join("module/libnss_iam.so")
}

const PUBLICATIONS: usize = 2000;
const THREADS: usize = 8;
const ROOM: usize = 1 << 14;
const USERS: usize = 40;

/// Each gecos field contains the number of the publication.
fn publication(number: usize) -> Cache {
    let mut cache = data::many(USERS);
    for user in &mut cache.users {
        user.passwd.gecos = Field::new(&format!("publication {number}")).unwrap();
    }
    cache
}

fn number(line: &str) -> usize {
    line.split(':').nth(4).unwrap().strip_prefix("publication ").unwrap().parse().unwrap()
}

/// Maps of the cache: those of the present file, and those of files that no longer exist.
fn maps() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/nss-iam/cache.db")).count()
}

/// Eight threads look up users while 2000 snapshots are published: no wrong answer, and constant memory. An answer
/// is wrong if it is older than the last publication that was complete when the lookup began, or newer than the
/// last one that had begun when it ended.
#[test]
fn eight_threads_see_each_of_two_thousand_publications_as_soon_as_it_is_complete() {
    let Some(machine) = Machine::enter() else { return };
    let (begun, complete) = (AtomicUsize::new(0), AtomicUsize::new(0));
    data::publish(&publication(0));
    let module = Module::load(&machine);
    thread::scope(|scope| {
        let (module, begun, complete) = (&module, &begun, &complete);
        let asked: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let mut count = 0;
                    let mut n = thread;
                    while complete.load(Ordering::SeqCst) < PUBLICATIONS {
                        let oldest = complete.load(Ordering::SeqCst);
                        let line = ask(module, n);
                        let newest = begun.load(Ordering::SeqCst);
                        let number = number(&line);
                        assert!((oldest..=newest).contains(&number), "{number} of {oldest}..={newest}");
                        n += 1;
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut most = 0;
        for number in 1..=PUBLICATIONS {
            begun.store(number, Ordering::SeqCst);
            data::publish(&publication(number));
            complete.store(number, Ordering::SeqCst);
            most = most.max(maps());
        }
        let asked: usize = asked.into_iter().map(|thread| thread.join().unwrap()).sum();
        println!("{asked} lookups, {most} maps at most");
        assert!(asked > PUBLICATIONS);
        // The slots of the module, and one more for each thread that finds no free slot.
        assert!(most <= 8 + THREADS, "{most} maps");
    });
    ask(&module, 0);
    assert_eq!(maps(), 1, "nothing but the file that is there");
}

/// Looks up a user by name or by id, or the first of all.
fn ask(module: &Module, n: usize) -> String {
    let name = format!("user{}", n % USERS);
    let uid = data::user(&name).uid.get();
    let found = match n % 3 {
        0 => by_id(module.getpwuid, uid, ROOM),
        1 => {
            module.rewind("setpwent");
            next(module.getpwent, ROOM).or_else(|_| by_id(module.getpwuid, uid, ROOM))
        }
        _ => by_name(module.getpwnam, &CString::new(name).unwrap(), ROOM),
    };
    found.unwrap().line()
}
