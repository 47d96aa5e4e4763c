//! The file with the CAs whose certificates let nss-iam users in. sshd reads it as root, and does not check who can write it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use message::Message;
use way::Node;

use crate::host::Host;
use crate::say::error::Error;
use crate::say::secure::{Place, for_root_only};

/// Where sshd's own files are, and the directories above it.
const DIRECTORIES: [&str; 3] = ["/", "/etc", "/etc/ssh"];

/// What to do about something that others can change. The administrator chose the file, so what it is in may be there for others.
fn secured(file: &str, node: &Node) -> String {
    let path = node.path.to_string_lossy();
    let found = &node.found;
    let is_own = match found.is_dir() {
        true => DIRECTORIES.contains(&path.as_ref()),
        false => found.is_file() && found.uid() == 0,
    };
    let place = Place { path: &path, uid: found.uid(), mode: found.mode(), plain: is_own };
    for_root_only(file, place).unwrap_or_else(|| {
        "check that the key is the CA's, put it into a file of root's in /etc/ssh, and name that one"
            .to_owned()
    })
}

/// Why a file must not be used; `None` if it may.
///
/// # Errors
/// When ssh-keygen cannot be run.
pub(crate) fn unusable(host: &Host, file: &str) -> Result<Option<Message>, Error> {
    let real = match fs::canonicalize(host.path(file)) {
        Ok(real) => real,
        Err(cause) => {
            let why = Message::from(Error::io("read", Path::new(file), &cause));
            return Ok(Some(why.with_hint("put the CA's public key there")));
        }
    };
    let nodes = way::to(&host.path("/"), Path::new(file))
        .map_err(|cause| Error::io("examine", Path::new(file), &cause))?;
    if let Some(node) = nodes.iter().find(|node| node.others_change()) {
        let path = node.path.display();
        let what = format!("'{file}' can be changed by others than root, through '{path}'");
        return Ok(Some(Message::new(what).with_hint(secured(file, node))));
    }
    let text = fs::read(&real).unwrap_or_default();
    if String::from_utf8_lossy(&text).contains("PRIVATE KEY") {
        let what = format!("'{file}' is a private key, which must not be on this host");
        return Ok(Some(
            Message::new(what).with_hint("keep it where certificates are signed, and use its .pub file here"),
        ));
    }
    let Some(keygen) = host.find("ssh-keygen") else { return Ok(None) };
    let checked = host.run(&[&keygen, "-l", "-f", file])?;
    if checked.success() {
        return Ok(None);
    }
    let what = format!("'{file}' has no public key: {}", checked.complaint());
    Ok(Some(Message::new(what).with_hint("put the CA's public key there, as in a .pub file of ssh-keygen")))
}
