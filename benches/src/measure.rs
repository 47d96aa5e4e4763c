//! Runs the probe, and whole programs, on the private machine. Peers take turns in each round, so that all of them are
//! affected if the machine slows down.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use tests::{Machine, target, text};

use crate::figure::{Cell, Figure};
use crate::peer::Peer;
use crate::row::Row;

/// Lookups whose system calls are counted.
pub const TRACED: usize = 1000;
const QUESTIONS: &str = "/run/questions";
const TRACE: &str = "/run/trace";
/// Seconds for one process of the probe.
const LIMIT: &str = "10";
/// A peer that has taken this long for one case gets no more rounds.
const ENOUGH: Duration = Duration::from_secs(10);
/// Cold starts of a program in one round.
const STARTS: usize = 25;

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Turns of each peer.
    pub rounds: usize,
    /// Of a measurement, after the warm-up.
    pub milliseconds: u32,
}

/// A private machine on which every peer knows the same users.
#[derive(Debug)]
pub struct Bench<'m> {
    machine: &'m Machine,
    effort: Effort,
    size: usize,
    /// The user that a cold start looks up.
    user: String,
}

/// The output of one process of the probe.
#[derive(Debug, Clone, Copy)]
struct Probed {
    p50: f64,
    /// The elapsed time of all threads, divided by their number of calls.
    each: f64,
    calls: f64,
    wrong: f64,
}

impl<'m> Bench<'m> {
    /// `questions` is the input of the probe; `user` is the user that cold starts look up.
    #[must_use]
    pub fn new(machine: &'m Machine, effort: Effort, size: usize, questions: &str, user: &str) -> Self {
        fs::write(QUESTIONS, questions).unwrap();
        Self { machine, effort, size, user: user.to_owned() }
    }

    fn peers(&self) -> impl Iterator<Item = Peer> {
        let size = self.size;
        Peer::ALL.into_iter().filter(move |peer| peer.takes(size))
    }

    /// Warm lookups: the median of each round goes into `median`, the elapsed time of a lookup into `each`.
    pub fn warm(&self, row: Row, threads: usize, median: &mut Figure, each: Option<&mut Figure>) {
        let mut p50: BTreeMap<Peer, Cell> = BTreeMap::new();
        let mut clock = p50.clone();
        let mut spent: BTreeMap<Peer, Duration> = BTreeMap::new();
        for _ in 0..self.effort.rounds {
            for peer in self.peers() {
                let spent = spent.entry(peer).or_default();
                if *spent > ENOUGH || p50.get(&peer).is_some_and(|cell| cell.value().is_err()) {
                    continue;
                }
                let began = Instant::now();
                let probed = self.probe(peer, row, threads);
                *spent += began.elapsed();
                p50.entry(peer).or_default().push(probed.clone().map(|probed| probed.p50 / 1000.0));
                clock.entry(peer).or_default().push(probed.map(|probed| probed.each / 1000.0));
            }
        }
        median.cells.insert(self.size, p50);
        if let Some(each) = each {
            each.cells.insert(self.size, clock);
        }
    }

    /// Asks a peer everything that it will be asked later, so that its cache is complete.
    pub fn fill(&self, peer: Peer) {
        if peer.takes(self.size) {
            peer.choose();
            for row in Row::ALL {
                let output = self.answered(&[&program(), row.slug(), "1", "512x"]);
                assert!(output.status.success(), "bench-probe: {}", text(&output.stderr));
            }
        }
    }

    fn probe(&self, peer: Peer, row: Row, threads: usize) -> Result<Probed, String> {
        peer.choose();
        let (threads, time) = (threads.to_string(), self.effort.milliseconds.to_string());
        // A peer that waits forever for a lock is a result, too.
        let output =
            self.answered(&["timeout", "--signal=KILL", LIMIT, &program(), row.slug(), &threads, &time]);
        if !output.status.success() {
            // timeout(1) then kills itself in the same way.
            let late = output.status.signal() == Some(libc::SIGKILL);
            return Err(if late { format!("over {LIMIT} s") } else { "crashed".to_owned() });
        }
        let numbers: Vec<f64> =
            text(&output.stdout).split_whitespace().map(|word| word.parse().unwrap()).collect();
        let [p50, calls, wall, wrong] = numbers[..] else { panic!("bench-probe said {numbers:?}") };
        let probed = Probed { p50, each: wall / calls, calls, wrong };
        if probed.wrong > 0.0 {
            return Err(format!("{:.2} % wrong", 100.0 * probed.wrong / probed.calls));
        }
        Ok(probed)
    }

    /// Runs this with the questions as its input.
    fn answered(&self, line: &[&str]) -> Output {
        let mut command = self.machine.command(line);
        command.stdin(File::open(QUESTIONS).unwrap());
        command.output().unwrap_or_else(|e| panic!("cannot run {line:?}: {e}"))
    }

    /// `getent passwd NAME` as a process: instructions, and processor time.
    pub fn cold(&self, instructions: &mut Figure, time: &mut Figure) {
        let mut counted: BTreeMap<Peer, Cell> = BTreeMap::new();
        let mut timed = counted.clone();
        for peer in self.peers() {
            peer.choose();
            counted.entry(peer).or_default().push(Ok(instructions_of(self.machine, &self.user, true)));
        }
        for _ in 0..self.effort.rounds {
            for peer in self.peers() {
                peer.choose();
                timed.entry(peer).or_default().push(Ok(self.started()));
            }
        }
        instructions.cells.insert(self.size, counted);
        time.cells.insert(self.size, timed);
    }

    /// Milliseconds of processor time, which a busy machine does not change as much as time on the clock.
    fn started(&self) -> f64 {
        // By its path, std starts it without a fork(2), which would take the longer the larger this process is.
        let mut command = self.machine.command(&["/usr/bin/getent", "passwd", self.user.as_str()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let before = children();
        for _ in 0..STARTS {
            let known = command.status().is_ok_and(|status| status.success());
            assert!(known, "getent does not know '{}'", self.user);
        }
        (children() - before) * 1000.0 / STARTS as f64
    }

    /// The system calls of [`TRACED`] warm lookups, without those of glibc itself, which are the ones that remain if the service
    /// does not exist.
    pub fn system_calls(&self, row: Row) -> BTreeMap<Peer, BTreeMap<String, usize>> {
        fs::write("/etc/nsswitch.conf", "passwd: nonesuch\ngroup: nonesuch\n").unwrap();
        let own = self.trace(row);
        let of = |peer: Peer| {
            peer.choose();
            let mut calls = self.trace(row);
            calls
                .iter_mut()
                .for_each(|(call, count)| *count = count.saturating_sub(own.get(call).copied().unwrap_or(0)));
            calls.retain(|_, count| *count > 0);
            (peer, calls)
        };
        self.peers().map(of).collect()
    }

    fn trace(&self, row: Row) -> BTreeMap<String, usize> {
        let calls = format!("{TRACED}x");
        let output = self.answered(&[
            "strace",
            "--follow-forks",
            "--output",
            TRACE,
            &program(),
            row.slug(),
            "1",
            &calls,
        ]);
        assert!(output.status.success(), "strace: {}", text(&output.stderr));
        let mut calls = BTreeMap::new();
        let trace = fs::read_to_string(TRACE).unwrap();
        // Lines are `PID name(arguments...`; the probe marks the measurement by getppid(2).
        let names = trace.lines().filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('));
        for (name, _) in names
            .skip_while(|(name, _)| *name != "getppid")
            .skip(1)
            .take_while(|(name, _)| *name != "getppid")
        {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
        calls
    }
}

/// Processor time of all children that have ended, in seconds.
fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn program() -> String {
    target().join("release/bench-probe").display().to_string()
}

/// Instructions of the whole process `getent passwd NAME`, as callgrind counts them.
#[must_use]
pub fn instructions_of(machine: &Machine, user: &str, known: bool) -> f64 {
    let line = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "getent", "passwd", user];
    let output = machine.run(&line);
    let said = text(&output.stderr);
    assert_eq!(output.status.success(), known, "{said}");
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.unwrap_or_else(|| panic!("callgrind counted nothing: {said}"))
}
