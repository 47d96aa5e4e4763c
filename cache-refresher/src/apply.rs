//! The apply half: privileges, no network. First it disables users who left or are locked, which needs only the published
//! files, the listing and the list of locks. Then it asks the host, plans, publishes and reports.

pub(crate) mod error;
mod on_disk;
mod publication;
mod reading;
mod removal;
mod request;

use listing::Listing;
use status::Told;

use crate::report::Report;
use error::Error;
use publication::publish;
use removal::{Taken, attempt, take_away};
pub(crate) use request::Request;

/// Applies the listing of the fetch half, or `given`, which a dry run has instead. Users who left or are locked are disabled
/// first, whatever fails after that.
pub(crate) fn apply(request: Request<'_>, given: Option<Listing>) -> Report {
    let mut taken = if request.dry_run { Taken::default() } else { take_away(request) };
    let done = match taken.error {
        Some(error) if request.removals_only || matches!(error, Error::Lock(_)) => Err(error),
        _ if request.removals_only => Ok(Report::of_changes(&taken.changes, request.now)),
        // Any other error comes up again here.
        _ => publish(request, given, &taken.changes, taken.reading.take()),
    };
    let mut report = done.unwrap_or_else(|error| {
        if !request.dry_run && !request.alone && !matches!(error, Error::Lock(_)) {
            taken.changes.extend(attempt(Request { alone: true, ..request }).changes);
        }
        Report::failed(&error, &taken.changes, request.now)
    });
    report.status.published |= !taken.changes.is_empty();
    report.status.warnings.extend(taken.warnings.into_iter().map(Told::from));
    report
}
