//! `status`: how the last refresh went, and how fresh everything is; as text, as JSON, and for monitoring.

use std::collections::BTreeMap;
use std::io::Write;

use message::Message;
use policy::offer::STALE;
use serde::Serialize;
use serde_json::Number;
use status::{Held, Note, Stop, Told, Warning, metrics};

use crate::cli;
use crate::host::Host;
use crate::host::published::{Published, Trouble};
use crate::inspect::checks::{refresh, setup};
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::samples;
use crate::inspect::outlook::{Outlook, not_set_up, outlook};
use crate::say::code::{Code, Link};
use crate::say::error::Error;
use crate::say::finding::{Finding, Level, told, written};
use crate::say::look::Look;
use crate::say::show::{ago, as_json, count, length, printable, some, time};

/// The state "unknown" of monitoring plugins.
const UNKNOWN: u8 = 3;

/// The column of the texts.
const INDENT: usize = 11;

/// The content of every output format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Summary {
    level: Option<Level>,
    /// What the level is for.
    code: &'static str,
    because: String,
    users: usize,
    /// Active users who could log in now. None: only root can see that.
    able: Option<usize>,
    disabled: usize,
    groups: usize,
    keys: usize,
    locked: Vec<String>,
    /// Who locked them, when and why, as far as it is known.
    locks: BTreeMap<String, Note>,
    /// Seconds since 1970.
    refreshed: Option<i64>,
    /// When the sources last confirmed users and keys.
    confirmed: Option<i64>,
    age: Option<i64>,
    /// When keys are no longer offered, in seconds; 0: never.
    max_age: i64,
    exit: Option<u8>,
    held: Vec<Told<Held>>,
    error: Option<Told<Stop>>,
    /// Calls that failed at the last fetch.
    failures: Vec<Failed>,
    skipped: usize,
    warnings: Vec<Told<Warning>>,
    /// The metrics of the last refresh, by name and labels.
    metrics: BTreeMap<String, Number>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Failed {
    code: &'static str,
    #[serde(flatten)]
    message: Message,
}

pub(crate) fn run(host: &Host, args: &cli::Status, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let facts = Facts::present(host, now);
    let summary = summary(&facts, &outlook(&facts, &samples(host, &facts)));
    if args.check {
        let level = match summary.level {
            Some(Level::Ok) => "OK",
            Some(Level::Warn) => "WARNING",
            Some(Level::Bad) => "CRITICAL",
            None => "UNKNOWN",
        };
        written(writeln!(out, "NSS_IAM {level} - {} | {}", summary.because, numbers(&summary)))?;
        return Ok(summary.level.map_or(UNKNOWN, |level| level as u8));
    }
    if args.json {
        written(write!(out, "{}", as_json(&summary)?))?;
    } else {
        written(write!(out, "{}", text(&summary, now, Look::now())))?;
    }
    Ok(crate::say::error::OK)
}

/// Numbers for monitoring, with the limits for warnings and errors: `1:` is an error below 1.
fn numbers(summary: &Summary) -> String {
    let limit = if summary.max_age > 0 { format!(";{}", summary.max_age) } else { String::new() };
    let age = summary.age.map_or(String::new(), |age| format!(" age={age}s;{STALE}{limit}"));
    let able = summary.able.map_or(String::new(), |able| format!(" able={able};;1:"));
    format!("users={};;1:{able} keys={};;1:{age}", summary.users, summary.keys)
}

fn summary(facts: &Facts, outlook: &Outlook) -> Summary {
    let (published, now) = (&facts.published, facts.now);
    let mut summary = Summary {
        able: facts.root.then_some(outlook.able.len()),
        max_age: refresh::max_age(facts),
        ..Summary::default()
    };
    if let Ok(cache) = &published.cache {
        summary.users = cache.users.iter().filter(|user| user.active).count();
        summary.disabled = cache.users.len() - summary.users;
    }
    if let Ok(status) = &published.status {
        summary.groups = status.groups;
        summary.keys = status.keys;
        summary.refreshed = status.time.map(jiff::Timestamp::as_second);
        summary.exit = Some(status.exit);
        summary.held = status.held.clone();
        summary.error = status.error.clone();
        summary.skipped = status.skips.iter().filter(|skip| !skip.is_group_of_the_source_only()).count();
        summary.warnings = status.warnings.clone();
        summary.metrics = metrics::values(status);
    }
    if let Ok(keys) = &published.keys {
        summary.keys = keys.logins.iter().map(|login| login.keys.len()).sum();
        // When anything was last confirmed; single users may have been confirmed earlier.
        summary.confirmed = keys.logins.iter().map(|login| login.confirmed).max();
    }
    summary.confirmed = summary.confirmed.or_else(|| published.as_of()).filter(|at| *at > 0);
    summary.age = summary.confirmed.map(|at| now.saturating_sub(at));
    summary.locks = published.locked.as_ref().map(|locked| locked.notes.clone()).unwrap_or_default();
    summary.locked = published.locked.iter().flat_map(|locked| locked.names.iter().cloned()).collect();
    summary.failures = published
        .failures()
        .iter()
        .map(|(_, failure)| Failed { code: failure.code(), message: failure.message() })
        .collect();
    let (level, code, because) = judge(facts, outlook, &summary);
    Summary { level, code, because: printable(&because), ..summary }
}

/// The level, its code and its text.
type Verdict = (Option<Level>, &'static str, String);

/// The most important result.
fn judge(facts: &Facts, outlook: &Outlook, summary: &Summary) -> Verdict {
    let verdict = of_logins(facts, outlook)
        .or_else(|| of_setup(facts))
        .or_else(|| of_report(&facts.published))
        .or_else(|| of_source(summary))
        .or_else(|| of_units(facts));
    verdict.unwrap_or_else(|| match summary.exit {
        Some(0) | None => (Some(Level::Ok), Code::from(Link::Fine).code, people(summary, outlook)),
        Some(exit) => warning(Link::RefreshEnded, format!("the last refresh ended with status {exit}")),
    })
}

fn warning(code: impl Into<Code>, why: String) -> Verdict {
    (Some(Level::Warn), code.into().code, why)
}

fn of_finding(finding: &Finding) -> Verdict {
    (Some(finding.level), finding.code.code, finding.what.clone())
}

/// Whether anybody can log in, and everybody who has a key.
fn of_logins(facts: &Facts, outlook: &Outlook) -> Option<Verdict> {
    if let Some(finding) = not_set_up(facts) {
        return Some((Some(finding.level), finding.code.code, told(&finding)));
    }
    if facts.published.cache.as_ref().is_err_and(|trouble| *trouble == Trouble::Denied) {
        let why = "cache.db cannot be read: permission denied".to_owned();
        return Some((None, Code::from(Link::CacheUnreadable).code, why));
    }
    let verdict = outlook.verdict();
    if verdict.level != Level::Ok {
        return Some((
            Some(verdict.level),
            outlook.reason().map_or(verdict.code, |reason| reason.code).code,
            verdict.what,
        ));
    }
    let seen = facts.published.keys.is_ok() || facts.published.status.is_ok();
    let why = || "neither the keys nor the last report can be read".to_owned();
    (!seen).then(|| (None, Code::from(Link::CacheUnreadable).code, why()))
}

/// Without a valid configuration, there are no refreshes.
fn of_setup(facts: &Facts) -> Option<Verdict> {
    let bad = Some(setup::configuration(facts)).filter(|finding| finding.level == Level::Bad)?;
    Some(of_finding(&bad.at(Level::Warn)))
}

fn of_units(facts: &Facts) -> Option<Verdict> {
    refresh::units(facts).iter().find(|finding| finding.level != Level::Ok).map(of_finding)
}

fn of_report(published: &Published) -> Option<Verdict> {
    let status = match &published.status {
        Ok(status) => status,
        Err(trouble) => {
            let link =
                if *trouble == Trouble::Missing { Link::NeverRefreshed } else { Link::ReportUnreadable };
            return Some(warning(link, format!("the last report cannot be read: {trouble}")));
        }
    };
    if let Some(error) = &status.error {
        return Some(warning(Code::of_stop(&error.kind), error.message.what().to_owned()));
    }
    let held = status.held.first()?;
    Some(warning(Code::of_held(&held.kind), held.message.what().to_owned()))
}

/// What was skipped or failed, and the age of the data.
fn of_source(summary: &Summary) -> Option<Verdict> {
    if let Some(Failed { code, message }) = summary.failures.first() {
        return Some((Some(Level::Warn), code, message.what().to_owned()));
    }
    let age = summary.age.filter(|age| *age > STALE)?;
    Some(warning(Link::ConfirmedLongAgo, format!("nothing was confirmed for {}", length(age))))
}

fn people(summary: &Summary, outlook: &Outlook) -> String {
    let age = summary.age.map_or(String::new(), |age| format!(", confirmed {} ago", length(age.max(0))));
    let able = summary.able.filter(|able| *able < summary.users);
    let able = able.map_or(String::new(), |able| format!(", {able} can log in"));
    let unseen = outlook.unseen.map_or(String::new(), |unseen| format!("; {unseen}"));
    format!("{}, {}{able}{age}{unseen}", count(summary.users, "user"), count(summary.keys, "key"))
}

fn lock(name: &str, Note { at, by, reason }: &Note, now: i64) -> String {
    let at =
        at.map(|at| format!(", {} ({})", time(at.as_second()), ago(at.as_second(), now))).unwrap_or_default();
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    printable(&format!("'{name}' by {by}{at}{reason}"))
}

fn text(summary: &Summary, now: i64, look: Look) -> String {
    if summary.code == Code::from(Link::NotSetUp).code {
        return format!("{}\n", summary.because);
    }
    let mut lines = vec![
        ("users", format!("{} active, {} disabled", summary.users, summary.disabled)),
        (
            "able",
            summary.able.map_or("only root can see it".to_owned(), |able| format!("{able} could log in now")),
        ),
        ("groups", format!("{} from the source", summary.groups)),
        ("keys", summary.keys.to_string()),
    ];
    let at = |at: i64| format!("{} ({})", time(at), ago(at, now));
    lines.push(("confirmed", summary.confirmed.map_or("never, or only readable by root".to_owned(), at)));
    let exit = summary.exit.map_or(String::new(), |exit| format!(", exit status {exit}"));
    lines.push((
        "refresh",
        summary.refreshed.map_or("none yet".to_owned(), |time| format!("{}{exit}", at(time))),
    ));
    lines.extend(summary.locks.iter().map(|(name, note)| ("locked", lock(name, note, now))));
    let others: Vec<&String> =
        summary.locked.iter().filter(|name| !summary.locks.contains_key(*name)).collect();
    if !others.is_empty() {
        lines.push(("locked", some(&others)));
    }
    lines.extend(summary.error.iter().map(|error| ("error", error.message.in_one_line())));
    lines.extend(summary.held.iter().map(|held| ("held", held.message.in_one_line())));
    lines.extend(summary.failures.iter().map(|failed| ("failed", failed.message.what().to_owned())));
    lines.extend(summary.warnings.iter().map(|warning| ("warning", warning.message.in_one_line())));
    if summary.skipped > 0 {
        lines.push(("skipped", format!("{}; 'nss-iamctl doctor' shows why", summary.skipped)));
    }
    let verdict = match summary.level {
        Some(Level::Ok) => "fine".to_owned(),
        _ => format!("{}; 'nss-iamctl doctor' shows details", summary.because),
    };
    lines.push(("state", verdict));
    let colored = |what: &str, text: &str| {
        let level = match what {
            "state" => summary.level.unwrap_or(Level::Warn),
            "locked" | "error" | "held" | "failed" | "warning" | "skipped" => Level::Warn,
            _ => return text.to_owned(),
        };
        look.paint(level.style(), text)
    };
    let line =
        |(what, text): &(&str, String)| format!("{what:<10} {}\n", colored(what, &look.wrap(text, INDENT)));
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
