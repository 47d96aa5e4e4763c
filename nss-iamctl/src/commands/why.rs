//! `why USER`: checks each step of a login, from the name at the source to what sshd logged, and gives a verdict.

pub(crate) mod chain;
mod keys;
pub(crate) mod log;
#[cfg(test)]
mod tests;

use std::io::Write;

use cache::snapshot::User;
use message::Message;
use serde::Serialize;

use crate::cli;
use crate::host::Host;
use crate::inspect::facts::Facts;
use crate::inspect::facts::names::Names;
use crate::inspect::facts::probe::Probe;
use crate::inspect::subject::Who;
use crate::say::error::Error;
use crate::say::finding::{self, Finding, Level, written};
use crate::say::look::Look;
use crate::say::show::{as_json, printable};

#[derive(Serialize)]
struct Report<'a> {
    user: &'a str,
    iam_name: Option<&'a str>,
    iam_id: Option<&'a str>,
    uid: Option<u32>,
    verdict: Level,
    because: &'a str,
    findings: &'a [Finding],
}

pub(crate) fn run(host: &Host, args: &cli::Why, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let mut facts = Facts::gather(host, now);
    let names = Who::find(&args.user, &facts).names(&facts);
    facts.names = Names::gather(host, facts.root, facts.configured(), names);
    let who = Who::find(&args.user, &facts);
    let alone = |user: &User| if user.active { vec![user.name.to_string()] } else { Vec::new() };
    let probe = who.cached.map(|user| Probe::of(host, &facts, user, alone(user)));
    let findings = chain::judge(&facts, &who, &args.user, probe.as_ref());
    let verdict = finding::worst(&findings);
    let because = verdict_line(&who.name, &findings);
    if args.json {
        let report = Report {
            user: &who.name,
            iam_name: who.iam_name(),
            iam_id: who.id.as_deref(),
            uid: who.cached.map(|user| user.uid.get()),
            verdict,
            because: &because,
            findings: &findings,
        };
        written(write!(out, "{}", as_json(&report)?))?;
    } else {
        let remedy = culprit(&findings).and_then(|finding| finding.remedy.as_deref());
        let message = Message::new(format!("verdict: {because}")).with_hint(remedy.unwrap_or_default());
        let look = Look::now();
        let line = look.headline(verdict.style().bold(), &message);
        written(finding::print(&findings, look, out).and_then(|()| writeln!(out, "{line}")))?;
    }
    Ok(verdict as u8)
}

/// The first finding that prevents the login, or else the first warning.
fn culprit(findings: &[Finding]) -> Option<&Finding> {
    let first = |level| findings.iter().find(|finding| finding.level == level);
    first(Level::Bad).or_else(|| first(Level::Warn))
}

fn verdict_line(name: &str, findings: &[Finding]) -> String {
    let name = printable(name);
    match culprit(findings) {
        Some(Finding { level: Level::Bad, what, .. }) => format!("'{name}' cannot log in: {what}"),
        Some(Finding { what, .. }) => format!("nothing prevents '{name}' from logging in, but see: {what}"),
        None => format!("nothing on this host prevents '{name}' from logging in"),
    }
}
