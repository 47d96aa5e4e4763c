//! The shell of users who may only forward connections, and sshd's ForceCommand for them: says so, and runs nothing.
//!
//! nologin(8) would do, but a small Debian 13 does not have it, and its text helps nobody to connect. This program reads
//! no file, no argument and no environment variable: the user chooses some of them.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

const TEXT: &str = "\
this host runs no command for you: it only forwards your connections to other hosts
hint: ssh -J USER@THIS-HOST TARGET, or ssh -N -L PORT:TARGET:PORT USER@THIS-HOST
";

fn main() -> ExitCode {
    // If nobody reads standard error, the text cannot be shown elsewhere.
    let _ = std::io::stderr().write_all(TEXT.as_bytes());
    ExitCode::FAILURE
}
