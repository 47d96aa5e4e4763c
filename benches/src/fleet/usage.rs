//! Processor time and written bytes of processes, as the kernel counts them.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};

/// Sums since a process began. `bytes` are pages that the kernel has to write to a disk (proc(5), `write_bytes`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds.
    pub cpu: f64,
    /// Bytes.
    pub bytes: f64,
}

impl Usage {
    /// Of the children of this process that have ended, and theirs. The bytes include its own, which are none.
    #[must_use]
    pub fn of_children() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        Self { cpu: seconds(usage.user_time()) + seconds(usage.system_time()), bytes: written("self") }
    }

    /// Of a process that still runs, without its children.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        let nanoseconds = |task: fs::DirEntry| -> f64 {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
        };
        Self { cpu: tasks.map(nanoseconds).sum::<f64>() / 1e9, bytes: written(&process.to_string()) }
    }

    /// What was added since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu - before.cpu, bytes: self.bytes - before.bytes }
    }
}

/// The largest memory of a process so far, in bytes; none if it has ended.
#[must_use]
pub fn peak(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

fn written(process: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}
