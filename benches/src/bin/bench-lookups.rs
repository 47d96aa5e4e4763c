//! `make bench`, lookups: asks all peers at all sizes, on a private machine, and writes docs/benchmarks. With `--quick`
//! it only shows that it works: small sizes, one short round, the table on standard output.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program for a person at a terminal, and ends at the first surprise"
)]

use std::fs;
use std::time::Instant;

use benches::figure::Figure;
use benches::machine::describe;
use benches::measure::{Bench, Effort, instructions_of};
use benches::peer::{self, Peer, Sssd};
use benches::people::People;
use benches::report::Report;
use benches::row::Row;
use tests::{Machine, text};

const SIZES: [usize; 4] = [100, 1000, 5000, 50_000];
/// Many short rounds: the speed of the machine changes within a second, and only simultaneous measurements are comparable.
const FULL: Effort = Effort { rounds: 21, milliseconds: 20 };
const QUICK: Effort = Effort { rounds: 1, milliseconds: 20 };
const THREADS: [usize; 2] = [2, 8];
/// The size at which system calls are counted: at larger ones some peers make thousands per lookup, and strace is slow.
const TRACED_SIZE: usize = 100;

fn main() {
    let quick = std::env::args().nth(1).is_some_and(|word| word == "--quick");
    let (sizes, effort) = if quick { (&SIZES[..2], QUICK) } else { (&SIZES[..], FULL) };
    let started = Instant::now();
    // A machine is a thread's own, and only this thread sees the repository writable.
    let run = std::thread::spawn(move || run(sizes, effort));
    let Ok(report) = run.join() else { panic!("the benchmark stops here") };
    if quick {
        println!("{}", report.markdown());
    } else {
        report.write(&tests::repository().join("docs/benchmarks"));
        println!("wrote docs/benchmarks in {:.0} s", started.elapsed().as_secs_f64());
    }
}

fn run(sizes: &[usize], effort: Effort) -> Report {
    let Some(machine) = Machine::enter_tree("bench") else { panic!("the benchmark needs root") };
    assert!(peer::is_complete(), "the tree is incomplete\nhint: tests/trees.sh");
    peer::install(&machine);
    let mut report = Report {
        machine: described(&machine),
        effort,
        warm: Row::ALL.map(|row| Figure::new(row.slug(), row.title(), "µs")).into(),
        threads: Vec::new(),
        clock: Vec::new(),
        cold: vec![
            Figure::new("cold-instructions", "A cold process, user space", "instructions"),
            Figure::new("cold-time", "A cold process, processor time", "ms"),
        ],
        floor: empty_file(&machine),
        traced: (TRACED_SIZE, Vec::new()),
    };
    for row in Row::THREADED {
        for threads in THREADS {
            let title = format!("{}, {threads} threads", row.title());
            report.threads.push(Figure::new(format!("{}-{threads}", row.slug()), title.as_str(), "µs"));
            report.clock.push(Figure::new(
                format!("{}-{threads}-clock", row.slug()),
                format!("{title}, clock"),
                "µs",
            ));
        }
    }
    for size in sizes {
        at(&machine, *size, &mut report);
    }
    report
}

/// Measures everything at this size.
fn at(machine: &Machine, size: usize, report: &mut Report) {
    eprintln!("{size} users: making them");
    let people = People::new(size);
    people.write();
    let _sssd = Peer::Sssd.takes(size).then(|| Sssd::start(machine, people.middle()));
    let bench = Bench::new(machine, report.effort, size, &people.questions(), people.middle());
    bench.fill(Peer::Sssd);
    for (row, figure) in Row::ALL.into_iter().zip(&mut report.warm) {
        eprintln!("{size} users: {}", row.title());
        bench.warm(row, 1, figure, None);
    }
    let threaded = Row::THREADED.into_iter().flat_map(|row| THREADS.map(|threads| (row, threads)));
    for ((row, threads), (figure, clock)) in threaded.zip(report.threads.iter_mut().zip(&mut report.clock)) {
        eprintln!("{size} users: {}, {threads} threads", row.title());
        bench.warm(row, threads, figure, Some(clock));
    }
    eprintln!("{size} users: cold");
    let [instructions, time] = &mut report.cold[..] else { panic!("two figures") };
    bench.cold(instructions, time);
    if size == report.traced.0 {
        eprintln!("{size} users: system calls");
        report.traced.1 = Row::THREADED.map(|row| (row, bench.system_calls(row))).into();
    }
}

fn empty_file(machine: &Machine) -> f64 {
    fs::write("/etc/passwd", "").unwrap();
    Peer::Files.choose();
    instructions_of(machine, "nobody", false)
}

fn described(machine: &Machine) -> Vec<(&'static str, String)> {
    let mut described = describe(machine);
    let libc = text(&machine.run(&["getconf", "GNU_LIBC_VERSION"]).stdout).trim().to_owned();
    described.insert(4, ("C library", libc));
    described.insert(5, ("peers", peer::versions(machine)));
    described
}
