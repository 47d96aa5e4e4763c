//! The probe, `nss-iam/examples/probe.rs`, under tools that check memory accesses: several threads fill buffers
//! while the file is replaced. A tool that is missing is reported and skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use policy::Field;
use tests::{Machine, module, repository, text};

use crate::data::{self, FILE};

const SNAPSHOTS: &str = "/tmp/snapshots";

/// A machine with a directory of snapshots for the probe.
fn machine() -> Option<Machine> {
    let machine = Machine::enter()?;
    fs::create_dir(SNAPSHOTS).unwrap();
    for number in 0..4 {
        let mut cache = data::many(10 + 20 * number);
        let gecos = "x".repeat(3000 * number + 5);
        cache.users.iter_mut().step_by(7).for_each(|user| user.passwd.gecos = Field::new(&gecos).unwrap());
        data::publish(&cache);
        fs::copy(FILE, format!("{SNAPSHOTS}/{number}")).unwrap();
    }
    Some(machine)
}

fn left_out(what: &str) {
    // Not println: libtest does not show its text when a test passes.
    let _ = writeln!(std::io::stdout(), "left out: {what}");
}

fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Builds the probe with cargo and the arguments `how`, with these flags for rustc, in this directory.
fn build(how: &[&str], flags: &str, target: &Path) -> PathBuf {
    let (program, words) = how.split_first().unwrap();
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(program)
        .args(words)
        .current_dir(repository())
        .args(["build", "--offline", "--locked", "--quiet", "-p", "nss-iam", "--example", "probe"])
        // With a target, the flags do not apply to build scripts.
        .args(["--target", &triple, "--target-dir"])
        .arg(target)
        .env("RUSTFLAGS", flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    target.join(triple).join("debug/examples/probe")
}

fn run(machine: &Machine, line: &[&str]) {
    let output = machine.run(line);
    assert!(output.status.success(), "{:?}\n{}", output.status, text(&output.stderr));
    assert!(text(&output.stdout).contains("answers"));
}

fn sanitized(name: &str, rounds: &str) {
    if !works("rustup", &["run", "nightly", "rustc", "--version"]) {
        left_out(&format!("the {name} sanitizer: no nightly toolchain"));
        return;
    }
    // std is not built with it. Its reports about std do not matter, and the probe shares nothing through std.
    let flags = format!("-Zsanitizer={name} -Cunsafe-allow-abi-mismatch=sanitizer");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let probe = build(&["rustup", "run", "nightly", "cargo"], &flags, &target);
    let Some(machine) = machine() else { return };
    run(&machine, &[probe.to_str().unwrap(), SNAPSHOTS, rounds]);
}

#[test]
fn the_address_sanitizer_finds_nothing() {
    sanitized("address", "500");
}

#[test]
fn the_thread_sanitizer_finds_nothing() {
    sanitized("thread", "500");
}

#[test]
fn valgrind_finds_nothing() {
    if !works("valgrind", &["--version"]) {
        left_out("valgrind: not installed");
        return;
    }
    let probe = build(&[env!("CARGO")], "", &Path::new(env!("CARGO_TARGET_TMPDIR")).join("valgrind"));
    let Some(machine) = machine() else { return };
    let valgrind = ["valgrind", "--quiet", "--error-exitcode=9"];
    run(&machine, &[&valgrind[..], &[probe.to_str().unwrap(), SNAPSHOTS, "20"]].concat());

    // And the shipped library in an unrelated program.
    fs::copy(crate::library(), module()).unwrap();
    for database in ["passwd", "group", "shadow", "initgroups"] {
        let key = if database == "group" { "iam-users" } else { "user3" };
        let output = machine.run(&[&valgrind[..], &["getent", "-s", "iam", database, key]].concat());
        assert!(output.status.success(), "{database}: {}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(key));
    }
}
