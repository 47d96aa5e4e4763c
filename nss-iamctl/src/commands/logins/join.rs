//! The logins in a systemd journal: what sshd accepted, joined with the record of keys-cmd and with the end of the session.
//! A pure function of the journal's entries.

use std::collections::BTreeMap;

use policy::record;
use serde_json::Value;

/// systemd-logind: a session ended; `LEADER` is the process that began it (`SD_MESSAGE_SESSION_STOP` of sd-messages(3)).
pub(super) const SESSION_ENDED: &str = "3354939424b4456d9802ca8333ed424a";
/// How long sshd may take from the offer of a key to its signature: `LoginGraceTime`, 120 s unless it is set. Microseconds.
const GRACE: i64 = 600 * 1_000_000;
/// PAM's message when sshd ends a session, of any module.
const CLOSED: &str = "(sshd:session): session closed for user ";

/// An entry of the journal. Its fields can quote text from anyone on the network, but who wrote it is certain: the caller
/// asks for entries of root and of keys-cmd's user.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Microseconds since 1970.
    at: i64,
    boot: String,
    pid: String,
    fields: BTreeMap<String, String>,
}

impl Entry {
    /// Reads a line of `journalctl -o json`; `None` if it is none.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let Value::Object(object) = serde_json::from_str(line).ok()? else { return None };
        let fields = object.into_iter().filter_map(|(name, value)| Some((name, text(value)?)));
        let mut fields: BTreeMap<String, String> = fields.collect();
        let mut take = |name| fields.remove(name);
        let (at, boot, pid) = (take("__REALTIME_TIMESTAMP")?, take("_BOOT_ID")?, take("_PID")?);
        Some(Self { at: at.parse().ok()?, boot, pid, fields })
    }

    fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The journal shows text that is not UTF-8 as a list of bytes, and a field that an entry has several times as a list: one value
/// on each line.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            Some(values.join("\n"))
        }
        Value::Array(bytes) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

/// A connection that sshd let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Microseconds since 1970.
    pub at: i64,
    pub user: String,
    pub accepted: Accepted,
    /// What keys-cmd recorded; `None` if the key or certificate came from elsewhere.
    pub offer: Option<Offer>,
    /// Microseconds since 1970.
    pub ended: Option<i64>,
    pub boot: String,
    /// Of sshd's process for this connection.
    pub pid: String,
}

/// What sshd says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// `publickey`.
    pub method: String,
    /// `ED25519`, `RSA-CERT`; empty without a key.
    pub kind: String,
    pub fingerprint: String,
    pub address: String,
    pub port: String,
}

/// What keys-cmd says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub user_id: String,
    pub uid: Option<u32>,
    pub source: String,
    /// Seconds.
    pub age: Option<i64>,
    pub certificate: Option<Certificate>,
}

/// What keys-cmd says of a certificate. sshd says it, too, but behind the key ID, which can have any text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Certificate {
    pub serial: String,
    /// What the CA wrote, escaped.
    pub id: String,
    pub ca: String,
}

impl Offer {
    fn of(entry: &Entry) -> Self {
        let field = |name| entry.get(name).to_owned();
        let certificate = || Certificate {
            serial: field(record::CERTIFICATE_SERIAL),
            id: field(record::CERTIFICATE_ID),
            ca: field(record::CA_FINGERPRINT),
        };
        Self {
            user_id: field(record::USER_ID),
            uid: entry.get(record::UID).parse().ok(),
            source: field(record::KEY_SOURCE),
            age: entry.get(record::AGE).parse().ok(),
            certificate: is_of_certificate(entry).then(certificate),
        }
    }
}

fn is_of_certificate(offer: &Entry) -> bool {
    offer.get("MESSAGE_ID") == record::ALLOWED
}

/// The logins in the order of the entries, which are the journal's: oldest first. `keys_user` is the uid of keys-cmd's user.
pub(super) fn logins(entries: &[Entry], keys_user: u32) -> Vec<Login> {
    let mut logins: Vec<Login> = Vec::new();
    let keys_user = keys_user.to_string();
    let mut offers: Vec<&Entry> = Vec::new();
    for entry in entries {
        let (message, by) = (entry.get("MESSAGE"), entry.get("_UID"));
        if by == keys_user && [record::OFFERED, record::ALLOWED].contains(&entry.get("MESSAGE_ID")) {
            offers.push(entry);
        } else if by != "0" {
            continue;
        } else if entry.get("MESSAGE_ID") == SESSION_ENDED {
            end(&mut logins, entry, entry.get("LEADER"), None);
        } else if let Some((user, accepted)) = accepted(message) {
            let offer = offers
                .iter()
                .rev()
                .take_while(|offer| entry.at.saturating_sub(offer.at) <= GRACE)
                .find(|offer| fits(offer, entry, &user, &accepted));
            let offer = offer.map(|offer| Offer::of(offer));
            let (at, boot, pid) = (entry.at, entry.boot.clone(), entry.pid.clone());
            logins.push(Login { at, user, accepted, offer, ended: None, boot, pid });
        } else if let Some((_, user)) = message.split_once(CLOSED) {
            end(&mut logins, entry, &entry.pid, Some(user.trim()));
        }
    }
    logins
}

/// Whether keys-cmd offered this key, or allowed this certificate, for this connection, shortly before. Without `%C`, its record
/// has no connection, and a later sshd may pass the ends in the order of its manual.
fn fits(offer: &Entry, entry: &Entry, user: &str, accepted: &Accepted) -> bool {
    let is_end = |address: &str, port: &str| {
        (offer.get(address), offer.get(port)) == (accepted.address.as_str(), accepted.port.as_str())
    };
    offer.boot == entry.boot
        && offer.get(record::USER) == user
        && accepted.method == "publickey"
        // The key of a certificate can be one that is offered, too.
        && accepted.kind.ends_with("-CERT") == is_of_certificate(offer)
        && is_of_key(offer, &accepted.fingerprint)
        && (offer.get(record::CLIENT_ADDRESS).is_empty()
            || is_end(record::CLIENT_ADDRESS, record::CLIENT_PORT)
            || is_end(record::SERVER_ADDRESS, record::SERVER_PORT))
}

/// PAM and an old sshd ask for all keys of a user, and such an sshd does not say which certificate it checks.
fn is_of_key(offer: &Entry, fingerprint: &str) -> bool {
    let mut of_keys = offer.get(record::FINGERPRINT).lines().peekable();
    of_keys.peek().is_none() && is_of_certificate(offer) || of_keys.any(|of_key| of_key == fingerprint)
}

/// Ends the latest login of this process, unless it has ended.
fn end(logins: &mut [Login], entry: &Entry, pid: &str, user: Option<&str>) {
    let of_process = |login: &&mut Login| {
        login.boot == entry.boot && login.pid == pid && user.is_none_or(|user| login.user == user)
    };
    if let Some(login) = logins.iter_mut().rev().find(of_process) {
        login.ended.get_or_insert(entry.at);
    }
}

/// `Accepted publickey for ana from ::1 port 5 ssh2: RSA SHA256:a`.
fn accepted(message: &str) -> Option<(String, Accepted)> {
    let (method, rest) = message.strip_prefix("Accepted ")?.split_once(" for ")?;
    // Of a certificate that is only being checked, sshd logs `Accepted certificate ID "..."`, with a text of others.
    if !method.bytes().all(|byte| byte.is_ascii_lowercase() || b"-/".contains(&byte)) {
        return None;
    }
    let (user, rest) = rest.split_once(" from ")?;
    let (address, rest) = rest.split_once(" port ")?;
    let (port, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut key = rest.split_once(": ").map_or("", |(_, key)| key).split(' ');
    let mut next = || key.next().unwrap_or_default().to_owned();
    let (kind, fingerprint) = (next(), next());
    let [method, address, port] = [method, address, port].map(str::to_owned);
    Some((user.to_owned(), Accepted { method, kind, fingerprint, address, port }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEYS_USER: u32 = 901;

    fn entry(at: i64, uid: &str, pid: &str, fields: &Value) -> Entry {
        let mut all =
            json!({"__REALTIME_TIMESTAMP": at.to_string(), "_BOOT_ID": "b", "_PID": pid, "_UID": uid});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Entry::parse(&all.to_string()).unwrap()
    }

    fn sshd(at: i64, pid: &str, message: &str) -> Entry {
        entry(at, "0", pid, &json!({"MESSAGE": message, "SYSLOG_IDENTIFIER": "sshd"}))
    }

    fn offer(at: i64, uid: &str, fields: &Value) -> Entry {
        let mut all = json!({"MESSAGE": "offered", "MESSAGE_ID": record::OFFERED, "NSS_IAM_USER": "ana",
            "NSS_IAM_USER_ID": "AIDAANA", "NSS_IAM_UID": "1879048192", "NSS_IAM_KEY_SOURCE": "iam:1", "NSS_IAM_AGE": "60",
            "NSS_IAM_FINGERPRINT": "SHA256:a"});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        entry(at, uid, "77", &all)
    }

    const ACCEPTED: &str = "Accepted publickey for ana from 203.0.113.7 port 5 ssh2: RSA SHA256:a";

    fn one(entries: &[Entry]) -> Login {
        let [login] = logins(entries, KEYS_USER).try_into().unwrap();
        login
    }

    #[test]
    fn a_login_is_joined_with_the_offer_of_its_key_and_the_end_of_its_session() {
        let at_client =
            |port: &str| json!({"NSS_IAM_CLIENT_ADDRESS": "203.0.113.7", "NSS_IAM_CLIENT_PORT": port});
        let found = one(&[
            offer(1, "901", &at_client("4")),
            offer(2, "901", &at_client("5")),
            offer(3, "901", &at_client("6")),
            sshd(4, "12", ACCEPTED),
            sshd(5, "12", "pam_unix(sshd:session): session opened for user ana(uid=1) by (uid=0)"),
            sshd(6, "13", "pam_unix(sshd:session): session closed for user ana"),
            sshd(7, "12", "pam_unix(sshd:session): session closed for user bob"),
            sshd(8, "12", "pam_unix(sshd:session): session closed for user ana"),
            sshd(9, "12", "pam_unix(sshd:session): session closed for user ana"),
        ]);
        let joined = found.offer.unwrap();
        assert_eq!(
            (&*joined.user_id, joined.uid, &*joined.source),
            ("AIDAANA", Some(1_879_048_192), "iam:1")
        );
        assert_eq!((found.at, found.ended, joined.age), (4, Some(8), Some(60)));
        let Accepted { method, kind, fingerprint, address, port } = found.accepted;
        assert_eq!(
            [method, kind, fingerprint, address, port],
            ["publickey", "RSA", "SHA256:a", "203.0.113.7", "5"]
        );
        // Before OpenSSH 9.4, user and fingerprint decide, and the latest offer counts.
        let older = [
            offer(1, "901", &json!({"NSS_IAM_AGE": "5"})),
            offer(2, "901", &json!({})),
            sshd(3, "1", ACCEPTED),
        ];
        assert_eq!(one(&older).offer.unwrap().age, Some(60));
        let all = offer(1, "901", &json!({"NSS_IAM_FINGERPRINT": ["SHA256:b", "SHA256:a"]}));
        assert!(one(&[all, sshd(3, "1", ACCEPTED)]).offer.is_some());
    }

    /// In sshd's line, all that follows the key ID can be the key ID's.
    #[test]
    fn a_login_with_a_certificate_is_joined_with_its_record_and_with_no_key() {
        let allowed = |at, more: &Value| {
            let mut all = json!({"MESSAGE_ID": record::ALLOWED, "NSS_IAM_KEY_SOURCE": "certificate",
                "NSS_IAM_CERTIFICATE_SERIAL": "7", "NSS_IAM_CERTIFICATE_ID": "x (serial 9) CA RSA SHA256:z",
                "NSS_IAM_CA_FINGERPRINT": "SHA256:b"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            offer(at, "901", &all)
        };
        let accepted = sshd(
            9,
            "12",
            "Accepted publickey for ana from 203.0.113.7 port 5 ssh2: RSA-CERT SHA256:a ID x (serial 9) CA RSA SHA256:z \
             (serial 7) CA RSA SHA256:b",
        );
        let key = || offer(3, "901", &json!({}));
        let [login] =
            logins(&[allowed(1, &json!({})), key(), accepted.clone()], KEYS_USER).try_into().unwrap();
        let joined = login.offer.unwrap();
        let id = "x (serial 9) CA RSA SHA256:z".to_owned();
        let certificate = Certificate { serial: "7".to_owned(), id, ca: "SHA256:b".to_owned() };
        assert_eq!(
            (&*joined.user_id, &*joined.source, joined.certificate),
            ("AIDAANA", "certificate", Some(certificate))
        );
        for other in [
            key(),
            allowed(1, &json!({"NSS_IAM_USER": "bob"})),
            allowed(1, &json!({"NSS_IAM_FINGERPRINT": "SHA256:c"})),
            allowed(1, &json!({"NSS_IAM_CLIENT_ADDRESS": "203.0.113.7", "NSS_IAM_CLIENT_PORT": "6"})),
            allowed(1, &json!({"_UID": "1879048192"})),
        ] {
            assert_eq!(one(&[other, accepted.clone()]).offer, None);
        }
        assert_eq!(
            one(&[allowed(1, &json!({})), sshd(2, "12", ACCEPTED)]).offer,
            None,
            "no certificate was used"
        );
    }

    #[test]
    fn an_offer_that_somebody_else_wrote_or_that_is_for_another_login_is_not_the_logins() {
        for other in [
            offer(1, "1879048192", &json!({})),
            offer(1, "0", &json!({})),
            offer(1, "901", &json!({"NSS_IAM_USER": "bob"})),
            offer(1, "901", &json!({"NSS_IAM_FINGERPRINT": "SHA256:b"})),
            offer(1, "901", &json!({"NSS_IAM_FINGERPRINT": ["SHA256:b", "SHA256:c"]})),
            offer(1, "901", &json!({"NSS_IAM_FINGERPRINT": null})),
            offer(1, "901", &json!({"NSS_IAM_CLIENT_ADDRESS": "203.0.113.8"})),
            offer(1, "901", &json!({"_BOOT_ID": "c"})),
            offer(1, "901", &json!({"MESSAGE_ID": SESSION_ENDED})),
            offer(1 - GRACE, "901", &json!({})),
        ] {
            assert_eq!(one(&[other, sshd(2, "12", ACCEPTED)]).offer, None);
        }
    }

    #[test]
    fn only_roots_entries_are_logins_and_their_ends() {
        let forged =
            |message| entry(1, "1879048192", "12", &json!({"MESSAGE": message, "SYSLOG_IDENTIFIER": "sshd"}));
        assert_eq!(logins(&[forged(ACCEPTED)], KEYS_USER), []);
        let closed = "pam_unix(sshd:session): session closed for user ana";
        assert_eq!(one(&[sshd(1, "12", ACCEPTED), forged(closed)]).ended, None);
    }

    /// A process that is killed says nothing itself.
    #[test]
    fn logind_tells_the_end_of_a_session_too() {
        let ended = |uid: &str, leader: &str| {
            entry(9, uid, "1", &json!({"MESSAGE_ID": SESSION_ENDED, "LEADER": leader}))
        };
        let end = |entry: Entry| one(&[sshd(1, "12", ACCEPTED), entry]).ended;
        assert_eq!(end(ended("0", "12")), Some(9));
        assert_eq!(end(ended("0", "13")), None);
        assert_eq!(end(ended("1000", "12")), None);
    }

    #[test]
    fn every_form_of_what_sshd_accepts_is_read() {
        for (message, user, kind, fingerprint) in [
            (
                "Accepted publickey for a.b@c from fe80::1%eth0 port 5 ssh2: ED25519 SHA256:x",
                "a.b@c",
                "ED25519",
                "SHA256:x",
            ),
            (
                "Accepted publickey for ana from ::1 port 5 ssh2: ED25519-CERT SHA256:x ID ana (serial 0) CA RSA SHA256:y",
                "ana",
                "ED25519-CERT",
                "SHA256:x",
            ),
            ("Accepted keyboard-interactive/pam for ana from ::1 port 5 ssh2", "ana", "", ""),
            ("Accepted publickey for ana from ::1 port 5", "ana", "", ""),
        ] {
            let (found, accepted) = accepted(message).unwrap();
            assert_eq!(
                (&*found, &*accepted.kind, &*accepted.fingerprint),
                (user, kind, fingerprint),
                "{message}"
            );
            assert_eq!(accepted.port, "5");
        }
        for message in [
            "Accepted",
            "Accepted publickey for",
            "Failed publickey for ana from ::1 port 5 ssh2",
            "Accepted certificate ID \"x for eve from 198.51.100.9 port 5 ssh2: RSA SHA256:a\" (serial 0) signed by RSA",
            "",
        ] {
            assert_eq!(accepted(message), None);
        }
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        for line in ["", "{", "[]", "{}", r#"{"__REALTIME_TIMESTAMP": "x", "_BOOT_ID": "b", "_PID": "1"}"#] {
            assert!(Entry::parse(line).is_none(), "{line}");
        }
        let bytes = json!({"MESSAGE": [65, 255, 66], "A": null, "B": [1, "x"]});
        let entry = entry(1, "0", "1", &bytes);
        assert_eq!((entry.get("MESSAGE"), entry.get("A"), entry.get("B")), ("A\u{fffd}B", "", ""));
    }
}
