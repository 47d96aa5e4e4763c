//! `ssh-keygen` is the judge of what is signed here, and signs what is judged here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};
use signature::Signer as _;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::SkEd25519;
use ssh_key::{Algorithm, Signature};

use super::*;

const JSON: &str = r#"{"version": 1, "fleet": "jump", "generation": 7, "issued": "2026-11-27T12:00:00Z",
    "expires": "2026-11-28T12:00:00Z", "accounts": []}"#;

/// Keys of one type in a directory.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new(kind: &str, bits: &str) -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"])
            .arg(keys.path("key")));
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn trusted(&self) -> Vec<String> {
        vec![fs::read_to_string(self.path("key.pub")).unwrap()]
    }

    /// As an administrator does it.
    fn by_hand(&self, namespace: &str, json: &str) -> Vec<u8> {
        let (file, signature) = (self.path("users.json"), self.path("users.json.sig"));
        let _ = fs::remove_file(&signature);
        fs::write(&file, json).unwrap();
        run(Command::new("ssh-keygen")
            .args(["-Y", "sign", "-n", namespace, "-f"])
            .arg(self.path("key"))
            .arg(&file));
        [fs::read(signature).unwrap(), json.as_bytes().to_vec()].concat()
    }
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Made for this test: the private number has 31 bytes. The ssh-key crate demands 32, and OpenSSH leaves zeros at the beginning out.
const SHORT: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQTuI6eVZS5gW/qDQRcv5XW+gpFWOIaY
CX/pALltOtUy/shE6VuP9w5Q29cLcKijjj6ljhyQi7iQ5z6rwxWOg+BlAAAAmFzHQcFcx0
HBAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO4jp5VlLmBb+oNB
Fy/ldb6CkVY4hpgJf+kAuW061TL+yETpW4/3DlDb1wtwqKOOPqWOHJCLuJDnPqvDFY6D4G
UAAAAfeN93M+BFBjSaakIRff5ze5fzg/gnjWla8Jswr2GtiAAAAAAB
-----END OPENSSH PRIVATE KEY-----
";

fn at(time: &str) -> Timestamp {
    format!("2026-11-{time}:00Z").parse().unwrap()
}

fn expected(keys: &[String]) -> Expected<'_> {
    Expected { keys, fleet: "jump", generation: None, now: at("27T13:00") }
}

fn read(document: &[u8], keys: &[String]) -> Result<Option<u64>, Refused> {
    verify(document, expected(keys)).map(|listing| listing.generation)
}

#[test]
fn what_ssh_keygen_signs_is_read_and_what_is_signed_here_ssh_keygen_verifies() {
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384")] {
        let made = || {
            let keys = Keys::new(kind, bits);
            // Whatever the key, hosts read what it signs.
            assert_eq!(read(&keys.by_hand(NAMESPACE, JSON), &keys.trusted()), Ok(Some(7)), "{kind} {bits}");
            let signer = Signer::read(&fs::read(keys.path("key")).unwrap()).ok()?;
            Some((keys, signer))
        };
        // One ECDSA key in 256 cannot be read: see SHORT.
        let (keys, signer) = made().or_else(made).unwrap();
        // As stores of secrets give it back.
        let key = fs::read_to_string(keys.path("key")).unwrap();
        for key in [format!("{key}\n\n"), key.trim_end().to_owned()] {
            assert_eq!(Signer::read(key.as_bytes()).unwrap().public(), signer.public());
        }
        assert!(keys.trusted()[0].starts_with(&signer.public()), "{}", signer.public());
        let document = signer.sign(JSON.as_bytes()).unwrap();
        assert_eq!(read(&document, &[signer.public()]), Ok(Some(7)));
        let parts = split(&document).unwrap();
        fs::write(keys.path("sig"), parts.signature.unwrap()).unwrap();
        fs::write(keys.path("json"), parts.json).unwrap();
        fs::write(keys.path("allowed"), format!("publisher {}\n", signer.public())).unwrap();
        let of = |path: &Path| fs::File::open(path).unwrap();
        let mut verify = Command::new("ssh-keygen");
        verify.args(["-Y", "verify", "-I", "publisher", "-n", NAMESPACE, "-f"]).arg(keys.path("allowed"));
        let done = verify.arg("-s").arg(keys.path("sig")).stdin(of(&keys.path("json"))).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// `docs/reference/listing.md`, carried out as an administrator does it.
#[test]
fn the_documented_commands_sign_and_verify() {
    let page = include_str!("../../../docs/reference/listing.md");
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands: String = blocks.collect();
    assert!(commands.contains("-Y sign") && commands.contains("-Y verify"), "{commands}");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("users.json"), JSON).unwrap();
    run(Command::new("sh").args(["-ec", &commands]).current_dir(directory.path()));
    let trusted = vec![fs::read_to_string(directory.path().join("publish.key.pub")).unwrap()];
    let document = fs::read(directory.path().join("users.signed")).unwrap();
    assert_eq!(read(&document, &trusted), Ok(Some(7)));
}

#[test]
fn a_key_that_cannot_sign_here_is_refused_with_the_reason() {
    let rsa = Keys::new("rsa", "2048");
    let read = |path: PathBuf| Signer::read(&fs::read(path).unwrap()).unwrap_err();
    assert_eq!(read(rsa.path("key")), BadKey::Kind("ssh-rsa".to_owned()));
    assert!(matches!(read(rsa.path("key.pub")), BadKey::Form(_)));
    assert!(matches!(Signer::read(SHORT.as_bytes()), Err(BadKey::Form(_))));
    let keys = Keys::new("ed25519", "256");
    run(Command::new("ssh-keygen").args(["-q", "-p", "-N", "secret", "-f"]).arg(keys.path("key")));
    assert_eq!(read(keys.path("key")), BadKey::Encrypted);
    // An RSA key cannot be trusted either.
    let refused = super::authentic(&rsa.by_hand(NAMESPACE, JSON), &rsa.trusted()).unwrap_err();
    assert_eq!(refused, Refused::Wrong);
}

#[test]
fn each_change_of_a_document_is_refused() {
    let (keys, other) = (Keys::new("ed25519", "256"), Keys::new("ed25519", "256"));
    let (document, trusted) = (keys.by_hand(NAMESPACE, JSON), keys.trusted());
    assert_eq!(read(&document, &[other.trusted(), trusted.clone()].concat()), Ok(Some(7)));
    assert!(matches!(read(&document, &other.trusted()), Err(Refused::UnknownKey(_))));
    assert!(matches!(read(&document, &[]), Err(Refused::UnknownKey(_))));
    assert_eq!(read(JSON.as_bytes(), &trusted), Err(Refused::Unsigned));
    assert_eq!(read(b"", &trusted), Err(Refused::Unsigned));
    let mail = keys.by_hand("file", JSON);
    assert_eq!(read(&mail, &trusted), Err(Refused::Namespace("file".to_owned())));
    // A document in front of or behind a signed one.
    assert_eq!(read(&[JSON.as_bytes(), &document].concat(), &trusted), Err(Refused::Unsigned));
    assert_eq!(read(&[&document, JSON.as_bytes()].concat(), &trusted), Err(Refused::Wrong));
    let signature = split(&document).unwrap().signature.unwrap();
    assert!(matches!(read(&[signature, &document].concat(), &trusted), Err(Refused::Wrong)));
    for at in 0..document.len() {
        assert!(read(&document[..at], &trusted).is_err(), "cut off at {at}");
        let mut changed = document.clone();
        changed[at] ^= 1;
        // The library does not check one length in the armor. What is signed, and by whom, is the same then.
        let found = read(&changed, &trusted);
        assert!(found.is_err() || at < signature.len() && found == Ok(Some(7)), "changed at {at}");
    }
    let endless = [BEGIN, &vec![b'A'; 2 * LONGEST], END].concat();
    assert!(matches!(read(&endless, &trusted), Err(Refused::Form(_))));
}

#[test]
fn another_fleet_an_older_generation_and_a_time_that_does_not_fit_are_refused() {
    let keys = Keys::new("ed25519", "256");
    let (document, trusted) = (keys.by_hand(NAMESPACE, JSON), keys.trusted());
    let with = |change: fn(Expected<'_>) -> Expected<'_>| {
        verify(&document, change(expected(&trusted))).map(|listing| listing.generation)
    };
    assert_eq!(with(|it| Expected { generation: Some(7), ..it }), Ok(Some(7)));
    let older = Refused::Older { found: 7, last: 8 };
    assert_eq!(with(|it| Expected { generation: Some(8), ..it }), Err(older));
    assert_eq!(with(|it| Expected { fleet: "build", ..it }), Err(Refused::Fleet("jump".to_owned())));
    for (now, outcome) in [
        ("27T11:44", Err(Refused::Future(at("27T12:00")))),
        ("27T11:50", Ok(Some(7))),
        ("28T11:59", Ok(Some(7))),
        ("28T12:00", Err(Refused::Expired(at("28T12:00")))),
    ] {
        let found = verify(&document, Expected { now: at(now), ..expected(&trusted) });
        assert_eq!(found.map(|listing| listing.generation), outcome, "{now}");
    }
    for field in ["fleet", "generation", "issued", "expires"] {
        let mut json: serde_json::Value = serde_json::from_str(JSON).unwrap();
        json.as_object_mut().unwrap().remove(field);
        assert_eq!(
            read(&keys.by_hand(NAMESPACE, &json.to_string()), &trusted),
            Err(Refused::Incomplete(field))
        );
    }
    let refused = read(&keys.by_hand(NAMESPACE, "{}"), &trusted).unwrap_err();
    assert!(matches!(refused, Refused::Listing(_)), "{refused}");
}

/// PROTOCOL.u2f of OpenSSH: what a hardware key signs, and how flags and counter follow.
#[test]
fn a_hardware_key_may_sign_if_somebody_touches_it() {
    let keys = Keys::new("ed25519", "256");
    let key = PrivateKey::from_openssh(fs::read(keys.path("key")).unwrap()).unwrap();
    let KeypairData::Ed25519(pair) = key.key_data() else { panic!("another type") };
    let pair: &Ed25519Keypair = pair;
    let public = KeyData::SkEd25519(SkEd25519::new(pair.public, "ssh:"));
    let trusted = [PublicKey::from(public.clone()).to_openssh().unwrap()];
    for (flags, outcome) in [(USER_PRESENT, Ok(Some(7))), (5, Ok(Some(7))), (0, Err(Refused::NotTouched))] {
        let counted = [flags, 0, 0, 0, 9];
        let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, JSON.as_bytes()).unwrap();
        let (application, data) = (Sha256::digest("ssh:"), Sha256::digest(data));
        let signature = pair.sign(&[&application[..], &counted, &data].concat());
        let signature =
            Signature::new(Algorithm::SkEd25519, [signature.as_bytes(), &counted].concat()).unwrap();
        let signature = SshSig::new(public.clone(), NAMESPACE, HashAlg::Sha512, signature).unwrap();
        let pem = signature.to_pem(LineEnding::LF).unwrap();
        let document = [pem.trim_end().as_bytes(), b"\n", JSON.as_bytes()].concat();
        assert_eq!(read(&document, &trusted), outcome, "{flags}");
    }
}
