//! What a plan reports: skips and warnings.

use std::collections::BTreeSet;

use policy::IamId;
use status::{Part, Skip, SkipReason, Warning};

/// What an administrator must know.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub skips: Vec<Skip>,
    pub warnings: BTreeSet<Warning>,
    /// Whether a name was refused because the host could not be asked.
    pub ignorant: bool,
}

impl Told {
    pub(super) fn skip(&mut self, account: &str, part: Part<'_>, name: &str, id: &IamId, reason: SkipReason) {
        self.skips.push(Skip::new(account, part, name, id.as_str(), reason));
    }
}
