//! Values that are valid by construction: names, ids, fields of passwd(5), public keys. Most texts are within their values, and
//! copies of a longer one share it: a refresh holds the state, the published files and the next ones at once.

use std::fmt;

use smol_str::{SmolStr, format_smolstr};

use crate::Id;
use crate::id::PINNED_FIRST;

/// The maximum length of an assigned login or group name, in bytes (`UT_NAMESIZE` of utmp(5)).
pub const NAME_MAX: usize = 32;

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An empty name.
    #[error("name is empty")]
    Empty,
    /// A name that is too long; its length in bytes.
    #[error("name has {0} bytes, more than {NAME_MAX}")]
    Long(usize),
    /// A character that names cannot have.
    #[error("name has {0:?}, which no login name may have")]
    Character(char),
    /// A first character that names cannot have.
    #[error("name may not begin with {0:?}")]
    First(char),
    /// A name of digits.
    #[error("name of digits only would be taken for an id")]
    Digits,
    /// A name that is read as a number.
    #[error("name would be read as the number {0} by programs that take a name or an id")]
    Number(String),
    /// A character that gecos, home and shell cannot have.
    #[error("':', control and non-ASCII characters are not allowed in a passwd field")]
    Field,
    /// An id that cannot be pinned.
    #[error("{0} is below {PINNED_FIRST}, or one of 65534, 65535 and 4294967295, which mean nobody")]
    Id(u32),
    /// Not a key line.
    #[error("not a public key line")]
    Key,
}

/// A login or group name: characters `[a-z0-9._@-]`, the first `[a-z0-9_]`, not all digits, 1 to [`NAME_MAX`]
/// bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

impl Name {
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        if name.len() > NAME_MAX {
            return Err(Invalid::Long(name.len()));
        }
        let name = Self::stored(name)?;
        // strtoul(3) with base 0: `ps -u 0x0` lists the processes of root. C23 also reads `0b`.
        let number = |prefix, base| {
            let digits = name.as_str().strip_prefix(prefix)?;
            (!digits.is_empty() && digits.chars().all(|c| c.is_digit(base))).then(|| name.to_string())
        };
        match number("0x", 16).or_else(|| number("0b", 2)) {
            Some(number) => Err(Invalid::Number(number)),
            None => Ok(name),
        }
    }

    /// The name of a disabled user whose name somebody else now has: `<name>-<uid>`, up to 43 bytes.
    #[must_use]
    pub fn with_id(&self, id: Id) -> Self {
        Self(format_smolstr!("{self}-{id}"))
    }

    /// A name in a file that nss-iam wrote, where disabled users may have long names.
    ///
    /// # Errors
    /// [`Invalid`] for names that nss-iam never writes.
    pub fn stored(name: impl Into<SmolStr>) -> Result<Self, Invalid> {
        let name = name.into();
        let first = name.chars().next().ok_or(Invalid::Empty)?;
        let kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
        if let Some(other) = name.chars().find(|&c| !kept(c)) {
            return Err(Invalid::Character(other));
        }
        if ".@-".contains(first) {
            return Err(Invalid::First(first));
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid::Digits);
        }
        Ok(Self(name))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id of the source: UserId, GroupId, or `group:` and the name of a group of nss-iam.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IamId(SmolStr);

impl IamId {
    /// A UserId or GroupId; `listing` has checked its characters.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id of a group that exists only in nss-iam: `common_group`, `iam-disabled`.
    #[must_use]
    pub fn of_own_group(name: &Name) -> Self {
        Self(format_smolstr!("group:{name}"))
    }

    /// Placeholder for the source's id when a uid or gid is known, but not its user or group. No source can
    /// have this id: `listing` accepts no ':' in an id.
    #[must_use]
    pub fn of_lost(id: Id) -> Self {
        Self(format_smolstr!("lost:{id}"))
    }

    /// Whether this is a placeholder from [`Self::of_lost`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.as_str().starts_with("lost:")
    }

    /// As text that can be shared.
    #[must_use]
    pub fn text(&self) -> &SmolStr {
        &self.0
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SmolStr> for IamId {
    fn from(id: SmolStr) -> Self {
        Self(id)
    }
}

/// A valid value of gecos, home or shell: printable ASCII without `:`; by default empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(SmolStr);

impl Field {
    /// # Errors
    /// [`Invalid::Field`] for anything that would break a line of passwd(5).
    pub fn new(text: &str) -> Result<Self, Invalid> {
        SmolStr::from(text).try_into()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<SmolStr> for Field {
    type Error = Invalid;

    fn try_from(text: SmolStr) -> Result<Self, Invalid> {
        let fits = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':');
        if fits { Ok(Self(text)) } else { Err(Invalid::Field) }
    }
}

/// A public key in the form of `login.keys`: `SHA256:<base64> <type> <base64>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLine(SmolStr);

impl KeyLine {
    /// # Errors
    /// [`Invalid::Key`] unless the line has three words with valid characters.
    pub fn new(line: &str) -> Result<Self, Invalid> {
        SmolStr::from(line).try_into()
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The type of the key: `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }
}

impl TryFrom<SmolStr> for KeyLine {
    type Error = Invalid;

    fn try_from(line: SmolStr) -> Result<Self, Invalid> {
        let word = |text: &str, more: &str| {
            let is_right = |byte: u8| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte);
            // Without an early exit, the compiler vectorizes it.
            !text.is_empty() && text.bytes().fold(true, |all, byte| all & is_right(byte))
        };
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(fingerprint), Some(kind), Some(body))
                if fingerprint.strip_prefix("SHA256:").is_some_and(|hash| word(hash, "+/"))
                    && word(kind, "-@.")
                    && word(body, "+/=") =>
            {
                Ok(Self(line))
            }
            _ => Err(Invalid::Key),
        }
    }
}

macro_rules! shown_as_text {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "'{}'", self.as_str())
            }
        }
    )*};
}
shown_as_text!(Name, IamId, Field, KeyLine);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_that_strtoul_reads_as_a_number_is_not_a_name() {
        for name in ["0x0", "0x10", "0xdeadbeef", "0b1", "0b101", "0", "00", "007"] {
            assert!(matches!(Name::new(name), Err(Invalid::Number(_) | Invalid::Digits)), "{name}");
        }
        for name in ["0x", "0b", "0xg", "x0", "0day", "0b2", "a0x1", "0x1g", "1e3"] {
            assert!(Name::new(name).is_ok(), "{name}");
        }
        // A name that an earlier release assigned must not make the state unreadable.
        assert!(Name::stored("0x10").is_ok());
    }

    #[test]
    fn a_name_with_any_other_character_is_refused() {
        for name in ["ana", "a", "_a", "0a", "a.b_c-d@e", "jane@example.com", &"a".repeat(32)] {
            assert_eq!(Name::new(name).unwrap().as_str(), name);
        }
        for (name, why) in [
            ("", Invalid::Empty),
            ("Ana", Invalid::Character('A')),
            ("a:b", Invalid::Character(':')),
            ("a\nb", Invalid::Character('\n')),
            ("añ", Invalid::Character('ñ')),
            ("a b", Invalid::Character(' ')),
            ("-a", Invalid::First('-')),
            (".", Invalid::First('.')),
            ("..", Invalid::First('.')),
            ("@a", Invalid::First('@')),
            ("1003", Invalid::Digits),
            (&"a".repeat(33), Invalid::Long(33)),
        ] {
            assert_eq!(Name::new(name), Err(why), "{name}");
        }
    }

    #[test]
    fn a_key_line_contains_only_a_key() {
        let line = KeyLine::new("SHA256:ab+/ ssh-ed25519 AAAA=").unwrap();
        assert_eq!((line.fingerprint(), line.kind()), ("SHA256:ab+/", "ssh-ed25519"));
        for line in [
            "SHA256:a ssh-rsa AA x",
            "SHA256:a ssh-rsa A\nA",
            "a ssh-rsa AA",
            "SHA256:a  AA",
            "SHA256:a command=\"x\" AA",
            "",
        ] {
            assert_eq!(KeyLine::new(line), Err(Invalid::Key), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_field_never_breaks_a_line(text in ".*") {
            if let Ok(field) = Field::new(&text) {
                prop_assert!(!field.as_str().contains([':', '\n', '\0']));
            }
        }
    }
}
