//! `doctor`: checks for everything that prevents logins of nss-iam users, or soon will, with remedies.
//!
//! `facts` gathers the state of the host. The checks are pure functions; `why` uses those about a single user.

use std::io::Write;

use serde::Serialize;

use crate::cli::Doctor;
use crate::host::Host;
use crate::inspect::checks::judge;
use crate::inspect::facts::Facts;
use crate::inspect::facts::names::{Names, holders};
use crate::inspect::facts::probe::samples;
use crate::say::error::Error;
use crate::say::finding::{self, Finding, Level, written};

#[derive(Serialize)]
struct Report<'a> {
    verdict: Level,
    findings: &'a [Finding],
}

pub(crate) fn run(host: &Host, args: &Doctor, now: i64, out: &mut dyn Write) -> Result<u8, Error> {
    let mut facts = Facts::gather(host, now);
    let holders = holders(&facts.published, &facts.configured().users.common_group);
    facts.names = Names::gather(host, facts.root, &facts.configured(), holders);
    let findings = judge(&facts, &samples(host, &facts));
    let verdict = finding::worst(&findings);
    if args.json {
        let json = serde_json::to_string_pretty(&Report { verdict, findings: &findings });
        let json = json.map_err(|cause| Error::other(format!("cannot print the report: {cause}")))?;
        written(writeln!(out, "{json}"))?;
    } else {
        written(finding::print(&findings, out).and_then(|()| writeln!(out, "{}", verdict_line(&findings))))?;
    }
    Ok(verdict as u8)
}

fn verdict_line(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    match (count(Level::Bad), count(Level::Warn)) {
        (0, 0) => "verdict: no problems found".to_owned(),
        (0, warnings) => format!("verdict: logins work; warnings: {warnings}"),
        (bad, 0) => format!("verdict: broken; problems: {bad}"),
        (bad, warnings) => format!("verdict: broken; problems: {bad}, warnings: {warnings}"),
    }
}
