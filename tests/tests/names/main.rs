//! Who has a name, with the host's own programs as references: glibc, sudo, systemd. IAM users gain nothing from
//! the names that they choose.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod agreement;
mod directory;
mod grants;
mod homes;
mod ids;
mod lost;
mod units;

use std::fs;

use serde_json::{Value, json};
use tests::{Host, Ran, listing, user};

/// Exit status: something was held.
const HELD: Option<i32> = Some(65);

/// Applies a listing, with any result.
fn refresh(host: &Host, listing: &Value) -> Ran {
    host.list(listing);
    host.refresher(&["apply"])
}

/// A listing of users with these names, whose UserIds are `U-` and the name.
fn named(names: &[&str]) -> Value {
    listing(&names.iter().map(|name| user(&format!("U-{name}"), name)).collect::<Vec<_>>())
}

/// The reason why it was skipped; none if it was not.
fn reason(host: &Host, id: &str) -> Option<String> {
    let status = host.status();
    let skips = status["skips"].as_array().unwrap();
    let found = skips.iter().find(|skip| skip["id"] == id)?;
    Some(found["reason"].as_str().unwrap().to_owned())
}

/// Runs a program, which must succeed.
fn done(host: &Host, line: &[&str]) {
    let ran = host.run(line);
    assert_eq!(ran.status, Some(0), "{line:?}: {}", ran.err);
}

fn append(path: &str, text: &str) {
    let before = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, before + text).unwrap();
}

/// A listing in which `Ops` has no members.
fn nobody() -> Value {
    json!({"version": 1, "accounts": [{"groups": [{"id": "g-ops", "name": "Ops", "members": []}], "users": []}]})
}
