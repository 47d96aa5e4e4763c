//! A weaker order is noticed: each access whose order is not Relaxed is made Relaxed, in a run of its own.

use std::process::Command;

use crate::sync::WEAKENED;

/// Between them, these fail for every order.
const TESTS: [&str; 3] = [
    "values::a_reused_slot_is_not_mistaken_for_its_old_content",
    "values::a_thread_that_empties_a_slot_passes_on_that_the_value_was_replaced",
    "files::threads_that_read_while_the_file_is_replaced_read_an_open_file",
];

const SOURCES: [(&str, &str); 3] = [
    ("header.rs", include_str!("../../../reader/src/header.rs")),
    ("retention.rs", include_str!("../../src/retention.rs")),
    ("slots.rs", include_str!("../../src/slots.rs")),
];

/// The lines as `slots.rs:92`.
fn ordered() -> Vec<String> {
    let mut lines = Vec::new();
    for (name, source) in SOURCES {
        for (number, line) in (1..).zip(source.lines()) {
            let orders = ["Acquire", "Release", "AcqRel", "SeqCst"];
            if orders.iter().any(|order| line.contains(&format!("Ordering::{order}"))) {
                lines.push(format!("{name}:{number}"));
            }
        }
    }
    lines
}

#[test]
fn each_order_that_is_not_relaxed_is_needed() {
    let lines = ordered();
    assert!(lines.len() >= 8, "{lines:?}");
    for line in lines {
        assert!(TESTS.iter().any(|test| fails(test, &line)), "no test notices that '{line}' is Relaxed");
    }
}

fn fails(test: &str, line: &str) -> bool {
    let program = std::env::current_exe().unwrap();
    let ran = Command::new(program).args(["--exact", test]).env(WEAKENED, line).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("running 1 test\n"), "{said}");
    said.contains(" ... FAILED")
}
