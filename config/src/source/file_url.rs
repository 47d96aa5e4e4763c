//! Which file a `file:` URL names (RFC 8089, RFC 3986).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{NOT_A_SOURCE, Wrong};

/// The absolute path that a URL names; none if the URL has another scheme.
pub(super) fn path(url: &str) -> Result<Option<PathBuf>, Wrong> {
    // RFC 3986, 3.1: schemes are case-insensitive.
    let after = match url.split_once(':') {
        Some((scheme, after)) if scheme.eq_ignore_ascii_case("file") => after,
        _ => return Ok(None),
    };
    let path = match after.strip_prefix("//") {
        None => after,
        Some(after) => {
            let (host, _) = after.split_once('/').ok_or(NOT_A_SOURCE)?;
            // RFC 8089, 2: an empty host and `localhost` are the same.
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                let hint = "a file of this host: \"file://\" and an absolute path, so three '/' in all";
                return Err(("it names a file on another host", hint));
            }
            after.get(host.len()..).unwrap_or_default()
        }
    };
    if path.starts_with('/') { decoded(path).map(Some) } else { Err(NOT_A_SOURCE) }
}

/// A blank or a non-ASCII letter is taken literally, although a strict parser would require an escape.
fn decoded(path: &str) -> Result<PathBuf, Wrong> {
    if path.contains(['?', '#']) {
        return Err(("a file has no query or fragment", "write '%3F' for '?' and '%23' for '#'"));
    }
    // The decoder takes a '%' that escapes nothing literally.
    let is_escape =
        |after: &str| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !path.split('%').skip(1).all(is_escape) {
        return Err(("a '%' without two hexadecimal digits", "write '%25' for '%'"));
    }
    for segment in path.split('/') {
        let segment: Vec<u8> = percent_decode_str(segment).collect();
        if segment == b"." || segment == b".." {
            // RFC 3986, 5.2.4, removes them from the text; the kernel would follow links first.
            return Err(("it contains '.' or '..'", "use the path without them"));
        }
        if segment.contains(&b'/') {
            return Err(("a file name cannot contain '/'", "write '/' for '%2F'"));
        }
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if String::from_utf8_lossy(&bytes).contains(char::is_control) {
        return Err(("it contains a control character", "use a path without control characters"));
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}
