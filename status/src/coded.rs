//! Codes: how reasons, warnings and the like are written to a file, as a code that never changes and its details.

use message::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Defines an enum in which each variant has a code. Each entry has the variant, its fields and the code.
///
/// As JSON it is `{"code": "…", "details": {…}}`.
macro_rules! coded {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $(
                $(#[$doc:meta])*
                $variant:ident $({ $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)? })? = $code:literal
            ),* $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "code", content = "details")]
        pub enum $name {
            $(
                $(#[$doc])*
                #[serde(rename = $code)]
                $variant $({ $( $(#[$field_doc])* $field: $type ),* })?
            ),*
        }

        impl $crate::Coded for $name {
            const CODES: &'static [&'static str] = &[$( $code ),*];

            fn code(&self) -> &'static str {
                match self {
                    $( Self::$variant { .. } => $code ),*
                }
            }
        }
    };
}
pub(crate) use coded;

/// A type with a code for each of its values.
pub trait Coded: Serialize + DeserializeOwned {
    /// All values of [`Self::code`].
    const CODES: &'static [&'static str];

    /// The code of this value. A code keeps its meaning in all releases.
    fn code(&self) -> &'static str;
}

/// The kind in a file that this or another release wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind<K> {
    /// A kind that this release knows.
    Known(K),
    /// Any other, with its code if it has one.
    Other(Option<String>),
}

impl<K: Coded> Kind<K> {
    /// Reads the fields `code` and `details`.
    pub(crate) fn read(code: Option<String>, details: Option<Value>) -> Self {
        let known = code.as_ref().and_then(|code| {
            let mut tagged = serde_json::json!({ "code": code });
            if let (Some(details), Some(fields)) = (details, tagged.as_object_mut()) {
                fields.insert("details".to_owned(), details);
            }
            serde_json::from_value(tagged).ok()
        });
        known.map_or_else(|| Self::Other(code.map(|code| message::printable(&code))), Self::Known)
    }
}

impl<K> Kind<K> {
    /// The kind, if this release knows it.
    pub fn known(&self) -> Option<&K> {
        match self {
            Self::Known(kind) => Some(kind),
            Self::Other(_) => None,
        }
    }
}

/// Writes the fields `code` and `details`.
impl<K: Serialize> Serialize for Kind<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Other<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'a str>,
        }
        match self {
            Self::Known(kind) => kind.serialize(serializer),
            Self::Other(code) => Other { code: code.as_deref() }.serialize(serializer),
        }
    }
}

/// A kind and its message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(bound(serialize = "K: Serialize"))]
pub struct Told<K> {
    /// The kind, for programs.
    #[serde(flatten)]
    pub kind: Kind<K>,
    /// The text, for people.
    #[serde(flatten)]
    pub message: Message,
}

impl<K> Told<K> {
    /// With a kind of this release.
    pub fn new(kind: K, message: Message) -> Self {
        Self { kind: Kind::Known(kind), message }
    }
}

/// Release 0.1.0 wrote only a text, with the hint on another line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Text(String),
    Fields {
        code: Option<String>,
        details: Option<Value>,
        #[serde(flatten)]
        message: Message,
    },
}

impl<'de, K: Coded> Deserialize<'de> for Told<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Read::deserialize(deserializer)? {
            Read::Text(text) => Self { kind: Kind::Other(None), message: Message::of_lines(&text) },
            Read::Fields { code, details, message } => Self { kind: Kind::read(code, details), message },
        })
    }
}
