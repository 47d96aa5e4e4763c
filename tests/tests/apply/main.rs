//! The refresher on a private machine, as root runs it: tests provide listings and check what glibc, sshd and the
//! log get. Every test has a separate copy of the machine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unsafe_code,
    reason = "a test fails by panicking, and asks the module as glibc does"
)]

mod confirmed;
mod disk;
mod distrust;
mod killed;
mod locking;
mod metrics;
mod reader;
mod refresh;
mod report;
mod sessions;
mod signed;
mod states;
mod upgrade;
mod written;

use std::fs;
use std::process::{Child, Command, Stdio};

use tests::{Host, REFRESHER};

/// The files of the cache after a refresh, sorted.
const FILES: [&str; 8] =
    ["cache.db", "confirmed", "keys.db", "known.db", "metrics.prom", "reserve", "state.db", "status.json"];

/// A process of a test, which is ended with the test in any case.
struct Running(Child);

impl Running {
    fn silent(mut command: Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the refresher under strace(1) until one of its processes is stopped just before a system call, passes its
/// pid and proc_pid_status(5) to `look`, and lets it continue. The refresher must succeed.
fn stopped_at(host: &Host, call: &[&str], words: &[&str], look: impl FnOnce(&str, &dyn Fn(&str) -> String)) {
    let trace = "/tmp/trace";
    let line = [&["strace", "-f", "-o", trace], call, &[REFRESHER], words].concat();
    let mut strace = Running::silent(host.machine.command(&line));
    let pid = loop {
        let seen = fs::read_to_string(trace).unwrap_or_default();
        if let Some(line) = seen.lines().find(|line| line.contains("stopped by SIGSTOP")) {
            break line.split_whitespace().next().unwrap().to_owned();
        }
        assert!(strace.0.try_wait().unwrap().is_none(), "it was never stopped: {seen}");
        std::thread::yield_now();
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    look(&pid, &value);
    assert_eq!(host.run(&["kill", "-CONT", &pid]).status, Some(0));
    assert!(strace.0.wait().unwrap().success());
}

/// The capabilities that a process can use or pass on.
const POWER: [&str; 4] = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
