//! SSH public keys: parsed where they come in, printed anew, so that nothing stored in IAM reaches sshd as text.

use cache::model::KeyLine;
use ssh_key::{Algorithm, HashAlg, PublicKey};

/// The longest body that is looked at, in bytes: an RSA key of 16384 bits has 2.8 kB.
const MAX_BODY: usize = 16 << 10;

/// Reads one line of the form `type base64 [comment]`.
///
/// # Errors
/// Why it is not a key, never with the body in it: it may be a private key.
pub(crate) fn parse(body: &str) -> Result<KeyLine, String> {
    let body = body.trim();
    if body.len() > MAX_BODY {
        return Err(format!("{} bytes are too long for a public key", body.len()));
    }
    if body.contains("PRIVATE KEY") {
        return Err("it is a private key; treat it as compromised".to_owned());
    }
    if body.chars().any(char::is_control) {
        return Err("it has several lines or control characters".to_owned());
    }
    let key =
        PublicKey::from_openssh(body).map_err(|cause| format!("not a public key of OpenSSH: {cause}"))?;
    match key.algorithm() {
        Algorithm::Dsa => return Err("DSA keys are refused by sshd".to_owned()),
        // Certificates among them, whose principals and dates nobody would look at here.
        Algorithm::Other(_) => return Err("not a public key of a type that sshd takes".to_owned()),
        _ => {}
    }
    // Our own printing of the parsed key: without comment, and with nothing before the type.
    let mut printed = key;
    printed.set_comment("");
    let fingerprint = printed.fingerprint(HashAlg::Sha256);
    let line = printed.to_openssh().map_err(|cause| format!("cannot be printed: {cause}"))?;
    KeyLine::new(&format!("{fingerprint} {}", line.trim_end())).map_err(|cause| cause.to_string())
}

/// The type, as `ssh-ed25519`.
pub(crate) fn kind(line: &KeyLine) -> &str {
    line.as_str().split(' ').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N";

    #[test]
    fn a_key_is_printed_anew_without_its_comment() {
        let line = parse(&format!("{ED25519} ana@laptop from=\"*\"\n")).unwrap();
        assert_eq!(line.as_str().split_once(' ').unwrap().1, ED25519);
        assert_eq!(kind(&line), "ssh-ed25519");
    }

    #[test]
    fn what_is_not_one_public_key_is_refused() {
        let long = format!("{ED25519}{}", "A".repeat(1 << 20));
        for (body, why) in [
            (format!("command=\"sh\" {ED25519}"), "not a public key"),
            (format!("{ED25519}\n{ED25519}"), "several lines"),
            (format!("{ED25519} a\0b"), "control characters"),
            (format!("# {ED25519}"), "not a public key"),
            (long, "too long"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA".to_owned(), "private key"),
            (
                "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N".to_owned(),
                "not a public key",
            ),
            ("x@example.com AAAADXhAZXhhbXBsZS5jb20AAAAA".to_owned(), "type that sshd takes"),
            (String::new(), "not a public key"),
        ] {
            let error = parse(&body).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("AAAA"), "{error}");
        }
    }
}
