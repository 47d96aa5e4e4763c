//! Where `iam` stands in nsswitch.conf(5): pure functions over its bytes. `disable` is the inverse of `enable`.
//!
//! Every line of a database is edited: glibc before 2.33 takes the first, later ones the last. A line is read as
//! glibc reads it: '#' ends it anywhere, blanks are blanks, '\r' among them. The braces of authselect's templates
//! (authselect-profiles(5)) are taken for a service that nothing is known of.

use std::fmt;

mod line;
#[cfg(test)]
mod tests;

use line::{Database, Entry, is_blank};

/// Where the file is.
pub(crate) const PATH: &str = "/etc/nsswitch.conf";

/// The service, after which glibc looks for `libnss_iam.so.2`.
const IAM: &str = "iam";
/// Where a line is missing, one is added; by this it is known again.
const ADDED: &str = "# added by nss-iamctl";
/// Read in place of a missing line by today's glibc.
const DEFAULT: &str = "files";

/// Why a line is left as it is, and with it the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Counted from 1.
    pub line: usize,
    pub why: String,
    pub hint: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// Puts `iam` where it belongs, and takes it away from where it does not.
///
/// # Errors
/// Where no place can be found from which `iam` is asked and nobody else's answers change.
pub(crate) fn enable(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let written = |refusal: Refusal| {
        let why = String::from_utf8_lossy(&bytes(&refusal.why)).into_owned();
        Refusal { why, ..refusal }
    };
    enabled(&chars(text)).map(|text| bytes(&text)).map_err(written)
}

fn enabled(text: &str) -> Result<String, Refusal> {
    let bare = disabled(text);
    let mut lines: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut last = None;
    for (index, line) in bare.split_inclusive('\n').enumerate() {
        let refusal = |(why, hint): (String, &'static str)| Refusal { line: index + 1, why, hint };
        let Some(entry) = Entry::parse(line).map_err(refusal)? else {
            lines.push(line.to_owned());
            continue;
        };
        lines.push(entry.with_iam(line).map_err(refusal)?);
        if entry.database != Database::Initgroups {
            last = Some(index);
        }
        seen.push(entry.database);
    }
    let missing: Vec<String> = [Database::Passwd, Database::Group, Database::Shadow]
        .into_iter()
        .filter(|database| !seen.contains(database))
        .map(added)
        .collect();
    Ok(insert(&lines, last.map_or(lines.len(), |index| index + 1), &missing))
}

/// Takes `iam` and what came with it away.
pub(crate) fn disable(text: &[u8]) -> Vec<u8> {
    bytes(&disabled(&chars(text)))
}

/// A character for each byte: only ASCII has a meaning here, and every other byte comes back as it was.
fn chars(text: &[u8]) -> String {
    text.iter().copied().map(char::from).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|c| u8::try_from(c).ok()).collect()
}

fn disabled(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim_end_matches(is_blank).ends_with(ADDED) {
            if !line.ends_with('\n') {
                kept.pop();
            }
            continue;
        }
        match Entry::parse(line) {
            Ok(Some(entry)) => kept.push_str(&entry.without_iam(line)),
            _ => kept.push_str(line),
        }
    }
    kept
}

/// Whether every line of the databases names `iam`, and each of the three that must have one does.
pub(crate) fn asks_iam(text: &[u8]) -> bool {
    let text = chars(text);
    let entries: Vec<Entry<'_>> = text.lines().filter_map(|line| Entry::parse(line).ok().flatten()).collect();
    let has = |database| entries.iter().any(|entry| entry.database == database);
    entries.iter().all(|entry| entry.tokens.iter().any(|token| token.text == IAM))
        && [Database::Passwd, Database::Group, Database::Shadow].into_iter().all(has)
}

/// The lines of `theirs` for those databases that `text` has no line for.
pub(crate) fn lines_missing(text: &[u8], theirs: &[u8]) -> Vec<Vec<u8>> {
    let (text, theirs) = (chars(text), chars(theirs));
    let database = |line: &str| Entry::parse(line).ok().flatten().map(|entry| entry.database);
    let present: Vec<Database> = text.lines().filter_map(database).collect();
    theirs
        .lines()
        .filter(|line| database(line).is_some_and(|database| !present.contains(&database)))
        .map(bytes)
        .collect()
}

/// Puts lines in front of line `at`, as the file ends its own.
fn insert(lines: &[String], at: usize, added: &[String]) -> String {
    let (head, tail) = lines.split_at_checked(at).unwrap_or((lines, &[]));
    let mut text = head.concat();
    if added.is_empty() {
        return text + &tail.concat();
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return text + "\n" + &added.join("\n");
    }
    let end = if text.ends_with("\r\n") { "\r\n" } else { "\n" };
    for line in added {
        text.push_str(line);
        text.push_str(end);
    }
    text + &tail.concat()
}

fn added(database: Database) -> String {
    let (name, merge) = match database {
        Database::Passwd => ("passwd:", ""),
        Database::Group => ("group:", " [SUCCESS=merge]"),
        Database::Shadow => ("shadow:", ""),
        Database::Initgroups => ("initgroups:", ""),
    };
    format!("{name:<15} {DEFAULT}{merge} {IAM} {ADDED}")
}
