//! What `make demo` and `make bench` start runs to its end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn every_step_of_the_demo_succeeds() {
    if !tests::is_root() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_demo")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("demo finished: every step succeeded"), "{text}");
    drawn(&text);
}

/// The other benchmark needs peers that only `make bench` installs.
#[test]
fn the_benchmark_of_a_refresh_runs_to_its_end() {
    if !tests::is_root() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_bench-refresh")).arg("--quick").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("keys-cmd USER UID at 10 users: "), "{text}");
    assert!(text.contains("apply of 20 users, one changed: "), "{text}");
}

/// The picture in the README has the commands and titles of the steps that it shows. `make picture` draws it again.
fn drawn(demo: &str) {
    let picture = std::fs::read_to_string(tests::repository().join("docs/demo.svg")).unwrap();
    let words = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let drawn = words(&picture.replace("&#160;", " ").replace("&#x27;", "'"));
    let steps = demo.split("\n\u{1b}[1m").filter(|step| step.starts_with("3. ") || step.starts_with("5. "));
    let lines: Vec<String> = steps
        .flat_map(str::lines)
        .filter(|line| line.starts_with("# ") || line.contains("\u{1b}[0m"))
        .map(|line| words(&line.replace("\u{1b}[0m", "").replace('&', "&amp;").replace('>', "&gt;")))
        .collect();
    assert!(lines.len() > 9, "{lines:?}");
    for line in lines {
        assert!(drawn.contains(line.trim()), "docs/demo.svg has no '{line}'\nhint: make picture");
    }
}
