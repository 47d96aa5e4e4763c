//! Configuration that a distribution ships below /usr (openSUSE, SLES 16), until there is a file of the same name in /etc:
//! programs then read that one only.

use crate::host::{Host, files};
use crate::say::error::Error;

/// The places of a file in /etc, in the order in which programs look. Linux-PAM itself knows /usr/lib/pam.d.
pub(crate) fn places(path: &str) -> Vec<String> {
    let Some(name) = path.strip_prefix("/etc/") else { return vec![path.to_owned()] };
    let below = if name.starts_with("pam.d/") {
        &["/etc", "/usr/lib", "/usr/etc"][..]
    } else {
        &["/etc", "/usr/etc"]
    };
    below.iter().map(|directory| format!("{directory}/{name}")).collect()
}

/// What programs read for a file in /etc: that file, or the shipped one. A change of either is written to /etc, because
/// an update would undo it below /usr.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(host: &Host, path: &str) -> Result<Option<Vec<u8>>, Error> {
    for place in places(path) {
        if let Some(bytes) = files::read(&host.path(&place))? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The same as text that is searched and never written back.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_lossy(host: &Host, path: &str) -> Result<Option<String>, Error> {
    Ok(read(host, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
