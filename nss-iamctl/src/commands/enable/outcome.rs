//! The end of `enable`: the first refresh, and who may log in now, or why nobody may.

use std::time::Instant;

use message::Message;

use crate::host::paths::KEYS;
use crate::host::{Host, services};
use crate::inspect::checks::skipped;
use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::samples;
use crate::inspect::outlook::{Outlook, outlook};
use crate::say::code::Link;
use crate::say::finding::Level;
use crate::say::say;
use crate::say::show::{count, some};

/// Refreshes if that is needed and possible. What the refresh reports is no failure of `enable`: the timer repeats it.
pub(super) fn finish(host: &Host, changed: bool, now: i64) {
    let started = Instant::now();
    let mut failed = false;
    if changed || !host.exists(KEYS) {
        if !services::are_usable(host) {
            let what = "systemd does not run here, so users come with the first refresh on the running host";
            say(Message::new(what).with_hint("to refresh now: nss-iamctl refresh"));
            return;
        }
        if is_starting(host) {
            let what = "the host is still starting, so the first refresh runs in the background";
            say(Message::new(what).with_hint("nss-iamctl status"));
            return;
        }
        say("reading the users; this is what the timer does from now on");
        let errors = services::run(host).map_or_else(|cause| vec![cause.into()], |ran| ran.errors(host));
        failed = !errors.is_empty();
        errors.into_iter().for_each(say);
    }
    // Keys that were confirmed meanwhile are not of the future.
    let now = now.saturating_add(i64::try_from(started.elapsed().as_secs()).unwrap_or_default());
    let facts = Facts::present(host, now);
    // If nobody may log in, this is said as the reason.
    let has_users = facts.published.cache.iter().any(|cache| cache.users.iter().any(|user| user.active));
    skipped::users(&facts).filter(|_| has_users).into_iter().for_each(say);
    say(who_may_log_in(&outlook(&facts, &samples(host, &facts)), failed));
}

/// cloud-init runs `enable` during boot. The refresh waits for the network, which may wait for cloud-init.
fn is_starting(host: &Host) -> bool {
    let state = host.run(&["systemctl", "is-system-running"]).map(|output| output.stdout).unwrap_or_default();
    ["initializing", "starting"].contains(&state.trim())
}

/// Who may log in now, by the same checks as `doctor`, or why nobody may. `failed`: what failed in the refresh was just said.
fn who_may_log_in(outlook: &Outlook, failed: bool) -> Message {
    if let Some(reason) = outlook.reason() {
        if failed && reason.code == Link::NobodyPublished.into() {
            let what = "nobody may log in yet, because the users could not be read, as said above";
            return Message::new(what).with_hint("once that is mended: nss-iamctl refresh");
        }
        let what = format!("nobody may log in yet: {}", reason.what);
        return Message::new(what).with_hint(reason.remedy.as_deref().unwrap_or("nss-iamctl doctor"));
    }
    let mut names = outlook.able.clone();
    names.sort();
    let who = format!("{} may log in: {}", count(names.len(), "user"), some(&names));
    let verdict = outlook.verdict();
    match verdict.level {
        Level::Ok => Message::new(who),
        _ => Message::new(who).and(verdict.what).with_hint(verdict.remedy.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{good, probe};

    #[test]
    fn it_ends_with_those_who_may_log_in_or_why_nobody_may() {
        let mut facts = good();
        let told = |facts: &Facts| who_may_log_in(&outlook(facts, &[probe(true)]), true).to_string();
        assert_eq!(told(&facts), "1 user may log in: 'ana'");
        facts.published.keys.as_mut().unwrap().logins[0].keys.clear();
        assert_eq!(
            told(&facts),
            "nobody may log in yet: no user has an active SSH key\nhint: nss-iamctl why USER"
        );
        facts.published.cache.as_mut().unwrap().users.clear();
        assert!(told(&facts).starts_with("nobody may log in yet, because the users could not be read"));
    }
}
