//! SSH public keys: parsed on input and serialized again, so that no text stored in IAM reaches sshd unchecked.

use policy::KeyLine;
use ssh_key::{Algorithm, HashAlg, PublicKey};
use status::SkipReason;

/// The longest body that is parsed, in bytes. An RSA key of 16384 bits has 2.8 kB.
const MAX_BODY: usize = 16 << 10;

/// Parses one line of the form `type base64 [comment]`, separated by blanks and tabs as sshd accepts them.
///
/// # Errors
/// Why it is not a key. The text never contains the body, which may be a private key.
pub(crate) fn parse(body: &str) -> Result<KeyLine, SkipReason> {
    let body = body.trim_matches([' ', '\t', '\r', '\n']);
    if body.len() > MAX_BODY {
        return Err(SkipReason::KeyLong { bytes: body.len() });
    }
    if body.contains("PRIVATE KEY") {
        return Err(SkipReason::KeyPrivate);
    }
    if body.chars().any(|character| character.is_control() && character != '\t') {
        return Err(SkipReason::KeyLines);
    }
    let Some(words) = listing::type_and_base64(body) else {
        return Err(SkipReason::KeyForm);
    };
    let key = PublicKey::from_openssh(&words)
        .map_err(|cause| SkipReason::KeyUnreadable { cause: cause.to_string() })?;
    match key.algorithm() {
        Algorithm::Dsa => return Err(SkipReason::KeyDsa),
        // Among them certificates, whose principals and dates are not checked here.
        Algorithm::Other(_) => return Err(SkipReason::KeyType),
        _ => {}
    }
    // Printed from the parsed key: without comment, and with nothing before the type.
    let mut printed = key;
    printed.set_comment("");
    let fingerprint = printed.fingerprint(HashAlg::Sha256);
    let line =
        printed.to_openssh().map_err(|cause| SkipReason::KeyUnprintable { cause: cause.to_string() })?;
    KeyLine::new(&format!("{fingerprint} {}", line.trim_end())).map_err(SkipReason::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N";

    #[test]
    fn a_key_is_printed_again_without_its_comment() {
        let line = parse(&format!("{ED25519} ana@laptop from=\"*\"\n")).unwrap();
        assert_eq!(line.as_str().split_once(' ').unwrap().1, ED25519);
        assert_eq!(line.kind(), "ssh-ed25519");
    }

    /// authorized_keys lines as people and programs write them, and whether sshd reads each as a key without options.
    fn spellings() -> Vec<(bool, String)> {
        let (kind, base64) = ED25519.split_once(' ').unwrap();
        let mut spellings: Vec<(bool, String)> = Vec::new();
        for between in [" ", "  ", "\t", "\t\t", " \t ", "\t \t", "                "] {
            spellings.push((true, format!("{kind}{between}{base64}")));
            spellings.push((true, format!("{between}{kind} {base64}")));
            spellings.push((true, format!("{kind} {base64}{between}ana@laptop")));
            spellings.push((true, format!("{kind} {base64}{between}")));
            spellings
                .push((true, format!("{kind}{between}{base64}{between}a comment{between}of several words")));
        }
        spellings.push((true, format!("{ED25519} \"quoted\", ssh-rsa AAAA, größe")));
        spellings.push((true, format!("{ED25519}\r")));
        for between in ["\u{a0}", "\u{2003}", "", ",", ":"] {
            spellings.push((false, format!("{kind}{between}{base64}")));
            spellings.push((false, format!("{kind}{between}{base64} a comment")));
        }
        spellings.push((false, format!("#{ED25519}")));
        spellings.push((false, kind.to_owned()));
        spellings.push((false, format!("{kind}\t")));
        spellings.push((false, format!("\u{a0}{ED25519}")));
        spellings
    }

    #[test]
    fn any_blanks_and_tabs_between_the_words_give_the_same_line() {
        let plain = parse(ED25519).unwrap();
        for (is_key, body) in spellings() {
            match parse(&body) {
                Ok(line) => assert!(is_key && line == plain, "{body:?}"),
                Err(error) => {
                    assert!(!is_key && error.to_string().contains("not a public key"), "{body:?}: {error}");
                }
            }
        }
    }

    /// ssh-keygen reads a line with sshd's `sshkey_read`. Like sshd it then looks for options before the key, which are
    /// refused here.
    #[test]
    fn openssh_reads_a_key_in_the_same_spellings() {
        let directory = tempfile::tempdir().unwrap();
        for (is_key, body) in spellings() {
            let file = directory.path().join("key");
            std::fs::write(&file, format!("{body}\n")).unwrap();
            let ran = std::process::Command::new("ssh-keygen").arg("-lf").arg(&file).output();
            let Ok(ran) = ran else {
                // There is no ssh-keygen on this machine.
                return;
            };
            assert_eq!(ran.status.success(), is_key, "{body:?}");
            if is_key {
                let fingerprint = parse(&body).unwrap().as_str().split(' ').next().unwrap().to_owned();
                let said = String::from_utf8(ran.stdout).unwrap();
                assert!(said.contains(&fingerprint), "{body:?}: {said}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_between_and_after_the_words_never_reaches_the_line(
            before in "[ \t]{0,3}",
            between in "[ \t]{1,5}",
            after in "([ \t]{1,3}\\PC{0,40})?",
        ) {
            let (kind, base64) = ED25519.split_once(' ').unwrap();
            let line = parse(&format!("{before}{kind}{between}{base64}{after}"));
            prop_assert_eq!(line, parse(ED25519));
        }

        #[test]
        fn a_control_character_other_than_a_tab_is_refused_wherever_it_is(
            at in 0..=ED25519.len(), control in "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]",
        ) {
            let (before, after) = ED25519.split_at(at);
            let refused = parse(&format!("{before}{control}{after}")).is_err();
            prop_assert!(refused);
        }
    }

    #[test]
    fn what_is_not_one_public_key_is_refused() {
        let long = format!("{ED25519}{}", "A".repeat(1 << 20));
        for (body, why) in [
            (format!("command=\"sh\" {ED25519}"), "not a public key"),
            (format!("restrict\t{ED25519}"), "not a public key"),
            (format!("{ED25519}\r{ED25519}"), "several lines"),
            (format!("{ED25519}\u{85}{ED25519}"), "control characters"),
            (format!("{ED25519}\n{ED25519}"), "several lines"),
            (format!("{ED25519} a\0b"), "control characters"),
            (format!("# {ED25519}"), "not a public key"),
            (long, "too long"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA".to_owned(), "private key"),
            (
                "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N".to_owned(),
                "not a public key",
            ),
            ("x@example.com AAAADXhAZXhhbXBsZS5jb20AAAAA".to_owned(), "type that sshd accepts"),
            (String::new(), "not a public key"),
        ] {
            let error = parse(&body).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("AAAA"), "{error}");
        }
    }
}
