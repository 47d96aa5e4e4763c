//! `make demo`, which the README names, runs to its end.

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
}
