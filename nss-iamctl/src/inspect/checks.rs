//! The checks of a host and of one user: pure functions of the facts.

pub(crate) mod answers;
pub(crate) mod certificates;
pub(crate) mod directories;
pub(crate) mod homes;
mod imds;
pub(crate) mod instance_connect;
pub(crate) mod logins;
mod memory;
pub(crate) mod names;
pub(crate) mod no_effect;
pub(crate) mod pam;
pub(crate) mod refresh;
mod samples;
pub(crate) mod setup;
pub(crate) mod skipped;
#[cfg(test)]
mod tests;

use crate::inspect::facts::Facts;
use crate::inspect::facts::probe::Probe;
use crate::say::finding::Finding;

/// Everything that is found.
pub(crate) fn judge(facts: &Facts, samples: &[Probe]) -> Vec<Finding> {
    let mut findings = setup::judge(facts);
    findings.extend(refresh::judge(facts));
    findings.extend(memory::judge(facts));
    findings.extend(answers::judge(facts, samples));
    findings.extend(directories::judge(facts));
    findings.extend(logins::judge(facts, samples));
    findings.extend(pam::judge(facts));
    findings.extend(names::judge(facts));
    findings.extend(no_effect::judge(facts));
    findings.extend(imds::judge(facts));
    findings
}
