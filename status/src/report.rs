//! `status.json`. Its form for people and other tools is in `docs/reference/status.md`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use listing::regular::{self, Links};
use listing::{Failure, FailureKind, Listing};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Held, Skip, Stop, Told, Warning};

/// The largest report that is read, in bytes: one that leaves out everyone of the largest listing with short names fits.
pub const MAX_BYTES: u64 = 512 << 20;

/// The report of a run. Fields that a later release adds are left out, those that an earlier one lacks are empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// When the apply half began.
    pub time: Option<Timestamp>,
    /// Exit status of the run.
    pub exit: u8,
    /// Whether an answer changed.
    pub published: bool,
    /// Active users.
    pub users: usize,
    /// Disabled users that are shown.
    pub disabled: usize,
    /// Groups of the source.
    pub groups: usize,
    /// Of active users.
    pub keys: usize,
    /// Users who came.
    pub added: usize,
    /// Users who left.
    pub removed: usize,
    /// Other users of whom something changed.
    pub changed: usize,
    /// A text for each of these, and for groups.
    pub changes: Vec<String>,
    /// What of the listing is left out.
    pub skips: Vec<Skip>,
    /// What an administrator should know.
    pub warnings: Vec<Told<Warning>>,
    /// What was held back.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub held: Vec<Told<Held>>,
    /// What stopped this run, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Told<Stop>>,
    /// How each account stands.
    pub accounts: Vec<Account>,
    /// What the fetch half did, if the same run had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Fetched>,
}

/// How an account stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// In the configuration.
    pub name: String,
    /// Of AWS.
    pub id: String,
    /// Whether the listing has all users of it.
    pub complete: bool,
    /// When its memberships were last read whole.
    pub as_of: Option<Timestamp>,
    /// In the listing.
    pub users: usize,
    /// What went wrong.
    #[serde(deserialize_with = "failures")]
    pub errors: Vec<Failure>,
}

/// What the fetch half did; it also tells so on standard output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fetched {
    /// Exit status of the fetch half.
    pub exit: u8,
    /// How long it took.
    pub seconds: f64,
    /// In the listing.
    pub users: usize,
    /// In the listing.
    pub groups: usize,
    /// In the listing.
    pub accounts: usize,
    /// How many calls there were, by their names: `iam:GetGroup`.
    pub calls: BTreeMap<String, u64>,
    /// What went wrong.
    #[serde(deserialize_with = "failures")]
    pub failures: Vec<Failure>,
    /// In a dry run only, which leaves none on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
}

impl Status {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it is no regular file of at most [`MAX_BYTES`], or no report.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = regular::read(path, MAX_BYTES, Links::Refuse)?;
        Ok(serde_json::from_slice(&file.bytes)?)
    }
}

/// Release 0.1.0 wrote one text, whatever was held.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Told<Held>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Read {
        Many(Vec<Told<Held>>),
        One(Told<Held>),
        None(()),
    }
    Ok(match Read::deserialize(deserializer)? {
        Read::Many(held) => held,
        Read::One(held) => vec![held],
        Read::None(()) => Vec::new(),
    })
}

/// A listing takes no field that it does not know; a report does.
fn failures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Failure>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Read {
        call: String,
        on: String,
        cause: String,
        hint: String,
        kind: Value,
        code: Value,
        users: Vec<String>,
    }
    let all = Vec::<Read>::deserialize(deserializer)?;
    let failure = |Read { call, on, cause, hint, kind, code, users }| Failure {
        call,
        on,
        cause,
        hint,
        kind: serde_json::from_value(kind).unwrap_or(FailureKind::Other),
        code: serde_json::from_value(code).unwrap_or_default(),
        users,
    };
    Ok(all.into_iter().map(failure).collect())
}
