//! Where `iam` goes in nsswitch.conf(5): pure functions over its bytes. `disable` is the inverse of `enable`.
//!
//! Versions of glibc read the file differently (tests/tests/nsswitch.rs asks them), and the result must be correct for all
//! of them. 2.31 uses a last line without a newline and current versions ignore it, so a newline is added. Current
//! versions read a '#' within a line, and everything after it, as services, so our markers are on separate lines. If a
//! database has two lines, the last one counts, or the first one if the last has no newline, so both are edited.

mod line;
mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use message::Message;

use line::{Database, Entry, bytes, chars, comment, is_blank};
pub(crate) use place::Order;

/// Where the file is.
pub(crate) const PATH: &str = "/etc/nsswitch.conf";

/// Databases that ask it; initgroups only if it has a line.
pub(crate) const DATABASES: [&str; 4] = ["passwd", "group", "shadow", "initgroups"];
/// Marks the line after it as added by us. Earlier releases wrote the marker at the end of the added line.
const ADDED: &str = "# added by nss-iamctl";
/// Follows the last line of the file if that had no newline.
const ENDED: &str = "# the line above was ended by nss-iamctl";
/// If there is no line for passwd either.
const DEFAULT_SHADOW: &str = "files iam";

/// Puts `iam` where it belongs, and removes it everywhere else. Without an `order`, the present one stays.
///
/// # Errors
/// The line, and why there is no place in it from which `iam` is asked and nobody else's answers change: `line 3: why`.
pub(crate) fn enable(text: &[u8], order: Option<Order>) -> Result<Vec<u8>, Message> {
    let text = chars(text);
    enabled(&disabled(&text), order.unwrap_or_else(|| present(&text))).map(|text| bytes(&text))
}

/// The order that somebody chose with `enable`.
fn present(text: &str) -> Order {
    let bare = disabled(text);
    let Ok(before) = enabled(&bare, Order::Before) else { return Order::After };
    // An action can leave no place after a directory.
    let after = enabled(&bare, Order::After).ok();
    let line = |text: &str, database| services(&bytes(text), database);
    let is_before = |database| {
        let now = line(text, database);
        now == line(&before, database) && after.as_ref().is_none_or(|after| now != line(after, database))
    };
    if DATABASES.into_iter().any(is_before) { Order::Before } else { Order::After }
}

/// The directories that some line asks before `iam`, and those that are asked after it only.
pub(crate) fn directories(text: &[u8]) -> (Vec<String>, Vec<String>) {
    let text = chars(text);
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries(&text).filter(|entry| entry.database != Database::Initgroups) {
        let (first, last) = entry.directories();
        before.extend(first.into_iter().map(str::to_owned));
        after.extend(last.into_iter().map(str::to_owned));
    }
    let after = after.difference(&before).cloned().collect();
    (before.into_iter().collect(), after)
}

/// `bare` does not have `iam`.
fn enabled(bare: &str, order: Order) -> Result<String, Message> {
    let end = if bare.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut last = None;
    let mut shadow = DEFAULT_SHADOW.to_owned();
    let mut initgroups = None;
    for (index, line) in bare.split_inclusive('\n').enumerate() {
        let refusal = |why: Message| {
            let hint = why.hint().unwrap_or_default();
            Message::new(format!("line {}: {}", index + 1, why.what())).with_hint(hint)
        };
        let Some(entry) = Entry::parse(line) else {
            lines.push(line.to_owned());
            continue;
        };
        entry.check(line).map_err(refusal)?;
        if entry.database == Database::Other {
            lines.push(line.to_owned());
            continue;
        }
        let mut edited = entry.with_iam(line, order).map_err(refusal)?;
        if !line.ends_with('\n') {
            edited.push_str(&format!("\n{ENDED}{end}"));
        }
        if entry.database == Database::Passwd {
            // nsswitch.conf(5) of glibc: without a line for shadow, the services of passwd are asked.
            shadow = Entry::parse(&edited).map_or(shadow, |entry| entry.words());
        }
        if entry.database == Database::Group && order == Order::Before {
            // At login, glibc asks every service of the group line, even after one has answered.
            initgroups = Entry::parse(&edited)
                .filter(|entry| !entry.directories().1.is_empty())
                .and_then(|entry| Some(entry.for_initgroups()? + &comment(&edited)));
        }
        if entry.database != Database::Initgroups {
            last = Some(index);
        }
        lines.push(edited);
        seen.push(entry.database);
    }
    let missing = [
        (Database::Passwd, "passwd:", Some("files iam")),
        (Database::Group, "group:", Some("files [SUCCESS=merge] iam")),
        (Database::Shadow, "shadow:", Some(shadow.as_str())),
        (Database::Initgroups, "initgroups:", initgroups.as_deref()),
    ];
    let missing: String = missing
        .into_iter()
        .filter_map(|(database, name, services)| Some((database, name, services?)))
        .filter(|(database, ..)| !seen.contains(database))
        .map(|(_, name, services)| format!("{ADDED}{end}{name:<15} {services}{end}"))
        .collect();
    // Before a last line without a newline: with a newline, that line would take effect.
    let unended = lines.last().is_some_and(|line| !line.ends_with('\n'));
    let at = last.map_or(lines.len() - usize::from(unended), |index| index + 1);
    let (head, tail) = lines.split_at_checked(at).unwrap_or((&lines, &[]));
    Ok(head.concat() + &missing + &tail.concat())
}

/// Removes `iam` and everything that was added with it.
pub(crate) fn disable(text: &[u8]) -> Vec<u8> {
    bytes(&disabled(&chars(text)))
}

fn disabled(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_added = false;
    let mut ended = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(is_blank);
        let entry = Entry::parse(line).filter(|entry| entry.database != Database::Other);
        if bare == ENDED {
            ended = Some(kept.len());
        } else if bare == ADDED {
            is_added = true;
        } else if bare.ends_with(ADDED) {
            // Written by an earlier release, which did not add a newline to the last line.
            if !line.ends_with('\n') {
                kept.pop();
            }
        } else if std::mem::take(&mut is_added) && entry.is_some() {
            // The line that we added, even if it was edited since.
        } else {
            kept.push_str(&entry.map_or(line.to_owned(), |entry| entry.without_iam(line)));
        }
    }
    // If lines were added after it, the newline stays.
    if ended.is_some_and(|at| at == kept.len()) {
        kept.pop();
    }
    kept
}

/// Whether every line of the databases that glibc reads names `iam`, and each of the three that must have one does.
pub(crate) fn asks_iam(text: &[u8]) -> bool {
    let text = chars(text);
    let entries: Vec<Entry<'_>> = entries(&text).collect();
    let has = |database| entries.iter().any(|entry| entry.database == database);
    entries.iter().all(Entry::asks_iam)
        && [Database::Passwd, Database::Group, Database::Shadow].into_iter().all(has)
}

/// The services of each line for a database that every version of glibc reads, without comments, separated by single spaces.
pub(crate) fn services(text: &[u8], database: &str) -> Vec<String> {
    let text = chars(text);
    let lines = entries(&text).filter(|entry| entry.database.name() == database).map(|entry| entry.words());
    lines.map(|words| String::from_utf8_lossy(&bytes(&words)).into_owned()).collect()
}

/// The database of a last line without a newline, which glibc ignores since 2.33.
pub(crate) fn unended(text: &[u8]) -> Option<&'static str> {
    let text = chars(text);
    let last = text.split_inclusive('\n').next_back().filter(|line| !line.ends_with('\n'))?;
    Entry::parse(last)
        .map(|entry| entry.database)
        .filter(|database| *database != Database::Other)
        .map(Database::name)
}

fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let ended = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    ended.filter_map(Entry::parse).filter(|entry| entry.database != Database::Other)
}

/// The lines of `theirs` for databases that have no line in `text`.
pub(crate) fn lines_missing(text: &[u8], theirs: &[u8]) -> Vec<Vec<u8>> {
    let (text, theirs) = (chars(text), chars(theirs));
    let database = |line: &str| {
        Entry::parse(line).map(|entry| entry.database).filter(|database| *database != Database::Other)
    };
    let present: Vec<Database> = text.lines().filter_map(database).collect();
    theirs
        .lines()
        .filter(|line| database(line).is_some_and(|database| !present.contains(&database)))
        .map(bytes)
        .collect()
}
