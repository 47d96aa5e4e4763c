//! SSH public keys: a body is read as sshd reads a line of authorized_keys without options, and written in one form, so that
//! nothing else that is stored at a source reaches sshd.
//!
//! Types that are not known here are accepted, because a later OpenSSH may know them; sshd ignores lines that it cannot read.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::KeyLine;

/// The longest body that is read, in bytes. An RSA key of 16384 bits, the longest that sshd accepts, has 2.8 kB.
const MAX_BODY: usize = 16 << 10;

/// The characters that sshd skips between words: `sshkey_read` in OpenSSH's sshkey.c, `skip_space` in
/// auth2-pubkeyfile.c. Any number of them is allowed, also before the type.
const BETWEEN: [char; 2] = [' ', '\t'];

/// The longest name of a type, in bytes (RFC 4251, section 6).
const MAX_TYPE: usize = 64;

/// Why a body is not a key. No text contains a part of the body, which may be a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAKey {
    /// A body that is too long; its length in bytes.
    Long(usize),
    /// A private key.
    Private,
    /// Several lines, or control characters.
    Lines,
    /// No type and base64 text at the beginning.
    Form,
    /// A certificate. sshd compares keys, and trusts who signed a certificate.
    Certificate,
    /// A DSA key. sshd refuses them unless it is configured otherwise, and OpenSSH 10.0 and later does not know them.
    Dsa,
    /// sshd could not read the base64 text; the reason.
    Unreadable(String),
}

impl NotAKey {
    fn unreadable(why: &str) -> Self {
        Self::Unreadable(why.to_owned())
    }
}

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(bytes) => write!(f, "{bytes} bytes is too long for a public key"),
            Self::Private => f.write_str("it is a private key; treat it as compromised"),
            Self::Lines => f.write_str("it has several lines or control characters"),
            Self::Form => f.write_str("not a public key: it must have a type and a base64 text"),
            Self::Certificate => f.write_str("a certificate is not a public key"),
            Self::Dsa => f.write_str("DSA keys are refused by sshd"),
            Self::Unreadable(why) => write!(f, "not a public key of OpenSSH: {why}"),
        }
    }
}

/// A field of a key, after its type.
enum Field {
    /// So many bytes.
    Bytes(usize),
    /// The name of a curve, and an uncompressed point of so many bytes.
    Curve(&'static str, usize),
    /// A positive number.
    Number,
    /// The modulus of RSA.
    Modulus,
    /// The application of a security key.
    Application,
}

/// The types that are known here, with their fields: the functions `deserialize_public` of OpenSSH 10.5.
const TYPES: [(&str, &[Field]); 10] = [
    ("ssh-ed25519", &[Field::Bytes(32)]),
    ("ssh-rsa", &[Field::Number, Field::Modulus]),
    ("ecdsa-sha2-nistp256", &[Field::Curve("nistp256", 65)]),
    ("ecdsa-sha2-nistp384", &[Field::Curve("nistp384", 97)]),
    ("ecdsa-sha2-nistp521", &[Field::Curve("nistp521", 133)]),
    ("sk-ssh-ed25519@openssh.com", &[Field::Bytes(32), Field::Application]),
    ("sk-ecdsa-sha2-nistp256@openssh.com", &[Field::Curve("nistp256", 65), Field::Application]),
    ("ssh-mldsa44-ed25519", &[Field::Bytes(1344)]),
    ("ssh-mldsa44-ed25519@openssh.com", &[Field::Bytes(1344)]),
    ("ssh-dss", &[Field::Number, Field::Number, Field::Number, Field::Number]),
];

/// Names of signature algorithms that sshd accepts in place of a key's type.
const ALIASES: [(&str, &str); 3] = [
    ("rsa-sha2-256", "ssh-rsa"),
    ("rsa-sha2-512", "ssh-rsa"),
    ("webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
];

/// From which release on OpenSSH accepts keys of a type, for types that a supported system may not know. Only for a message.
#[must_use]
pub fn since(kind: &str) -> Option<&'static str> {
    match kind {
        "ssh-mldsa44-ed25519" => Some("OpenSSH 10.6"),
        "ssh-mldsa44-ed25519@openssh.com" => Some("OpenSSH 10.5 (10.4 does not accept it by default)"),
        "sk-ssh-ed25519@openssh.com" | "sk-ecdsa-sha2-nistp256@openssh.com" => Some("OpenSSH 8.2"),
        _ => None,
    }
}

impl KeyLine {
    /// Reads `type base64 [comment]`, separated by blanks and tabs as sshd accepts them, and writes it in the form of
    /// `login.keys`. Whether a point is on its curve, only sshd checks.
    ///
    /// # Errors
    /// Why it is not a key.
    pub fn read(body: &str) -> Result<Self, NotAKey> {
        // The line ends before and after belong to the file, not to the key.
        let body = body.trim_matches([' ', '\t', '\r', '\n']);
        if body.len() > MAX_BODY {
            return Err(NotAKey::Long(body.len()));
        }
        if body.contains("PRIVATE KEY") {
            return Err(NotAKey::Private);
        }
        // Bytes are faster, and most bodies are ASCII.
        let has_control = match body.is_ascii() {
            true => body.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t'),
            false => body.chars().any(|character| character.is_control() && character != '\t'),
        };
        if has_control {
            return Err(NotAKey::Lines);
        }
        let mut words = body.split(BETWEEN).filter(|word| !word.is_empty());
        let (Some(word), Some(base64)) = (words.next(), words.next()) else {
            return Err(NotAKey::Form);
        };
        let kind = ALIASES.iter().find(|(alias, _)| *alias == word).map_or(word, |(_, kind)| kind);
        let blob = decode(base64).ok_or_else(|| NotAKey::unreadable("its base64 text is damaged"))?;
        check(kind, &blob)?;
        let mut line = String::with_capacity(body.len() + 64);
        push_fingerprint(&mut line, &blob);
        for word in [kind, base64] {
            line.push(' ');
            line.push_str(word);
        }
        // The characters of a type of another OpenSSH.
        Self::new(&line).map_err(|_| NotAKey::Form)
    }

    /// The length of an RSA key in bits.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<usize> {
        let blob = decode(self.line().strip_prefix("ssh-rsa ")?)?;
        let mut rest = blob.as_slice();
        let [_kind, _exponent, modulus] = [(); 3].map(|()| string(&mut rest).ok());
        bits(modulus?)
    }

    /// The line of authorized_keys: type and base64 text.
    #[must_use]
    pub fn line(&self) -> &str {
        self.as_str().split_once(' ').map_or("", |(_, line)| line)
    }
}

/// Whether it is a key of this type.
fn check(kind: &str, blob: &[u8]) -> Result<(), NotAKey> {
    let mut rest = blob;
    if string(&mut rest)? != kind.as_bytes() {
        return Err(NotAKey::unreadable("its type is not the one in its base64 text"));
    }
    if kind.len() > MAX_TYPE {
        return Err(NotAKey::Form);
    }
    if kind.contains("-cert-v") {
        return Err(NotAKey::Certificate);
    }
    match TYPES.iter().find(|(name, _)| *name == kind) {
        Some((_, fields)) => {
            for field in *fields {
                take(field, &mut rest)?;
            }
            if !rest.is_empty() {
                return Err(NotAKey::unreadable("something follows the key"));
            }
        }
        // Every type that was ever defined consists of strings.
        None => {
            string(&mut rest)?;
            while !rest.is_empty() {
                string(&mut rest)?;
            }
        }
    }
    if kind == "ssh-dss" { Err(NotAKey::Dsa) } else { Ok(()) }
}

fn take(field: &Field, rest: &mut &[u8]) -> Result<(), NotAKey> {
    let right = match field {
        Field::Bytes(length) => string(rest)?.len() == *length,
        Field::Curve(curve, length) => {
            let named = string(rest)? == curve.as_bytes();
            let point = string(rest)?;
            named && point.len() == *length && point.first() == Some(&4)
        }
        Field::Number => bits(string(rest)?).is_some(),
        Field::Modulus => {
            let wrong = || NotAKey::unreadable("a part of it is wrong");
            let bits = bits(string(rest)?).ok_or_else(wrong)?;
            if !(1024..=16384).contains(&bits) {
                return Err(NotAKey::Unreadable(format!("RSA keys have 1024 to 16384 bits, not {bits}")));
            }
            true
        }
        Field::Application => !string(rest)?.contains(&0),
    };
    if right { Ok(()) } else { Err(NotAKey::unreadable("a part of it is wrong")) }
}

/// The next string of RFC 4251, section 5.
fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], NotAKey> {
    let all: &'a [u8] = rest;
    let next = all
        .split_first_chunk::<4>()
        .and_then(|(length, tail)| tail.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?));
    let (text, tail) = next.ok_or_else(|| NotAKey::unreadable("it ends early"))?;
    *rest = tail;
    Ok(text)
}

/// The length of a number in bits; `None` if it is negative.
fn bits(number: &[u8]) -> Option<usize> {
    if number.first().is_some_and(|byte| byte & 0x80 != 0) {
        return None;
    }
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let rest = number.get(zeros..).unwrap_or_default();
    Some(rest.len() * 8 - rest.first().map_or(0, |byte| byte.leading_zeros() as usize))
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 of RFC 4648, with its padding and nothing else, so that a key has one spelling.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut held, mut count) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(held >> count).ok()?);
            held &= (1 << count) - 1;
        }
    }
    (held == 0).then_some(bytes)
}

/// As `ssh-keygen -l` prints it: base64 without padding.
fn push_fingerprint(text: &mut String, blob: &[u8]) {
    text.push_str("SHA256:");
    for three in Sha256::digest(blob).chunks(3) {
        let held = three.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte));
        let held = held << (8 * (3 - three.len()));
        let digits = (0..=three.len()).map(|place| held >> (18 - 6 * place) & 63);
        text.extend(digits.filter_map(|digit| DIGITS.get(digit as usize)).map(|digit| char::from(*digit)));
    }
}

#[cfg(test)]
mod tests;
