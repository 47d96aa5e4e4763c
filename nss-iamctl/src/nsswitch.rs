//! Where `iam` stands in nsswitch.conf(5): pure functions over its bytes. `disable` is the inverse of `enable`.
//!
//! Every line of a database is edited: glibc before 2.33 takes the first, later ones the last. A line is read as
//! glibc reads it: '#' ends it anywhere, blanks are blanks, '\r' among them. The braces of authselect's templates
//! (authselect-profiles(5)) are taken for a service that nothing is known of.

use std::fmt;

#[cfg(test)]
mod tests;

/// Where the file is.
pub(crate) const PATH: &str = "/etc/nsswitch.conf";

/// The service, after which glibc looks for `libnss_iam.so.2`.
const IAM: &str = "iam";
/// Where a line is missing, one is added; by this it is known again.
const ADDED: &str = "# added by nss-iamctl";
/// Read in place of a missing line by today's glibc.
const DEFAULT: &str = "files";
/// Answer from the machine's own users: nothing may come before them.
const LOCAL: [&str; 2] = ["files", "compat"];
/// Services that synthesize users, and so come last.
const LAST: [&str; 2] = ["systemd", "mymachines"];
const MERGE: &str = "[SUCCESS=merge]";
const CONTINUE: &str = "[SUCCESS=continue]";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database {
    Passwd,
    Group,
    Shadow,
    Initgroups,
}

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

/// A line of one of the four databases.
struct Entry<'a> {
    database: Database,
    tokens: Vec<Token<'a>>,
}

/// A service, an action in brackets, or braces; with its place in the line, in bytes.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

impl Token<'_> {
    fn is_action(&self) -> bool {
        self.text.starts_with('[')
    }

    fn is_braces(&self) -> bool {
        self.text.starts_with('{')
    }
}

type Why = (String, &'static str);

impl<'a> Entry<'a> {
    /// None: a line of another database, a comment, or nothing that glibc would read.
    fn parse(line: &'a str) -> Result<Option<Self>, Why> {
        let body = line.split('#').next().unwrap_or_default();
        let start = body.len() - body.trim_start_matches(is_blank).len();
        let rest = body.get(start..).unwrap_or_default();
        let Some((name, _)) = rest.split_once(|c: char| c == ':' || is_blank(c)) else {
            return Ok(None);
        };
        let database = match name {
            "passwd" => Database::Passwd,
            "group" => Database::Group,
            "shadow" => Database::Shadow,
            "initgroups" => Database::Initgroups,
            _ => return Ok(None),
        };
        Ok(Some(Self { database, tokens: tokens(body, start + name.len() + 1)? }))
    }

    fn with_iam(&self, line: &str) -> Result<String, Why> {
        let (Some(first), services) = (self.tokens.first(), self.services()) else {
            return Err(("it names no service".to_owned(), "write 'files' there"));
        };
        if self.database == Database::Initgroups {
            // First, since here success ends the search: a user of ours who is in a group of /etc/group, too, would
            // lose ours. And going on, for those of /etc/group. Nobody else's answer changes: ours is "not found".
            return Ok(put(line, first.start, &format!("{IAM} {CONTINUE} ")));
        }
        let after = place(&services)?;
        let before = services.get(..=after.service).unwrap_or_default();
        let merged = match (self.database, before.iter().rev().find(|service| !service.name.is_braces())) {
            (Database::Group, Some(service)) => service.on_success(),
            _ => Some(String::new()),
        };
        let words = match merged.as_deref() {
            None => format!("{MERGE} {IAM}"),
            // Merged with whatever comes behind, as it was before us; and as it is known again.
            Some("merge") => format!("{IAM} {MERGE}"),
            Some(_) => IAM.to_owned(),
        };
        // A word that sticks to the one before needs the blank behind ours; a template's braces do that.
        let sticks = self.tokens.iter().any(|token| token.start == after.end && !token.is_action());
        Ok(put(line, after.end, &if sticks { format!("{words} ") } else { format!(" {words}") }))
    }

    fn without_iam(&self, line: &str) -> String {
        let mut line = line.to_owned();
        let at = |index: usize| self.tokens.get(index);
        for (index, token) in self.tokens.iter().enumerate().rev().filter(|(_, token)| token.text == IAM) {
            let is =
                |index: Option<usize>, action| index.and_then(at).is_some_and(|token| token.text == action);
            let (mut first, mut last) = (index, index);
            match self.database {
                Database::Group if is(Some(index + 1), MERGE) => last += 1,
                Database::Group if is(index.checked_sub(1), MERGE) => first -= 1,
                Database::Initgroups if is(Some(index + 1), CONTINUE) => last += 1,
                _ => {}
            }
            let end = at(last).map_or(token.end, |token| token.end);
            let start = at(first).map_or(token.start, |token| token.start);
            let range = match (first.checked_sub(1).and_then(at), at(last + 1)) {
                (Some(previous), _) if previous.end < start => previous.end..end,
                (_, Some(next)) => start..next.start,
                (_, None) => start..end,
            };
            line.replace_range(range, "");
        }
        line
    }

    fn services(&self) -> Vec<Service<'a>> {
        let mut services: Vec<Service<'a>> = Vec::new();
        for token in &self.tokens {
            match services.last_mut() {
                Some(service) if token.is_action() => service.actions.push(*token),
                // An action before any service is glibc's to complain about; it asks nobody.
                None if token.is_action() => {}
                _ => services.push(Service { name: *token, actions: Vec::new() }),
            }
        }
        services
    }
}

/// A service with the actions behind it.
struct Service<'a> {
    name: Token<'a>,
    actions: Vec<Token<'a>>,
}

impl Service<'_> {
    fn end(&self) -> usize {
        self.actions.last().map_or(self.name.end, |action| action.end)
    }

    /// `STATUS=ACTION`, lower-cased; whether the status is meant, or all others.
    fn pairs(&self) -> Vec<(bool, String, String)> {
        let pairs =
            self.actions.iter().flat_map(|action| action.text.trim_matches(['[', ']']).split(is_blank));
        pairs
            .filter_map(|pair| {
                let (status, action) = pair.split_once('=')?;
                let meant = !status.starts_with('!');
                Some((
                    meant,
                    status.trim_start_matches('!').to_ascii_lowercase(),
                    action.to_ascii_lowercase(),
                ))
            })
            .collect()
    }

    /// What was set for a status; the last setting counts.
    fn on(&self, asked: &str) -> Option<String> {
        let mut pairs = self.pairs().into_iter().rev();
        pairs.find(|(meant, status, _)| *meant == (status == asked)).map(|(_, _, action)| action)
    }

    fn on_success(&self) -> Option<String> {
        self.on("success")
    }

    fn ends_the_search(&self) -> bool {
        self.on("notfound").is_some_and(|action| action == "return")
    }

    fn is_local(&self) -> bool {
        LOCAL.contains(&self.name.text)
    }
}

/// Behind which service, and where in the line.
struct Place {
    service: usize,
    end: usize,
}

/// Behind the last service that knows users of its own, unless one before ends the search where it finds nobody.
fn place(services: &[Service<'_>]) -> Result<Place, Why> {
    let last = services.iter().rposition(|service| !LAST.contains(&service.name.text));
    let Some(last) = last else {
        let why = "'iam' comes after 'files', which is not there";
        return Err((why.to_owned(), "add 'files' as the first service"));
    };
    let upto = services.get(..=last).unwrap_or_default();
    let Some((index, ending)) = upto.iter().enumerate().find(|(_, service)| service.ends_the_search()) else {
        let end = services.get(last).map_or(0, Service::end);
        return Ok(Place { service: last, end });
    };
    let words: Vec<&str> = ending.actions.iter().map(|action| action.text).collect();
    if ending.is_local() && ending.on_success().is_none() {
        // Between the service and its action, which then is ours: 'files' never fails but by not finding.
        return Ok(Place { service: index, end: ending.name.end });
    }
    match upto.get(..index).unwrap_or_default() {
        [before @ .., nearest] if before.iter().any(Service::is_local) || nearest.is_local() => {
            Ok(Place { service: index - 1, end: nearest.end() })
        }
        _ => Err((
            format!("'{} {}' ends the search before 'iam' could be asked", ending.name.text, words.join(" ")),
            "put 'files' first, or take the action away",
        )),
    }
}

fn tokens(body: &str, from: usize) -> Result<Vec<Token<'_>>, Why> {
    let mut tokens = Vec::new();
    let mut at = from;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start_matches(is_blank).len();
        if blank > 0 {
            at += blank;
            continue;
        }
        // authselect's conditions on the whole line come last.
        if rest.starts_with("{exclude") || rest.starts_with("{include") {
            break;
        }
        let length = match rest.chars().next() {
            Some('[') => closed(rest, '[', ']')?,
            Some('{') => closed(rest, '{', '}')?,
            _ => rest.find(|c: char| is_blank(c) || c == '[' || c == '{').unwrap_or(rest.len()),
        };
        tokens.push(Token { text: rest.get(..length).unwrap_or_default(), start: at, end: at + length });
        at += length;
    }
    Ok(tokens)
}

fn closed(rest: &str, begin: char, end: char) -> Result<usize, Why> {
    let why = || (format!("'{begin}' without '{end}'"), "correct the line: glibc does not read it either");
    rest.find(end).map(|at| at + 1).ok_or_else(why)
}

/// isspace(3) in the C locale.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn put(line: &str, at: usize, words: &str) -> String {
    let mut line = line.to_owned();
    line.insert_str(at, words);
    line
}
