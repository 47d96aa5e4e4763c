//! The module with invalid files: UNAVAIL, so that the next service is asked. Never a crash, never a wait, never a
//! row below the floor.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use tests::Machine;

use crate::call::{Line, Module, NOTFOUND, SUCCESS, TRYAGAIN, UNAVAIL, by_id, next};
use crate::data::{self, DIRECTORY, FILE};

const ROOM: usize = 1 << 16;

/// A machine with a valid file, and that file.
fn machine() -> Option<(Machine, Vec<u8>)> {
    let machine = Machine::enter()?;
    data::publish(&data::odd());
    good(&Module::load(&machine));
    Some((machine, fs::read(FILE).unwrap()))
}

fn good(module: &Module) {
    for (function, ask) in module.everything() {
        assert!(ask(ROOM).is_ok(), "{function} of a good file");
    }
}

/// A module that has the valid file open.
fn module() -> Option<(Module, Vec<u8>)> {
    let (machine, bytes) = machine()?;
    let module = Module::load(&machine);
    good(&module);
    Some((module, bytes))
}

/// Asserts that every function returns UNAVAIL, with this errno if one is given.
fn unavailable(module: &Module, errno: Option<i32>, what: &str) {
    for (function, ask) in module.everything() {
        match ask(ROOM) {
            Err(failure) if failure.0 == UNAVAIL => {
                assert!(errno.is_none_or(|errno| errno == failure.1), "{function}, {what}: {failure:?}");
            }
            other => panic!("{function}, {what}: {other:?}"),
        }
    }
}

#[test]
fn a_list_of_groups_with_one_below_the_floor_returns_none() {
    let Some(machine) = Machine::enter() else { return };
    let published = data::many(3);
    let user = published.users.iter().find(|user| user.groups.len() == 2).unwrap();
    data::publish(&published);
    let mut file = fs::read(FILE).unwrap();
    let last = user.groups[1].get().to_string();
    let places: Vec<usize> =
        (0..file.len() - last.len()).filter(|at| file[*at..].starts_with(last.as_bytes())).collect();
    assert!(!places.is_empty(), "the list is in the file as text");
    for at in places {
        file[at..at + last.len()].copy_from_slice(b"0000000027");
    }
    data::rename(&file);
    let module = Module::load(&machine);
    let name = CString::new(user.name.as_str()).unwrap();
    let mut list = vec![4];
    let failure = module.initgroups(&name, u32::MAX, &mut list, 64, -1).unwrap_err();
    assert_eq!((failure.0, list), (UNAVAIL, vec![4]));
}

#[test]
fn an_untrustworthy_file_is_unavail() {
    let Some((machine, good)) = machine() else { return };
    // Each time with a module that has opened nothing yet: one that has a file open notices only within a second
    // that it is gone.
    let unavailable = |errno, what| unavailable(&Module::load(&machine), errno, what);
    let again = || {
        let _ = fs::remove_file(FILE);
        let _ = fs::remove_dir(FILE);
        data::rename(&good);
        fs::set_permissions(FILE, Permissions::from_mode(0o644)).unwrap();
    };
    fs::remove_file(FILE).unwrap();
    unavailable(Some(libc::ENOENT), "missing");

    symlink("elsewhere.db", FILE).unwrap();
    fs::write(format!("{DIRECTORY}/elsewhere.db"), &good).unwrap();
    unavailable(Some(libc::ELOOP), "a symbolic link to a good file");

    fs::remove_file(FILE).unwrap();
    fs::create_dir(FILE).unwrap();
    unavailable(None, "a directory");

    fs::remove_dir(FILE).unwrap();
    nix::unistd::mkfifo(FILE, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    unavailable(Some(libc::EPERM), "a FIFO, which must not be waited for");

    for mode in [0o664, 0o646, 0o622] {
        again();
        fs::set_permissions(FILE, Permissions::from_mode(mode)).unwrap();
        unavailable(Some(libc::EPERM), "writable by group or others");
    }
    again();
    chown(FILE, Some(1000), None).unwrap();
    unavailable(Some(libc::EPERM), "somebody else's file");

    again();
    fs::remove_dir_all(DIRECTORY).unwrap();
    unavailable(Some(libc::ENOENT), "no directory");

    fs::create_dir(DIRECTORY).unwrap();
    again();
    assert!(next(Module::load(&machine).getpwent, ROOM).is_ok(), "a good file again");
}

#[test]
fn anything_but_a_finished_cache_of_this_major_version_is_unavail() {
    let Some((module, good)) = module() else { return };
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let bad: [(&str, Vec<u8>); 8] = [
        ("empty", Vec::new()),
        ("one byte", vec![b'S']),
        ("zeroes", vec![0; 8192]),
        ("another application", changed(68, b"niak")),
        ("the next major version", changed(60, &200u32.to_be_bytes())),
        ("WAL mode", changed(18, &[2, 2])),
        ("not finished by the publisher", changed(18, &[1, 1])),
        ("text", b"root:x:0:0:root:/root:/bin/bash\n".repeat(200)),
    ];
    for (what, bytes) in bad {
        data::replace(&bytes);
        unavailable(&module, None, what);
    }
    data::replace(&changed(60, &199u32.to_be_bytes()));
    assert!(by_id(module.getpwuid, 1003, ROOM).is_ok(), "another minor version");
}

#[test]
fn a_truncated_file_is_unavail_wherever_it_ends() {
    let Some((module, good)) = module() else { return };
    assert!(good.len() > 20 * 512);
    for len in (0..good.len()).step_by(512) {
        data::replace(&good[..len]);
        unavailable(&module, None, &format!("{len} of {} bytes", good.len()));
    }
}

/// Root writes to the file itself, as cp(1) does. A process that looked up nobody within the last second notices before it
/// reads what is no longer there.
#[test]
fn a_file_that_root_changes_in_place_ends_no_process_and_answers_again() {
    let Some((module, bytes)) = module() else { return };
    let second = || std::thread::sleep(std::time::Duration::from_millis(1100));
    for len in [0, bytes.len() / 2] {
        fs::File::options().write(true).open(FILE).unwrap().set_len(u64::try_from(len).unwrap()).unwrap();
        second();
        unavailable(&module, None, "truncated in place");
        fs::write(FILE, &bytes).unwrap();
        second();
        good(&module);
    }
}

/// A generator that needs no crate and returns the same bytes everywhere (Steele et al., SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((value ^ (value >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// For passwd and for group: the third field of a line is the id in both.
fn above_the_floor(line: &str) -> bool {
    let id: u32 = line.split(':').nth(2).unwrap().parse().unwrap();
    (1000..u32::MAX).contains(&id) && !line.chars().any(|c| c.is_control() || !c.is_ascii())
}

#[test]
fn flipped_bytes_never_crash_or_return_a_row_below_the_floor() {
    let Some((module, good)) = module() else { return };
    let mut answers = [0u32; 4];
    for seed in 0..1000 {
        let mut random = Random(seed);
        let mut file = good.clone();
        for _ in 0..=random.below(60) {
            // Half of them are at the beginning of a page, where its structure is.
            let page = random.below(file.len() / 4096) * 4096;
            let reach = if random.below(2) == 0 { 64 } else { 4096 };
            let at = page + random.below(reach);
            file[at] ^= u8::try_from(1 + random.below(255)).unwrap();
        }
        // The magic and the versions are not tested here.
        file[..100].copy_from_slice(&good[..100]);
        data::replace(&file);
        for (function, ask) in module.everything() {
            let status = match ask(1 << 12) {
                Err(failure) => failure.0,
                Ok(line) => {
                    let ids = function.starts_with("getpw") || function.starts_with("getgr");
                    assert!(!ids || above_the_floor(&line), "seed {seed}, {function}: {line}");
                    SUCCESS
                }
            };
            answers[usize::try_from(status - TRYAGAIN).unwrap()] += 1;
        }
        enumerate(&module, seed);
    }
    let count = |status: i32| answers[usize::try_from(status - TRYAGAIN).unwrap()];
    println!("{} answers, {} unavailable", count(SUCCESS), count(UNAVAIL));
    assert!(
        count(SUCCESS) > 1000 && count(UNAVAIL) > 1000 && count(NOTFOUND) < count(SUCCESS),
        "{answers:?}"
    );
}

/// Until the end, which must come.
fn enumerate(module: &Module, seed: u64) {
    module.rewind("setpwent");
    module.rewind("setgrent");
    module.rewind("setspent");
    let mut most = 1000;
    while let Ok(found) = next(module.getpwent, ROOM) {
        assert!(above_the_floor(&found.line()), "seed {seed}");
        most -= 1;
        assert!(most > 0, "seed {seed}: an enumeration ends");
    }
    while let Ok(found) = next(module.getgrent, ROOM) {
        assert!(above_the_floor(&found.line()), "seed {seed}");
        most -= 1;
        assert!(most > 0, "seed {seed}: an enumeration ends");
    }
    module.rewind("setpwent");
    module.rewind("setgrent");
}
