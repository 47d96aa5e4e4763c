//! `status.json`. `docs/reference/status.md` describes it for people and other tools.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use listing::regular::{self, Links};
use listing::{Failure, FailureKind};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Fetched, Held, Skip, Stop, Told, Warning};

/// The largest report that is read, in bytes: enough for the largest listing of users with short names, if all are skipped.
pub const MAX_BYTES: u64 = 512 << 20;

/// The report of a run. Fields that a later release adds are ignored; fields that an earlier one lacks are empty.
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
    /// Published groups of the source.
    pub groups: usize,
    /// Keys of active users.
    pub keys: usize,
    /// Users who were added.
    pub added: usize,
    /// Users who were removed.
    pub removed: usize,
    /// Users who were changed otherwise.
    pub changed: usize,
    /// One line for each of these changes, and for changes of groups.
    pub changes: Vec<String>,
    /// What was skipped in the listing.
    pub skips: Vec<Skip>,
    /// What an administrator should know.
    pub warnings: Vec<Told<Warning>>,
    /// What was held back.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub held: Vec<Told<Held>>,
    /// What stopped this run, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Told<Stop>>,
    /// The state of each account.
    pub accounts: Vec<Account>,
    /// What the last fetch half did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Fetched>,
    /// The release that wrote the report.
    pub version: String,
    /// The kind of the configured source, without anything that follows the colon: `iam`. Empty if unknown.
    pub source: String,
    /// How long the apply half took.
    pub seconds: f64,
    /// When the last run began whose exit status was 0.
    pub succeeded: Option<Timestamp>,
    /// Entries of the list of locks; one that locks everyone counts as one.
    pub locks: usize,
    /// How old the data is.
    pub confirmed: Confirmed,
    /// What a signed listing says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// What a signed listing says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signed {
    /// The fleet that it is for.
    pub fleet: String,
    /// Grows with each listing that is signed.
    pub generation: u64,
    /// When it was signed.
    pub issued: Option<Timestamp>,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

/// When the source last confirmed what is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confirmed {
    /// The memberships, of the account for which that is longest ago; none: one was never read completely.
    pub users: Option<Timestamp>,
    /// The keys of the active user for whom that is longest ago, of users whose keys were ever read.
    pub oldest_keys: Option<Timestamp>,
    /// The keys of the active user for whom that was last.
    pub newest_keys: Option<Timestamp>,
    /// How long keys are offered after they were confirmed, in seconds; 0: no limit.
    pub max_age: u32,
    /// Active users with keys who were offered none when the run began, because of their age.
    pub too_old: usize,
}

/// The state of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The name in the configuration.
    pub name: String,
    /// The AWS account id.
    pub id: String,
    /// Whether the listing has all users of the account.
    pub complete: bool,
    /// When the memberships were last read completely.
    pub as_of: Option<Timestamp>,
    /// The number of users in the listing.
    pub users: usize,
    /// What went wrong.
    #[serde(deserialize_with = "failures")]
    pub errors: Vec<Failure>,
}

impl Status {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is not a regular file of at most [`MAX_BYTES`], or not a report.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = regular::read(path, MAX_BYTES, Links::Refuse)?;
        Ok(serde_json::from_slice(&file.bytes)?)
    }
}

/// Release 0.1.0 wrote a single text for everything that was held.
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

/// Unlike in a listing, unknown fields are allowed.
pub(crate) fn failures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Failure>, D::Error> {
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
