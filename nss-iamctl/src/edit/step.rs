//! One change to the host: how it is shown, and how it is made so that it can be undone.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::edit::authselect;
use crate::edit::file::Edit;
use crate::edit::owners::{self, Changed, Moves};
use crate::edit::transaction::{Transaction, Undo};
use crate::edit::{pam, units};
use crate::host::Host;
use crate::say::error::Error;
use crate::say::finding::written;
use crate::say::look::Look;
use crate::say::say;

/// A change.
pub(crate) enum Step {
    Edit(Edit),
    /// Our profile of authselect is created and selected.
    Profile(authselect::Change),
    /// pam-auth-update enables our profile, or removes it.
    Homes {
        on: bool,
    },
    /// A unit of systemd is enabled or disabled.
    Unit {
        unit: String,
        on: bool,
    },
    /// A program is run; `back` undoes that, if it is not empty.
    Run {
        line: Vec<String>,
        back: Vec<String>,
    },
    Owners(Owners),
}

/// The files of one user get different ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owners {
    /// The user.
    pub name: String,
    pub moves: Moves,
    /// Files and directories; directories with everything in them.
    pub places: Vec<PathBuf>,
    /// Inodes that stay as they are, for each place; none if it is shorter.
    pub kept: Vec<BTreeSet<u64>>,
}

/// Makes these changes, in this order.
///
/// # Errors
/// What failed; the rest is not done.
pub(crate) fn make(steps: &[Step], transaction: &mut Transaction<'_>) -> Result<(), Error> {
    steps.iter().try_for_each(|step| step.make(transaction))
}

/// Prints what steps would do.
///
/// # Errors
/// When it cannot be written, except if the reader closed the pipe.
pub(crate) fn show(host: &Host, steps: &[Step], out: &mut dyn Write) -> Result<(), Error> {
    let shown: Vec<u8> = steps.iter().flat_map(|step| Look::now().diff(step.shown(host))).collect();
    written(out.write_all(&shown).and_then(|()| out.flush()))
}

impl Step {
    fn shown(&self, host: &Host) -> Vec<u8> {
        let run = |line: &[String]| format!("run: {}\n", line.join(" ")).into_bytes();
        match self {
            Self::Edit(edit) => diff(&edit.path, edit.before.as_deref(), edit.after.as_deref()),
            Self::Profile(change) => {
                let commands = change.commands().iter().flat_map(|line| run(line)).collect();
                let template = Path::new(authselect::TEMPLATE);
                [commands, diff(template, Some(&change.before), Some(&change.after))].concat()
            }
            Self::Homes { on } => run(&pam::switch(*on)),
            Self::Unit { unit, on } => run(&units::switch(host, *on, unit)),
            Self::Run { line, .. } => run(line),
            Self::Owners(Owners { name, moves, places, .. }) => {
                let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
                format!("files of {name}: {moves}, in {}\n", places.join(", ")).into_bytes()
            }
        }
    }

    /// Makes the change, and first records how to undo it.
    fn make(&self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let host = transaction.host();
        match self {
            Self::Edit(edit) => transaction.edit(edit),
            Self::Profile(change) => change.make(transaction),
            Self::Homes { on: true } => pam::update(transaction),
            Self::Homes { on: false } => pam::remove(transaction),
            Self::Unit { unit, on } => {
                if *on {
                    transaction.record(|manifest| {
                        manifest.units.push(unit.clone());
                        Ok(())
                    })?;
                } else {
                    transaction.record(|manifest| {
                        manifest.units.retain(|other| other != unit);
                        Ok(())
                    })?;
                }
                let [there, back] = [*on, !*on].map(|on| units::switch(host, on, unit));
                transaction.run(&there, back)
            }
            Self::Run { line, back } => transaction.run(line, back.clone()),
            Self::Owners(owners) => owners.make(transaction),
        }
    }
}

impl Owners {
    /// After a power cut, some files have the old ids. It can then be run again: files with the new ids are left alone.
    fn make(&self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let mut count = 0;
        for (number, place) in self.places.iter().enumerate() {
            let at = transaction.host().path_of(place);
            let (kept, mut changed) = (self.kept.get(number).cloned().unwrap_or_default(), Changed::new());
            let walked = owners::walk(&at, self.moves, &kept, &mut changed);
            count += changed.len();
            transaction.before(Undo::Owners { place: at.clone(), moves: self.moves, changed });
            walked.map_err(|cause| Error::io("change the owner of all files in", &at, &cause))?;
        }
        say(format!("'{}': {count} files changed: {}", self.name, self.moves));
        Ok(())
    }
}

/// A unified diff of one file, in bytes, which patch(1) accepts.
fn diff(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<u8> {
    let path = path.to_string_lossy();
    let name = |bytes: Option<&[u8]>| if bytes.is_some() { &*path } else { "/dev/null" };
    let diff = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
    let mut shown = Vec::new();
    // Writing to memory cannot fail.
    let _ = diff.unified_diff().header(name(before), name(after)).to_writer(&mut shown);
    shown
}
