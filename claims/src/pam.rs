//! Asks PAM whether it lets a user in: the account stage (pam_acct_mgmt(3)) of a service, without a login.
//!
//! In a process of its own, because modules ask daemons, which can hang, and because a module may do anything to the process
//! that loads it.

mod libpam;

use std::ffi::{CString, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::program;

/// The hidden word with which a program runs itself to ask PAM; its arguments follow.
const WORD: &str = "ask-pam";
/// How long PAM may take. sshd waits for 120 s (`LoginGraceTime`), and sssd for its own back end for 6 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// What PAM says of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// The user may log in.
    Allowed,
    /// The user may not.
    Refused {
        /// Whether a service that a module needs does not answer (`PAM_AUTHINFO_UNAVAIL`).
        unavailable: bool,
        /// PAM's own words.
        why: String,
    },
    /// No answer in time: a module waits for something that hangs.
    Silent {
        /// How long it was asked, in seconds.
        seconds: u64,
    },
    /// PAM cannot be asked here, and why.
    Unasked(String),
}

/// Asks about `user` as `service`, such as `sshd`, would.
#[must_use]
pub fn account(service: &str, user: &str) -> Account {
    let mut child = match program::again(&[WORD, service, user]).spawn() {
        Ok(child) => child,
        Err(cause) => return Account::Unasked(format!("cannot run the process that asks it: {cause}")),
    };
    drop(child.stdin.take());
    let (send, answer) = mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let lines = stdout.map(|stdout| BufReader::new(stdout).lines()).into_iter().flatten();
        // A module may print to standard output, too.
        let mut answers = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
        answers.next().map(|answer| send.send(answer))
    });
    let said = answer.recv_timeout(PATIENCE);
    // It has ended, or is not waited for any longer.
    let _ = child.kill();
    let _ = child.wait();
    said.unwrap_or_else(|cause| match cause {
        RecvTimeoutError::Timeout => Account::Silent { seconds: PATIENCE.as_secs() },
        RecvTimeoutError::Disconnected => Account::Unasked("the process that asks it ended early".to_owned()),
    })
}

/// Asks PAM if this program was run for that, else returns `None`. Every program that uses [`account`] must call this first.
/// `words` are the program's name and its arguments.
pub fn serve(words: impl Iterator<Item = OsString>) -> Option<io::Result<()>> {
    let words: Vec<String> = words.skip(1).take(3).map(|word| word.to_string_lossy().into_owned()).collect();
    let [word, service, user] = words.as_slice() else { return None };
    (word == WORD).then(|| {
        let names = (CString::new(service.as_str()), CString::new(user.as_str()));
        let (Ok(service), Ok(user)) = names else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut json = vec![b'\n'];
        serde_json::to_writer(&mut json, &libpam::account(&service, &user))?;
        json.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&json)?;
        out.flush()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_is_run_to_ask_pam_asks_it() {
        let words = |words: &[&str]| serve(words.iter().map(OsString::from));
        for other in [&["nss-iamctl"][..], &["nss-iamctl", "doctor", "sshd", "ana"], &["nss-iamctl", WORD]] {
            assert!(words(other).is_none(), "{other:?}");
        }
        let nul = words(&["nss-iamctl", WORD, "sshd", "a\0b"]).unwrap();
        assert_eq!(nul.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
