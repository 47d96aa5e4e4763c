//! The properties of the fuzz targets without libFuzzer: on the committed corpus, and for a minute on random
//! variations of it. No coverage guides this, so it finds less in a minute than libFuzzer does; inputs that
//! libFuzzer finds are kept in `corpus/`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it did"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// For both targets together.
const TIME: Duration = Duration::from_secs(60);
/// Far longer than needed: a hundred inputs take some milliseconds.
const FOR_EVER: Duration = Duration::from_secs(120);

/// A generator with the same numbers on every machine (Steele et al., SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((value ^ (value >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs a property on each input, and shows an input that breaks it or does not end.
fn run(inputs: &[Vec<u8>], property: impl Fn(&[u8])) {
    let at = AtomicUsize::new(0);
    let show = |how: &str| {
        let path = std::env::temp_dir().join(format!("nss-iam-fuzz-{}", std::process::id()));
        std::fs::write(&path, &inputs[at.load(Ordering::Relaxed)]).unwrap();
        eprintln!("the input that {how} is in '{}'; add it to fuzz/corpus", path.display());
    };
    let (done, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let show = &show;
        scope.spawn(move || {
            if ended.recv_timeout(FOR_EVER) == Err(RecvTimeoutError::Timeout) {
                show("does not end");
                std::process::abort();
            }
        });
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for (number, input) in inputs.iter().enumerate() {
                at.store(number, Ordering::Relaxed);
                property(input);
            }
        }));
        drop(done);
        if let Err(panic) = outcome {
            show("breaks the property");
            resume_unwind(panic);
        }
    });
}

/// Changes of an input like those of libFuzzer: single bytes, runs, pieces of other inputs.
fn vary(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        let count = 1 + random.below(8);
        match random.below(5) {
            0 => drop(input.splice(at..at, random.bytes(count))),
            1 => drop(input.drain(at..input.len().min(at + count))),
            2 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                let piece = other[from..other.len().min(from + 64)].to_vec();
                input.splice(at..input.len().min(at + piece.len()), piece);
            }
            _ if at < input.len() => input[at] = random.bytes(1)[0],
            _ => input.push(0),
        }
    }
    input
}

fn target(name: &str, property: impl Fn(&[u8])) {
    let inputs = corpus(name);
    assert!(!inputs.is_empty());
    run(&inputs, &property);
    let start = Instant::now();
    let mut random = Random(u64::from(std::process::id()));
    let mut runs = 0;
    while start.elapsed() < TIME / 2 {
        let varied: Vec<Vec<u8>> = (0..100).map(|_| vary(&mut random, &inputs)).collect();
        run(&varied, &property);
        runs += varied.len();
    }
    println!("{name}: {} inputs, {runs} variations", inputs.len());
}

#[test]
fn the_valid_files_are_valid() {
    for (file, users) in [(fuzz::GOOD[0], 3), (fuzz::GOOD[1], 121)] {
        let cache = reader::Cache::open(file).unwrap();
        assert!(cache.user_by_name(format!("user{}", users - 1).as_bytes()).unwrap().is_some());
        fuzz::ask(file);
    }
    assert!(reader::Keys::open(fuzz::GOOD[2]).unwrap().login_by_name(b"user1").unwrap().is_some());
    fuzz::ask(fuzz::GOOD[2]);
}

#[test]
fn any_bytes_give_an_error_or_an_answer_that_keeps_the_rules() {
    target("any_bytes", fuzz::ask);
}

#[test]
fn a_good_file_changed_anywhere_gives_an_error_or_an_answer_that_keeps_the_rules() {
    target("changed_file", |changes| fuzz::ask(&fuzz::changed(changes)));
}
