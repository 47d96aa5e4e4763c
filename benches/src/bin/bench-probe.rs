//! `bench-probe ROW THREADS MILLISECONDS|CALLSx <questions`: asks glibc one kind of question, over and over, after a
//! warm-up, and prints how long an answer took: `p50 calls wall wrong`, times in nanoseconds.
//!
//! It runs as a separate process: glibc reads nsswitch.conf(5) once, and some peers crash in threads.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "it calls libc as a C program does, and ends at the first surprise"
)]

use std::ffi::CString;
use std::io::Read;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use benches::row::Row;

/// The size with which glibc's own getpwnam(3) and similar functions start. They double it while it is too small, and keep it.
const FIRST_BUFFER: usize = 1024;
/// A measurement has at least this many calls of all threads, unless it takes too long.
const LEAST: usize = 4;
const LONG: Duration = Duration::from_secs(1);

/// The users to look up, and the correct answers.
struct Questions {
    users: usize,
    groups: usize,
    everybody: CString,
    asked: Vec<Asked>,
}

struct Asked {
    name: CString,
    absent: CString,
    uid: u32,
    /// The user's own gid first, then the others in the order of the input.
    gids: Vec<u32>,
}

/// When to stop.
#[derive(Clone, Copy)]
enum Budget {
    /// The time, and the minimum number of calls.
    Time(Duration, usize),
    Calls(usize),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let row = Row::from_slug(&arguments[0]).expect("a row");
    let threads: usize = arguments[1].parse().expect("a number of threads");
    let budget = match arguments[2].strip_suffix('x') {
        Some(calls) => Budget::Calls(calls.parse().expect("a number of calls")),
        None => {
            Budget::Time(Duration::from_millis(arguments[2].parse().expect("milliseconds")), LEAST / threads)
        }
    };
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let questions = Questions::parse(&text);
    let start = Barrier::new(threads);
    let measured: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn({
                    let (questions, start) = (&questions, &start);
                    move || measure(row, questions, budget, start, thread)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("a thread ends")).collect()
    });
    let mut took: Vec<u64> = measured.iter().flat_map(|measured| measured.took.iter().copied()).collect();
    took.sort_unstable();
    let wrong: usize = measured.iter().map(|measured| measured.wrong).sum();
    let wall = measured.iter().map(|measured| measured.wall).max().expect("a thread");
    println!("{} {} {} {wrong}", took[took.len() / 2], took.len(), wall.as_nanos());
}

struct Measured {
    took: Vec<u64>,
    wall: Duration,
    wrong: usize,
}

fn measure(row: Row, questions: &Questions, budget: Budget, start: &Barrier, thread: usize) -> Measured {
    let mut buffer = vec![1; FIRST_BUFFER];
    let mut took = Vec::with_capacity(1 << 20);
    let mut wrong = 0;
    // Each thread begins at a different question.
    let mut turn = questions.asked.iter().cycle().skip(thread * 31);
    let mut next = || turn.next().expect("a user");
    let warm = Instant::now();
    for _ in 0..questions.asked.len() {
        ask(row, questions, next(), &mut buffer);
        if matches!(budget, Budget::Time(time, _) if warm.elapsed() > time / 5) {
            break;
        }
    }
    start.wait();
    mark();
    let started = Instant::now();
    loop {
        let asked = next();
        let (right, time) = ask(row, questions, asked, &mut buffer);
        took.push(u64::try_from(time.as_nanos()).expect("no call takes a century"));
        wrong += usize::from(!right);
        let done = match budget {
            Budget::Time(time, least) => started.elapsed() >= if took.len() < least { LONG } else { time },
            Budget::Calls(calls) => took.len() >= calls,
        };
        if done {
            break;
        }
    }
    let wall = started.elapsed();
    mark();
    Measured { took, wall, wrong }
}

/// Shows strace where the measurement begins and ends.
fn mark() {
    // SAFETY: getppid(2) takes nothing and always succeeds.
    unsafe { libc::getppid() };
}

impl Questions {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().expect("a first line").split(' ').collect();
        let asked = lines.map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let gids: Vec<u32> = words[1..].iter().map(|gid| gid.parse().expect("an id")).collect();
            Asked { name: c(words[0]), absent: c(&format!("{}x", words[0])), uid: gids[0], gids }
        });
        Self {
            users: head[0].parse().expect("a number of users"),
            groups: head[1].parse().expect("a number of groups"),
            everybody: c(head[2]),
            asked: asked.collect(),
        }
    }
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// Asks once. Returns whether the answer is right, and how long the call took, without the check.
fn ask(row: Row, questions: &Questions, asked: &Asked, buffer: &mut Vec<u8>) -> (bool, Duration) {
    match row {
        Row::PasswdName => right(passwd_name(&asked.name, buffer), &Some(asked.uid)),
        Row::PasswdId => right(passwd_id(asked.uid, buffer), &Some(asked.uid)),
        Row::Miss => right(passwd_name(&asked.absent, buffer), &None),
        Row::GroupName => right(group_name(&asked.name, buffer), &Some((asked.uid, 0))),
        Row::GroupId => right(group_id(asked.uid, buffer), &Some((asked.uid, 0))),
        Row::GroupList => has_groups(asked),
        Row::BigGroup => {
            right(group_name(&questions.everybody, buffer), &Some((asked.gids[1], questions.users)))
        }
        Row::AllUsers => right(timed(|| all_users(buffer)), &questions.users),
        Row::AllGroups => right(timed(|| all_groups(buffer)), &questions.groups),
    }
}

fn right<T: PartialEq>((answer, took): (T, Duration), expected: &T) -> (bool, Duration) {
    (answer == *expected, took)
}

fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    let answer = call();
    (answer, before.elapsed())
}

/// Calls with a larger and larger buffer until the answer fits. Returns the result of the last call.
fn fitted(buffer: &mut Vec<u8>, mut call: impl FnMut(&mut [u8]) -> libc::c_int) -> libc::c_int {
    loop {
        match call(buffer) {
            libc::ERANGE => buffer.resize(buffer.len() * 2, 1),
            other => return other,
        }
    }
}

fn passwd_name(name: &CString, buffer: &mut Vec<u8>) -> (Option<u32>, Duration) {
    let mut entry = MaybeUninit::uninit();
    let mut found = ptr::null_mut();
    let call = |b: &mut [u8]| {
        let (name, room) = (name.as_ptr(), b.as_mut_ptr().cast());
        // SAFETY: the buffer has the length that is said, and all pointers outlive the call (getpwnam_r(3)).
        unsafe { libc::getpwnam_r(name, entry.as_mut_ptr(), room, b.len(), &raw mut found) }
    };
    let (_, took) = timed(|| fitted(buffer, call));
    (uid(found), took)
}

fn passwd_id(id: u32, buffer: &mut Vec<u8>) -> (Option<u32>, Duration) {
    let mut entry = MaybeUninit::uninit();
    let mut found = ptr::null_mut();
    let call = |b: &mut [u8]| {
        let room = b.as_mut_ptr().cast();
        // SAFETY: the buffer has the length that is said, and all pointers outlive the call (getpwuid_r(3)).
        unsafe { libc::getpwuid_r(id, entry.as_mut_ptr(), room, b.len(), &raw mut found) }
    };
    let (_, took) = timed(|| fitted(buffer, call));
    (uid(found), took)
}

fn uid(found: *mut libc::passwd) -> Option<u32> {
    // SAFETY: glibc sets it to null, or to the entry, which the caller still owns.
    unsafe { found.as_ref() }.map(|entry| entry.pw_uid)
}

fn group_name(name: &CString, buffer: &mut Vec<u8>) -> (Option<(u32, usize)>, Duration) {
    let mut entry = MaybeUninit::uninit();
    let mut found = ptr::null_mut();
    let call = |b: &mut [u8]| {
        let (name, room) = (name.as_ptr(), b.as_mut_ptr().cast());
        // SAFETY: the buffer has the length that is said, and all pointers outlive the call (getgrnam_r(3)).
        unsafe { libc::getgrnam_r(name, entry.as_mut_ptr(), room, b.len(), &raw mut found) }
    };
    let (_, took) = timed(|| fitted(buffer, call));
    (members(found), took)
}

fn group_id(id: u32, buffer: &mut Vec<u8>) -> (Option<(u32, usize)>, Duration) {
    let mut entry = MaybeUninit::uninit();
    let mut found = ptr::null_mut();
    let call = |b: &mut [u8]| {
        let room = b.as_mut_ptr().cast();
        // SAFETY: the buffer has the length that is said, and all pointers outlive the call (getgrgid_r(3)).
        unsafe { libc::getgrgid_r(id, entry.as_mut_ptr(), room, b.len(), &raw mut found) }
    };
    let (_, took) = timed(|| fitted(buffer, call));
    (members(found), took)
}

/// The gid, and the number of members.
fn members(found: *mut libc::group) -> Option<(u32, usize)> {
    // SAFETY: glibc sets it to null, or to the entry, which the caller still owns.
    let entry = unsafe { found.as_ref() }?;
    let mut count = 0;
    loop {
        // SAFETY: a null ends the table gr_mem (getgrnam(3)), and none was met before `count`.
        let member = unsafe { entry.gr_mem.add(count) };
        // SAFETY: it points into the table, to the null at its end at the furthest.
        if unsafe { member.read() }.is_null() {
            return Some((entry.gr_gid, count));
        }
        count += 1;
    }
}

fn has_groups(asked: &Asked) -> (bool, Duration) {
    let mut gids = [0; 64];
    let mut count = 64;
    let (name, room) = (asked.name.as_ptr(), gids.as_mut_ptr());
    // SAFETY: there is room for as many gids as `count` says (getgrouplist(3)).
    let (_, took) = timed(|| unsafe { libc::getgrouplist(name, asked.uid, room, &raw mut count) });
    let gids = gids.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or_default();
    let right = gids.len() == asked.gids.len() && asked.gids.iter().all(|gid| gids.contains(gid));
    (right, took)
}

fn all_users(buffer: &mut Vec<u8>) -> usize {
    let mut count = 0;
    let mut entry = MaybeUninit::uninit();
    let mut found = ptr::null_mut();
    // SAFETY: only this thread enumerates.
    unsafe { libc::setpwent() };
    let mut next = |b: &mut [u8]| {
        let room = b.as_mut_ptr().cast();
        // SAFETY: the buffer has the length that is said, and all pointers outlive the call (getpwent_r(3)).
        unsafe { libc::getpwent_r(entry.as_mut_ptr(), room, b.len(), &raw mut found) }
    };
    while fitted(buffer, &mut next) == 0 {
        count += 1;
    }
    // SAFETY: as for setpwent: only this thread enumerates.
    unsafe { libc::endpwent() };
    count
}

fn all_groups(buffer: &mut Vec<u8>) -> usize {
    let mut count = 0;
    let mut entry = MaybeUninit::uninit();
    let mut found = ptr::null_mut();
    // SAFETY: only this thread enumerates.
    unsafe { libc::setgrent() };
    let mut next = |b: &mut [u8]| {
        let room = b.as_mut_ptr().cast();
        // SAFETY: the buffer has the length that is said, and all pointers outlive the call (getgrent_r(3)).
        unsafe { libc::getgrent_r(entry.as_mut_ptr(), room, b.len(), &raw mut found) }
    };
    while fitted(buffer, &mut next) == 0 {
        count += 1;
    }
    // SAFETY: as for setgrent: only this thread enumerates.
    unsafe { libc::endgrent() };
    count
}
