//! Configuration that a distribution ships below /usr (openSUSE, SLES 16, Clear Linux), until there is a file of the same name in /etc:
//! programs then read that one only.

use std::path::{Path, PathBuf};

use crate::host::{Host, files};
use crate::say::error::Error;
use crate::say::show::word;

/// Below these, an update or a rebuild of the system replaces files, whoever changed them.
const SHIPPED: [&str; 3] = ["/usr", "/nix/store", "/gnu/store"];

/// Whether a file in /etc may be changed: not if it, or a directory on the way to it, is a link to what is shipped (Flatcar,
/// NixOS).
///
/// # Errors
/// With the remedy, if it may not.
pub(crate) fn may_change(host: &Host, path: &Path) -> Result<(), Error> {
    if !path.starts_with("/etc") {
        return Ok(());
    }
    // The outermost one.
    let links = path.ancestors().filter_map(|way| Some((way, shipped(host, way)?)));
    let Some((link, shipped)) = links.last() else { return Ok(()) };
    let [from, to] = [&shipped, link].map(|path| word(&path.to_string_lossy()));
    let what = format!("'{}' is a link to '{}'", link.display(), shipped.display());
    let how = if host.path_of(link).is_dir() {
        format!("rm {to} && cp -a {from} {to}")
    } else {
        format!("cp --remove-destination {from} {to}")
    };
    Err(Error::configuration(format!("{what}, which an update of the system replaces")).hint(format!(
        "replace the link by a copy: {how}; where the whole system is generated, configure it there"
    )))
}

/// What of the distribution this path leads to.
fn shipped(host: &Host, path: &Path) -> Option<PathBuf> {
    let target = host.path_of(path).canonicalize().ok()?;
    let inside = |directory: &str| {
        let below = target.strip_prefix(host.path(directory).canonicalize().ok()?).ok()?;
        Some(Path::new(directory).join(below))
    };
    SHIPPED.into_iter().find_map(inside).filter(|path| !path.starts_with("/usr/local"))
}

/// The places of a file in /etc, in the order in which programs look. Linux-PAM itself knows /usr/lib/pam.d.
pub(crate) fn places(path: &str) -> Vec<String> {
    let Some(name) = path.strip_prefix("/etc/") else { return vec![path.to_owned()] };
    let below = if name.starts_with("pam.d/") {
        &["/etc", "/usr/lib", "/usr/etc"][..]
    } else {
        &["/etc", "/usr/etc", "/usr/share/defaults/etc"]
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
