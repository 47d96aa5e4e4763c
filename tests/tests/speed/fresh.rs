//! How the module keeps and releases the cache, in real processes. Cases that take minutes, or depend on a clock,
//! are tested in `nss-iam` on a simulated machine.

use std::ffi::CStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use policy::Field;
use tests::{Machine, module, text};

use crate::call::{Failure, Line, Module, UNAVAIL, by_name};
use crate::data::{self, DIRECTORY, FILE};
use crate::process::in_child;

const ROOM: usize = 1 << 14;
const USER: &CStr = c"user7";

fn publish(gecos: &str) {
    let mut cache = data::many(20);
    cache.users.iter_mut().for_each(|user| user.passwd.gecos = Field::new(gecos).unwrap());
    data::publish(&cache);
}

/// The gecos field of a user.
fn ask(module: &Module) -> Result<String, Failure> {
    let line = by_name(module.getpwnam, USER, ROOM)?.line();
    Ok(line.split(':').nth(4).unwrap().to_owned())
}

/// Asks until the answer is `after`; until then, only `before` is allowed.
fn becomes(module: &Module, before: &Result<String, Failure>, after: &Result<String, Failure>) {
    let start = Instant::now();
    loop {
        let answer = ask(module);
        if answer == *after {
            return;
        }
        assert_eq!(answer, *before);
        assert!(start.elapsed() < Duration::from_secs(60), "still {answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn gecos(gecos: &str) -> Result<String, Failure> {
    Ok(gecos.into())
}

const MISSING: Result<String, Failure> = Err(Failure(UNAVAIL, libc::ENOENT));

/// A machine with the publication `one`, and a module that has it open.
fn warm() -> Option<(Machine, Module)> {
    let machine = Machine::enter()?;
    publish("one");
    let module = Module::load(&machine);
    assert_eq!(ask(&module), gecos("one"));
    Some((machine, module))
}

#[test]
fn a_publication_is_seen_by_the_next_lookup() {
    let Some((_machine, module)) = warm() else { return };
    for gecos in ["two", "three", "four"] {
        publish(gecos);
        assert_eq!(ask(&module).unwrap(), gecos);
    }
}

#[test]
fn a_publisher_that_is_killed_before_the_mark_is_noticed() {
    let Some((_machine, module)) = warm() else { return };
    let one = fs::read(FILE).unwrap();
    publish("two");
    let two = fs::read(FILE).unwrap();
    data::replace(&one);
    assert_eq!(ask(&module), gecos("one"));
    data::rename(&two);
    becomes(&module, &gecos("one"), &gecos("two"));
}

#[test]
fn a_deleted_cache_is_missing_and_a_new_one_is_found() {
    let Some((_machine, module)) = warm() else { return };
    fs::remove_file(FILE).unwrap();
    becomes(&module, &gecos("one"), &MISSING);
    publish("two");
    becomes(&module, &MISSING, &gecos("two"));
}

/// A backup with `cp -al` has the same inode, which still has the mark when it is restored.
#[test]
fn a_restored_hard_link_answers_although_it_is_marked() {
    let Some((_machine, module)) = warm() else { return };
    let backup = format!("{DIRECTORY}/backup");
    fs::hard_link(FILE, &backup).unwrap();
    publish("two");
    assert_eq!(ask(&module), gecos("two"));
    fs::rename(&backup, FILE).unwrap();
    becomes(&module, &gecos("two"), &gecos("one"));
    for _ in 0..1000 {
        assert_eq!(ask(&module), gecos("one"));
    }
    publish("three");
    becomes(&module, &gecos("one"), &gecos("three"));
}

/// overlayfs: a process that has mapped a file of the lower layer does not see writes through the overlay.
#[test]
fn the_replacement_of_a_file_in_a_lower_layer_is_noticed() {
    let Some(machine) = Machine::enter() else { return };
    publish("one");
    for layer in ["/tmp/lower", "/tmp/upper", "/tmp/work"] {
        fs::create_dir(layer).unwrap();
    }
    fs::copy(FILE, "/tmp/lower/cache.db").unwrap();
    let options = "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work";
    mount(Some("overlay"), DIRECTORY, Some("overlay"), MsFlags::empty(), Some(options)).unwrap();
    let module = Module::load(&machine);
    assert_eq!(ask(&module), gecos("one"));
    publish("two");
    assert_eq!(fs::read("/tmp/lower/cache.db").unwrap()[60], 0, "the mark is not in the lower layer");
    becomes(&module, &gecos("one"), &gecos("two"));
}

#[test]
fn a_process_in_a_chroot_continues_to_use_the_open_file() {
    let Some((_machine, module)) = warm() else { return };
    fs::create_dir("/tmp/empty").unwrap();
    assert!(in_child(|| {
        publish("two");
        nix::unistd::chroot("/tmp/empty").unwrap();
        (0..100).all(|_| ask(&module) == gecos("one"))
    }));
}

/// Daemons drop privileges after they have looked up a user.
#[test]
fn a_process_that_dropped_its_privileges_sees_new_publications() {
    let Some((_machine, module)) = warm() else { return };
    let nobody = nix::unistd::Uid::from_raw(65534);
    assert!(in_child(|| {
        in_child(|| {
            nix::unistd::setresuid(nobody, nobody, nobody).unwrap();
            ask(&module) == gecos("one")
        }) && {
            publish("two");
            in_child(|| {
                nix::unistd::setresuid(nobody, nobody, nobody).unwrap();
                ask(&module) == gecos("two")
            })
        }
    }));
}

/// Threads that fork(2) removes during lookups leave their counts, repeatedly: only the slots are lost, and then
/// each lookup maps the file for itself.
#[test]
fn generations_of_forks_among_busy_threads_continue_to_answer() {
    let Some((_machine, module)) = warm() else { return };
    fn generation(module: &Module, number: usize) -> bool {
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let _ = ask(module);
                    }
                });
            }
            let right = (0..20).all(|n| {
                let name = format!("generation {number} {n}");
                publish(&name);
                ask(module) == gecos(&name)
            });
            let child = number == 12 || in_child(|| generation(module, number + 1));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            right && child
        })
    }
    assert!(generation(&module, 0));
}

/// strace of a process that looks up many users: its system calls for the cache.
#[test]
fn a_warm_lookup_makes_only_one_stat_a_second() {
    let Some(machine) = Machine::enter() else { return };
    data::publish(&data::many(500));
    fs::copy(crate::library(), module()).unwrap();
    let mut line: Vec<String> =
        ["strace", "-r", "-o", "/tmp/trace", "getent", "-s", "iam", "passwd"].map(Into::into).into();
    line.extend((0..500).map(|n| format!("user{n}")));
    let output = machine.run(&line);
    assert_eq!(text(&output.stdout).lines().count(), 500, "{}", text(&output.stderr));
    let trace = fs::read_to_string("/tmp/trace").unwrap();
    let calls: Vec<(f64, &str)> = trace
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(time, call)| (time.parse().unwrap(), call))
        .collect();
    let opened = calls.iter().position(|(_, call)| call.starts_with("openat") && call.contains("/cache.db"));
    let warm = calls.iter().skip_while(|(_, call)| !call.starts_with("write")).skip(1);
    assert!(opened.is_some());
    let (mut seconds, mut looks) = (0.0, 0);
    for (time, call) in warm.take_while(|(_, call)| !call.starts_with("exit_group")) {
        seconds += time;
        let of_getent = [
            "write(",
            "newfstatat(AT_FDCWD, \"/etc/nsswitch.conf\"",
            "stat(\"/etc/nsswitch.conf\"",
            "close(",
            "brk(",
        ];
        if call.contains("/cache.db") {
            assert!(call.starts_with("newfstatat("), "{call}");
            looks += 1;
        } else {
            assert!(of_getent.iter().any(|known| call.starts_with(known)), "{call}");
        }
    }
    assert!(f64::from(looks) <= seconds + 1.0, "{looks} looks in {seconds} s");
}

#[test]
fn sqlite_refuses_to_write_to_a_file_that_is_mapped() {
    let Some((_machine, module)) = warm() else { return };
    let before = fs::read(FILE).unwrap();
    let _using = data::SQLITE.read().unwrap();
    let sql = rusqlite::Connection::open(Path::new(FILE)).unwrap();
    for change in ["VACUUM", "DELETE FROM passwd", "PRAGMA user_version = 7", "PRAGMA journal_mode = WAL"] {
        let refused = sql.execute_batch(change).unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{change}: {refused}");
    }
    assert!(before == fs::read(FILE).unwrap());
    assert_eq!(ask(&module), gecos("one"));
}
