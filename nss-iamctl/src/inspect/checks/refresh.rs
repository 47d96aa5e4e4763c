//! Whether the published data is fresh, and why not: the last run, what AWS denied, the timer, the clock.

use config::Config;
use listing::{Failure, FailureCode, FailureKind};
use policy::offer::{self, STALE};
use status::{Kind, Skip, Status, Told, Warning, What};

use crate::host::paths::STATUS;
use crate::host::published::Trouble;
use crate::inspect::checks::skipped::{self, Refused};
use crate::inspect::facts::Facts;
use crate::inspect::facts::unit::Unit;
use crate::inspect::remedy::use_unused;
use crate::say::code::{Code, Link};
use crate::say::finding::{Finding, Level};
use crate::say::show::{ago, count, length, some, time};

/// How many skips are listed individually.
const TOLD: usize = 10;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = last_run(facts);
    findings.extend(failures(facts));
    findings.extend(age(facts));
    findings.extend(other_account(facts));
    findings.extend(clock(facts));
    findings.extend(units(facts));
    if let Ok(status) = &facts.published.status {
        findings.extend(skips(facts.configured(), status));
        // `names` checks the current units.
        let is_new =
            |told: &&Told<Warning>| !facts.root || !matches!(told.kind, Kind::Known(Warning::RunsAs { .. }));
        findings.extend(status.warnings.iter().filter(is_new).map(|told| warning(facts.configured(), told)));
    }
    findings.extend(locks(facts));
    findings
}

/// One of the last report's warnings.
pub(crate) fn warning(config: &Config, told: &Told<Warning>) -> Finding {
    let remedy = match &told.kind {
        Kind::Known(Warning::KeepsName { what, iam_id, name, reason, .. }) => {
            Refused { config, what: *what, id: iam_id, user: name }.remedy(reason)
        }
        Kind::Known(Warning::TagUnused { tag, .. }) => match config.tags.meant(tag) {
            Some(usage) => use_unused(usage),
            // The prefix was changed since.
            None => "nss-iamctl refresh".to_owned(),
        },
        Kind::Known(_) | Kind::Other(_) => told.message.hint().unwrap_or_default().to_owned(),
    };
    Finding::warn(Code::of_warning(&told.kind), told.message.what(), remedy)
}

fn last_run(facts: &Facts) -> Vec<Finding> {
    let status = match &facts.published.status {
        Ok(status) => status,
        Err(Trouble::Missing) => {
            let what = "there was no refresh yet, so no user is published";
            return vec![Finding::bad(Link::NeverRefreshed, what, "nss-iamctl refresh")];
        }
        Err(trouble) => {
            let what = format!("the last report '{}' cannot be read: {trouble}", STATUS);
            return vec![Finding::warn(Link::ReportUnreadable, what, "nss-iamctl refresh")];
        }
    };
    let at = status.time.map_or(0, jiff::Timestamp::as_second);
    let when = format!("{} ({})", time(at), ago(at, facts.now));
    if let Some(error) = &status.error {
        let what = format!("the refresh of {when} failed: {}", error.message.what());
        let remedy = error.message.hint().unwrap_or("nss-iamctl refresh");
        return vec![Finding::warn(Code::of_stop(&error.kind), what, remedy)];
    }
    if !status.held.is_empty() {
        let held = status.held.iter().map(|held| {
            let what = format!("the refresh of {when} was held: {}", held.message.what());
            Finding::warn(Code::of_held(&held.kind), what, held.message.hint().unwrap_or_default())
        });
        return held.collect();
    }
    let people = format!("{}, {}", count(status.users, "active user"), count(status.keys, "key"));
    vec![Finding::ok(Link::Refreshed, format!("last one {when}: {people}"))]
}

/// What the source denied.
fn failures(facts: &Facts) -> Vec<Finding> {
    facts.published.failures().into_iter().map(|(account, failure)| refused(&account, &failure)).collect()
}

fn refused(account: &str, failure: &Failure) -> Finding {
    let Failure { call, on, cause, hint, kind, code, .. } = failure;
    let within = if account.is_empty() { String::new() } else { format!(" (account {account})") };
    let what = format!("{call} on '{on}'{within} failed: {cause}");
    match code {
        None => {}
        Some(FailureCode::NoSuchGroup) => {
            let remedy = format!(
                "create the group, or correct `groups`; if it is in another account than {}, [aws] role must be the ARN of a \
                 role there",
                if account.is_empty() { "this one" } else { account }
            );
            return Finding::warn(Code::of_failure("aws", failure), what, remedy);
        }
        Some(FailureCode::Clock) => {
            let remedy = "set the host's clock: AWS refuses requests whose time is off by more than 5 minutes; see timedatectl(1)";
            return Finding::warn(Code::of_failure("clock", failure), what, remedy);
        }
    }
    let remedy = match (hint.as_str(), kind) {
        ("", FailureKind::Denied) => "nss-iamctl policy shows what the role must be allowed",
        ("", FailureKind::Unavailable) => {
            "the next refresh tries again; check [aws] https_proxy, endpoint_url and timeout"
        }
        ("", FailureKind::Configuration) => "correct /etc/nss-iam/config.toml",
        ("", FailureKind::Held) => "if the removals are intended: nss-iamctl refresh --force",
        (hint, _) => hint,
    };
    Finding::warn(Code::of_failure("aws", failure), what, remedy)
}

/// How long ago the source last confirmed users and keys.
pub(crate) fn age(facts: &Facts) -> Option<Finding> {
    let users = facts
        .published
        .cache
        .as_ref()
        .map_or(0, |cache| cache.users.iter().filter(|user| user.active).count());
    if users == 0 {
        return None;
    }
    let keys = facts.published.keys.as_ref();
    let logins = keys.map_or(&[][..], |keys| &keys.logins);
    let newest = logins.iter().map(|login| login.confirmed).max();
    let confirmed = newest.or_else(|| facts.published.as_of()).filter(|at| *at > 0)?;
    let max_age = max_age(facts);
    let age = facts.now.saturating_sub(confirmed);
    let what = format!("users and keys were last confirmed {}", ago(confirmed, facts.now));
    if offer::is_too_old(age, max_age) {
        let what =
            format!("{what}, longer ago than max_age = {}, so keys are no longer offered", length(max_age));
        return Some(Finding::bad(
            Link::ConfirmedTooLongAgo,
            what,
            "nss-iamctl refresh; the findings above show why refreshes fail",
        ));
    }
    if age > STALE {
        let until = if max_age > 0 {
            format!("; logins stop in {}", length(max_age.saturating_sub(age)))
        } else {
            String::new()
        };
        return Some(Finding::warn(
            Link::ConfirmedLongAgo,
            format!("{what}{until}"),
            "nss-iamctl refresh, and read why it fails",
        ));
    }
    let old = logins.iter().filter(|login| facts.now.saturating_sub(login.confirmed) > STALE);
    let old: Vec<&str> = old.map(|login| login.name.as_str()).collect();
    if !old.is_empty() {
        let what = format!(
            "the keys of {} were last confirmed more than {} ago: {}",
            count(old.len(), "user"),
            length(STALE),
            some(&old)
        );
        return Some(Finding::warn(
            Link::SomeConfirmedLongAgo,
            what,
            "the findings above show which calls fail",
        ));
    }
    Some(Finding::ok(Link::Confirmed, what))
}

/// The age at which keys are no longer offered, in seconds; 0: no limit, or sshd does not ask for keys.
pub(crate) fn max_age(facts: &Facts) -> i64 {
    let config = facts.configured();
    if !config.keys.asks_keys_cmd() {
        return 0;
    }
    let configured = || config.keys.max_age.map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    facts.published.keys.as_ref().map_or_else(|_| configured(), |keys| i64::from(keys.max_age))
}

/// The host queries a different account than the one that its users came from.
fn other_account(facts: &Facts) -> Option<Finding> {
    let (Ok(status), Ok(state)) = (&facts.published.status, &facts.published.state) else { return None };
    let source = facts.source();
    if !source.is_directory() {
        return None;
    }
    let unknown = source.origin("");
    status.accounts.iter().filter(|account| !account.id.is_empty()).find_map(|account| {
        let id = &account.id;
        let here = state.users.values().filter(|user| *user.account == *account.name);
        let mut others = here.filter_map(|user| user.source.strip_prefix(&unknown));
        let other = others.find(|other| !other.is_empty() && other != id)?;
        let (called, set) = (source.account(), source.to_read_account(other));
        let what = format!("users of this host came from {called} {other}, but {id} is queried now");
        let remedy = format!(
            "if {other} is correct, {set}; if {id} is correct, this finding disappears after removed_keep"
        );
        Some(Finding::warn(Link::OtherAccount, what, remedy))
    })
}

/// Whether the clock is right, and was at the last confirmation.
pub(crate) fn clock(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let logins = facts.published.keys.as_ref().map_or(&[][..], |keys| &keys.logins);
    let latest = logins.iter().map(|login| login.confirmed).max();
    // Without root, keys.db cannot be read.
    let latest = latest.or_else(|| facts.published.as_of()).unwrap_or(0);
    let remedy = "set the clock (timedatectl set-ntp true), then nss-iamctl refresh";
    if max_age(facts) > 0 && offer::is_in_future(latest, facts.now) {
        let what = format!(
            "keys were confirmed {}: the clock is or was wrong, so they are not offered",
            ago(latest, facts.now)
        );
        findings.push(Finding::bad(Link::ConfirmedLater, what, remedy));
    }
    if facts.synchronised == Some(false) {
        let what = "the clock is not synchronized; once it is off by 5 minutes, AWS refuses every call";
        findings.push(Finding::warn(Link::ClockUnsynchronised, what, remedy));
    }
    findings
}

/// Whether the timer runs, and the last runs succeeded.
pub(crate) fn units(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &facts.schedule {
        Some((Unit { name, load, .. }, _)) if load == "not-found" => {
            let what = format!("systemd has no '{name}', so there are no automatic refreshes");
            findings.push(Finding::warn(
                Link::TimerMissing,
                what,
                "reinstall the package nss-iam, or run cache-refresher --loop 5m",
            ));
        }
        Some((Unit { name, active, .. }, other)) if active != "active" => {
            let what = format!("'{name}' is {active}, so there are no automatic refreshes");
            let hint = if other.active == "active" {
                "nss-iamctl enable".to_owned()
            } else {
                format!("systemctl enable --now {name}")
            };
            findings.push(Finding::warn(Link::TimerInactive, what, hint));
        }
        Some((Unit { name, .. }, _)) => {
            findings.push(Finding::ok(Link::Timer, format!("'{name}' is active")))
        }
        None => {}
    }
    let stays = facts.config.as_ref().is_ok_and(|config| config.refresh.every.is_some());
    let ended = facts.services.first().filter(|fetch| stays && fetch.active == "inactive");
    findings.extend(ended.map(|Unit { name, .. }| {
        let what = format!("'{name}' is inactive, so nothing is read");
        Finding::warn(Link::TimerInactive, what, format!("systemctl start {name}"))
    }));
    let failed = facts.services.iter().filter(|unit| !unit.result.is_empty() && unit.result != "success");
    findings.extend(failed.map(|Unit { name, result, status, .. }| {
        let what = format!("'{name}' ended with {result}, status {status}{}", meaning(status));
        Finding::warn(Link::UnitFailed, what, format!("journalctl -u {name}"))
    }));
    findings
}

/// Exit statuses of cache-refresher.
fn meaning(status: &str) -> &'static str {
    match status {
        "65" => " (something was held or refused)",
        "75" => " (AWS is unreachable or throttles, or another refresher is running)",
        "77" => " (denied by AWS or by file modes)",
        "78" => " (configuration)",
        _ => "",
    }
}

fn skips(config: &Config, status: &Status) -> Vec<Finding> {
    let (fine, wrong): (Vec<&Skip>, Vec<&Skip>) =
        status.skips.iter().partition(|skip| skip.is_group_of_the_source_only());
    let mut findings: Vec<Finding> = wrong
        .iter()
        .chain(&fine)
        .take(TOLD)
        .map(|skip| {
            let Skip { what, name, text, .. } = skip;
            if skip.is_group_of_the_source_only() {
                let called = config.source.called(&what.to_string());
                let what =
                    format!("{called} '{name}' is no group here: {text}; its members are users all the same");
                return Finding::ok(Code::of_skip(&skip.reason), what);
            }
            let what = match what {
                What::User | What::Group => {
                    format!("{} '{name}' skipped: {text}", config.source.called(&what.to_string()))
                }
                What::Key | What::Tag | What::Other => {
                    format!("{} '{name}': {text}; skipped", config.source.called("user"))
                }
            };
            Finding::warn(Code::of_skip(&skip.reason), what, skipped::remedy(config, skip))
        })
        .collect();
    if let Some(more @ 1..) = status.skips.len().checked_sub(TOLD) {
        let see = format!("see `skips` in {}", STATUS);
        let level = if wrong.len() > TOLD { Level::Warn } else { Level::Ok };
        findings.push(Finding::warn(Code::more("skipped"), format!("and {more} more"), see).at(level));
    }
    findings
}

/// The users whom an administrator locked.
pub(crate) fn locks(facts: &Facts) -> Option<Finding> {
    let locked = facts.published.locked.as_ref().ok().filter(|locked| !locked.names.is_empty())?;
    if locked.has_all() {
        let what = "everyone is locked here ('nss-iamctl lock --all')";
        return Some(Finding::warn(Link::AllLocked, what, "nss-iamctl unlock --all").at(Level::Bad));
    }
    let names: Vec<&String> = locked.names.iter().collect();
    Some(Finding::warn(Link::SomeLocked, format!("locked here: {}", some(&names)), "nss-iamctl unlock USER"))
}
