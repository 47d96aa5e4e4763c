//! The processes of the host.

use std::collections::BTreeMap;

use claims::processes::{self, Process};

use crate::host::Host;
use crate::say::error::Error;

/// Processes by each of their uids: real, effective and saved. Processes that cannot be read are left out.
pub(crate) fn by_uid(host: &Host) -> BTreeMap<u32, Vec<Process>> {
    let mut found: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for process in processes::all(&host.path("/")).unwrap_or_default() {
        let mut uids = process.uids.to_vec();
        uids.sort_unstable();
        uids.dedup();
        for uid in uids {
            found.entry(uid).or_default().push(process.clone());
        }
    }
    found
}

/// Whether the process with this pid has this name.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn is_called(host: &Host, pid: i32, name: &str) -> Result<bool, Error> {
    let found = processes::one(&host.path("/"), pid);
    let found =
        found.map_err(|cause| Error::io("read", &host.path(&format!("/proc/{pid}/status")), &cause))?;
    Ok(found.is_some_and(|process| process.name == name))
}

/// Whether there is a process with this name; also if that cannot be known.
pub(crate) fn runs(host: &Host, name: &str) -> bool {
    processes::all(&host.path("/")).map_or(true, |all| all.iter().any(|process| process.name == name))
}
