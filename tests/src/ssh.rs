//! What all ssh clients of the tests have in common.

use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::text;

/// sshd closes its sockets for a moment when it reads its configuration.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Runs a client, and again while it says that nobody listens. That is not taken for a refusal.
pub(crate) fn heard(unheard: &[&str], mut client: impl FnMut() -> Output) -> Output {
    let started = Instant::now();
    loop {
        let ran = client();
        let said = text(&ran.stderr);
        let is_unheard = ran.status.code() == Some(255) && unheard.iter().any(|words| said.contains(words));
        if !is_unheard || started.elapsed() > PATIENCE {
            return ran;
        }
        sleep(POLL);
    }
}

/// If no other program is between the client and sshd.
pub(crate) const NOBODY: [&str; 1] = ["Connection refused"];
