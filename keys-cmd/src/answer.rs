//! Decides what sshd gets: a function from the request, the cache's rows and facts about the host to output and log
//! lines.
//!
//! In case of doubt, no key is offered, and the log says why. A user without keys or a key that does not match is
//! not a case of doubt: ssh offers every key that it has.

use policy::no_key::{Hint, NoKey};
use policy::offer::{Confirmation, STALE, Withheld};
use policy::record;

use crate::key::Key;
use crate::log::{Field, Line, Severity, shown, shown_in_field};
use crate::request::{Certificate, Connection, Request};

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
    /// What a certificate's principal may be instead of the name, one a line.
    pub(crate) principals: String,
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
    /// Whether keys count, too, that were pushed with EC2 Instance Connect.
    pub(crate) asks_instance_connect: bool,
}

impl Answer {
    /// Offers no key, and logs the reason.
    pub(crate) fn nothing(user: &[u8], reason: &NoKey) -> Self {
        let text = reason.line(&shown(user));
        Self { log: vec![Line::new(Severity::Warning, text)], ..Self::default() }
    }
}

/// Where keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Cache,
    InstanceConnect,
}

/// The keys or principals of a user who is in the cache. Principals are subject to the same rules, although no certificate comes
/// from the source: without a refresh, this host does not learn who left.
pub(crate) fn answer(request: &Request, host: &Host, about: &About, login: &Login) -> Answer {
    match age(request, host, about, login) {
        Ok(age) if request.flags.principals => principals(request, about, login, age),
        Ok(age) => {
            let keys = login.keys.lines().map(Key::parse);
            let mut answer = offer(request, about, login, age, Origin::Cache, keys);
            // No two sources have to be asked for one key.
            let found = request.fingerprint.is_some() && !answer.lines.is_empty();
            answer.asks_instance_connect = request.flags.instance_connect && !found;
            answer
        }
        Err(reason) => Answer::nothing(request.user.as_bytes(), &reason),
    }
}

/// The keys that the command of EC2 Instance Connect printed, for a user who is still in the cache: a minute is long enough
/// to leave.
pub(crate) fn pushed(request: &Request, host: &Host, about: &About, login: &Login, printed: &str) -> Answer {
    match age(request, host, about, login) {
        Ok(age) => {
            let lines = printed.lines().filter(|line| !line.trim_ascii().is_empty());
            offer(request, about, login, age, Origin::InstanceConnect, lines.map(Key::pushed))
        }
        Err(reason) => Answer::nothing(request.user.as_bytes(), &reason),
    }
}

/// Seconds since the user's keys were confirmed, or why no key of the user may be offered here.
fn age(request: &Request, host: &Host, about: &About, login: &Login) -> Result<i64, NoKey> {
    if login.forward_only && !request.flags.forward_only {
        let why =
            "this user may only forward connections, and sshd's configuration does not see to it".to_owned();
        return Err(NoKey { why, hint: Some(Hint::ForwardOnly) });
    }
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

fn offer(
    request: &Request,
    about: &About,
    login: &Login,
    age: i64,
    origin: Origin,
    keys: impl Iterator<Item = Result<Key, String>>,
) -> Answer {
    let mut answer = Answer::default();
    let options = options(about, login);
    let mut offered = Vec::new();
    let mut refused = Vec::new();
    for key in keys {
        match key {
            Ok(key) if request.fits(&key.fingerprint) => {
                answer.lines.extend([&options, &key.line, "\n"]);
                offered.push(key.fingerprint);
            }
            Ok(_) => {}
            Err(cause) => refused.push(cause),
        }
    }
    if let [cause, ..] = refused.as_slice() {
        let lines = match origin {
            Origin::Cache => "lines stored",
            Origin::InstanceConnect => "lines that EC2 Instance Connect has",
        };
        let text = format!("skipped {} of the {lines} for user '{}': {cause}", refused.len(), request.user);
        answer.log.push(Line::new(Severity::Warning, text));
    }
    if !offered.is_empty() || request.fingerprint.is_none() && origin == Origin::Cache {
        answer.log.push(offered_line(request, login, age, origin, offered));
    }
    answer
}

/// The line that says which keys are offered, by fingerprint, and where they and the user come from.
fn offered_line(request: &Request, login: &Login, age: i64, origin: Origin, offered: Vec<String>) -> Line {
    let what = match &request.fingerprint {
        Some(fingerprint) => format!("offered key {fingerprint}"),
        None => format!("offered {} keys", offered.len()),
    };
    let confirmed = match origin {
        Origin::Cache => "confirmed",
        Origin::InstanceConnect => "pushed with EC2 Instance Connect; the user was confirmed",
    };
    let key_source = match origin {
        Origin::Cache => shown(&login.source),
        Origin::InstanceConnect => record::INSTANCE_CONNECT.to_owned(),
    };
    let fields = offered.into_iter().map(|fingerprint| (record::FINGERPRINT, fingerprint));
    line(request, login, age, (&what, confirmed), (record::OFFERED, key_source, fields.collect()))
}

/// A line about what lets the user in and how it came here, with the record's id, the source, and the fields that others lack.
fn line(
    request: &Request,
    login: &Login,
    age: i64,
    (what, confirmed): (&str, &str),
    (id, key_source, more): (&str, String, Vec<Field>),
) -> Line {
    let (iam_id, source) = (shown(&login.iam_id), shown(&login.source));
    let from = request.connection.as_ref().map_or(String::new(), |Connection { client, .. }| {
        format!(" from {} port {}", client.address, client.port)
    });
    let (severity, remark) = if age > STALE {
        (Severity::Warning, Hint::Refreshes.suffix())
    } else {
        (Severity::Info, String::new())
    };
    let text = format!(
        "{what} of user '{}' ({iam_id}){from}, {confirmed} {age} s ago by '{source}'{remark}",
        request.user
    );
    let mut fields = vec![
        ("MESSAGE_ID", id.to_owned()),
        (record::USER, request.user.clone()),
        (record::USER_ID, iam_id),
        (record::UID, login.uid.to_string()),
        (record::KEY_SOURCE, key_source),
        (record::AGE, age.to_string()),
    ];
    fields.extend(more);
    if let Some(Connection { server, client }) = &request.connection {
        fields.extend([
            (record::CLIENT_ADDRESS, client.address.clone()),
            (record::CLIENT_PORT, client.port.to_string()),
            (record::SERVER_ADDRESS, server.address.clone()),
            (record::SERVER_PORT, server.port.to_string()),
        ]);
    }
    Line { severity, text, fields }
}

/// The options of each key or principal, with the space that follows.
fn options(about: &About, login: &Login) -> String {
    let own = if login.forward_only { FORWARD_ONLY } else { "" };
    let options: Vec<&str> = [&*about.options, own].into_iter().filter(|part| !part.is_empty()).collect();
    if options.is_empty() { String::new() } else { format!("{} ", options.join(",")) }
}

/// The principals of a certificate that lets the user in: sshd_config(5), AuthorizedPrincipalsFile.
fn principals(request: &Request, about: &About, login: &Login, age: i64) -> Answer {
    let options = options(about, login);
    // The publisher writes nothing else.
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    let others = login.principals.lines().filter(|word| !word.is_empty() && word.bytes().all(is_right));
    let all: Vec<&str> = std::iter::once(&*request.user).chain(others).collect();
    let lines = all.iter().map(|principal| format!("{options}{principal}\n")).collect();
    let named: Vec<String> = all.iter().map(|principal| format!("'{principal}'")).collect();
    Answer { lines, log: vec![allowed_line(request, login, age, &named.join(", "))], ..Answer::default() }
}

/// The line that says which principals are allowed, and for which certificate.
fn allowed_line(request: &Request, login: &Login, age: i64, principals: &str) -> Line {
    let Certificate { fingerprint, ca, serial, id } = &request.certificate;
    let serial = serial.map(|serial| serial.to_string());
    let confirmed = match (&serial, id) {
        (Some(serial), Some(id)) => format!("with certificate {serial} '{}', confirmed", shown(id)),
        _ => "confirmed".to_owned(),
    };
    let known = [
        (record::FINGERPRINT, fingerprint.clone()),
        (record::CA_FINGERPRINT, ca.clone()),
        (record::CERTIFICATE_SERIAL, serial),
        (record::CERTIFICATE_ID, id.as_ref().map(|id| shown_in_field(id))),
    ];
    let fields = known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let source = record::CERTIFICATE.to_owned();
    let what = format!("allowed principals {principals}");
    line(request, login, age, (&what, &confirmed), (record::ALLOWED, source, fields))
}

#[cfg(test)]
mod tests;
