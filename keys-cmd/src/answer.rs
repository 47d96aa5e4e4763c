//! Decides what sshd gets: a function from the request, the cache's rows and facts about the host to output and log
//! lines.
//!
//! In case of doubt, no key is offered, and the log says why. A user without keys or a key that does not match is
//! not a case of doubt: ssh offers every key that it has.

use policy::no_key::{Hint, NoKey};
use policy::offer::{Confirmation, STALE, Withheld};

use crate::key::Key;
use crate::request::Request;
use crate::syslog::{Line, Severity, shown};

/// The row of table `about` in `keys.db`.
pub(crate) struct About {
    pub(crate) machine_id: Vec<u8>,
    pub(crate) max_age: i64,
    pub(crate) options: String,
}

/// The user's row of table `login` in `keys.db`.
pub(crate) struct Login {
    pub(crate) uid: u32,
    pub(crate) iam_id: Vec<u8>,
    pub(crate) confirmed: i64,
    pub(crate) source: Vec<u8>,
    pub(crate) keys: String,
    pub(crate) forward_only: bool,
}

/// Options after all others, for a user who may only forward connections: whatever the others permit, sshd then lets this
/// key do nothing else.
const FORWARD_ONLY: &str = "restrict,port-forwarding";

/// Facts that only this host knows; an error gives the reason why a fact is missing.
pub(crate) struct Host {
    /// `machine-id(5)`.
    pub(crate) machine_id: Result<String, String>,
    /// The uid whose keys are requested: sshd's UID, or the one that getpwnam(3) returns for the name.
    pub(crate) uid: Result<u32, String>,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// Text for standard output and for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) lines: String,
    pub(crate) log: Vec<Line>,
}

impl Answer {
    /// Offers no key, and logs the reason.
    pub(crate) fn nothing(user: &[u8], reason: &NoKey) -> Self {
        let text = reason.line(&shown(user));
        Self { lines: String::new(), log: vec![Line { severity: Severity::Warning, text }] }
    }
}

/// The keys of a user who is in the cache.
pub(crate) fn answer(request: &Request, host: &Host, about: &About, login: &Login) -> Answer {
    if login.forward_only && !request.forward_only {
        let why =
            "this user may only forward connections, and sshd's configuration does not see to it".to_owned();
        return Answer::nothing(request.user.as_bytes(), &NoKey { why, hint: Some(Hint::ForwardOnly) });
    }
    match age(host, about, login) {
        Ok(age) => offer(request, about, login, age),
        Err(reason) => Answer::nothing(request.user.as_bytes(), &reason),
    }
}

/// Seconds since the keys were confirmed, or why they may not be offered here.
fn age(host: &Host, about: &About, login: &Login) -> Result<i64, NoKey> {
    let machine_id = host.machine_id.as_ref().map_err(Clone::clone)?;
    let uid = *host.uid.as_ref().map_err(Clone::clone)?;
    if uid != login.uid {
        let why = format!("the user with this name has uid {uid}, the one in the cache has {}", login.uid);
        return Err(why.into());
    }
    let confirmation = Confirmation {
        made_for: &about.machine_id,
        machine_id: machine_id.as_bytes(),
        confirmed: login.confirmed,
        max_age: about.max_age,
        now: host.now,
    };
    confirmation.age().map_err(|withheld| {
        let (why, hint) = match withheld {
            Withheld::OtherMachine => (
                "the cache was made on a host with a different machine-id; the next refresh makes a new one"
                    .to_owned(),
                None,
            ),
            Withheld::Unconfirmed => ("no source has confirmed a key yet".to_owned(), None),
            Withheld::Future(seconds) => (
                format!("its keys were confirmed {seconds} s in the future: the clock is or was wrong"),
                None,
            ),
            Withheld::Old(age) => (
                format!("its keys were last confirmed {age} s ago, max_age is {} s", about.max_age),
                Some(Hint::Refreshes),
            ),
        };
        NoKey { why, hint }
    })
}

fn offer(request: &Request, about: &About, login: &Login, age: i64) -> Answer {
    let mut answer = Answer::default();
    let own = if login.forward_only { FORWARD_ONLY } else { "" };
    let options = [&*about.options, own].into_iter().filter(|part| !part.is_empty());
    let options = options.collect::<Vec<_>>().join(",");
    let mut offered = 0;
    let mut refused = Vec::new();
    for stored in login.keys.lines() {
        match Key::parse(stored) {
            Ok(key) if request.fits(&key.fingerprint) => {
                offered += 1;
                if !options.is_empty() {
                    answer.lines.extend([&options, " "]);
                }
                answer.lines.extend([&key.line, "\n"]);
            }
            Ok(_) => {}
            Err(cause) => refused.push(cause),
        }
    }
    if let [cause, ..] = refused.as_slice() {
        let text =
            format!("skipped {} of the lines stored for user '{}': {cause}", refused.len(), request.user);
        answer.log.push(Line { severity: Severity::Warning, text });
    }
    let what = match &request.fingerprint {
        Some(_) if offered == 0 => return answer,
        Some(fingerprint) => format!("offered key {fingerprint}"),
        None => format!("offered {offered} keys"),
    };
    let (severity, remark) = if age > STALE {
        (Severity::Warning, Hint::Refreshes.suffix())
    } else {
        (Severity::Info, String::new())
    };
    let text = format!(
        "{what} of user '{}' ({}), confirmed {age} s ago by '{}'{remark}",
        request.user,
        shown(&login.iam_id),
        shown(&login.source)
    );
    answer.log.push(Line { severity, text });
    answer
}

#[cfg(test)]
mod tests;
