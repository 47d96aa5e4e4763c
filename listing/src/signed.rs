//! Signed documents: an armored signature of OpenSSH (`ssh-keygen -Y sign`), and after it the bytes that it signs, a listing.
//! One file has both, so that both are replaced at once.

use jiff::{SignedDuration, Timestamp};
use message::Message;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::Listing;

/// What the signatures are for, so that one for another purpose says nothing here: `ssh-keygen -Y sign -n`.
pub const NAMESPACE: &str = "nss-iam-listing";

const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----\n";
const END: &[u8] = b"-----END SSH SIGNATURE-----\n";
/// Signatures are at most this long, in bytes.
const LONGEST: usize = 16 << 10;

/// How far the clock of the publisher may be ahead.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Flags and counter, which follow the signature of a hardware key: PROTOCOL.u2f of OpenSSH.
const TRAILER: usize = 5;
/// Somebody has touched the key.
const USER_PRESENT: u8 = 1;

/// A document in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The armored signature; none if the document has none.
    pub signature: Option<&'a [u8]>,
    /// The listing.
    pub json: &'a [u8],
}

/// What a host expects of a signed listing.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Public keys, `<type> <base64>`, one of which has signed it.
    pub keys: &'a [String],
    /// The fleet that it is made for.
    pub fleet: &'a str,
    /// The generation of the last listing that was accepted; none: the first one.
    pub generation: Option<u64>,
    /// The time of day.
    pub now: Timestamp,
}

/// Why a signed listing is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has no signature.
    #[error("it is not signed")]
    Unsigned,
    /// What it has is no signature that can be read.
    #[error("its signature cannot be read: {0}")]
    Form(String),
    /// Signed by a key that is not trusted, which has this fingerprint.
    #[error("it is signed with {0}, which is not one of the trusted keys")]
    UnknownKey(String),
    /// Signed for another purpose.
    #[error("its signature is for '{0}', not for '{NAMESPACE}'")]
    Namespace(String),
    /// A hardware key signed without a touch.
    #[error("its hardware key was not touched")]
    NotTouched,
    /// The signature is not one of these bytes.
    #[error("its signature does not belong to it: it was changed or cut off")]
    Wrong,
    /// Signed, but no valid listing.
    #[error("{0}")]
    Listing(String),
    /// It does not say for which fleet it is, its generation, or when it was issued and expires.
    #[error("it has no '{0}', which a signed listing needs")]
    Incomplete(&'static str),
    /// It is for this fleet.
    #[error("it is for the fleet '{0}'")]
    Fleet(String),
    /// It is older than the one that was accepted last.
    #[error("its generation {found} is older than {last}, which was accepted before")]
    Older {
        /// Its generation.
        found: u64,
        /// The last one that was accepted.
        last: u64,
    },
    /// It was issued at this time, which is in the future.
    #[error("it was issued at {0}, which is in the future")]
    Future(Timestamp),
    /// It expired at this time.
    #[error("it expired at {0}")]
    Expired(Timestamp),
}

impl Refused {
    /// What to do; may be empty.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unsigned | Self::Namespace(_) => {
                "sign it as /usr/share/doc/nss-iam/reference/listing.md describes, or let 'cache-refresher publish' do it"
            }
            Self::UnknownKey(_) => {
                "if this is a new key of the publisher, add its public key to [source] trusted_keys"
            }
            Self::Form(_) | Self::Wrong => {
                "write a file again under another name, and rename it; restore an object in S3 as \
                 /usr/share/doc/nss-iam/guide/many-hosts.md describes"
            }
            Self::NotTouched => "sign it again with a key that wants to be touched",
            Self::Listing(_) | Self::Incomplete(_) => crate::FORMAT,
            Self::Fleet(_) => "check [source] url and fleet",
            Self::Older { .. } => {
                "if the publisher lost its last listing, let it publish again: generations grow with the time of day"
            }
            Self::Future(_) => "check the clocks of this host and of the publisher",
            Self::Expired(_) => "check whether the publisher still runs, and the clock of this host",
        }
    }

    /// With its hint.
    #[must_use]
    pub fn message(&self) -> Message {
        Message::new(self.to_string()).with_hint(self.hint())
    }
}

/// Divides a document. What does not begin with a signature is a listing without one.
///
/// # Errors
/// [`Refused::Form`] if a signature begins and does not end.
pub fn split(document: &[u8]) -> Result<Parts<'_>, Refused> {
    let Some(rest) = document.strip_prefix(BEGIN) else {
        return Ok(Parts { signature: None, json: document });
    };
    let head = rest.get(..LONGEST).unwrap_or(rest);
    let end = head.windows(END.len()).position(|window| window == END);
    let parts = end.and_then(|end| document.split_at_checked(BEGIN.len() + end + END.len()));
    let (signature, json) = parts.ok_or_else(|| Refused::Form("its last line is missing".to_owned()))?;
    Ok(Parts { signature: Some(signature), json })
}

/// Verifies and parses a document.
///
/// # Errors
/// See [`Refused`].
pub fn verify(document: &[u8], expected: Expected<'_>) -> Result<Listing, Refused> {
    let listing = authentic(document, expected.keys)?;
    let missing = |what| move || Refused::Incomplete(what);
    let fleet = listing.fleet.as_deref().ok_or_else(missing("fleet"))?;
    let generation = listing.generation.ok_or_else(missing("generation"))?;
    let issued = listing.issued.ok_or_else(missing("issued"))?;
    let expires = listing.expires.ok_or_else(missing("expires"))?;
    if fleet != expected.fleet {
        return Err(Refused::Fleet(fleet.escape_default().to_string()));
    }
    if let Some(last) = expected.generation.filter(|last| generation < *last) {
        return Err(Refused::Older { found: generation, last });
    }
    if issued.duration_since(expected.now) > CLOCK_TOLERANCE {
        return Err(Refused::Future(issued));
    }
    if expires <= expected.now {
        return Err(Refused::Expired(expires));
    }
    Ok(listing)
}

/// Verifies and parses a document, whatever its fleet and age.
///
/// # Errors
/// See [`Refused`].
pub fn authentic(document: &[u8], keys: &[String]) -> Result<Listing, Refused> {
    let Parts { signature, json } = split(document)?;
    let signature = signature.ok_or(Refused::Unsigned)?;
    let signature = SshSig::from_pem(signature).map_err(|cause| Refused::Form(cause.to_string()))?;
    let signer = PublicKey::from(signature.public_key().clone());
    let is_trusted =
        |line: &String| PublicKey::from_openssh(line).is_ok_and(|key| key.key_data() == signer.key_data());
    if !keys.iter().any(is_trusted) {
        return Err(Refused::UnknownKey(signer.fingerprint(HashAlg::Sha256).to_string()));
    }
    if signature.namespace() != NAMESPACE {
        return Err(Refused::Namespace(signature.namespace().escape_default().to_string()));
    }
    if !is_touched(&signature) {
        return Err(Refused::NotTouched);
    }
    signer.verify(NAMESPACE, json, &signature).map_err(|_| Refused::Wrong)?;
    Listing::parse(json).map_err(|cause| Refused::Listing(cause.to_string()))
}

/// Whether somebody has touched the key that signed, if it is a hardware key. The library does not look.
fn is_touched(signature: &SshSig) -> bool {
    let bytes = signature.signature_bytes();
    let flags = bytes.len().checked_sub(TRAILER).and_then(|at| bytes.get(at));
    match signature.public_key() {
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {
            flags.is_some_and(|flags| flags & USER_PRESENT != 0)
        }
        _ => true,
    }
}

/// A private key that signs.
#[derive(Debug)]
pub struct Signer(PrivateKey);

/// Why a private key cannot sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not a private key in the format of OpenSSH.
    #[error("not a private key of OpenSSH: {0}")]
    Form(String),
    /// It has a passphrase.
    #[error("it is protected by a passphrase")]
    Encrypted,
    /// A type that cannot sign here.
    #[error("keys of type {0} cannot sign a listing")]
    Kind(String),
}

impl Signer {
    /// Reads a private key, as `ssh-keygen` writes it. Stores of secrets, and what reads them, may add or drop a newline at the end.
    ///
    /// # Errors
    /// See [`BadKey`].
    pub fn read(pem: &[u8]) -> Result<Self, BadKey> {
        let key =
            PrivateKey::from_openssh(pem.trim_ascii()).map_err(|cause| BadKey::Form(cause.to_string()))?;
        if key.is_encrypted() {
            return Err(BadKey::Encrypted);
        }
        let signer = Self(key);
        signer.sign(b"").map_err(|_| BadKey::Kind(signer.0.algorithm().to_string()))?;
        Ok(signer)
    }

    /// `<type> <base64>`, what hosts list as trusted.
    #[must_use]
    pub fn public(&self) -> String {
        let key = PublicKey::new(self.0.public_key().key_data().clone(), "");
        key.to_openssh().unwrap_or_default().trim_end().to_owned()
    }

    /// The signed document with this listing.
    ///
    /// # Errors
    /// If the library cannot sign.
    pub fn sign(&self, json: &[u8]) -> Result<Vec<u8>, ssh_key::Error> {
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, json)?;
        let mut document = signature.to_pem(LineEnding::LF)?.into_bytes();
        if !document.ends_with(b"\n") {
            document.push(b'\n');
        }
        document.extend_from_slice(json);
        Ok(document)
    }
}

#[cfg(test)]
mod tests;
