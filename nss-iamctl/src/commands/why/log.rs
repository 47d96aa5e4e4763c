//! What the log has about a user's last login attempts: the keys that were offered, and why sshd or PAM refused.

use std::collections::BTreeSet;

use config::Config;
use message::Message;
use policy::no_key::{Hint, NoKey};

use crate::inspect::facts::log::Line;
use crate::inspect::remedy::add_other_key;
use crate::say::code::Link;
use crate::say::finding::Finding;
use crate::say::show::{some, word};

/// The user whose lines are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub name: &'a str,
    pub config: &'a Config,
    pub iam_name: &'a str,
    /// Fingerprints of the active keys.
    pub active: Vec<&'a str>,
    /// Ids and fingerprints of the inactive keys.
    pub inactive: Vec<(String, String)>,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Accepted(String),
    /// Kind, as sshd prints it (`RSA`, `ED25519`), and fingerprint.
    Offered(String, String),
    Refused(Message),
    /// The client disconnected, or had nothing left to try.
    GaveUp,
}

/// The latest login attempt; `None` if the log has none.
pub(crate) fn last(lines: &[Line], asked: &Asked<'_>) -> Option<Finding> {
    let pids: BTreeSet<&str> =
        lines.iter().filter(|line| names(&line.text, asked.name)).map(|line| line.pid.as_str()).collect();
    let mut tries = Vec::new();
    for line in lines.iter().rev().filter(|line| pids.contains(line.pid.as_str())) {
        match event(&line.text, asked.name) {
            Some(Event::Accepted(with)) if tries.is_empty() => {
                return Some(Finding::ok(
                    Link::LoginAccepted,
                    format!("the last login, {}, was accepted with {with}", line.time),
                ));
            }
            Some(Event::Accepted(_)) => break,
            Some(event) => tries.push((line, event)),
            None => {}
        }
    }
    let (newest, _) = tries.first()?;
    let refused = tries.iter().find_map(|(line, event)| match event {
        Event::Refused(why) => Some((line, why)),
        _ => None,
    });
    if let Some((line, why)) = refused {
        let what = format!("{}: {}", line.time, why.what());
        return Some(Finding::warn(Link::LoginRefused, what, why.hint().unwrap_or_default()));
    }
    let mut offered: Vec<(&str, &str)> = Vec::new();
    for (_, event) in &tries {
        if let Event::Offered(kind, fingerprint) = event
            && !offered.contains(&(kind, fingerprint))
        {
            offered.push((kind, fingerprint));
        }
    }
    Some(judge(&newest.time, &offered, asked))
}

/// For attempts where no offered key was accepted.
fn judge(time: &str, offered: &[(&str, &str)], asked: &Asked<'_>) -> Finding {
    let Asked { config, iam_name, active, .. } = asked;
    let source = config.source.noun();
    let has = if active.is_empty() { "no active key".to_owned() } else { some(active) };
    if offered.is_empty() {
        let what = format!("{time}: the client offered no matching key, and gave up; {source} has {has}");
        let remedy = "compare with 'ssh-add -l' and 'ssh -v' on the client; with LogLevel VERBOSE, sshd logs the keys that were offered";
        return Finding::warn(Link::NoKeyTried, what, remedy);
    }
    let fingerprints: Vec<&str> = offered.iter().map(|(_, fingerprint)| *fingerprint).collect();
    let what = format!("{time}: offered {}; {source} has {has}", some(&fingerprints));
    if let Some((id, _)) =
        asked.inactive.iter().find(|(_, inactive)| fingerprints.contains(&inactive.as_str()))
    {
        let what = format!("{what}; '{id}' was offered, but is inactive in {source}");
        return Finding::warn(Link::InactiveKeyTried, what, activate(config, iam_name, id));
    }
    if fingerprints.iter().any(|fingerprint| active.contains(fingerprint)) {
        let what =
            format!("{what}: the key is valid now, but was not at the time, or its signature was refused");
        return Finding::warn(
            Link::RightKeyTried,
            what,
            "try again; if it fails again, run 'ssh -v' on the client",
        );
    }
    let rsa = offered.iter().any(|(kind, _)| *kind == "RSA");
    let remedy = if rsa { add_key(config, iam_name) } else { add_other_key(config, iam_name) };
    Finding::warn(Link::WrongKeyTried, what, remedy)
}

/// How an inactive key becomes active.
pub(crate) fn activate(config: &Config, iam_name: &str, id: &str) -> String {
    match config.source.stored() {
        Some(stored) => refreshed(&stored.to_activate_key(&word(iam_name), &word(id))),
        None => add_key(config, iam_name),
    }
}

/// How a user gets a key of any type.
pub(crate) fn add_any_key(config: &Config, iam_name: &str) -> String {
    let (rsa, other) = (add_key(config, iam_name), add_other_key(config, iam_name));
    if rsa == other { rsa } else { format!("{rsa}; for a key of another type: {other}") }
}

/// How a user gets an RSA key.
fn add_key(config: &Config, iam_name: &str) -> String {
    let add = config.source.to_add_rsa_key(&word(iam_name));
    if config.source.has_keys() { refreshed(&add) } else { add }
}

fn refreshed(remedy: &str) -> String {
    format!("{remedy}; then nss-iamctl refresh")
}

fn names(text: &str, user: &str) -> bool {
    text.split_whitespace().any(|word| word.trim_matches(|c| "':,".contains(c)) == user)
}

fn event(text: &str, user: &str) -> Option<Event> {
    let text = text.strip_prefix("error: ").or_else(|| text.strip_prefix("fatal: ")).unwrap_or(text);
    let of = |start: &str, end: &str| text.strip_prefix(start)?.strip_prefix(user)?.strip_prefix(end);
    let key = || {
        let (head, fingerprint) = text.rsplit_once(' ')?;
        let kind = head.rsplit(' ').next()?;
        fingerprint.starts_with("SHA256:").then(|| (kind.to_owned(), fingerprint.to_owned()))
    };
    if of("Accepted publickey for ", " from ").is_some() {
        return Some(Event::Accepted(
            key().map_or("a key".to_owned(), |(kind, fingerprint)| format!("{kind} {fingerprint}")),
        ));
    }
    if of("Failed publickey for ", " from ")
        .or_else(|| of("Failed publickey for invalid user ", " from "))
        .is_some()
    {
        return Some(key().map_or(Event::GaveUp, |(kind, fingerprint)| Event::Offered(kind, fingerprint)));
    }
    if let Some(NoKey { why, hint }) = NoKey::read(text, user) {
        let hint = hint.map_or("nss-iamctl keys shows the current state", Hint::text);
        return refused(&format!("keys-cmd offered no key: {why}"), hint);
    }
    if of("User ", " ").is_some() {
        let reason = text.split_once(" not allowed because ")?.1;
        return refused(&format!("sshd refused the user because {reason}"), not_allowed(reason));
    }
    if of("Invalid user ", " from ").or_else(|| of("Illegal user ", " from ")).is_some() {
        return refused(
            "sshd did not know the user at that time",
            "see the state above: a disabled user does not resolve by name, and a new user appears with the next refresh",
        );
    }
    if of("Access denied for user ", " by PAM").is_some() {
        return refused(
            "PAM refused the account (expired, no shadow entry, nologin, pam_access)",
            "see the log lines of pam_* at that time",
        );
    }
    if of("pam_unix(sshd:account): account ", " has expired").is_some() {
        return refused(
            "PAM: the account has expired, as all accounts of disabled users have",
            "see the state above",
        );
    }
    let many = of("maximum authentication attempts exceeded for ", " from ");
    if many.is_some() || text.contains("Too many authentication failures") {
        return refused(
            "the client's agent offered too many other keys first",
            "ssh -o IdentitiesOnly=yes -i KEY; or MaxAuthTries",
        );
    }
    anonymous(text)
        .or_else(|| text.contains(" by authenticating user ").then_some(Event::GaveUp))
        .or_else(|| text.contains(" from authenticating user ").then_some(Event::GaveUp))
}

/// Lines without the user's name, in a connection that has other lines with the name.
fn anonymous(text: &str) -> Option<Event> {
    if text.starts_with("Unsafe AuthorizedKeysCommand") {
        return refused(
            &format!("sshd did not run keys-cmd: {text}"),
            "nss-iamctl doctor names the directory",
        );
    }
    if text.contains("AuthorizedKeysCommandUser") && text.contains("not found") {
        return refused("sshd did not find the user 'nss-iam'", "systemd-sysusers nss-iam.conf");
    }
    if text.starts_with("AuthorizedKeysCommand ") && text.contains("failed") {
        return refused(&format!("keys-cmd failed: {text}"), "nss-iamctl doctor");
    }
    if text.contains("not in PubkeyAcceptedAlgorithms") || text.contains("not in PubkeyAcceptedKeyTypes") {
        let remedy = "if it is 'ssh-rsa', the client is older than OpenSSH 7.2 and signs with SHA-1: update it, or use another type of key";
        return refused(&format!("sshd does not accept the client's signature algorithm: {text}"), remedy);
    }
    None
}

fn refused(why: &str, remedy: &str) -> Option<Event> {
    Some(Event::Refused(Message::new(why).with_hint(remedy)))
}

fn not_allowed(reason: &str) -> &'static str {
    if reason.contains("AllowUsers") || reason.contains("AllowGroups") {
        "nss-iamctl enable overrides AllowUsers and AllowGroups for nss-iam users"
    } else if reason.contains("DenyUsers") || reason.contains("DenyGroups") {
        "this is how disabled users are denied; for an active user, check DenyUsers and DenyGroups in sshd_config"
    } else if reason.contains("shell") {
        "install the shell, or set [users] shell"
    } else {
        "nss-iamctl doctor"
    }
}

#[cfg(test)]
pub(crate) mod tests;
