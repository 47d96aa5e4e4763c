use proptest::prelude::*;

use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N";
/// A key of each type as ssh-keygen makes it, with the fingerprint that `ssh-keygen -l` shows.
const STORED: &str = include_str!("../../../keys-cmd/src/stored-keys.txt");

fn encode(blob: &[u8]) -> String {
    let mut text = String::new();
    for three in blob.chunks(3) {
        let held =
            three.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        text.extend(
            (0..=three.len()).map(|place| char::from(DIGITS[(held >> (18 - 6 * place) & 63) as usize])),
        );
        text.extend(std::iter::repeat_n('=', 3 - three.len()));
    }
    text
}

/// A key of this type, with these strings.
fn key(kind: &str, strings: &[&[u8]]) -> String {
    let mut blob = Vec::new();
    for text in std::iter::once(kind.as_bytes()).chain(strings.iter().copied()) {
        blob.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        blob.extend(text);
    }
    format!("{kind} {}", encode(&blob))
}

fn rsa(bits: usize) -> String {
    let mut modulus = vec![0; bits / 8 + 1];
    modulus[1] = 0x80;
    key("ssh-rsa", &[&[1, 0, 1], &modulus])
}

#[test]
fn a_key_of_each_type_has_the_fingerprint_that_ssh_keygen_shows() {
    for stored in STORED.lines() {
        let (fingerprint, line) = stored.split_once(' ').unwrap();
        let read = KeyLine::read(&format!("{line} ana@laptop from=\"*\"\n")).unwrap();
        assert_eq!((read.as_str(), read.fingerprint(), read.line()), (stored, fingerprint, line));
    }
}

/// authorized_keys lines as people and programs write them, and whether sshd reads each as a key without options.
/// tests/tests/key_types.rs has ssh-keygen read such lines.
#[test]
fn any_blanks_and_tabs_between_the_words_give_the_same_line() {
    let plain = KeyLine::read(ED25519).unwrap();
    let (kind, base64) = ED25519.split_once(' ').unwrap();
    for between in [" ", "  ", "\t", "\t\t", " \t ", "\t \t", "                "] {
        for body in [
            format!("{kind}{between}{base64}"),
            format!("{between}{kind} {base64}"),
            format!("{kind} {base64}{between}ana@laptop"),
            format!("{kind}{between}{base64}{between}a comment{between}of several words \"größe\"\r\n"),
        ] {
            assert_eq!(KeyLine::read(&body).as_ref(), Ok(&plain), "{body:?}");
        }
    }
    for between in ["\u{a0}", "\u{2003}", "", ",", ":"] {
        let body = format!("{kind}{between}{base64} a comment");
        assert!(KeyLine::read(&body).is_err(), "{body:?}");
    }
}

#[test]
fn the_length_of_an_rsa_key_is_that_of_its_modulus() {
    for bits in [1024, 2048, 16384] {
        assert_eq!(KeyLine::read(&rsa(bits)).unwrap().rsa_bits(), Some(bits));
    }
    assert_eq!(KeyLine::read(ED25519).unwrap().rsa_bits(), None);
}

#[test]
fn what_is_not_one_public_key_is_refused_without_showing_it() {
    let (kind, base64) = ED25519.split_once(' ').unwrap();
    // The agent's form of a private key begins like a public key.
    let agent = "AAAAC3NzaC1lZDI1NTE5AAAAIP1N6VQDUYBOwaENo4Zbh/ew5/ow16LgGf5pb1aYJuMUAAAAQJZWAgisIcvAU/k+KPTs6wM\
                 dMqq2/2TLl+EOXqh73e5H/U3pVANRgE7BoQ2jhluH97Dn+jDXouAZ/mlvVpgm4xQ=";
    let wrong = "a part of it is wrong";
    for (body, why) in [
        (format!("command=\"sh\" {ED25519}"), "base64 text is damaged"),
        (format!("restrict\t{ED25519}"), "base64 text is damaged"),
        (format!("command=\"sh\",{ED25519}"), "type is not the one"),
        (format!("{ED25519}\r{ED25519}"), "several lines"),
        (format!("{ED25519}\n{ED25519}"), "several lines"),
        (format!("{ED25519} a\0b"), "control characters"),
        (format!("# {ED25519}"), "base64 text is damaged"),
        (format!("#{ED25519}"), "type is not the one"),
        (format!("\u{a0}{ED25519}"), "type is not the one"),
        (kind.to_owned(), "type and a base64 text"),
        (String::new(), "type and a base64 text"),
        (format!("{kind} AAAA"), "ends early"),
        (format!("{kind} {agent}"), "something follows"),
        (format!("{kind} {}", base64.trim_end_matches('N')), "base64 text is damaged"),
        (format!("ssh-rsa {base64}"), "type is not the one"),
        (format!("{ED25519}{}", "A".repeat(1 << 20)), "too long"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA".to_owned(), "private key"),
        (key("ssh-ed25519-cert-v01@openssh.com", &[&[0; 32]]), "certificate"),
        (key("ssh-later-cert-v02@openssh.com", &[&[0; 32]]), "certificate"),
        (key("ssh-dss", &[&[1], &[1], &[1], &[1]]), "DSA"),
        (key("ssh-ed25519", &[&[0; 31]]), wrong),
        (key("ssh-ed25519", &[&[0; 32], &[]]), "something follows"),
        (key("ecdsa-sha2-nistp256", &[b"nistp384", &[4; 97]]), wrong),
        (key("ecdsa-sha2-nistp256", &[b"nistp256", &[2; 33]]), wrong),
        (key("sk-ssh-ed25519@openssh.com", &[&[0; 32]]), "ends early"),
        (key("sk-ssh-ed25519@openssh.com", &[&[0; 32], b"ssh:\0"]), wrong),
        (key("ssh-mldsa44-ed25519", &[&[0; 1312]]), wrong),
        (key("ssh-rsa", &[&[1, 0, 1], &[0x80; 256]]), wrong),
        (rsa(1023 / 8 * 8), "1024 to 16384 bits, not 1016"),
        (rsa(16392), "not 16392"),
        (key("x@example.com", &[]), "ends early"),
        (key("x,y", &[b"z"]), "type and a base64 text"),
        (key(&"x".repeat(65), &[b"z"]), "type and a base64 text"),
    ] {
        let error = KeyLine::read(&body).unwrap_err().to_string();
        assert!(error.contains(why), "{error}: {body}");
        assert!(!error.contains("AAAA"), "{error}");
    }
}

/// They are sshd's to judge, and `nss-iamctl why` says what it says.
#[test]
fn keys_of_types_that_this_or_a_later_openssh_knows_are_read() {
    for body in [
        rsa(1024),
        rsa(16384),
        key("ssh-mldsa44-ed25519", &[&[7; 1344]]),
        key("ssh-mldsa44-ed25519@openssh.com", &[&[7; 1344]]),
        key("sk-ssh-ed25519@openssh.com", &[&[0; 32], b"ssh:work"]),
        key("ssh-later@openssh.com", &[b"a", b"", &[7; 5000]]),
    ] {
        assert_eq!(KeyLine::read(&body).unwrap().line(), body);
    }
}

#[test]
fn the_name_of_a_signature_algorithm_is_replaced_by_the_type_of_the_key() {
    for (alias, kind) in ALIASES {
        let stored = STORED.lines().find(|line| line.split(' ').nth(1) == Some(kind)).unwrap();
        let base64 = stored.rsplit(' ').next().unwrap();
        assert_eq!(KeyLine::read(&format!("{alias} {base64}")).unwrap().as_str(), stored);
    }
    let other = STORED.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(KeyLine::read(&format!("rsa-sha2-512 {other}")).is_err());
}

#[test]
fn a_text_has_one_spelling_in_base64() {
    for (text, bytes) in
        [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("Zm9vYg==", b"foob")]
    {
        assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
    }
    for text in
        ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "=", "====", "Zg==Zg==", "Zm9v\n", "Zm-v", "Zm 9", "Z g="]
    {
        assert_eq!(decode(text), None, "{text}");
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
        let read = KeyLine::read(&format!("{before}{kind}{between}{base64}{after}"));
        prop_assert_eq!(read, KeyLine::read(ED25519));
    }

    #[test]
    fn a_control_character_other_than_a_tab_is_refused_wherever_it_is(
        at in 0..=ED25519.len(), control in "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\\x80-\\x9f]",
    ) {
        let (before, after) = ED25519.split_at(at);
        let refused = KeyLine::read(&format!("{before}{control}{after}")).is_err();
        // The ends of the line are not part of it.
        prop_assert!(refused);
    }

    #[test]
    fn bytes_are_what_they_were_after_encoding_and_decoding(blob in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(decode(&encode(&blob)), Some(blob));
    }

    /// Whatever it is, it is one line of two words, and is read as itself.
    #[test]
    fn whatever_is_read_is_written_in_one_form(
        kind in "[a-z@.-]{1,20}", strings in proptest::collection::vec(".{0,20}", 0..4), after in "( .{0,20})?",
    ) {
        let strings: Vec<&[u8]> = strings.iter().map(String::as_bytes).collect();
        if let Ok(read) = KeyLine::read(&format!("{}{after}", key(&kind, &strings))) {
            prop_assert_eq!(read.line().split([' ', '\n', '\t']).count(), 2);
            prop_assert_eq!(KeyLine::read(read.line()), Ok(read));
        }
    }
}
