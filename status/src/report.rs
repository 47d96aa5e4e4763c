//! `status.json`. `docs/reference/status.md` describes it for people and other tools.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use listing::regular::{self, Links};
use listing::{Failure, FailureKind, Listing};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Held, Skip, Stop, Told, Warning};

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
    /// What the fetch half did, if the same run had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Fetched>,
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

/// What the fetch half did. It also prints this to standard output.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fetched {
    /// Its exit status.
    pub exit: u8,
    /// How long it took.
    pub seconds: f64,
    /// The number of users in the listing.
    pub users: usize,
    /// The number of groups in the listing.
    pub groups: usize,
    /// The number of accounts in the listing.
    pub accounts: usize,
    /// The number of calls by name, such as `iam:GetGroup`.
    pub calls: BTreeMap<String, u64>,
    /// What went wrong.
    #[serde(deserialize_with = "failures")]
    pub failures: Vec<Failure>,
    /// The listing, only in a dry run, which does not write it to disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
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
