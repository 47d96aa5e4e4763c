//! The file with the CAs whose certificates let nss-iam users in. sshd reads it as root, and does not check who can write it.

use std::fs;
use std::path::Path;

use message::Message;

use crate::host::Host;
use crate::say::error::Error;

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
        let hint = format!("chown root {path} && chmod go-w {path}");
        return Ok(Some(Message::new(what).with_hint(hint)));
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
