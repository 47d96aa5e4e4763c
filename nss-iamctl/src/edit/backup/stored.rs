//! A file's bytes in JSON, whose strings hold Unicode only: a string where that is enough, as every earlier release
//! wrote it, and otherwise a list of strings and, for each byte that is not UTF-8, a number.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Part {
    Text(String),
    Byte(u8),
}

pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    bytes.as_deref().map(Stored::of).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    Ok(Option::<Stored>::deserialize(from)?.map(Stored::bytes))
}

/// As above, for the path of a file.
pub(super) mod path {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use super::{Deserialize, Deserializer, Serialize, Serializer, Stored};

    pub(in crate::edit::backup) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        Stored::of(path.as_os_str().as_bytes()).serialize(to)
    }

    pub(in crate::edit::backup) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(Stored::deserialize(from)?.bytes()).into())
    }
}

impl Stored {
    fn of(bytes: &[u8]) -> Self {
        if let Ok(text) = str::from_utf8(bytes) {
            return Self::Text(text.to_owned());
        }
        let mut parts = Vec::new();
        for chunk in bytes.utf8_chunks() {
            if !chunk.valid().is_empty() {
                parts.push(Part::Text(chunk.valid().to_owned()));
            }
            parts.extend(chunk.invalid().iter().copied().map(Part::Byte));
        }
        Self::Parts(parts)
    }

    fn bytes(self) -> Vec<u8> {
        let parts = match self {
            Self::Text(text) => return text.into_bytes(),
            Self::Parts(parts) => parts,
        };
        let bytes = parts.into_iter().map(|part| match part {
            Part::Text(text) => text.into_bytes(),
            Part::Byte(byte) => vec![byte],
        });
        bytes.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] Option<Vec<u8>>);

    #[test]
    fn text_is_a_string_as_in_earlier_releases_and_other_bytes_are_numbers_beside_it() {
        for (bytes, json) in [
            (None, "null"),
            (Some(&b""[..]), r#""""#),
            (Some("für\n".as_bytes()), r#""für\n""#),
            (Some(b"f\xfcr\n"), r#"["f",252,"r\n"]"#),
            (Some(b"\xff\xfe"), "[255,254]"),
        ] {
            let holder = Holder(bytes.map(<[u8]>::to_vec));
            assert_eq!(serde_json::to_string(&holder).unwrap(), json);
            assert_eq!(serde_json::from_str::<Holder>(json).unwrap(), holder);
        }
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let holder = Holder(Some(bytes));
            let json = serde_json::to_string(&holder).unwrap();
            prop_assert_eq!(serde_json::from_str::<Holder>(&json).unwrap(), holder);
        }
    }
}
