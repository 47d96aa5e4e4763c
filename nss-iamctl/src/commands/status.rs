//! `status`: how the last refresh went, and how fresh everything is; as text, as JSON, and for monitoring.

use std::io::Write;

use message::Message;
use policy::offer::{self, STALE};
use serde::Serialize;
use status::{Held, Locked, Stop, Told, Warning};

use crate::cli;
use crate::host::Host;
use crate::host::published::{Published, Trouble};
use crate::say::code::{Code, Link};
use crate::say::error::Error;
use crate::say::finding::{Level, written};
use crate::say::show::{ago, count, length, some, time};

/// The state "unknown" of monitoring plugins.
const UNKNOWN: u8 = 3;

/// The content of every output format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Summary {
    level: Option<Level>,
    /// What the level is for.
    code: &'static str,
    because: String,
    users: usize,
    disabled: usize,
    groups: usize,
    keys: usize,
    locked: Vec<String>,
    /// Seconds since 1970.
    refreshed: Option<i64>,
    /// When the sources last confirmed users and keys.
    confirmed: Option<i64>,
    age: Option<i64>,
    exit: Option<u8>,
    held: Vec<Told<Held>>,
    error: Option<Told<Stop>>,
    /// Calls that failed at the last fetch.
    failures: Vec<Failed>,
    skipped: usize,
    warnings: Vec<Told<Warning>>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Failed {
    code: &'static str,
    #[serde(flatten)]
    message: Message,
}

pub(crate) fn run(host: &Host, args: &cli::Status, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let published = Published::read(host);
    let machine_id = std::fs::read_to_string(host.path("/etc/machine-id")).unwrap_or_default();
    let summary = summary(&published, machine_id.trim(), now);
    if args.check {
        let level = match summary.level {
            Some(Level::Ok) => "OK",
            Some(Level::Warn) => "WARNING",
            Some(Level::Bad) => "CRITICAL",
            None => "UNKNOWN",
        };
        let age = summary.age.map_or(String::new(), |age| format!(" age={age}s;{STALE}"));
        let numbers = format!("users={} keys={}{age}", summary.users, summary.keys);
        written(writeln!(out, "NSS_IAM {level} - {} | {numbers}", summary.because))?;
        return Ok(summary.level.map_or(UNKNOWN, |level| level as u8));
    }
    if args.json {
        let json = serde_json::to_string_pretty(&summary);
        let json = json.map_err(|cause| Error::other(format!("cannot print the status: {cause}")))?;
        written(writeln!(out, "{json}"))?;
    } else {
        written(write!(out, "{}", text(&summary, now)))?;
    }
    Ok(crate::say::error::OK)
}

fn summary(published: &Published, machine_id: &str, now: i64) -> Summary {
    let mut summary = Summary::default();
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
        summary.skipped = status.skips.len();
        summary.warnings = status.warnings.clone();
    }
    if let Ok(keys) = &published.keys {
        summary.keys = keys.logins.iter().map(|login| login.keys.len()).sum();
        // When anything was last confirmed; single users may have been confirmed earlier.
        summary.confirmed = keys.logins.iter().map(|login| login.confirmed).max();
    }
    summary.confirmed = summary.confirmed.or_else(|| published.as_of()).filter(|at| *at > 0);
    summary.age = summary.confirmed.map(|at| now.saturating_sub(at));
    summary.locked = published.locked.iter().flat_map(|locked| locked.0.iter().cloned()).collect();
    summary.failures = published
        .failures()
        .iter()
        .map(|(_, failure)| Failed { code: failure.code(), message: failure.message() })
        .collect();
    let (level, code, because) = judge(published, &summary, machine_id);
    Summary { level, code, because: crate::say::show::printable(&because), ..summary }
}

/// The level, its code and its text.
type Verdict = (Option<Level>, &'static str, String);

/// The most important result.
fn judge(published: &Published, summary: &Summary, machine_id: &str) -> Verdict {
    let verdict = of_cache(published)
        .or_else(|| of_keys(published, summary, machine_id))
        .or_else(|| of_report(published))
        .or_else(|| of_source(summary));
    verdict.unwrap_or_else(|| match summary.exit {
        Some(0) | None => (Some(Level::Ok), Code::from(Link::Fine).code, people(summary)),
        Some(exit) => warning(Link::RefreshEnded, format!("the last refresh ended with status {exit}")),
    })
}

fn critical(link: Link, why: String) -> Verdict {
    (Some(Level::Bad), Code::from(link).code, why)
}

fn warning(code: impl Into<Code>, why: String) -> Verdict {
    (Some(Level::Warn), code.into().code, why)
}

fn of_cache(published: &Published) -> Option<Verdict> {
    let trouble = published.cache.as_ref().err()?;
    let why = format!("cache.db cannot be used: {trouble}");
    Some(match trouble {
        Trouble::Denied => {
            let why = "cache.db cannot be read: permission denied".to_owned();
            (None, Code::from(Link::CacheUnreadable).code, why)
        }
        Trouble::Missing => critical(Link::CacheMissing, why),
        Trouble::Unusable(_) | Trouble::Later(_) => critical(Link::CacheRefused, why),
    })
}

/// Whether a key is offered to anyone.
fn of_keys(published: &Published, summary: &Summary, machine_id: &str) -> Option<Verdict> {
    let unusable = || "keys.db cannot be used, so no key is offered".to_owned();
    match &published.keys {
        Ok(keys) if !offer::is_of_machine(keys.machine_id.as_bytes(), machine_id.as_bytes()) => {
            let why = "keys are for another machine-id, so none are offered".to_owned();
            return Some(critical(Link::KeysOfOtherMachine, why));
        }
        Ok(keys) => {
            if let Some(age) = summary.age.filter(|age| offer::is_too_old(*age, keys.max_age.into())) {
                let why = format!("nothing was confirmed for {}, so no key is offered", length(age));
                return Some(critical(Link::ConfirmedTooLongAgo, why));
            }
        }
        Err(Trouble::Denied) => {}
        Err(Trouble::Missing) => return Some(critical(Link::KeysMissing, unusable())),
        Err(Trouble::Unusable(_) | Trouble::Later(_)) => {
            return Some(critical(Link::KeysRefused, unusable()));
        }
    }
    let all_locked = summary.locked.iter().any(|name| name == Locked::ALL);
    all_locked.then(|| critical(Link::AllLocked, "everyone is locked".to_owned()))
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

fn people(summary: &Summary) -> String {
    let age = summary.age.map_or(String::new(), |age| format!(", confirmed {} ago", length(age)));
    format!("{}, {}{age}", count(summary.users, "user"), count(summary.keys, "key"))
}

fn text(summary: &Summary, now: i64) -> String {
    let mut lines = vec![
        ("users", format!("{} active, {} disabled", summary.users, summary.disabled)),
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
    if !summary.locked.is_empty() {
        lines.push(("locked", some(&summary.locked)));
    }
    let told = |message: &Message| {
        let hint = message.hint().map_or(String::new(), |hint| format!("; hint: {hint}"));
        crate::say::show::printable(message.what()) + &crate::say::show::printable(&hint)
    };
    lines.extend(summary.error.iter().map(|error| ("error", told(&error.message))));
    lines.extend(summary.held.iter().map(|held| ("held", told(&held.message))));
    lines.extend(summary.failures.iter().map(|failed| ("failed", failed.message.what().to_owned())));
    lines.extend(summary.warnings.iter().map(|warning| ("warning", told(&warning.message))));
    if summary.skipped > 0 {
        lines.push(("skipped", format!("{}; 'nss-iamctl doctor' shows why", summary.skipped)));
    }
    let verdict = match summary.level {
        Some(Level::Ok) => "fine".to_owned(),
        _ => format!("{}; 'nss-iamctl doctor' shows details", summary.because),
    };
    lines.push(("state", verdict));
    lines.iter().map(|(what, text)| format!("{what:<10} {text}\n")).collect()
}

#[cfg(test)]
mod tests;
