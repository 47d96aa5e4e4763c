//! Output: messages, findings, tables, errors.

pub(crate) mod code;
pub(crate) mod error;
pub(crate) mod finding;
pub(crate) mod look;
pub(crate) mod secure;
pub(crate) mod show;

#[cfg(not(test))]
use std::io::Write;

use message::Message;

/// Prints a message for the administrator. Failures are ignored, because they could not be reported either.
#[cfg(not(test))]
pub(crate) fn say(message: impl Into<Message>) {
    let _ = writeln!(std::io::stderr(), "nss-iamctl: {}", message.into());
}

#[cfg(test)]
thread_local! {
    /// What [`say`] printed in this test.
    pub(crate) static SAID: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

#[cfg(test)]
pub(crate) fn say(message: impl Into<Message>) {
    SAID.with_borrow_mut(|said| said.push_str(&format!("{}\n", message.into())));
}
