//! Where `iam` goes in nsswitch.conf(5): pure functions over its bytes. `disable` is the inverse of `enable`.
//!
//! Versions of glibc read a file in different ways (tests/tests/nsswitch.rs asks them), and what is written is right for
//! all: 2.31 obeys a last line without an end and today's ignores it, so a newline is added; today's takes '#' within
//! a line and what is behind it for services, so the markers are on separate lines; of two lines of a database the last
//! counts, or the one before where the last has no end, so each is edited.

mod line;
#[cfg(test)]
mod tests;

use message::Message;

use line::{Database, Entry, bytes, chars, is_blank};

/// Where the file is.
pub(crate) const PATH: &str = "/etc/nsswitch.conf";

/// Databases that ask it; initgroups only where there is such a line.
pub(crate) const DATABASES: [&str; 4] = ["passwd", "group", "shadow", "initgroups"];
/// Where a line is missing, one is added; by this in front of it, it is known again. Earlier releases wrote it behind.
const ADDED: &str = "# added by nss-iamctl";
/// Behind the file's last line, where that had no end.
const ENDED: &str = "# the line above was ended by nss-iamctl";
/// Where there is no line for passwd either.
const DEFAULT_SHADOW: &str = "files iam";

/// Puts `iam` where it belongs, and takes it away from where it does not.
///
/// # Errors
/// The line, and why there is no place in it from which `iam` is asked and nobody else's answers change: `line 3: why`.
pub(crate) fn enable(text: &[u8]) -> Result<Vec<u8>, Message> {
    enabled(&chars(text)).map(|text| bytes(&text))
}

fn enabled(text: &str) -> Result<String, Message> {
    let bare = disabled(text);
    let end = if bare.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut last = None;
    let mut shadow = DEFAULT_SHADOW.to_owned();
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
        let mut edited = entry.with_iam(line).map_err(refusal)?;
        if !line.ends_with('\n') {
            edited.push_str(&format!("\n{ENDED}{end}"));
        }
        if entry.database == Database::Passwd {
            // nsswitch.conf(5) of glibc: without a line for shadow, the services of passwd are asked.
            shadow = Entry::parse(&edited).map_or(shadow, |entry| entry.words());
        }
        if entry.database != Database::Initgroups {
            last = Some(index);
        }
        lines.push(edited);
        seen.push(entry.database);
    }
    let missing = [
        (Database::Passwd, "passwd:", "files iam"),
        (Database::Group, "group:", "files [SUCCESS=merge] iam"),
        (Database::Shadow, "shadow:", &shadow),
    ];
    let missing: String = missing
        .into_iter()
        .filter(|(database, ..)| !seen.contains(database))
        .map(|(_, name, services)| format!("{ADDED}{end}{name:<15} {services}{end}"))
        .collect();
    // In front of a last line of others that has no end: with one, it would come in force.
    let unended = lines.last().is_some_and(|line| !line.ends_with('\n'));
    let at = last.map_or(lines.len() - usize::from(unended), |index| index + 1);
    let (head, tail) = lines.split_at_checked(at).unwrap_or((&lines, &[]));
    Ok(head.concat() + &missing + &tail.concat())
}

/// Takes `iam` and what came with it away.
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
            // Of an earlier release, which left a last line without an end as it was.
            if !line.ends_with('\n') {
                kept.pop();
            }
        } else if std::mem::take(&mut is_added) && entry.is_some() {
            // Ours, whatever became of it.
        } else {
            kept.push_str(&entry.map_or(line.to_owned(), |entry| entry.without_iam(line)));
        }
    }
    // If others wrote more behind it, the line keeps its end.
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

/// The services of each line of a database that every glibc reads, without comments and with single blanks.
pub(crate) fn services(text: &[u8], database: &str) -> Vec<String> {
    let text = chars(text);
    let lines = entries(&text).filter(|entry| entry.database.name() == database).map(|entry| entry.words());
    lines.map(|words| String::from_utf8_lossy(&bytes(&words)).into_owned()).collect()
}

/// The database of a last line that has no end, which glibc since 2.33 ignores.
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

/// The lines of `theirs` for those databases that `text` has no line for.
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
