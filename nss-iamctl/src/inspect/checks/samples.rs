//! What is found for several users, without repetition.

use std::collections::BTreeSet;

use crate::inspect::facts::probe::Probe;
use crate::say::finding::{Finding, Level};

/// What `check` finds for each sample: what works once, and problems that differ only in the name once.
pub(super) fn of_samples(samples: &[Probe], check: impl Fn(&Probe) -> Vec<Finding>) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for probe in samples {
        let name = format!("'{}'", probe.name);
        findings.extend(check(probe).into_iter().filter(|finding| {
            let problem = finding.level != Level::Ok;
            told.insert((finding.code.code, problem.then(|| finding.what.replace(&name, ""))))
        }));
    }
    findings
}
