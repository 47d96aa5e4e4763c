//! Which keys are accepted: `ssh-keygen -l` of OpenSSH 9.2 and 10.0 is the judge of each type and spelling.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use policy::KeyLine;
use tests::{Machine, text};

/// A key of each type that OpenSSH 9.2 makes, with its fingerprint. Those of security keys were put together from others.
const STORED: &str = include_str!("../../keys-cmd/src/stored-keys.txt");

/// A key of this type, with these strings.
fn key(machine: &Machine, kind: &str, strings: &[&[u8]]) -> String {
    let mut blob = Vec::new();
    for text in std::iter::once(kind.as_bytes()).chain(strings.iter().copied()) {
        blob.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        blob.extend(text);
    }
    fs::write("/root/blob", blob).unwrap();
    format!("{kind} {}", text(&machine.run(&["base64", "-w0", "/root/blob"]).stdout))
}

/// A number of so many bits.
fn number(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0; bits / 8 + 1];
    if let Some(first) = bytes.get_mut(1) {
        *first = 0x80;
    }
    bytes
}

/// Keys that nss-iam and OpenSSH judge alike.
fn alike(machine: &Machine) -> Vec<String> {
    let stored: Vec<&str> = STORED.lines().filter_map(|stored| Some(stored.split_once(' ')?.1)).collect();
    let mut keys: Vec<String> = stored.iter().map(|key| (*key).to_owned()).collect();
    for line in &stored {
        let (kind, base64) = line.split_once(' ').unwrap();
        for between in ["  ", "\t", " \t ", "\u{a0}", "\u{2003}", "", ",", ":"] {
            keys.push(format!("{kind}{between}{base64}"));
            keys.push(format!("{between}{kind} {base64}{between}a comment \"größe\" ssh-rsa AAAA"));
        }
        keys.extend([format!("#{line}"), kind.to_owned(), format!("{kind}\t"), format!("{line}=")]);
        keys.push(format!("{kind} {}", base64.get(..base64.len() - 4).unwrap()));
        for other in
            ["rsa-sha2-512", "rsa-sha2-256", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "ssh-rsa"]
        {
            keys.push(format!("{other} {base64}"));
        }
    }
    for bits in [512, 768, 1016, 1024, 1032, 2048, 16384, 16392, 20000] {
        keys.push(key(machine, "ssh-rsa", &[&[1, 0, 1], &number(bits)]));
    }
    for (kind, strings) in [
        ("ssh-rsa", vec![&[1, 0, 1][..], &[0x80; 256]]),
        ("ssh-ed25519", vec![&[0; 31][..]]),
        ("ssh-ed25519", vec![&[0; 32][..], b""]),
        ("sk-ssh-ed25519@openssh.com", vec![&[0; 32][..], b"ssh:work"]),
        ("sk-ssh-ed25519@openssh.com", vec![&[0; 32][..], b"ssh:\0x"]),
        ("sk-ssh-ed25519@openssh.com", vec![&[0; 32][..]]),
        ("ecdsa-sha2-nistp256", vec![b"nistp384", &[4; 97]]),
        ("ecdsa-sha2-nistp256", vec![b"nistp256", &[2; 33]]),
        ("x@example.com", vec![]),
    ] {
        keys.push(key(machine, kind, &strings));
    }
    keys
}

/// Keys that only one of them accepts: whether this OpenSSH and nss-iam do, and why that is right.
fn different(machine: &Machine, is_9: bool) -> Vec<(String, bool, bool, &'static str)> {
    machine.run(&[
        "sh",
        "-c",
        "ssh-keygen -q -t ed25519 -N '' -f /root/ca && ssh-keygen -q -t ed25519 -N '' -f /root/u &&
        ssh-keygen -q -s /root/ca -I u /root/u.pub",
    ]);
    let certificate = fs::read_to_string("/root/u-cert.pub").unwrap();
    let dsa: [&[u8]; 4] = [&number(1024), &number(160), &[2], &number(1000)];
    let hybrid = [&[7; 1344][..]];
    vec![
        (key(machine, "ssh-dss", &dsa), is_9, false, "sshd refuses it by default"),
        (certificate.trim().to_owned(), true, false, "sshd compares the keys of the list, not certificates"),
        (key(machine, "ssh-mldsa44-ed25519", &hybrid), false, true, "OpenSSH 10.6 knows it"),
        (key(machine, "ssh-mldsa44-ed25519@openssh.com", &hybrid), false, true, "OpenSSH 10.4 knows it"),
        (key(machine, "ssh-later@openssh.com", &[b"x"]), false, true, "a later OpenSSH may know it"),
        (
            key(machine, "ecdsa-sha2-nistp256", &[b"nistp256", &[4; 65]]),
            false,
            true,
            "only OpenSSH checks that a point is on the curve",
        ),
    ]
}

/// The fingerprint that ssh-keygen shows.
fn judged(machine: &Machine, line: &str) -> Option<String> {
    fs::write("/root/key", format!("{line}\n")).unwrap();
    let ran = machine.run(&["ssh-keygen", "-lf", "/root/key"]);
    let shown = ran.status.success().then(|| text(&ran.stdout).split(' ').nth(1).unwrap().to_owned());
    shown.filter(|fingerprint| fingerprint.starts_with("SHA256:"))
}

fn accepted(line: &str) -> Option<String> {
    KeyLine::read(line).ok().map(|key| key.fingerprint().to_owned())
}

/// Whether OpenSSH and nss-iam accept the same keys in this tree, and each type that it knows is among them.
fn judge(tree: &str, is_9: bool) -> Option<()> {
    let machine = Machine::enter_tree(tree)?;
    for line in alike(&machine) {
        assert_eq!(judged(&machine, &line), accepted(&line), "{tree}: {line:?}");
    }
    let different = different(&machine, is_9);
    for (line, by_openssh, here, why) in &different {
        assert_eq!(judged(&machine, line).is_some(), *by_openssh, "{tree}: {line:?}");
        assert_eq!(accepted(line).is_some(), *here, "{tree}: {why}: {line:?}");
    }
    let kinds = text(&machine.run(&["ssh", "-Q", "key-plain"]).stdout).to_owned();
    for kind in kinds.lines() {
        let is_stored = STORED.lines().any(|stored| stored.split(' ').nth(1) == Some(kind));
        assert!(
            is_stored || different.iter().any(|(line, ..)| line.split(' ').next() == Some(kind)),
            "{tree}: {kind}"
        );
    }
    Some(())
}

#[test]
fn nss_iam_accepts_the_keys_that_openssh_9_2_reads() {
    let _ = judge("login", true);
}

#[test]
fn nss_iam_accepts_the_keys_that_openssh_10_0_reads() {
    let _ = judge("debian13", false);
}
