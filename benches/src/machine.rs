//! What a benchmark ran on.

use std::fs;

use tests::{Machine, text};

/// Day, processor, memory, kernel and load.
#[must_use]
pub fn describe(machine: &Machine) -> Vec<(&'static str, String)> {
    let said = |line: &[&str]| text(&machine.run(line).stdout).trim().to_owned();
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    vec![
        ("day", jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()),
        ("processor", format!("{}, {} cores", field("/proc/cpuinfo", "model name"), said(&["nproc"]))),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", said(&["uname", "-srm"])),
        ("load when it began", load.split(' ').next().unwrap_or_default().to_owned()),
    ]
}
