//! `doctor`: checks for everything that prevents logins of nss-iam users, or soon will, with remedies.
//!
//! `facts` gathers the state of the host. The checks are pure functions; `why` uses those about a single user.

use std::io::Write;

use message::Message;
use serde::Serialize;

use crate::cli::Doctor;
use crate::host::Host;
use crate::inspect::checks::judge;
use crate::inspect::facts::Facts;
use crate::inspect::facts::names::{Names, holders};
use crate::inspect::facts::probe::samples;
use crate::inspect::outlook::{not_set_up, outlook};
use crate::say::code::Link;
use crate::say::error::Error;
use crate::say::finding::{self, Finding, Level, told, written};
use crate::say::look::Look;
use crate::say::show::as_json;

#[derive(Serialize)]
struct Report<'a> {
    verdict: Level,
    /// Who could log in now.
    logins: &'a Finding,
    findings: &'a [Finding],
}

pub(crate) fn run(host: &Host, args: &Doctor, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let mut facts = Facts::gather(host, now);
    let holders = holders(&facts.published, &facts.configured().users.common_group);
    facts.names = Names::gather(host, facts.root, facts.configured(), holders);
    let samples = samples(host, &facts);
    let (findings, logins) = match not_set_up(&facts) {
        Some(finding) => (Vec::new(), finding),
        None => (judge(&facts, &samples), outlook(&facts, &samples).verdict()),
    };
    let verdict = finding::worst(&findings).max(logins.level);
    if args.json {
        written(write!(out, "{}", as_json(&Report { verdict, logins: &logins, findings: &findings })?))?;
    } else {
        let look = Look::now();
        let message = Message::new(verdict_line(&logins, &findings));
        let line = look.headline(logins.level.style().bold(), &message);
        written(finding::print(&findings, look, out).and_then(|()| writeln!(out, "{line}")))?;
    }
    Ok(verdict as u8)
}

fn verdict_line(logins: &Finding, findings: &[Finding]) -> String {
    if logins.code == Link::NotSetUp.into() {
        return told(logins);
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let rest = match (count(Level::Bad), count(Level::Warn)) {
        (0, 0) => "no problems found".to_owned(),
        (0, warnings) => format!("warnings: {warnings}"),
        (bad, 0) => format!("problems: {bad}"),
        (bad, warnings) => format!("problems: {bad}, warnings: {warnings}"),
    };
    format!("verdict: {}; {rest}", logins.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_about_logins_and_counts_what_else_is_found() {
        let works = Finding::ok(Link::LoginsWork, "logins work");
        let (bad, warn) = (Finding::bad(Link::Nologin, "x", ""), Finding::warn(Link::Nologin, "x", ""));
        let of = |findings: &[Finding]| verdict_line(&works, findings);
        assert_eq!(of(&[]), "verdict: logins work; no problems found");
        assert_eq!(of(std::slice::from_ref(&warn)), "verdict: logins work; warnings: 1");
        assert_eq!(of(&[bad.clone(), warn, bad]), "verdict: logins work; problems: 2, warnings: 1");
        let new = Finding::bad(Link::NotSetUp, "not set up", "nss-iamctl enable --group GROUP");
        assert_eq!(verdict_line(&new, &[]), "not set up: nss-iamctl enable --group GROUP");
    }
}
