//! The files of keys that sshd reads at each login: those of CAs, and of what is revoked.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use message::Message;
use policy::KeyLine;

use crate::host::Host;
use crate::say::error::Error;

/// With what a list of revoked keys begins that ssh-keygen made (PROTOCOL.krl of OpenSSH). Any other file has a key on each line.
const KRL: &[u8] = b"SSHKRL\n\0";
/// How many keys are looked up in one; each one costs a run of ssh-keygen.
const MOST: usize = 256;

/// What they contain, for the settings of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyFiles {
    /// The fingerprints of keys that are revoked; or why sshd cannot find out, and then refuses every key and certificate.
    pub revoked: Result<BTreeSet<String>, Message>,
    /// The CAs.
    pub cas: Vec<KeyLine>,
}

impl Default for KeyFiles {
    fn default() -> Self {
        Self { revoked: Ok(BTreeSet::new()), cas: Vec::new() }
    }
}

impl KeyFiles {
    /// Reads them, as root. `list` is the value of RevokedKeys, in which `keys` and the CAs are looked up, and `ca` the file with CAs.
    pub(crate) fn of(host: &Host, list: &str, ca: Option<&str>, keys: &[&KeyLine]) -> Self {
        let text = ca.and_then(|file| read(host, file).ok()).unwrap_or_default();
        let cas = each(&text);
        let asked: Vec<&KeyLine> = cas.iter().chain(keys.iter().copied()).collect();
        let revoked = match list {
            "" | "none" => Ok(BTreeSet::new()),
            file => revoked(host, file, &asked),
        };
        Self { revoked, cas }
    }
}

/// The keys of a file with one on each line. sshd skips what it cannot read.
fn each(text: &[u8]) -> Vec<KeyLine> {
    String::from_utf8_lossy(text).lines().filter_map(|line| KeyLine::read(line).ok()).collect()
}

/// A device or a pipe could have no end.
fn read(host: &Host, file: &str) -> Result<Vec<u8>, Message> {
    let path = host.path(file);
    let failed = |cause| Message::from(Error::io("read", Path::new(file), &cause));
    if !fs::metadata(&path).map_err(failed)?.is_file() {
        return match file {
            "/dev/null" => Ok(Vec::new()),
            _ => Err(Message::new(format!("'{file}' is not a file"))),
        };
    }
    fs::read(&path).map_err(failed)
}

fn revoked(host: &Host, file: &str, asked: &[&KeyLine]) -> Result<BTreeSet<String>, Message> {
    let text = read(host, file)?;
    let fingerprint = |key: &KeyLine| key.fingerprint().to_owned();
    if !text.starts_with(KRL) {
        return Ok(each(&text).iter().map(fingerprint).collect());
    }
    let Some(keygen) = host.find("ssh-keygen") else { return Ok(BTreeSet::new()) };
    let mut found = BTreeSet::new();
    for key in asked.iter().take(MOST) {
        let answer =
            host.run_with(&[&keygen, "-Q", "-f", file, "/dev/stdin"], &format!("{}\n", key.line()))?;
        match answer.code {
            Some(0) => {}
            Some(1) => {
                found.insert(fingerprint(key));
            }
            _ => return Err(Message::new(format!("cannot read '{file}': {}", answer.complaint()))),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::host::{Output, Programs};

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";

    /// An ssh-keygen in whose lists the first key is, and which cannot read a damaged one.
    struct Keygen;

    impl Programs for Keygen {
        fn run(&self, line: &[&str], stdin: &str) -> io::Result<Output> {
            assert_eq!(line[1..], ["-Q", "-f", line[3], "/dev/stdin"]);
            let code = if line[3].ends_with("damaged") { 255 } else { i32::from(stdin.starts_with(ONE)) };
            Ok(Output { code: Some(code), stderr: "incomplete message".to_owned(), ..Output::default() })
        }
    }

    #[test]
    fn both_forms_of_a_list_are_read_and_what_sshd_cannot_read_is_told() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        for (name, text) in [
            ("usr/bin/ssh-keygen", String::new()),
            ("empty", String::new()),
            ("text", format!("# lost\n\n  {ONE} ana@laptop\nno key\n")),
            ("krl", "SSHKRL\n\0...".to_owned()),
            ("damaged", "SSHKRL\n\0".to_owned()),
            ("ca", format!("{OTHER}\n{ONE}\n")),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        let host = Host::of(root.path().to_owned(), Box::new(Keygen));
        let keys = [ONE, OTHER].map(|line| KeyLine::read(line).unwrap());
        let asked: Vec<&KeyLine> = keys.iter().collect();
        let of = |list: &str| KeyFiles::of(&host, list, Some("/ca"), &asked);
        let first = keys[0].fingerprint();
        for (file, revoked) in
            [("none", &[][..]), ("/dev/null", &[]), ("/empty", &[]), ("/text", &[first]), ("/krl", &[first])]
        {
            if file == "/dev/null" {
                fs::create_dir_all(root.path().join("dev/null")).unwrap();
            }
            let found = of(file).revoked.unwrap();
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), revoked, "{file}");
        }
        for (file, why) in
            [("/missing", "cannot read '/missing'"), ("/usr", "not a file"), ("/damaged", "incomplete")]
        {
            let found = of(file).revoked.unwrap_err();
            assert!(found.what().contains(why), "{found}");
        }
        assert_eq!(of("none").cas.iter().map(KeyLine::line).collect::<Vec<_>>(), [OTHER, ONE]);
    }
}
