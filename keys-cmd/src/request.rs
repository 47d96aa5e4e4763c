//! The request: [--forward-only] [--instance-connect] USER [UID [FINGERPRINT [CONNECTION]]], as sshd passes them with
//! `%u %U %f %C` (TOKENS of `sshd_config(5)`), or --principals [--forward-only] USER [UID [FINGERPRINT [CA [SERIAL [ID
//! [CONNECTION]]]]]] with `%u %U %f %F %s %i %C`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use policy::instance_connect;
use policy::no_key::{Hint, NoKey};

use crate::log::shown;

/// What sshd's configuration says about the user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Whether sshd lets the user do nothing but forward connections.
    pub(crate) forward_only: bool,
    /// Whether keys count that were pushed with EC2 Instance Connect.
    pub(crate) instance_connect: bool,
    /// Whether principals of certificates are asked for, instead of keys.
    pub(crate) principals: bool,
}

impl Flags {
    /// The flags before the other words, and these words.
    pub(crate) fn split(mut words: &[OsString]) -> (Self, &[OsString]) {
        let mut flags = Self::default();
        while let [word, rest @ ..] = words {
            match word.as_bytes() {
                b"--forward-only" => flags.forward_only = true,
                b"--principals" => flags.principals = true,
                word if word == instance_connect::FLAG.as_bytes() => flags.instance_connect = true,
                _ => break,
            }
            words = rest;
        }
        (flags, words)
    }
}

/// A valid request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// A login name that nss-iam assigns.
    pub(crate) user: String,
    /// If missing, getpwnam(3) decides.
    pub(crate) uid: Option<u32>,
    /// `SHA256:` and base64. If missing, all keys are requested.
    pub(crate) fingerprint: Option<String>,
    pub(crate) flags: Flags,
    /// For the log; empty unless principals are asked for.
    pub(crate) certificate: Certificate,
    /// For the log. OpenSSH has `%C` since 9.4.
    pub(crate) connection: Option<Connection>,
}

/// A certificate, which sshd has found to be signed by a CA that it trusts. What is missing was not passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Of its key.
    pub(crate) fingerprint: Option<String>,
    /// The fingerprint of its CA.
    pub(crate) ca: Option<String>,
    pub(crate) serial: Option<u64>,
    /// Whatever the CA wrote.
    pub(crate) id: Option<Vec<u8>>,
}

impl Certificate {
    /// Nothing in it is a reason to refuse a login.
    fn parse(words: &[OsString]) -> Self {
        let word = |index: usize| words.get(index).map(|word| word.as_bytes());
        let fingerprint = |index| fingerprint(word(index)?).ok();
        Self {
            fingerprint: fingerprint(0),
            ca: fingerprint(1),
            serial: word(2).and_then(|serial| number(serial).ok()),
            id: word(3).map(<[u8]>::to_vec),
        }
    }
}

/// Between sshd and its client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) server: End,
    pub(crate) client: End,
}

/// One end of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Of IPv4 or IPv6, with a zone if it has one.
    pub(crate) address: String,
    pub(crate) port: u16,
}

impl Request {
    /// # Errors
    /// Why the request cannot match a key of nss-iam.
    pub(crate) fn parse(user: &OsString, more: &[OsString], flags: Flags) -> Result<Self, NoKey> {
        let user = user.as_bytes();
        if !reader::name_is_ours(user) {
            return Err("not a login name that nss-iam assigns".to_owned().into());
        }
        let uid = match more.first() {
            Some(uid) => Some(number(uid.as_bytes()).map_err(|shown| format!("'{shown}' is not a uid"))?),
            None => None,
        };
        let about_key = more.get(1..).unwrap_or_default();
        let (key, certificate, connection) = if flags.principals {
            (None, Certificate::parse(about_key), about_key.get(4))
        } else {
            (about_key.first(), Certificate::default(), about_key.get(1))
        };
        Ok(Self {
            user: String::from_utf8_lossy(user).into_owned(),
            uid,
            fingerprint: key.map(|key| fingerprint(key.as_bytes())).transpose()?,
            flags,
            certificate,
            connection: connection.and_then(|connection| self::connection(connection.as_bytes())),
        })
    }

    /// Whether the key with this fingerprint is requested.
    pub(crate) fn fits(&self, fingerprint: &str) -> bool {
        self.fingerprint.as_ref().is_none_or(|asked| asked == fingerprint)
    }
}

/// Digits only: `str::parse` would accept a sign. If it is no such number, how a message shows it.
fn number<T: FromStr>(text: &[u8]) -> Result<T, String> {
    let digits = str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| shown(text))
}

/// Only SHA256: with a different FingerprintHash, sshd passes a hash that the cache does not have.
fn fingerprint(key: &[u8]) -> Result<String, NoKey> {
    let base64 = |hash: &str| hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
    str::from_utf8(key)
        .ok()
        .filter(|key| key.strip_prefix("SHA256:").is_some_and(|hash| !hash.is_empty() && base64(hash)))
        .map(str::to_owned)
        .ok_or_else(|| NoKey {
            why: format!("'{}' is not a SHA256 fingerprint", shown(key)),
            hint: Some(Hint::FingerprintHash),
        })
}

/// `192.0.2.1 22 203.0.113.7 51234`: up to OpenSSH 10.5, the server's end comes first (auth2-pubkey.c), although
/// `sshd_config(5)` has it last. Anything else, such as `UNKNOWN`, is no reason to refuse a login.
fn connection(text: &[u8]) -> Option<Connection> {
    let mut words = str::from_utf8(text).ok()?.split(' ');
    let (server, client) = (end(&mut words)?, end(&mut words)?);
    words.next().is_none().then_some(Connection { server, client })
}

fn end<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<End> {
    let (address, port) = (words.next()?, words.next()?.parse().ok()?);
    let (number, zone) = address.split_once('%').unwrap_or((address, ""));
    let is_address = number.parse::<IpAddr>().is_ok()
        && zone.len() <= 15
        && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_address.then(|| End { address: address.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn parse(words: &[&[u8]]) -> Result<Request, NoKey> {
        let words: Vec<OsString> = words.iter().map(|word| OsString::from_vec(word.to_vec())).collect();
        Request::parse(&words[0], &words[1..], Flags::default())
    }

    #[test]
    fn flags_come_first_in_any_order() {
        let split = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let (Flags { forward_only, instance_connect, principals }, rest) = Flags::split(&words);
            assert_eq!(principals, line.contains("--principals"), "{line}");
            (forward_only, instance_connect, rest.len())
        };
        for (line, wanted) in [
            ("", (false, false, 0)),
            ("ana 1000", (false, false, 2)),
            ("--forward-only ana", (true, false, 1)),
            ("--instance-connect ana", (false, true, 1)),
            ("--instance-connect --forward-only ana 1000", (true, true, 2)),
            ("--principals --forward-only ana 1000", (true, false, 2)),
            ("ana --instance-connect", (false, false, 2)),
            ("--instance-connected ana", (false, false, 2)),
        ] {
            assert_eq!(split(line), wanted, "{line}");
        }
    }

    #[test]
    fn uid_and_fingerprint_are_optional() {
        let mut wanted = Request {
            user: "jane@example.com".to_owned(),
            uid: None,
            fingerprint: None,
            flags: Flags::default(),
            certificate: Certificate::default(),
            connection: None,
        };
        assert_eq!(parse(&[b"jane@example.com"]).unwrap(), wanted);
        wanted.uid = Some(1_879_048_192);
        assert_eq!(parse(&[b"jane@example.com", b"1879048192"]).unwrap(), wanted);
        wanted.fingerprint = Some("SHA256:a+/".to_owned());
        assert_eq!(parse(&[b"jane@example.com", b"1879048192", b"SHA256:a+/"]).unwrap(), wanted);
    }

    #[test]
    fn both_ends_are_known_if_sshd_tells_them_and_are_never_a_reason_to_refuse() {
        for (connection, wanted) in [
            ("192.0.2.1 22 203.0.113.7 51234", Some(("192.0.2.1", 22, "203.0.113.7", 51234))),
            ("2001:db8::1 22 2001:db8::7 1", Some(("2001:db8::1", 22, "2001:db8::7", 1))),
            ("fe80::2%eth0 22 fe80::1%eth0 1", Some(("fe80::2%eth0", 22, "fe80::1%eth0", 1))),
            ("UNKNOWN 65535 UNKNOWN 65535", None),
            ("192.0.2.1 22 203.0.113.7 65536", None),
            ("192.0.2.1 22 203.0.113.7 1 2", None),
            ("192.0.2.1 22 203.0.113.7\n1 2", None),
            ("192.0.2.1 22 fe80::1%a\nb 1", None),
            ("192.0.2.1 22 fe80::1%aaaaaaaaaaaaaaaa 1", None),
            ("192.0.2.1 22", None),
            ("", None),
        ] {
            let request = parse(&[b"ana", b"1000", b"SHA256:a", connection.as_bytes()]).unwrap();
            let found = request.connection.as_ref().map(|Connection { server, client }| {
                (&*server.address, server.port, &*client.address, client.port)
            });
            assert_eq!(found, wanted, "{connection}");
        }
    }

    #[test]
    fn what_is_said_of_a_certificate_is_never_a_reason_to_refuse() {
        let parse = |words: &[&[u8]]| {
            let words: Vec<OsString> = words.iter().map(|word| OsString::from_vec(word.to_vec())).collect();
            let flags = Flags { principals: true, ..Flags::default() };
            Request::parse(&OsString::from("ana"), &words, flags).unwrap()
        };
        let whole =
            parse(&[b"1000", b"SHA256:a", b"SHA256:b", b"18446744073709551615", b"a\n\xff", b"::1 22 ::2 5"]);
        assert_eq!((whole.fingerprint, whole.connection.unwrap().client.port), (None, 5));
        let wanted = Certificate {
            fingerprint: Some("SHA256:a".to_owned()),
            ca: Some("SHA256:b".to_owned()),
            serial: Some(u64::MAX),
            id: Some(b"a\n\xff".to_vec()),
        };
        assert_eq!(whole.certificate, wanted);
        assert_eq!(parse(&[b"1000"]).certificate, Certificate::default());
        let odd = parse(&[b"1000", b"MD5:16", b"", b"-1", b"", b"UNKNOWN"]);
        assert_eq!(odd.certificate, Certificate { id: Some(Vec::new()), ..Certificate::default() });
        assert_eq!(odd.connection, None);
    }

    #[test]
    fn an_invalid_request_is_refused_with_a_printable_reason() {
        let long = [b'a'; 300];
        for words in [
            &[&b""[..]][..],
            &[b"-l"],
            &[b"--help", b"1000", b"SHA256:a"],
            &[b"Ana"],
            &[b"a\nb"],
            &[b"\xff\xfe"],
            &[b"1000"],
            &[&long],
            &[b"ana", b""],
            &[b"ana", b"+1000"],
            &[b"ana", b"-1"],
            &[b"ana", b" 1000"],
            &[b"ana", b"4294967296"],
            &[b"ana", b"0x3e8"],
            &[b"ana", b"\xff"],
            &[b"ana", b"1000", b""],
            &[b"ana", b"1000", b"SHA256:"],
            &[b"ana", b"1000", b"SHA256:a\n"],
            &[b"ana", b"1000", b"MD5:16:27:ac"],
        ] {
            let text = parse(words).unwrap_err().line("");
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            assert!(text.len() < 1000, "{text}");
        }
    }
}
