//! Logins with a real sshd, PAM, sudo and cron on a private host, a real ssh client, and the IAM emulator.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod caveats;
mod certificates;
mod enable;
mod forward_only;
mod forwarding;
mod guide;
mod hardened;
mod identity_center;
mod imds;
mod keys;
mod leaving;
mod load;
mod names;
mod no_keys;
mod outage;
mod published;
mod pushed;
mod session;
mod session_manager;
mod sudo_rs;
mod support;
mod units;
mod verdicts;
