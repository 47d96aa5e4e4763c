//! The findings of `why` and `doctor`: one per check, with its remedy.

use std::io::{self, Write};

use anstyle::Style;
use serde::Serialize;

use crate::say::code::Code;
use crate::say::error::Error;
use crate::say::look::{GREEN, HEADLINE, Look, RED, YELLOW};
use crate::say::show::printable;

/// The column of a finding's text.
const INDENT: usize = 16;

/// The severity, and the exit status for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// No problem.
    Ok = 0,
    /// Logins work, but something needs attention, or could not be checked.
    Warn = 1,
    /// Logins fail because of it, or a user has the name, id or files of another one.
    Bad = 2,
}

impl Level {
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Ok => GREEN,
            Self::Warn => YELLOW,
            Self::Bad => RED.bold(),
        }
    }
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub level: Level,
    #[serde(flatten)]
    pub code: Code,
    pub what: String,
    /// What to do: a command to copy where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    pub(crate) fn ok(code: impl Into<Code>, what: impl AsRef<str>) -> Self {
        Self { level: Level::Ok, code: code.into(), what: printable(what.as_ref()), remedy: None }
    }

    pub(crate) fn warn(code: impl Into<Code>, what: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self { level: Level::Warn, ..Self::bad(code, what, remedy) }
    }

    pub(crate) fn bad(code: impl Into<Code>, what: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        let remedy = Some(printable(remedy.as_ref())).filter(|remedy| !remedy.is_empty());
        Self { level: Level::Bad, code: code.into(), what: printable(what.as_ref()), remedy }
    }

    /// With this severity.
    pub(crate) fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

/// A finding on one line, with its remedy: `not set up: nss-iamctl enable`.
pub(crate) fn told(finding: &Finding) -> String {
    let remedy = finding.remedy.as_ref().map_or(String::new(), |remedy| format!(": {remedy}"));
    format!("{}{remedy}", finding.what)
}

/// Whether there is something to say about it, other than that it is as it should be.
pub(crate) fn not_ok(finding: &Finding) -> bool {
    finding.level != Level::Ok
}

/// The worst of all.
pub(crate) fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

/// The first ten, and how many more there are, of findings of one kind.
pub(crate) fn bounded(mut findings: Vec<Finding>, see: &str) -> Vec<Finding> {
    const SHOWN: usize = 10;
    let rest = findings.split_off(findings.len().min(SHOWN));
    if let Some(first) = rest.first() {
        let what = format!("and {} more", rest.len());
        findings.push(Finding::bad(Code::more(first.code.check), what, see).at(worst(&rest)));
    }
    findings
}

/// One finding a line, its remedy below.
///
/// # Errors
/// Those of the writer.
pub(crate) fn print(findings: &[Finding], look: Look, out: &mut dyn Write) -> io::Result<()> {
    for Finding { level, code: Code { check, .. }, what, remedy } in findings {
        let word = match level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Bad => "BAD",
        };
        let word = look.paint(level.style(), &format!("{word:<5}"));
        writeln!(out, "{word} {check:<9} {}", look.wrap(what, INDENT))?;
        if let Some(remedy) = remedy {
            writeln!(out, "{:<15} {} {remedy}", "", look.paint(HEADLINE, "->"))?;
        }
    }
    Ok(())
}

/// Ignores a closed standard output; all other failures are reported.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn written(done: io::Result<()>) -> Result<(), Error> {
    match done {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::other(format!("cannot write to standard output: {cause}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::say::code::Link;

    #[test]
    fn of_many_findings_ten_are_told() {
        let many = |number| vec![Finding::warn(Link::Keys, "y", "z"); number];
        assert_eq!(bounded(many(10), "see"), many(10));
        let told = bounded(many(12), "see");
        assert_eq!((told.len(), &told[10]), (11, &Finding::warn(Code::more("keys"), "and 2 more", "see")));
    }

    #[test]
    fn in_json_each_finding_has_its_code_beside_its_check() {
        let finding = Finding::bad(Link::NoKey, "none", "upload one");
        let json = r#"{"level":"bad","check":"keys","code":"no-key","what":"none","remedy":"upload one"}"#;
        assert_eq!(serde_json::to_string(&finding).unwrap(), json);
    }

    #[test]
    fn a_remedy_stands_below_its_finding_and_nothing_moves_the_cursor() {
        let findings = [
            Finding::ok(Link::Cache, "good"),
            Finding::bad(Link::NoKey, "none \u{1b}[2J", "upload one"),
            Finding::warn(Link::Name, "y", ""),
        ];
        let mut out = Vec::new();
        print(&findings, Look::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "ok    cache     good\nBAD   keys      none \\u{1b}[2J\n                -> upload one\nwarn  name      y\n"
        );
        assert_eq!(worst(&findings), Level::Bad);
        assert_eq!((worst(&[]), worst(&findings[..1])), (Level::Ok, Level::Ok));
    }
}
