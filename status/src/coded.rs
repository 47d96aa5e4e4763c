//! How a kind of statement is written: a code that never changes, and what it is about.

use message::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An enum of which each variant has a code: one line for the variant, its fields and the code.
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

/// What has a code.
pub trait Coded: Serialize + DeserializeOwned {
    /// All that [`Self::code`] can give.
    const CODES: &'static [&'static str];

    /// Which of them. A code keeps its meaning in all releases.
    fn code(&self) -> &'static str;
}

/// As it is found in a file: of this release, or of one that knows more or less.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind<K> {
    /// One that this release has.
    Known(K),
    /// Another one, with its code if it has one.
    Other(Option<String>),
}

impl<K: Coded> Kind<K> {
    /// Of the fields `code` and `details`.
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
    /// If this release has it.
    pub fn known(&self) -> Option<&K> {
        match self {
            Self::Known(kind) => Some(kind),
            Self::Other(_) => None,
        }
    }
}

/// Writes `code` and `details`.
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

/// A kind of statement, and its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(bound(serialize = "K: Serialize"))]
pub struct Told<K> {
    /// For programs.
    #[serde(flatten)]
    pub kind: Kind<K>,
    /// For people.
    #[serde(flatten)]
    pub message: Message,
}

impl<K> Told<K> {
    /// Of this release.
    pub fn new(kind: K, message: Message) -> Self {
        Self { kind: Kind::Known(kind), message }
    }
}

/// Release 0.1.0 wrote a text, with the hint in another line.
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
